"""Where the cells of a folder stand, its engines asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from provecfg.engines.engine import engine_named
from provecfg.errors import ProvecfgError
from provecfg.ledger.cell_status import CellStatus, Task, TaskState, server_clock, status_of, work_dirs_below
from provecfg.ledger.study_folder import Study, cancelled_tasks_of, read_study, submissions_of
from provecfg.spelling import unknown

OnSilence = Callable[[ProvecfgError], None]
"""Called with what an engine says that does not answer."""


def statuses_of(folder: Path, on_silence: OnSilence | None = None) -> list[CellStatus]:
    """Where each cell of a study's folder stands, or each run of any folder of work dirs.

    Args:
        folder: The folder.
        on_silence: Told of an engine that does not answer, whose cells stand where their records say; None to raise.

    Raises:
        ProvecfgError: The folder does not exist, holds neither, or its study cannot be read.
    """
    study = read_study(_existing(folder))
    if study is not None:
        return statuses_of_study(folder, study, on_silence)
    clock = server_clock(folder)
    return [status_of(name, path, clock) for name, path in _runs_below(folder)]


def work_dir_named(folder: Path, name: str) -> Path:
    """The work dir of a cell, as `statuses_of` names it; of a study, its name alone will do where no other has it.

    Raises:
        ProvecfgError: There is none of that name, or as `statuses_of`.
    """
    study = read_study(_existing(folder))
    if study is not None:
        return folder / study.cell(name).work_dir
    named = dict(_runs_below(folder))
    if name not in named:
        raise ProvecfgError(unknown("cell", name, named))
    return named[name]


def is_under_way(folder: Path, work_dir: Path) -> bool:
    """Whether the cell of a work dir is trained, or will be; also where an engine that may know does not answer.

    Args:
        folder: See `statuses_of`.
        work_dir: See `work_dir_named`.
    """
    silences: list[ProvecfgError] = []
    task = tasks_of(folder, silences.append).get(work_dir.name)  # in a study, named as the cell
    status = status_of(work_dir.name, work_dir, server_clock(folder), task)
    return status.state.is_under_way or (bool(silences) and not status.state.is_complete)


def statuses_of_study(study_dir: Path, study: Study, on_silence: OnSilence | None = None) -> list[CellStatus]:
    """Where each cell of a study stands; see `statuses_of`."""
    tasks, clock = tasks_of(study_dir, on_silence), server_clock(study_dir)
    return [
        status_of(
            cell.id,
            study_dir / cell.work_dir,
            clock,
            tasks.get(cell.id),
            is_submitted=True,
            is_stale=cell.is_stale(study_dir, study.options),
        )
        for cell in study.cells
    ]


def tasks_of(study_dir: Path, on_silence: OnSilence | None = None) -> dict[str, Task]:
    """Cell -> what its engine says of the last task that was to train it; see `statuses_of`.

    Of the tasks of several submissions one that runs outweighs one that waits, and that one that has ended.
    """
    tasks: dict[str, Task] = {}
    for submission in submissions_of(study_dir):
        try:
            states = engine_named(submission.engine).task_states(study_dir, submission)
        except ProvecfgError as error:
            if on_silence is None:
                raise
            on_silence(error)
            continue
        cancelled = cancelled_tasks_of(study_dir, submission)
        for index, cells in enumerate(submission.tasks):
            task = states.get(index)
            if task is not None:
                task = replace(task, is_cancelled=index in cancelled)
                tasks |= {cell: task for cell in cells if cell not in tasks or _weight(task) >= _weight(tasks[cell])}
    return tasks


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise ProvecfgError(f"{folder} does not exist" if not folder.exists() else f"{folder} is not a folder")
    return folder


def _runs_below(folder: Path) -> list[tuple[str, Path]]:
    """Name and work dir of each run of a folder that holds no study."""
    work_dirs = list(work_dirs_below(folder))
    if not work_dirs:
        raise ProvecfgError(f"{folder} holds no study and no work dir", hint="name a folder that submit or run made")
    return [(str(path.relative_to(folder)) if path != folder else path.name, path) for path in work_dirs]


def _weight(task: Task) -> int:
    return (TaskState.ENDED, TaskState.QUEUED, TaskState.RUNNING).index(task.state)


def is_live(task: Task | None) -> bool:
    """Whether the engine has the task still."""
    return task is not None and task.state is not TaskState.ENDED
