"""The work dir of a run: what is in it, and whether this run may use it."""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provecfg import checksums
from provecfg.errors import ProvecfgError
from provecfg.files import read_text
from provecfg.findings import Finding
from provecfg.mmconfig import Opaque, read_config
from provecfg.paths import write_atomically
from provecfg.spelling import first_few
from provecfg.training import heartbeat
from provecfg.training import record as records
from provecfg.training.lease import Tenancy, holder_hint, holder_message, left_behind, look_at_lease
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
_POINTER = "last_checkpoint"
_BROKEN = ".broken"
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

    Raises:
        ProvecfgError: What the config gives is no path, or not known before the config runs.
    """
    if chosen is not None:
        return chosen
    if smoke:
        return _WORK_DIRS / "smoke" / path.stem
    declared = config.get("work_dir")
    is_option = any(option.partition("=")[0] == "work_dir" for option in cfg_options)
    if declared is None or (not is_option and _is_of_a_base(path)):
        return _WORK_DIRS / path.stem
    if not isinstance(declared, (str, os.PathLike)):
        what = "not known before the config runs" if isinstance(declared, Opaque) else f"{declared!r}, and no path"
        raise ProvecfgError(f"{path}: work_dir is {what}", hint="write it as a text, or name one with --work-dir")
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
class BrokenCheckpoint:
    """A checkpoint that cannot be gone on from.

    Args:
        path: The file.
        reason: What is wrong with it.
    """

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class WorkDir:
    """A work dir as a run finds it.

    Args:
        path: The folder, which may not be there yet.
        record: The record of the run in it, or None.
        checkpoint: The file to go on from, or None.
        starts_anew: Its run is a finished smoke run, to be replaced.
        broken: Newer checkpoints than that one which are not whole, as far as this was looked at.
    """

    path: Path
    record: Record | None
    checkpoint: Path | None
    starts_anew: bool = False
    broken: tuple[BrokenCheckpoint, ...] = ()

    @property
    def resume_from(self) -> Path | None:
        """The checkpoint that a resuming run goes on from."""
        return None if self.starts_anew else self.checkpoint

    def is_complete(self, fingerprint: Mapping[str, str], stopping: str) -> bool:
        """Whether its run has nothing left to do, and trains what is asked for."""
        return self.record is not None and not self.starts_anew and self.record.is_complete(fingerprint, stopping)

    @property
    def newest(self) -> Path | None:
        """The checkpoint that the run would go on from if it were whole."""
        return self.broken[0].path if self.broken else self.checkpoint


def read_work_dir(path: Path, *, smoke: bool, fingerprint: Mapping[str, str]) -> WorkDir:
    """Look into a work dir.

    Args:
        path: The folder.
        smoke: The run is a smoke run. It replaces an earlier one that ended or trained something else, and goes on with
            one that was interrupted or killed.
        fingerprint: Of the run's config.

    Raises:
        ProvecfgError: Its record cannot be read.
    """
    record = records.read_record(path)
    goes_on = (records.RUNNING, records.INTERRUPTED, records.LOST)
    anew = (
        smoke
        and record is not None
        and record.smoke
        and (record.state not in goes_on or bool(record.differences(fingerprint)))
    )
    return WorkDir(path, record, next(iter(checkpoints_of(path)), None), anew)


def checkpoints_of(work_dir: Path) -> list[Path]:
    """The checkpoints that the folder's run can go on from, best first: the one it names, then by falling step.

    A work dir may have been moved or copied since, so a file of the name in the folder itself comes first.
    """
    by_step = {path: int(match[1]) for path in work_dir.glob("*.pth") if (match := _STEP.fullmatch(path.name))}
    checkpoints = sorted(by_step, key=lambda path: by_step[path], reverse=True)
    try:
        pointed_at = Path(read_text(work_dir / _POINTER).strip())
        named = next(path for path in (work_dir / pointed_at.name, pointed_at) if path.is_file())
    except (OSError, ValueError, StopIteration):  # ValueError: no text, or no name
        return checkpoints
    return [named, *(path for path in checkpoints if path.resolve() != named.resolve())]


def step_of(checkpoint: Path | None) -> int:
    """Iterations (or epochs) done at a checkpoint, by its name; 0 for none."""
    match = _STEP.search(checkpoint.name) if checkpoint is not None else None
    return int(match[1]) if match else 0


def name_in(work_dir: Path, file: str | Path | None) -> str | None:
    """A file as a work dir sees it, so that the dir can be moved: its name, where the dir holds a file of that name.

    Args:
        work_dir: The folder.
        file: A path, possibly of where the folder was before; or None.
    """
    if file is None:
        return None
    path = Path(file)
    return path.name if (work_dir / path.name).is_file() else str(path)


def clear_smoke_run(work_dir: WorkDir) -> None:
    """Remove the replaced smoke run's record and checkpoints; its logs stay."""
    if work_dir.starts_anew:
        for pattern in ("*.pth", f"*.pth{checksums.SUFFIX}", _POINTER, records.FILENAME):
            for file in work_dir.path.glob(pattern):
                file.unlink()


