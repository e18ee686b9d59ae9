"""The work dir of a run: what is in it, and whether this run may use it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provecfg.files import read_text
from provecfg.findings import Finding
from provecfg.mmconfig import read_config
from provecfg.spelling import first_few as some
from provecfg.training import record as records
from provecfg.training.problems import (
    LITTLE_DISK,
    OTHER_RUN,
    RUNNING_THERE,
    UNKNOWN_ORIGIN,
    USED_WORK_DIR,
    WORK_DIR_NOT_WRITABLE,
)
from provecfg.training.record import Record

_STEP = re.compile(r"(?:iter|epoch)_(\d+)\.pth$")
_LEAST_FREE = 512 * 2**20
"""Bytes. Before the model is built its size is unknown; no checkpoint of a catalog model with its optimizer is less."""


_WORK_DIRS = Path("work_dirs")
_OF_A_RUN = ("model", "train_dataloader", "train_cfg")


def work_dir_of(
    path: Path,
    config: Mapping[str, Any],
    *,
    chosen: Path | None = None,
    cfg_options: Sequence[str] = (),
    smoke: bool = False,
) -> Path:
    """Where the run of a config keeps its files.

    mmengine inherits `work_dir` as any key, and a child of a config that trains would write into its base's run. So
    that one counts for the base alone, and the child's folder goes by the child's name. What a base says that trains
    nothing by itself, as a file of runtime settings, is said for those that inherit it.

    Args:
        path: The config's file.
        config: As mmengine loads it, with the options.
        chosen: `--work-dir`, which wins.
        cfg_options: `KEY=VALUE` texts of the command line.
        smoke: A smoke run keeps apart from the config's own.
    """
    if chosen is not None:
        return chosen
    if smoke:
        return _WORK_DIRS / "smoke" / path.stem
    declared = config.get("work_dir")
    is_option = any(option.partition("=")[0] == "work_dir" for option in cfg_options)
    if declared is None or (not is_option and _is_of_a_base(path)):
        return _WORK_DIRS / path.stem
    return Path(declared)


def _is_of_a_base(path: Path) -> bool:
    """Whether the config has its `work_dir` from a base that trains by itself."""
    view = read_config(path)
    origin = view.values.origins.get("work_dir")
    if origin is None or origin.source.path == view.path:
        return False
    base = read_config(origin.source.path)
    return all(base.values.get(key) is not None for key in _OF_A_RUN)


@dataclass(frozen=True, slots=True)
class WorkDir:
    """A work dir as a run finds it.

    Args:
        path: The folder, which may not be there yet.
        record: The record of the run in it, or None.
        checkpoint: The file to go on from, or None.
        starts_anew: Its run is a finished smoke run, to be replaced.
    """

    path: Path
    record: Record | None
    checkpoint: Path | None
    starts_anew: bool = False

    @property
    def resume_from(self) -> Path | None:
        """The checkpoint that a resuming run goes on from."""
        return None if self.starts_anew else self.checkpoint

    def clear(self) -> None:
        """Remove the replaced smoke run's record and checkpoints; its logs stay."""
        if self.starts_anew:
            for pattern in ("*.pth", "last_checkpoint", records.FILENAME):
                for file in self.path.glob(pattern):
                    file.unlink()

    def is_complete(self, fingerprint: Mapping[str, str]) -> bool:
        """Whether its run has nothing left to do: it reached its last iteration, and trains what is asked for."""
        return (
            self.record is not None
            and not self.starts_anew
            and self.record.state == records.FINISHED
            and not self.record.differences(fingerprint)
        )


def read_work_dir(path: Path, *, smoke: bool, fingerprint: Mapping[str, str]) -> WorkDir:
    """Look into a work dir.

    Args:
        path: The folder.
        smoke: The run is a smoke run. It replaces an earlier one that ended or trained something else, and goes on with
            one that was interrupted.
        fingerprint: Of the run's config.

    Raises:
        ProvecfgError: Its record cannot be read.
    """
    record = records.read_record(path)
    anew = (
        smoke
        and record is not None
        and record.smoke
        and (record.state not in (records.RUNNING, records.INTERRUPTED) or bool(record.differences(fingerprint)))
    )
    return WorkDir(path, record, latest_checkpoint(path), anew)


