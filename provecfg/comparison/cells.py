"""What a config says it is: the cell of a study that its header and its name tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from provecfg.catalog.datasets import DATASETS
from provecfg.catalog.models import MODELS
from provecfg.catalog.strategies import STRATEGIES
from provecfg.comparison.canonical import Table, canonical
from provecfg.comparison.factors import Factor
from provecfg.mmconfig import ConfigView

AXES: Final[Mapping[str, frozenset[Factor]]] = {
    "model": frozenset({Factor.MODEL}),
    "dataset": frozenset({Factor.DATASET}),
    "strategy": frozenset({Factor.AUGMENTATION}),
    "loss": frozenset({Factor.AUXILIARY_LOSS}),
    "seed": frozenset({Factor.SEED}),
}
"""Axis of a study, as `--factor` names it -> what its cells differ in along it."""

_STUDY: Final = re.compile(r"^# Written by provecfg \S+ from the study (\S+) \([0-9a-f]+\)", re.MULTILINE)
_SEED: Final = re.compile(r"_s(\d+)$")


@dataclass(frozen=True, slots=True)
class Compared:
    """A config of a comparison.

    Args:
        name: What reports call it.
        view: The config as read.
        values: The config in one form.
        study: The study that it is a cell of, or "".
        place: Axis -> where on it the cell is; empty where the config says nothing.
        study_file: The study that it was made from just now, so that there is no file of it; else None.
    """

    name: str
    view: ConfigView
    values: Table
    study: str = ""
    place: Mapping[str, str] = field(default_factory=dict)
    study_file: Path | None = None


def compared(view: ConfigView, name: str, study_file: Path | None = None) -> Compared:
    """The config, with the cell that it says it is.

    Args:
        view: The config.
        name: What reports call it.
        study_file: The study that it was made from, where it is no file of the user's.
    """
    text = view.layers[0].source.text if view.layers else ""
    found = _STUDY.search(text)
    place = place_of_name(view.path.stem) if found else None
    if found is None or place is None:
        return Compared(name, view, canonical(view))
    return Compared(name, view, canonical(view), found.group(1), place, study_file)


def place_of_name(name: str) -> dict[str, str] | None:
    """The axes that the name of a cell tells: `<model>_<dataset>[_<strategy>]_<losses>[_s<seed>]`, or None."""
    place: dict[str, str] = {}
    for axis, known in (("model", MODELS), ("dataset", DATASETS), ("strategy", STRATEGIES)):
        fits = [one for one in known if name.startswith(f"{one}_")]
        if fits:
            place[axis] = max(fits, key=len)
            name = name[len(place[axis]) + 1 :]
        elif axis == "strategy":
            place[axis] = "baseline"  # left out of names
        else:
            return None
    seed = _SEED.search(name)
    place["loss"] = name[: seed.start()] if seed else name
    place["seed"] = seed.group(1) if seed else ""
    return place


@dataclass(frozen=True, slots=True)
class Step:
    """Two cells that say they differ along one axis alone."""

    axis: str
    before: Compared
    after: Compared


def steps_between(cells: Sequence[Compared], axes: Iterable[str] = tuple(AXES)) -> Iterator[Step]:
    """For each axis, each cell against the first of those that are equal to it on all other axes.

    Whatever differs between two others differs from the first in one of them. A cell without auxiliary loss is first.
    """
    cells = sorted(cells, key=lambda cell: cell.place.get("loss") != "ce")
    for axis in axes:
        first: dict[tuple[object, ...], Compared] = {}
        for cell in cells:
            if cell.place:
                rest = (cell.study, *(value for name, value in cell.place.items() if name != axis))
                reference = first.setdefault(rest, cell)
                if reference is not cell and reference.place[axis] != cell.place[axis]:
                    yield Step(axis, reference, cell)


def axes_that_vary(cells: Sequence[Compared]) -> list[str]:
    """The axes along which the cells have more than one place."""
    return [axis for axis in AXES if len({cell.place[axis] for cell in cells if cell.place}) > 1]
