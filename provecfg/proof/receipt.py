"""The receipt of a proof: what was proved, of which config, with which versions. `run --require-proof` asks for it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from math import isfinite
from pathlib import Path
from typing import Any

from provecfg.errors import ProvecfgError
from provecfg.files import read_bytes, read_json
from provecfg.findings import Finding
from provecfg.paths import write_atomically
from provecfg.proof.problems import NO_RECEIPT, PROOF_FAILED, STALE_RECEIPT
from provecfg.training.fingerprint import digests_of
from provecfg.training.record import now, versions

PROVED, FAILED = "proved", "failed"
_FORMAT = 1
_LARGEST_MODULE = 50_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a proof leaves behind.

    Args:
        name: The config's name.
        config: Its file.
        verdict: `proved` or `failed`.
        digests: Of the loaded config, see `training.fingerprint.digests_of`.
        code: Module that the config imports -> digest of its source.
        versions: Of Python, provecfg and the packages that decide the numbers.
        device: What it was proved on.
        made: When, ISO 8601, UTC.
        seconds: How long it took.
        sections: What each check saw: `name`, `proved`, `not_judged`, `lines` and `evidence`.
        findings: What was wrong, as `--output-format json` writes it.
    """

    name: str
    config: str
    verdict: str
    digests: Mapping[str, str]
    code: Mapping[str, str]
    versions: Mapping[str, str]
    device: str
    made: str
    seconds: float
    sections: Sequence[Mapping[str, Any]]
    findings: Sequence[Mapping[str, Any]]

    def as_data(self) -> dict[str, Any]:
        """The receipt as plain data."""
        data: dict[str, Any] = _as_json_has_it({"format": _FORMAT, **dataclasses.asdict(self)})
        return data

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        write_atomically(path, json.dumps(self.as_data(), indent=2, allow_nan=False) + "\n")

    def differences(self, config: Mapping[str, Any], folder: Path) -> list[str]:
        """Why the receipt does not speak for a config here and now, each in words; empty where it does.

        Args:
            config: As mmengine loads it, with the options it is to run with, as plain data.
            folder: Where the config is.
        """
        reasons = []
        changed = _changed(self.digests, digests_of(config))
        if changed:
            reasons.append(f"the config has changed since in {', '.join(changed)}")
        code = _changed(self.code, code_of(config, folder))
        if code:
            reasons.append(f"the code of {', '.join(code)} has changed since")
        installed = versions()
        for package in _changed(self.versions, installed):
            was, is_now = self.versions.get(package, "not installed"), installed.get(package, "not installed")
            reasons.append(f"{package} was {was} and is {is_now}")
        return reasons


def receipt_path(work_dir: Path, name: str) -> Path:
    """Where the receipt of a config is: in its work dir, beside the config that mmengine writes there."""
    return work_dir / f"{name}.proof.json"


def read_receipt(path: Path) -> Receipt | None:
    """The receipt in a file, or None where there is no file.

    Raises:
        ProvecfgError: The file holds no receipt.
    """
    try:
        data = read_json(path)
        if data.pop("format") != _FORMAT:
            raise ValueError("of another format")
        return Receipt(**data)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProvecfgError(
            f"{path} is no receipt of a proof: {type(error).__name__}: {error}", hint="prove the config again"
        ) from error


def check_receipt(path: Path, config_path: Path, config: Mapping[str, Any]) -> list[Finding]:
    """What stands against training a config by the receipt that its work dir should hold.

    Args:
        path: The receipt's place, see `receipt_path`.
        config_path: The config's file.
        config: As mmengine loads it, with the options it is to run with, as plain data.

    Raises:
        ProvecfgError: The file holds no receipt.
    """
    receipt = read_receipt(path)
    again = f"provecfg prove {config_path}, with the same --cfg-options and --work-dir"
    if receipt is None:
        return [Finding(NO_RECEIPT, f"there is no receipt of a proof at {path}", hint=again)]
    differences = receipt.differences(config, config_path.parent)
    if differences:
        return [Finding(STALE_RECEIPT, f"the proof at {path} is stale: {'; '.join(differences)}", hint=again)]
    if receipt.verdict != PROVED:
        errors = [finding for finding in receipt.findings if finding["severity"] == "error"]
        first = f": {errors[0]['code']} {errors[0]['message']}" if errors else ""
        return [Finding(PROOF_FAILED, f"the config was not proved at {receipt.made}{first}", hint=again)]
    return []


def code_of(config: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Module that the config's `custom_imports` names -> digest of its source, with all that is in a package.

    Args:
        config: The loaded config.
        folder: Where the config is; modules beside it are found, too. Nothing is imported.
    """
    imports = (config.get("custom_imports") or {}).get("imports") or []
    names = [imports] if isinstance(imports, str) else imports
    return {name: _code_digest(name, folder) for name in names}


def _code_digest(name: str, folder: Path) -> str:
    spec = _spec(name, folder)
    if spec is None:
        return "absent"
    roots = [Path(folder) for folder in spec.submodule_search_locations or []]
    files = sorted(file for root in roots for file in root.rglob("*.py"))
    if not files and spec.origin is not None and Path(spec.origin).is_file():
        files = [Path(spec.origin)]
    return hashlib.sha256(b"\0".join(read_bytes(file, max_bytes=_LARGEST_MODULE) for file in files)).hexdigest()[:16]


def _spec(name: str, folder: Path) -> ModuleSpec | None:
    """Where a module is, without importing the packages that it is in."""
    search: Sequence[str] = [*sys.path, str(folder.absolute())]
    spec = None
    for part in name.split("."):
        # By the last part of its name: the path of a namespace package asks for its parent among the imported modules.
        spec = PathFinder.find_spec(part, search)
        if spec is None:
            return None
        search = list(spec.submodule_search_locations or [])
    return spec


def _as_json_has_it(value: Any) -> Any:
    """The value with its infinities and NaNs, evidence that JSON has no number for, as text: `inf`, `-inf`, `nan`."""
    if isinstance(value, Mapping):
        return {key: _as_json_has_it(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json_has_it(item) for item in value]
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def _changed(was: Mapping[str, str], is_now: Mapping[str, str]) -> list[str]:
    return sorted(key for key in {**was, **is_now} if was.get(key) != is_now.get(key))


def made_now() -> tuple[str, dict[str, str]]:
    """When a receipt is made, and with which versions."""
    return now(), versions()
