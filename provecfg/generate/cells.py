"""The cells of a study: every combination of its axes, and those of them that are asked for."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from provecfg import spelling
from provecfg.catalog.datasets import DATASETS, Dataset
from provecfg.catalog.models import MODELS
from provecfg.catalog.strategies import STRATEGIES, Strategy
from provecfg.errors import ProvecfgError
from provecfg.header import Coordinates
from provecfg.mmconfig.shipped_bases import whole_configs
from provecfg.study.bases import Base
from provecfg.study.losses import AUXILIARY_LOSSES, NO_AUXILIARY, AuxiliaryLoss, cell_label
from provecfg.study.models import Model
from provecfg.study.schema import Study


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of a study's axes."""

    model: Base
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
    axes = itertools.product(
        study.bases.values(), study.resolved_datasets.values(), study.resolved_strategies.values(), losses, study.seeds
    )
    for model, dataset, strategy, (auxiliary, label), seed in axes:
        yield Cell(model, dataset, strategy, auxiliary, label, seed)


@dataclass(frozen=True, slots=True)
class Selection:
    """Values of a study's axes that were asked for; an empty tuple asks for all."""

    models: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    auxiliary: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()

    def check(
        self, own_models: Iterable[str] = (), own_datasets: Iterable[str] = (), own_strategies: Iterable[str] = ()
    ) -> None:
        """Refuse names that nothing has.

        Args:
            own_models, own_datasets, own_strategies: Names that the studies give to those of their own.

        Raises:
            ProvecfgError: An unknown name, with the nearest known one.
        """
        known_models = {**MODELS, **dict.fromkeys(own_models)}
        if not set(self.models) <= set(known_models):
            known_models |= whole_configs()
        catalogs: tuple[tuple[str, tuple[str, ...], Mapping[str, Any]], ...] = (
            ("model", self.models, known_models),
            ("dataset", self.datasets, {**DATASETS, **dict.fromkeys(own_datasets)}),
            ("strategy", self.strategies, {**STRATEGIES, **dict.fromkeys(own_strategies)}),
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
        of_study: dict[str, Iterable[Any]] = {
            "models": study.bases,
            "datasets": study.resolved_datasets,
            "strategies": study.resolved_strategies,
            "seeds": study.seeds,
        }
        for axis, held in of_study.items():
            selected = {name: _model_label(name) if axis == "models" else name for name in getattr(self, axis)}
            if not set(selected.values()) <= set(held):
                own = dict(zip(held, study.fields()[axis], strict=True))
                axes[axis] = [own.get(label, name) for name, label in selected.items()]
        labels = {cell_label(selection) for selection in study.losses.auxiliary}
        if not {_as_label(label) for label in self.auxiliary} <= labels:
            axes["losses"] = {"auxiliary": [_as_entry(label) for label in self.auxiliary]}
        return axes

    def holds(self, cell: Cell) -> bool:
        """Whether the cell is among those asked for."""
        return (
            (not self.models or cell.model.name in set(map(_model_label, self.models)))
            and (not self.datasets or cell.dataset.name in self.datasets)
            and (not self.strategies or cell.strategy.name in self.strategies)
            and (not self.seeds or cell.seed in self.seeds)
            and (not self.auxiliary or cell_label(cell.auxiliary) in {_as_label(label) for label in self.auxiliary})
        )


def _model_label(name: str) -> str:
    """What the cells of a model are called that a selection names by its base."""
    if name not in MODELS and name in whole_configs():
        return Model(base=name).label
    return name


def _as_label(name: str) -> str:
    return "ce" if name == NO_AUXILIARY else name


def _as_entry(label: str) -> str | list[str]:
    if label in ("ce", NO_AUXILIARY):
        return NO_AUXILIARY
    names = label.split("-")
    return names if len(names) > 1 else names[0]
