"""What a config says it is: the cell of a study that its header names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from provecfg.comparison.canonical import Table, canonical
from provecfg.comparison.factors import Factor
from provecfg.header import Header, is_untouched
from provecfg.mmconfig import ConfigView

AXES: Final[Mapping[str, frozenset[Factor]]] = {
    "model": frozenset({Factor.MODEL}),
    "dataset": frozenset({Factor.DATASET}),
    "strategy": frozenset({Factor.AUGMENTATION}),
    "loss": frozenset({Factor.AUXILIARY_LOSS}),
    "seed": frozenset({Factor.SEED}),
}
"""Axis of a study, as `--factor` names it -> what its cells differ in along it."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A config of a comparison.

    Args:
        name: What reports call it.
        view: The config as read.
        values: The config in one form.
        study: The study that it is a cell of, or "".
        coordinates: Axis -> where on it the cell is; empty where the config says nothing.
        study_file: The study that it was made from just now, so that there is no file of it; else None.
        is_edited: Whether it was generated, and edited by hand since.
    """

    name: str
    view: ConfigView
    values: Table
    study: str = ""
    coordinates: Mapping[str, str] = field(default_factory=dict)
    study_file: Path | None = None
    is_edited: bool = False


def compared(view: ConfigView, name: str, study_file: Path | None = None) -> Compared:
    """The config, with the cell that its header says it is.

    Args:
        view: The config.
        name: What reports call it.
        study_file: The study that it was made from, where it is no file of the user's.
    """
    text = view.layers[0].source.text if view.layers else ""
    header = Header.of(text)
    if header is None or header.cell is None:
        return Compared(name, view, canonical(view), study_file=study_file)
    coordinates = {axis: str(value) for axis, value in header.cell._asdict().items()}
    is_edited = not is_untouched(text)
    return Compared(name, view, canonical(view), header.study, coordinates, study_file, is_edited)


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
    cells = sorted(cells, key=lambda cell: cell.coordinates.get("loss") != "ce")
    for axis in axes:
        first: dict[tuple[object, ...], Compared] = {}
        for cell in cells:
            if cell.coordinates:
                rest = (cell.study, *(value for name, value in cell.coordinates.items() if name != axis))
                reference = first.setdefault(rest, cell)
                if reference is not cell and reference.coordinates[axis] != cell.coordinates[axis]:
                    yield Step(axis, reference, cell)


def axes_that_vary(cells: Sequence[Compared]) -> list[str]:
    """The axes along which the cells have more than one coordinate."""
    return [axis for axis in AXES if len({cell.coordinates[axis] for cell in cells if cell.coordinates}) > 1]