def latest_checkpoint(work_dir: Path) -> Path | None:
    """The checkpoint that the folder's run goes on from: the one it names, or else the one of the latest step.

    A work dir may have been moved since, so a file of the name in the folder itself counts, too.
    """
    try:
        named = Path(read_text(work_dir / "last_checkpoint").strip())
    except (OSError, UnicodeDecodeError):
        named = None
    if named is not None:
        for path in (named, work_dir / named.name):
            if path.is_file():
                return path
    steps = [(int(match[1]), path) for path in work_dir.glob("*.pth") if (match := _STEP.fullmatch(path.name))]
    return max(steps)[1] if steps else None


def step_of(checkpoint: Path | None) -> int:
    """Iterations (or epochs) done at a checkpoint, by its name; 0 for none."""
    match = _STEP.search(checkpoint.name) if checkpoint is not None else None
    return int(match[1]) if match else 0


def check_work_dir(found: WorkDir, fingerprint: Mapping[str, str], *, smoke: bool, resume: bool) -> list[Finding]:
    """What stands against training in a work dir."""
    path, record = found.path, found.record
    findings = _check_place(path)
    if record is not None and record.attempts and records.is_alive(record.attempts[-1]):
        attempt = record.attempts[-1]
        findings.append(
            Finding(
                RUNNING_THERE,
                f"process {attempt.pid} has been training in {str(path)!r} since {attempt.started}",
                "work_dir",
                hint="wait for it or end it, or choose another --work-dir",
            )
        )
    if found.checkpoint is None or found.starts_anew:
        return findings
    elsewhere = "choose another folder with --work-dir, or move this one away"
    if not resume:
        findings.append(
            Finding(
                USED_WORK_DIR,
                f"{str(path)!r} holds a run with checkpoint {found.checkpoint.name}",
                "work_dir",
                hint=f"{elsewhere}; without --no-resume the run goes on from it",
            )
        )
    elif record is None:
        findings.append(
            Finding(
                UNKNOWN_ORIGIN,
                f"{str(path)!r} holds {found.checkpoint.name} and no record of the run that wrote it; going on from it",
                "work_dir",
            )
        )
    elif record.smoke != smoke:
        kind = "a smoke run" if record.smoke else "a run that is no smoke run"
        findings.append(Finding(OTHER_RUN, f"{str(path)!r} holds {kind}", "work_dir", hint=elsewhere))
    elif differences := record.differences(fingerprint):
        findings.append(
            Finding(
                OTHER_RUN,
                f"{str(path)!r} holds a run of {record.name} that differs from this one in {some(differences, 8)}",
                "work_dir",
                hint=f"{elsewhere}; the config it had is in {records.SOURCE}/ there",
            )
        )
    return findings


def _check_place(path: Path) -> list[Finding]:
    nearest = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        return [Finding(WORK_DIR_NOT_WRITABLE, f"{str(path)!r} cannot be made or written to", "work_dir")]
    return check_disk(path, _LEAST_FREE)


def check_disk(path: Path, needed: int) -> list[Finding]:
    """Whether the disk of a folder, which may not be there yet, has `needed` bytes free."""
    nearest = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    free = shutil.disk_usage(nearest).free
    if free >= needed:
        return []
    return [
        Finding(
            LITTLE_DISK,
            f"{free / 2**30:.1f} GiB are free on the disk of {str(path)!r}, checkpoints take {needed / 2**30:.1f} GiB",
            "work_dir",
            hint="free some, choose another --work-dir, or lower default_hooks.checkpoint.max_keep_ckpts",
        )
    ]
