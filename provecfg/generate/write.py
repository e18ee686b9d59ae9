"""Which files a study becomes, and what would change on disk."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from provecfg.errors import ProvecfgError
from provecfg.files import read_text
from provecfg.findings.edits import diff_of
from provecfg.generate.cells import Selection, cells_of
from provecfg.generate.plan import Planner
from provecfg.generate.render import render
from provecfg.header import Header, differ_in_version_alone, is_untouched
from provecfg.paths import write_atomically
from provecfg.study.schema import Study


class Change(enum.Enum):
    """What writing a config would do."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    EDITED = "edited by hand"
    FOREIGN = "of another study"

    @property
    def is_refused(self) -> bool:
        """Whether it loses what somebody may want to keep, so that it has to be asked for."""
        return self in (Change.EDITED, Change.FOREIGN)


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A config to write.

    Args:
        path: Where.
        text: The config.
        before: What is there now, or None.
        change: What writing it would do.
        is_first_seed: Whether it is the first of the configs that differ in their seed alone.
    """

    path: Path
    text: str
    before: str | None
    change: Change
    is_first_seed: bool

    @property
    def is_stale(self) -> bool:
        """Whether the study makes another config now than what is there, and not only another provecfg the same one."""
        return self.change is Change.CHANGED and not differ_in_version_alone(self.before or "", self.text)

    def write(self) -> None:
        """Put the config in its place, whole or not at all."""
        write_atomically(self.path, self.text)

    def diff(self) -> str:
        """The change as a unified diff."""
        return diff_of(self.before or "", self.text, self.path.as_posix())


def targets_of(study: Study, selection: Selection, folder: Path) -> Iterator[ConfigFile]:
    """Each selected cell's config and what writing it would change, one at a time."""
    planner = Planner(study)
    previous: tuple[object, ...] = ()
    for cell in cells_of(study):  # seeds innermost
        if selection.holds(cell):
            plan = planner.plan(cell)
            axes = cell.coordinates[:-1]
            yield _target(folder / f"{plan.name}.py", render(plan), study.name, axes != previous)
            previous = axes


def refuse_clashes(studies: Sequence[tuple[Study, Selection]]) -> None:
    """Refuse two studies that would write one file.

    Raises:
        ProvecfgError: Names the file and both studies.
    """
    owner: dict[str, int] = {}  # their names may be equal
    for index, (study, selection) in enumerate(studies):
        several = len(study.seeds) > 1
        for cell in cells_of(study):
            if not selection.holds(cell):
                continue
            name = cell.name(several_seeds=several)
            first = owner.setdefault(name, index)
            if first != index:
                raise ProvecfgError(
                    f"studies {studies[first][0].name!r} and {study.name!r} both write {name}.py",
                    hint="generate them one by one, each with its own -o DIR",
                )


def _target(path: Path, text: str, study: str, is_first_seed: bool) -> ConfigFile:
    try:
        before = read_text(path)  # Git may have ended its lines in another way
    except FileNotFoundError:
        return ConfigFile(path, text, None, Change.NEW, is_first_seed)
    except OSError as error:
        raise ProvecfgError(f"cannot read {path}, which would be replaced: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ProvecfgError(f"cannot read {path}, which would be replaced: {error}") from error
    if before == text:
        change = Change.UNCHANGED
    elif (header := Header.of(before)) is None or not is_untouched(before):
        change = Change.EDITED
    else:
        change = Change.CHANGED if header.study == study else Change.FOREIGN
    return ConfigFile(path, text, before, change, is_first_seed)
