"""Which files a study becomes, and what would change on disk."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provecfg import spelling
from provecfg.catalog.datasets import DATASETS
from provecfg.catalog.models import MODELS
from provecfg.catalog.strategies import STRATEGIES
from provecfg.errors import ProvecfgError
from provecfg.findings.edits import diff_of
from provecfg.generate.plan import Cell, Planner, cells_of
from provecfg.generate.render import render
from provecfg.header import Header, is_untouched
from provecfg.paths import write_atomically
from provecfg.study.losses import AUXILIARY_LOSSES, NO_AUXILIARY, cell_label
from provecfg.study.schema import Study


class Change(enum.Enum):
    """What writing a config would do."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    EDITED = "edited by hand"
    FOREIGN = "of another study"


@dataclass(frozen=True, slots=True)
class Target:
    """A config to write.

    Args:
        path: Where.
        text: The config.
        before: What is there now, or None.
        change: What writing it would do.
    """

    path: Path
    text: str
    before: str | None
    change: Change

    def write(self) -> None:
        """Put the config in its place, whole or not at all."""
        write_atomically(self.path, self.text)

    def diff(self) -> str:
        """The change as a unified diff."""
        return diff_of(self.before or "", self.text, self.path.as_posix())


@dataclass(frozen=True, slots=True)
class Selection:
    """Values of a study's axes that were asked for; an empty tuple asks for all."""

    models: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    auxiliary: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()

    def check(self) -> None:
        """Refuse names that nothing has.

        Raises:
            ProvecfgError: An unknown name, with the nearest known one.
        """
        known: tuple[tuple[str, tuple[str, ...], Mapping[str, Any]], ...] = (
            ("model", self.models, MODELS),
            ("dataset", self.datasets, DATASETS),
            ("strategy", self.strategies, STRATEGIES),
        )
        for what, asked, names in known:
            for name in asked:
                if name not in names:
                    raise ProvecfgError(spelling.unknown(what, name, names))
        for label in self.auxiliary:
            for name in label.split("-"):
                if name not in (NO_AUXILIARY, "ce", *AUXILIARY_LOSSES):
                    raise ProvecfgError(spelling.unknown("auxiliary loss", name, [NO_AUXILIARY, *AUXILIARY_LOSSES]))

    def settings(self, study: Study) -> dict[str, Any]:
        """Axes of the study that do not hold what is asked for, as they have to be."""
        axes: dict[str, Any] = {}
        for axis in ("models", "datasets", "strategies", "seeds"):
            asked = getattr(self, axis)
            if not set(asked) <= set(getattr(study, axis)):
                axes[axis] = list(asked)
        labels = {cell_label(selection) for selection in study.losses.auxiliary}
        if not {_as_label(label) for label in self.auxiliary} <= labels:
            axes["losses"] = {"auxiliary": [_as_entry(label) for label in self.auxiliary]}
        return axes

    def holds(self, cell: Cell) -> bool:
        """Whether the cell is among those asked for."""
        return (
            (not self.models or cell.model.name in self.models)
            and (not self.datasets or cell.dataset.name in self.datasets)
            and (not self.strategies or cell.strategy.name in self.strategies)
            and (not self.seeds or cell.seed in self.seeds)
            and (not self.auxiliary or cell_label(cell.auxiliary) in {_as_label(label) for label in self.auxiliary})
        )


def _as_label(asked: str) -> str:
    return "ce" if asked == NO_AUXILIARY else asked


def _as_entry(asked: str) -> str | list[str]:
    if asked in ("ce", NO_AUXILIARY):
        return NO_AUXILIARY
    names = asked.split("-")
    return names if len(names) > 1 else names[0]


def targets_of(study: Study, selection: Selection, folder: Path) -> Iterator[Target]:
    """Each selected cell's config and what writing it would change, one at a time."""
    planner = Planner(study)
    for cell in cells_of(study):
        if selection.holds(cell):
            plan = planner.plan(cell)
            yield _target(folder / f"{plan.name}.py", render(plan), study.name)


def refuse_clashes(studies: Sequence[tuple[Study, Selection]]) -> None:
    """Refuse two studies that would write one file.

    Raises:
        ProvecfgError: Names the file and both studies.
    """
    owner: dict[str, str] = {}
    for study, selection in studies:
        several = len(study.seeds) > 1
        for cell in cells_of(study):
            if not selection.holds(cell):
                continue
            name = cell.name(several_seeds=several)
            if owner.setdefault(name, study.name) != study.name:
                raise ProvecfgError(
                    f"studies {owner[name]!r} and {study.name!r} both write {name}.py",
                    hint="generate them one by one, each with its own -o DIR",
                )


def _target(path: Path, text: str, study: str) -> Target:
    try:
        before = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return Target(path, text, None, Change.NEW)
    except (OSError, UnicodeDecodeError) as error:
        raise ProvecfgError(f"cannot read {path}, which would be replaced: {error}") from error
    if before == text:
        change = Change.UNCHANGED
    elif (header := Header.of(before)) is None or not is_untouched(before):
        change = Change.EDITED
    else:
        change = Change.CHANGED if header.study == study else Change.FOREIGN
    return Target(path, text, before, change)
