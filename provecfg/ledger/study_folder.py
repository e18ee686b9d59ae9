"""A study's folder: `study.json`, written once, and `submissions/NNNN.json` and what belongs to it, once each.

No file has two writers.

All paths in it are relative to it, so that it can be moved. Where its parent is writable for a group, it is, too.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from provecfg.errors import ProvecfgError
from provecfg.ledger.cell import CELLS, CONFIGS, Cell
from provecfg.training.json_file import BrokenFileError, T, read_json_file, write_json_file

FILENAME: Final = "study.json"
SUBMISSIONS: Final = "submissions"
LOGS: Final = "logs"
"""Folder of what the tasks of an engine print."""

_NAME = re.compile(r"([0-9]{4,})\.json")
_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Study:
    """What was submitted to a folder, once and for all.

    Args:
        name: Of the study.
        made: ISO 8601, UTC.
        cells: All of them.
        run_options: Words for `provecfg run` of every cell.
        options: What of them changes what is trained; part of every cell's digest.
        versions: Python's and the packages' at submission.
    """

    name: str
    made: str
    cells: tuple[Cell, ...]
    run_options: tuple[str, ...]
    options: Mapping[str, Any]
    versions: Mapping[str, str]
    format: int = 1

    def cell(self, name: str) -> Cell:
        """The cell of an id or, where it is one alone, of a name.

        Raises:
            ProvecfgError: There is none.
        """
        for cell in self.cells:
            if cell.id == name:
                return cell
        named = [cell for cell in self.cells if cell.name == name]
        if len(named) == 1:
            return named[0]
        from provecfg.spelling import unknown

        raise ProvecfgError(unknown("cell", name, [cell.id for cell in self.cells]))


@dataclass(frozen=True, slots=True)
class Submission:
    """What was handed to an engine at once.

    Args:
        number: From 1.
        study: The study's name.
        engine: Its name.
        made: ISO 8601, UTC.
        profile: The settings it was handed over with.
        tasks: For each task, the ids of its cells, trained one after the other.
        retries: How often a cell is tried again that was killed.
    """

    number: int
    study: str
    engine: str
    made: str
    profile: Mapping[str, Any]
    tasks: tuple[tuple[str, ...], ...]
    retries: int = 1

    @property
    def stem(self) -> str:
        """What its files' names begin with."""
        return f"{self.number:04}"


@dataclass(frozen=True, slots=True)
class EngineJob:
    """An engine's job, or array of jobs.

    Args:
        id: As the engine's commands take it.
        first: The submission's task that is the array's first.
        tasks: How many there are.
    """

    id: str
    first: int
    tasks: int


