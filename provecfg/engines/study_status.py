"""Where the cells of a folder stand, its engines asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from provecfg.engines.engine import engine_named
from provecfg.errors import ProvecfgError
from provecfg.ledger.cell_status import CellStatus, Task, TaskState, server_clock, status_of, work_dirs_below
from provecfg.ledger.study_folder import Study, read_study, submissions_of

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
    if not folder.is_dir():
        raise ProvecfgError(f"{folder} does not exist" if not folder.exists() else f"{folder} is not a folder")
    study = read_study(folder)
    if study is not None:
        return statuses_of_study(folder, study, on_silence)
    clock = server_clock(folder)
    statuses = [
        status_of(str(path.relative_to(folder)) if path != folder else path.name, path, clock)
        for path in work_dirs_below(folder)
    ]
    if not statuses:
        raise ProvecfgError(f"{folder} holds no study and no work dir", hint="name a folder that submit or run made")
    return statuses


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
        for index, cells in enumerate(submission.tasks):
            task = states.get(index)
            if task is not None:
                tasks |= {cell: task for cell in cells if cell not in tasks or _weight(task) >= _weight(tasks[cell])}
    return tasks


def _weight(task: Task) -> int:
    return (TaskState.ENDED, TaskState.QUEUED, TaskState.RUNNING).index(task.state)


def is_live(task: Task | None) -> bool:
    """Whether the engine has the task still."""
    return task is not None and task.state is not TaskState.ENDED