def set_broken_aside(work_dir: WorkDir) -> None:
    """Give broken checkpoints a name that no run goes on from, and let the folder name the one that is whole."""
    for broken in work_dir.broken:
        if broken.path.parent.resolve() == work_dir.path.resolve():
            broken.path.replace(broken.path.with_name(broken.path.name + _BROKEN))
            checksums.checksum_path(broken.path).unlink(missing_ok=True)
    if work_dir.broken and work_dir.checkpoint is not None:
        write_atomically(work_dir.path / _POINTER, str(work_dir.checkpoint.absolute()))


def clear_partial_files(work_dir: Path, config_name: str) -> None:
    """Remove what processes left behind that were killed while they wrote. Only for the holder of the lease.

    Args:
        work_dir: The folder.
        config_name: Name of the config's file, a copy of which mmengine keeps there.
    """
    written = (records.FILENAME, heartbeat.FILENAME, _POINTER, config_name)
    remains = [path for name in written for path in work_dir.glob(f".{glob.escape(name)}.*.part")]
    remains += (work_dir / records.SOURCE).rglob(".*.part")
    remains += work_dir.glob("*.partial")  # PlainCheckpointHook's
    remains += left_behind(work_dir)
    for path in remains:
        path.unlink(missing_ok=True)


def check_work_dir(work_dir: WorkDir, fingerprint: Mapping[str, str], *, smoke: bool, resume: bool) -> list[Finding]:
    """What stands against training in a work dir."""
    path, record = work_dir.path, work_dir.record
    findings = _check_place(path)
    if work_dir.checkpoint is None or work_dir.starts_anew:
        return findings
    elsewhere = "choose another folder with --work-dir, or move this one away"
    if not resume:
        findings.append(
            Finding(
                USED_WORK_DIR,
                f"{str(path)!r} holds a run with checkpoint {work_dir.checkpoint.name}",
                "work_dir",
                hint=f"{elsewhere}; without --no-resume the run goes on from it",
            )
        )
    elif record is None:
        findings.append(
            Finding(
                UNKNOWN_ORIGIN,
                f"{str(path)!r} holds {work_dir.checkpoint.name} and no record of the run that wrote it; "
                "going on from it",
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
                f"{str(path)!r} holds a run of {record.name} that differs from this one in {first_few(differences, 8)}",
                "work_dir",
                hint=f"{elsewhere}; the config it had is in {records.SOURCE}/ there",
            )
        )
    return findings


def check_lease(path: Path) -> list[Finding]:
    """Whether another process trains in a work dir."""
    state = look_at_lease(path)
    if state.tenancy is not Tenancy.HELD:
        return []
    return [Finding(RUNNING_THERE, holder_message(path, state), "work_dir", hint=holder_hint(path, state))]


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
