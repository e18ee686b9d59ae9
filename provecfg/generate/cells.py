"""The cells of a study: every combination of its axes, and those of them that are asked for."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from provecfg import spelling
from provecfg.catalog.datasets import DATASETS, Dataset
from provecfg.catalog.models import MODELS, Model
from provecfg.catalog.strategies import STRATEGIES, Strategy
from provecfg.errors import ProvecfgError
from provecfg.header import Coordinates
from provecfg.study.losses import AUXILIARY_LOSSES, NO_AUXILIARY, AuxiliaryLoss, cell_label
from provecfg.study.schema import Study


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of a study's axes."""

    model: Model
    dataset: Dataset
    strategy: Strategy
    auxiliary: tuple[AuxiliaryLoss, ...]
    label: str
    seed: int

    def name(self, *, several_seeds: bool) -> str:
        """The config's name: `<model>_<dataset>[_<strategy>]_<losses>[_s<seed>]`."""
        parts = [self.model.name, self.dataset.name]
        if self.strategy.name != "baseline":
            parts.append(self.strategy.name)
        parts.append(self.label)
        if several_seeds:
            parts.append(f"s{self.seed}")
        return "_".join(parts)

    @property
    def coordinates(self) -> Coordinates:
        """Where on the study's axes it is."""
        return Coordinates(self.model.name, self.dataset.name, self.strategy.name, self.label, self.seed)


def cells_of(study: Study) -> Iterator[Cell]:
    """Every combination of the study's axes, models outermost and seeds innermost."""
    losses = [(auxiliary, study.losses.label(auxiliary)) for auxiliary in study.losses.cells()]
    datasets = study.resolved_datasets.values()
    axes = itertools.product(study.models, datasets, study.strategies, losses, study.seeds)
    for model, dataset, strategy, (auxiliary, label), seed in axes:
        yield Cell(MODELS[model], dataset, STRATEGIES[strategy], auxiliary, label, seed)


@dataclass(frozen=True, slots=True)
class Selection:
    """Values of a study's axes that were asked for; an empty tuple asks for all."""

    models: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    auxiliary: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()

    def check(self, own_datasets: Iterable[str] = ()) -> None:
        """Refuse names that nothing has.

        Args:
            own_datasets: Names that the studies give to datasets of their own.

        Raises:
            ProvecfgError: An unknown name, with the nearest known one.
        """
        catalogs: tuple[tuple[str, tuple[str, ...], Mapping[str, Any]], ...] = (
            ("model", self.models, MODELS),
            ("dataset", self.datasets, {**DATASETS, **dict.fromkeys(own_datasets)}),
            ("strategy", self.strategies, STRATEGIES),
        )
        for kind, names, catalog in catalogs:
            for name in names:
                if name not in catalog:
                    raise ProvecfgError(spelling.unknown(kind, name, catalog))
        for label in self.auxiliary:
            for name in label.split("-"):
                if name not in (NO_AUXILIARY, "ce", *AUXILIARY_LOSSES):
                    raise ProvecfgError(spelling.unknown("auxiliary loss", name, [NO_AUXILIARY, *AUXILIARY_LOSSES]))

    def settings(self, study: Study) -> dict[str, Any]:
        """Axes of the study that do not hold what is asked for, as they have to be."""
        axes: dict[str, Any] = {}
        for axis in ("models", "datasets", "strategies", "seeds"):
            selected = getattr(self, axis)
            held = study.resolved_datasets if axis == "datasets" else getattr(study, axis)
            if not set(selected) <= set(held):
                axes[axis] = list(selected)
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


def _as_label(name: str) -> str:
    return "ce" if name == NO_AUXILIARY else name


def _as_entry(label: str) -> str | list[str]:
    if label in ("ce", NO_AUXILIARY):
        return NO_AUXILIARY
    names = label.split("-")
    return names if len(names) > 1 else names[0]
