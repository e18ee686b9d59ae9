"""Which files a target stands for, and everything that is found in them."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from provecfg import mmconfig
from provecfg.errors import ProvecfgError, wants_traceback
from provecfg.findings import Finding
from provecfg.findings.problems import NOT_JUDGED
from provecfg.mmconfig.budget import MAX_FILE_BYTES
from provecfg.rules import judge

CONFIGS = "configs"
"""The target that stands for every study and generated config of the project."""

FOUND_ELSEWHERE = ("RUN1", "PROOF")
"""Beginnings of the codes that `run` and `prove` find: a comment that silences one is not unused for validation."""

_SUFFIXES = (".py", ".yaml", ".yml", ".json")
_YAML = (".yaml", ".yml")
_PASSED_OVER = frozenset({"_base_", "__pycache__", "node_modules", "site-packages"})
_CONFIG_KEYS = (
    "_base_",
    "default_scope",
    "model",
    "optim_wrapper",
    "param_scheduler",
    "train_cfg",
    "train_dataloader",
    "val_evaluator",
)
_TEXT_KEYS, _DICT_KEYS = "|".join(_CONFIG_KEYS[:2]), "|".join(_CONFIG_KEYS[2:])
# with what a config gives the key: a script's `model = Model()` is none
_ASSIGNS_A_KEY = re.compile(
    rf"""^(?:{_TEXT_KEYS})\s*=\s*["'\[(]|^(?:{_DICT_KEYS})\s*=\s*(?:dict\s*\(|[\[{{])|^with read_base\(\)""",
    re.MULTILINE,
)
_HAS_A_KEY = re.compile(
    rf"""^[{{\s]*["']?(?:(?:{_TEXT_KEYS})["']?\s*:|(?:{_DICT_KEYS})["']?\s*:\s*(?:[{{\[]|$))""", re.MULTILINE
)
_STUDY_KEYS = re.compile(r"^(?:models|losses|head_weights|schedule|early_stopping|strategies|seeds)\s*:", re.MULTILINE)


def files_of(targets: Iterable[str], here: Path) -> list[Path]:
    """The files that targets stand for, each once, in the order named.

    A file stands for itself. A folder stands for the configs and studies below it: files that look like one; folders
    named `_base_` hold fragments, which are judged through the configs that inherit from them.

    Args:
        targets: Files, folders, or `configs`.
        here: The folder that relative targets, and the project of `configs`, start from.

    Raises:
        ProvecfgError: A target that does not exist, or stands for nothing.
    """
    found: dict[Path, None] = {}
    for target in targets:
        path = here / target
        if path.is_dir():
            below = [file for file in _below(path) if _looks_like_study(file) or _is_config(file)]
            if not below:
                raise ProvecfgError(f"no config and no study below {target}")
            found.update(dict.fromkeys(below))
        elif os.path.lexists(path):
            found[path] = None
        elif target == CONFIGS:
            found.update(dict.fromkeys(_of_project(here)))
        else:
            raise ProvecfgError(f"{target} does not exist")
    return list(found)


def findings_in(path: Path, cfg_options: Sequence[tuple[str, Any]] = ()) -> tuple[list[Finding], dict[Path, str]]:
    """Everything that the schema, the reader and the rules find in one file, before any selection.

    Args:
        path: A config or a study.
        cfg_options: Dotted paths and values to merge into a config first.

    Returns:
        The findings, and the text of every file that was read for them.
    """
    try:
        if is_study(path):
            return _findings_in_study(path), {path: _text(path)}
        view = mmconfig.read_config(path, cfg_options=cfg_options)
        texts = {file: view.sources(file) for file in view.files}
        return [*view.problems, *judge(view)], texts
    except ProvecfgError:
        raise
    except Exception as error:
        if wants_traceback():
            raise
        message = f"provecfg could not judge this file: {type(error).__name__}: {error}"
        hint = "the other files were judged; please report this one"
        return [Finding(NOT_JUDGED, message, hint=hint, filename=path)], {}


def is_study(path: Path) -> bool:
    """Whether a YAML file is a study, not a config: it has a study's keys and none that only a config has."""
    if path.suffix not in _YAML or not path.is_file():
        return False
    text = _text(path)
    return not _HAS_A_KEY.search(text) and bool(_STUDY_KEYS.search(text) or re.search(r"^name\s*:", text, re.MULTILINE))


def _looks_like_study(path: Path) -> bool:
    """The same of a file that nobody named: other tools' files have a `name`, too."""
    if not is_study(path):
        return False
    text = _text(path)
    return bool(_STUDY_KEYS.search(text)) or re.findall(r"^[\w-]+(?=\s*:)", text, re.MULTILINE) == ["name"]


def _findings_in_study(path: Path) -> list[Finding]:
    """What is wrong with a study, and with the configs that it stands for."""
    import tempfile

    from provecfg.generate.plan import plans_of
    from provecfg.generate.render import render
    from provecfg.study.load import read_study

    study, findings = read_study(path)
    if study is None:
        return findings
    # One seed shows what all of them would.
    one_seed = study.model_copy(update={"seeds": study.seeds[:1]})
    found: dict[tuple[str, str, str], tuple[Finding, list[str]]] = {}
    with tempfile.TemporaryDirectory(prefix="provecfg-") as folder:
        for plan in plans_of(one_seed):
            config = Path(folder) / f"{plan.name}.py"
            config.write_text(render(plan), encoding="utf-8")
            for finding in findings_in(config)[0]:
                key = (finding.code, finding.key, finding.message)
                found.setdefault(key, (finding, []))[1].append(plan.name)
            config.unlink()
    return findings + [_of_study(path, finding, cells) for finding, cells in found.values()]


def _of_study(path: Path, finding: Finding, cells: list[str]) -> Finding:
    """A finding in a study's configs as one of the study, since that is what a user would change."""
    others = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
    return dataclasses.replace(
        finding,
        filename=path,
        span=None,
        fix=None,
        target=None,
        message=f"{finding.message} (in {cells[0]}{others})",
    )


def _of_project(here: Path) -> list[Path]:
    """Every study and every generated config of the project that `here` is in."""
    project = next((folder for folder in (here, *here.parents) if _is_project(folder)), here)
    studies = [path for folder in (project, project / "studies") for path in _files_in(folder) if is_study(path)]
    generated = [path for path in _below(project / "generated") if _is_config(path)]
    if not studies and not generated:
        raise ProvecfgError(
            f"no study and no generated config in {project}",
            hint="`provecfg generate --all` writes the loss study's configs; a file or folder can be named instead",
        )
    return [*studies, *generated]


def _is_project(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("pyproject.toml", ".git", "generated"))


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _PASSED_OVER and not name.startswith("."))
        for name in sorted(files):
            if name.endswith(_SUFFIXES):
                yield Path(parent, name)


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in _YAML) if folder.is_dir() else []


def _is_config(path: Path) -> bool:
    """Whether a file found in a folder looks like a config, rather than a module or data beside it."""
    pattern = _ASSIGNS_A_KEY if path.suffix == ".py" else _HAS_A_KEY
    return bool(pattern.search(_text(path)))


def _text(path: Path) -> str:
    """The text of a file as far as it can be had; what cannot is for the reader to report."""
    if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
        return ""
    return path.read_text(encoding="utf-8", errors="replace")