@dataclass(frozen=True, slots=True)
class EngineJobs:
    """The jobs that an engine has made of a submission."""

    jobs: tuple[EngineJob, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Cancellation:
    """The tasks of a submission that its engine was told to end."""

    tasks: tuple[int, ...]


def read_study(study_dir: Path) -> Study | None:
    """The study of a folder, or None where it holds none.

    Raises:
        ProvecfgError: Its file is broken.
    """
    return _read(study_dir / FILENAME, Study)


def require_study(study_dir: Path) -> Study:
    """The study of a folder.

    Raises:
        ProvecfgError: It holds none, or its file is broken.
    """
    study = read_study(study_dir)
    if study is None:
        raise ProvecfgError(
            f"{study_dir} holds no submitted study: there is no {FILENAME}",
            hint="name the --study-dir of `provecfg submit`; what `provecfg run` trains goes on by the same command",
        )
    return study


def write_study(study_dir: Path, study: Study) -> None:
    """Write a study to a folder that has none, with the folders of its cells.

    Raises:
        ProvecfgError: It has one, or cannot be written to.
    """
    try:
        make_folder(study_dir)
        for name in (CELLS, CONFIGS, SUBMISSIONS, LOGS):
            make_folder(study_dir / name)
        for cell in study.cells:
            make_folder(study_dir / cell.work_dir)
        is_new = _write_once(study_dir / FILENAME, study)
    except OSError as error:
        raise ProvecfgError(f"cannot write {error.filename or study_dir}: {error.strerror or error}") from error
    if not is_new:
        raise ProvecfgError(f"{study_dir} holds a study already", hint="choose another --study-dir")


def submissions_of(study_dir: Path) -> list[Submission]:
    """The submissions of a study, in order.

    Raises:
        ProvecfgError: One's file is broken.
    """
    submissions = (_read(study_dir / SUBMISSIONS / f"{number:04}.json", Submission) for number in _numbers(study_dir))
    return [submission for submission in submissions if submission is not None]


def read_submission(study_dir: Path, number: int) -> Submission:
    """A submission.

    Raises:
        ProvecfgError: There is none of that number, or its file is broken.
    """
    submission = _read(study_dir / SUBMISSIONS / f"{number:04}.json", Submission)
    if submission is None:
        raise ProvecfgError(f"{study_dir} has no submission {number}")
    return submission


def add_submission(study_dir: Path, made: Callable[[int], Submission]) -> Submission:
    """Write a submission under the next number.

    Args:
        study_dir: The study's folder.
        made: The submission of a number.

    Raises:
        ProvecfgError: It cannot be written.
    """
    try:
        for _ in range(_ROUNDS):
            submission = made(max(_numbers(study_dir), default=0) + 1)
            if _write_once(study_dir / SUBMISSIONS / f"{submission.stem}.json", submission):
                return submission
    except OSError as error:
        raise ProvecfgError(f"cannot write to {study_dir}: {error.strerror or error}") from error
    raise ProvecfgError(f"{study_dir}: others submit faster than this does")


def add_cancellation(study_dir: Path, submission: Submission, tasks: Iterable[int]) -> None:
    """Write down which tasks the engine was told to end, so that who never began is not looked for.

    Raises:
        ProvecfgError: It cannot be written.
    """
    made = Cancellation(tuple(tasks))
    number = len(_cancellations(study_dir, submission)) + 1
    try:
        while not _write_once(study_dir / SUBMISSIONS / f"{submission.stem}.cancelled{number}", made):
            number += 1
    except OSError as error:
        raise ProvecfgError(f"cannot write to {study_dir}: {error.strerror or error}") from error


def cancelled_tasks_of(study_dir: Path, submission: Submission) -> frozenset[int]:
    """The tasks of a submission that the engine was told to end."""
    read = (_read(path, Cancellation) for path in _cancellations(study_dir, submission))
    return frozenset(task for cancellation in read if cancellation is not None for task in cancellation.tasks)


def write_engine_jobs(study_dir: Path, submission: Submission, jobs: EngineJobs) -> None:
    """Write down which jobs the engine has made. Only for who submits."""
    write_json_file(study_dir / SUBMISSIONS / f"{submission.stem}.jobs", jobs)


def engine_jobs_of(study_dir: Path, submission: Submission) -> tuple[EngineJob, ...]:
    """The jobs that the engine has made of a submission; none where it was not asked, or that was not written down."""
    jobs = _read(study_dir / SUBMISSIONS / f"{submission.stem}.jobs", EngineJobs)
    return jobs.jobs if jobs is not None else ()


def make_folder(path: Path) -> None:
    """Make a folder, writable for the group where its parent is."""
    if path.is_dir():
        return
    if not path.parent.is_dir():
        make_folder(path.parent)
    path.mkdir(exist_ok=True)
    if path.parent.stat().st_mode & stat.S_IWGRP:
        path.chmod(path.stat().st_mode | stat.S_IWGRP)


def _numbers(study_dir: Path) -> list[int]:
    folder = study_dir / SUBMISSIONS
    names = os.listdir(folder) if folder.is_dir() else []
    return sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))


def _cancellations(study_dir: Path, submission: Submission) -> list[Path]:
    return sorted((study_dir / SUBMISSIONS).glob(f"{submission.stem}.cancelled*"))


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return read_json_file(path, kind)
    except (BrokenFileError, OSError) as error:
        raise ProvecfgError(f"{path} is broken: {error}") from error


def _write_once(path: Path, contents: object) -> bool:
    """Write a file whole, unless there is one of its name; whether it was written."""
    made = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write_json_file(made, contents)
        try:
            os.link(made, path)
        except FileExistsError:
            return False
    finally:
        made.unlink(missing_ok=True)
    return True
