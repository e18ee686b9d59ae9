"""All that the config of a cell says, resolved: what the templates lay out. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from provecfg import __version__
from provecfg.catalog.datasets import Dataset
from provecfg.catalog.strategies import Strategy
from provecfg.digest import digest_of
from provecfg.equation import equation_text
from provecfg.generate import data, edits, hooks, inference, losses, schedule, trackers
from provecfg.generate.cells import Cell, cells_of
from provecfg.header import Header
from provecfg.study.bases import Base
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
        heads: The losses of every head.
        segmentor: The config's `model`.
        model_notes: What is worth knowing of it, a line each.
        tta: `tta_model` and `tta_pipeline`, or nothing.
        auto_scale_lr: The key of that name, or None.
        randomness, visualizer: The keys of that name.
        load_from: Checkpoint that training starts from, or None.
        by_epoch: Whether the run is counted in epochs.
    """

    name: str
    header: Header
    model: Base
    dataset: Dataset
    strategy: Strategy
    seed: int
    stopping_title: str
    imports: tuple[str, ...]
    heads: tuple[losses.HeadLosses, ...]
    segmentor: dict[str, Any]
    model_notes: tuple[str, ...]
    train_dataloader: dict[str, Any]
    val_dataloader: dict[str, Any]
    test_dataloader: dict[str, Any]
    evaluator: dict[str, Any]
    optim_wrapper: dict[str, Any]
    param_scheduler: list[dict[str, Any]]
    train_cfg: dict[str, Any]
    default_hooks: dict[str, Any]
    custom_hooks: list[dict[str, Any]]
    tta: dict[str, Any]
    auto_scale_lr: dict[str, Any] | None
    randomness: dict[str, Any]
    visualizer: dict[str, Any]
    load_from: str | None
    by_epoch: bool
    work_dir: str

    @property
    def main_head(self) -> losses.HeadLosses:
        """The losses of the head that predicts."""
        return next(entry for entry in self.heads if entry.head is self.model.main_head)

    @property
    def auxiliary_heads(self) -> tuple[losses.HeadLosses, ...]:
        """The losses of the heads beside it."""
        return tuple(entry for entry in self.heads if entry.head.is_auxiliary)


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
        heads = losses.head_losses(study, cell)
        return Plan(
            name=name,
            header=self._header(cell, heads),
            model=model,
            dataset=dataset,
            strategy=cell.strategy,
            seed=cell.seed,
            stopping_title=hooks.stopping_title(study.early_stopping),
            imports=tuple(dict.fromkeys((PLUGIN, *model.imports))),
            heads=heads,
            segmentor=edits.edited_model(model, study, dataset, cell.strategy, heads),
            model_notes=losses.model_notes(model),
            train_dataloader=data.train_dataloader(
                study.data, dataset, cell.strategy, model.label_transforms, by_epoch=study.schedule.by_epoch
            ),
            val_dataloader=data.val_dataloader(study.data, dataset),
            test_dataloader=data.test_dataloader(study.data, dataset),
            evaluator=data.evaluator(_measured(study)),
            optim_wrapper=schedule.optim_wrapper(study, model),
            param_scheduler=schedule.param_scheduler(study, model),
            train_cfg=schedule.train_cfg(study.schedule),
            default_hooks=hooks.default_hooks(study),
            custom_hooks=[
                *hooks.stopping_hooks(study.early_stopping),
                *hooks.averaging_hooks(study.runtime.ema),
                *hooks.counts_hooks(),
                *losses.weight_schedule_hooks(cell, heads),
            ],
            tta=inference.test_time_augmentation(study, data.label_loader(dataset)),
            auto_scale_lr=schedule.auto_scale_lr(study.optimizer),
            randomness={"seed": cell.seed} | ({"deterministic": True} if study.runtime.deterministic else {}),
            visualizer=trackers.visualizer(study),
            load_from=study.init_from,
            by_epoch=study.schedule.by_epoch,
            work_dir=f"work_dirs/{study.name}/{name}",
        )

    def _header(self, cell: Cell, heads: tuple[losses.HeadLosses, ...]) -> Header:
        return Header(
            title=f"{cell.model.title} on {cell.dataset.title}, {losses.title(self.study, cell)}",
            equation=equation_text(losses.terms(self.study, cell, heads)),
            note=losses.equation_note(cell.model),
            version=__version__,
            study=self.study.name,
            digest=self.digest,
            cell=cell.coordinates,
        )


_OF_METRICS = {"mDice": ("mDice",), "mFscore": ("mFscore", "mPrecision", "mRecall")}
"""What `IoUMetric` gives for a metric beside mIoU; mIoU, mAcc and aAcc it gives for `mIoU`."""


def _measured(study: Study) -> tuple[str, ...]:
    """The study's metrics, with the one that is monitored."""
    monitored = study.early_stopping.monitor.rpartition("/")[2] if study.early_stopping else "mIoU"
    needed = next((name for name, values in _OF_METRICS.items() if monitored in values), "mIoU")
    return tuple(dict.fromkeys((*study.metrics, needed)))
