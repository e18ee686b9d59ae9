"""All that the config of a cell says, resolved: what the templates lay out. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from provecfg import __version__
from provecfg.catalog.datasets import Dataset
from provecfg.catalog.models import Model
from provecfg.catalog.strategies import Strategy
from provecfg.digest import digest_of
from provecfg.equation import equation_text
from provecfg.generate import data, hooks, losses, schedule
from provecfg.generate.cells import Cell, cells_of
from provecfg.header import Header
from provecfg.study.schema import Study

PLUGIN = "provecfg.plugin"
"""The module that registers our classes in mmseg; generated configs import it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A config, resolved. Names and shapes are mmengine's from here on.

    Args:
        name: Of the config, without suffix.
        header: The comments that it begins with.
        model, dataset, strategy, seed: Where on the study's axes it is.
        stopping_title: When the run stops early, in words.
        imports: Modules of `custom_imports`.
        num_classes, ignore_index: Of every head.
        decode_losses, decode_sampler: `loss_decode` and `sampler` of the decode head.
        auxiliary_heads: The FCN heads beside it.
    """

    name: str
    header: Header
    model: Model
    dataset: Dataset
    strategy: Strategy
    seed: int
    stopping_title: str
    imports: tuple[str, ...]
    num_classes: int
    ignore_index: int
    data_preprocessor: dict[str, Any]
    decode_losses: list[dict[str, Any]]
    decode_sampler: dict[str, Any] | None
    auxiliary_heads: tuple[losses.AuxiliaryHead, ...]
    train_dataloader: dict[str, Any]
    val_dataloader: dict[str, Any]
    test_dataloader: dict[str, Any]
    evaluator: dict[str, Any]
    optim_wrapper: dict[str, Any]
    param_scheduler: list[dict[str, Any]]
    train_cfg: dict[str, Any]
    default_hooks: dict[str, Any]
    custom_hooks: list[dict[str, Any]]
    work_dir: str


def plans_of(study: Study) -> Iterator[Plan]:
    """The plan of every cell, one at a time."""
    planner = Planner(study)
    return map(planner.plan, cells_of(study))


class Planner:
    """Resolves the cells of one study."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.digest = digest_of(study.fields())
        self._several_seeds = len(study.seeds) > 1

    def plan(self, cell: Cell) -> Plan:
        """Resolve one cell."""
        study, model, dataset = self.study, cell.model, cell.dataset
        name = cell.name(several_seeds=self._several_seeds)
        heads = tuple(losses.auxiliary_heads(study, cell))
        return Plan(
            name=name,
            header=self._header(cell, heads),
            model=model,
            dataset=dataset,
            strategy=cell.strategy,
            seed=cell.seed,
            stopping_title=hooks.stopping_title(study.early_stopping),
            imports=(PLUGIN,),
            num_classes=len(dataset.classes),
            ignore_index=dataset.ignore_index,
            data_preprocessor=data.data_preprocessor(study.data, dataset, model),
            decode_losses=losses.decode_losses(study, cell),
            decode_sampler=losses.decode_sampler(study),
            auxiliary_heads=heads,
            train_dataloader=data.train_dataloader(study.data, dataset, cell.strategy),
            val_dataloader=data.val_dataloader(study.data, dataset),
            test_dataloader=data.test_dataloader(study.data, dataset),
            evaluator=data.evaluator(),
            optim_wrapper=schedule.optim_wrapper(study, model),
            param_scheduler=schedule.param_scheduler(study.schedule, model),
            train_cfg=schedule.train_cfg(study.schedule),
            default_hooks=hooks.default_hooks(study),
            custom_hooks=[
                *hooks.stopping_hooks(study.early_stopping),
                *hooks.counts_hooks(),
                *losses.weight_schedule_hooks(cell, heads),
            ],
            work_dir=f"work_dirs/{study.name}/{name}",
        )

    def _header(self, cell: Cell, heads: tuple[losses.AuxiliaryHead, ...]) -> Header:
        return Header(
            title=f"{cell.model.title} on {cell.dataset.title}, {losses.title(self.study, cell)}",
            equation=equation_text(losses.terms(self.study, cell, heads)),
            note=losses.equation_note(cell.model),
            version=__version__,
            study=self.study.name,
            digest=self.digest,
            cell=cell.coordinates,
        )
