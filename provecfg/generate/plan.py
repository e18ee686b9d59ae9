"""A study's cells, each with every number resolved: what the templates lay out. Pure."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from provecfg import __version__, invariants
from provecfg.catalog.datasets import DATASETS, Dataset
from provecfg.catalog.models import MODELS, LearningRate, Model, Optimizer
from provecfg.catalog.strategies import STRATEGIES, Strategy
from provecfg.digest import digest_of
from provecfg.equation import WeightedTerm, equation_text
from provecfg.header import Coordinates, Header
from provecfg.study.losses import AuxiliaryLoss
from provecfg.study.schema import OptimizerSpec, Study

PLUGIN = "provecfg.plugin"
"""The module that registers our classes in mmseg; generated configs import it."""

_DEFAULT_VAL_INTERVAL = 5000  # the seed's eval_interval
_FEWEST_VALIDATIONS = 8  # patience 5 can stop a run of 8 validations, and one of 5 it cannot
_SHARE_OF_WARMUP = 10  # a shortened run warms up for a tenth at most


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


@dataclass(frozen=True, slots=True)
class AuxiliaryHead:
    """An FCN head on a stage of the backbone.

    Args:
        name: What the equation of the total loss calls it.
        key: Where the config has it.
        stage: Index of the stage, 0 the finest.
        in_channels: Channels of that stage.
        primary_weight: Factor on the primary loss.
        losses: Its `loss_decode`.
    """

    name: str
    key: str
    stage: int
    in_channels: int
    primary_weight: float
    losses: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a config says, resolved. Names and shapes are mmengine's from here on."""

    name: str
    header: Header
    model: Model
    dataset: Dataset
    strategy: Strategy
    seed: int
    imports: tuple[str, ...]
    num_classes: int
    ignore_index: int
    data_preprocessor: dict[str, Any]
    decode_losses: list[dict[str, Any]]
    decode_sampler: dict[str, Any] | None
    auxiliary_heads: tuple[AuxiliaryHead, ...]
    train_dataloader: dict[str, Any]
    val_dataloader: dict[str, Any]
    evaluator: dict[str, Any]
    optim_wrapper: dict[str, Any]
    param_scheduler: list[dict[str, Any]]
    train_cfg: dict[str, Any]
    default_hooks: dict[str, Any]
    custom_hooks: list[dict[str, Any]]
    work_dir: str

    @property
    def stopping_title(self) -> str:
        """When the run stops early, in words."""
        for hook in self.custom_hooks:
            if hook["type"] == "ResumableEarlyStoppingHook":
                return (
                    f"early stop after {hook['patience']} validations without {hook['min_delta']:g} points "
                    f"of {hook['monitor']}"
                )
        return "no early stop"


def cells_of(study: Study) -> Iterator[Cell]:
    """Every combination of the study's axes, models outermost and seeds innermost."""
    losses = [(auxiliary, study.losses.label(auxiliary)) for auxiliary in study.losses.cells()]
    axes = itertools.product(study.models, study.datasets, study.strategies, losses, study.seeds)
    for model, dataset, strategy, (auxiliary, label), seed in axes:
        yield Cell(MODELS[model], DATASETS[dataset], STRATEGIES[strategy], auxiliary, label, seed)


def plans_of(study: Study) -> Iterator[Plan]:
    """The plan of every cell, one at a time."""
    planner = Planner(study)
    return map(planner.plan, cells_of(study))


class Planner:
    """Resolves the cells of one study; what cells share is resolved once."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.digest = digest_of(study.fields())
        self.several_seeds = len(study.seeds) > 1
        self._dataloaders = functools.cache(self._resolve_dataloaders)
        self._optimization = functools.cache(self._resolve_optimization)

    def plan(self, cell: Cell) -> Plan:
        """Resolve one cell."""
        study, model, dataset = self.study, cell.model, cell.dataset
        name = cell.name(several_seeds=self.several_seeds)
        train_dataloader, val_dataloader = self._dataloaders(dataset.name, cell.strategy.name)
        optim_wrapper, param_scheduler = self._optimization(model.name)
        max_iters, val_interval = study.schedule.max_iters, self.val_interval
        heads = tuple(self._auxiliary_heads(model, cell.auxiliary))
        return Plan(
            name=name,
            header=self._header(cell, heads),
            model=model,
            dataset=dataset,
            strategy=cell.strategy,
            seed=cell.seed,
            imports=(PLUGIN,),
            num_classes=len(dataset.classes),
            ignore_index=dataset.ignore_index,
            data_preprocessor=self._data_preprocessor(model, dataset),
            decode_losses=self._head_losses(
                cell.auxiliary, study.head_weights.decode if model.takes_pixel_losses else None
            ),
            decode_sampler=self._sampler,
            auxiliary_heads=heads,
            train_dataloader=train_dataloader,
            val_dataloader=val_dataloader,
            evaluator=self._evaluator,
            optim_wrapper=optim_wrapper,
            param_scheduler=param_scheduler,
            train_cfg={"type": "IterBasedTrainLoop", "max_iters": max_iters, "val_interval": val_interval},
            default_hooks=self._default_hooks,
            custom_hooks=[*self._custom_hooks, *self._weight_schedules(cell.auxiliary, heads)],
            work_dir=f"work_dirs/{study.name}/{name}",
        )

    def _header(self, cell: Cell, heads: tuple[AuxiliaryHead, ...]) -> Header:
        return Header(
            title=f"{cell.model.title} on {cell.dataset.title}, {self._losses_title(cell)}",
            equation=equation_text(self._terms(cell.model, cell.auxiliary, heads)),
            note=_equation_note(cell.model),
            version=__version__,
            study=self.study.name,
            digest=self.digest,
            cell=cell.coordinates,
        )

    @functools.cached_property
    def val_interval(self) -> int:
        """Iterations between validations."""
        schedule = self.study.schedule
        if schedule.val_interval is not None:
            return schedule.val_interval
        return max(1, min(_DEFAULT_VAL_INTERVAL, schedule.max_iters // _FEWEST_VALIDATIONS))

    def _auxiliary_heads(self, model: Model, auxiliary: tuple[AuxiliaryLoss, ...]) -> Iterator[AuxiliaryHead]:
        """The model's own auxiliary head, then those of deep supervision."""
        wanted = [] if model.auxiliary_stage is None else [(model.auxiliary_stage, self.study.head_weights.auxiliary)]
        wanted += [(head.stage, head.weight) for head in self.study.losses.deep_supervision]
        for index, (stage, weight) in enumerate(wanted):
            yield AuxiliaryHead(
                name="auxiliary" if stage == model.auxiliary_stage else f"stage {stage}",
                key="auxiliary_head" if len(wanted) == 1 else f"auxiliary_head[{index}]",
                stage=stage,
                in_channels=model.stage_channels[stage],
                primary_weight=weight,
                losses=self._head_losses(auxiliary, weight),
            )

    def _terms(
        self, model: Model, auxiliary: tuple[AuxiliaryLoss, ...], heads: tuple[AuxiliaryHead, ...]
    ) -> Iterator[WeightedTerm]:
        primary = self.study.losses.primary
        if model.takes_pixel_losses:
            yield WeightedTerm(self.study.head_weights.decode, primary.title, "decode")
        else:
            weights = model.numbers
            yield WeightedTerm(weights["class_weight"], "class CE", "queries")
            yield WeightedTerm(weights["mask_weight"], "mask BCE", "queries")
            yield WeightedTerm(weights["dice_weight"], "mask Dice", "queries")
        yield from (_term(loss, "decode") for loss in auxiliary)
        for head in heads:
            yield WeightedTerm(head.primary_weight, primary.title, head.name)
            yield from (_term(loss, head.name) for loss in auxiliary)

    def _head_losses(self, auxiliary: tuple[AuxiliaryLoss, ...], primary_weight: float | None) -> list[dict[str, Any]]:
        primary = [] if primary_weight is None else [self.study.losses.primary.config(primary_weight)]
        return [*primary, *(loss.config() for loss in auxiliary)]

    @functools.cached_property
    def _sampler(self) -> dict[str, Any] | None:
        ohem = self.study.losses.ohem
        return None if ohem is None else {"type": "HardPixelSampler", **ohem.model_dump()}

    def _weight_schedules(
        self, auxiliary: tuple[AuxiliaryLoss, ...], heads: tuple[AuxiliaryHead, ...]
    ) -> Iterator[dict[str, Any]]:
        # From the first iteration to the last, since no `end_iter` is said: a shortened run keeps the whole curve.
        schedules = [
            {
                "head": key,
                "loss_name": loss.loss_name,
                "kind": loss.schedule.kind,
                "start": loss.schedule.start,
                "end": loss.schedule.end,
            }
            for key in ("decode_head", *(head.key for head in heads))
            for loss in auxiliary
            if loss.schedule is not None
        ]
        if schedules:
            yield {"type": "LossWeightScheduleHook", "schedules": schedules}

    def _losses_title(self, cell: Cell) -> str:
        losses = self.study.losses
        primary = "cross-entropy" if cell.model.takes_pixel_losses else "set losses"
        how = [
            *(["class weights"] if losses.primary.class_weight is not None else []),
            *([f"label smoothing {losses.primary.label_smoothing:g}"] if losses.primary.label_smoothing else []),
            *(["hard pixels alone"] if losses.ohem is not None else []),
        ]
        if how:
            primary += f" ({', '.join(how)})"
        return " + ".join([primary, *(f"{_weight_words(loss)} {loss.title}" for loss in cell.auxiliary)])

    def _data_preprocessor(self, model: Model, dataset: Dataset) -> dict[str, Any]:
        preprocessor: dict[str, Any] = {
            "type": "SegDataPreProcessor",
            "mean": list(dataset.mean),
            "std": list(dataset.std),
            "bgr_to_rgb": True,
            "pad_val": 0,
            "seg_pad_val": dataset.ignore_index,
            "size": self.study.data.crop_size,
        }
        if model.test_size_divisor is not None:
            preprocessor["test_cfg"] = {"size_divisor": model.test_size_divisor}
        return preprocessor

    def data_root(self, dataset: Dataset) -> str:
        """The data root as a config says it: the environment's, or else the study's, or else the dataset's own."""
        root = self.study.data.root
        if isinstance(root, dict):
            root = root.get(dataset.name)
        root = root or dataset.root
        if invariants.substitutable_path(root) is not None:
            return root  # mmengine's substitution would not read it back; the command line can still replace it
        return f"{{{{${dataset.root_variable}:{root}}}}}"

    def _resolve_dataloaders(self, dataset_name: str, strategy_name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        data, dataset, strategy = self.study.data, DATASETS[dataset_name], STRATEGIES[strategy_name]
        scale = data.resize_scale or dataset.resize_scale
        train_pipeline: list[dict[str, Any]] = [
            {"type": "LoadImageFromFile"},
            {"type": "LoadAnnotations"},
            {
                "type": "RandomResize",
                "scale": scale,
                "ratio_range": strategy.ratio_range,
                "keep_ratio": True,
            },
            {"type": "RandomCrop", "crop_size": data.crop_size, "cat_max_ratio": strategy.cat_max_ratio},
            {"type": "RandomFlip", "prob": strategy.flip_prob},
        ]
        if strategy.photometric_distortion:
            train_pipeline.append({"type": "PhotoMetricDistortion"})
        train_pipeline.append({"type": "PackSegInputs"})
        val_pipeline: list[dict[str, Any]] = [
            {"type": "LoadImageFromFile"},
            {"type": "Resize", "scale": scale, "keep_ratio": True},
            # After Resize: the metric compares with the label map in its own size.
            {"type": "LoadAnnotations"},
            {"type": "PackSegInputs"},
        ]

        def dataloader(
            split: Any, pipeline: list[dict[str, Any]], sampler: dict[str, Any], batch_size: int
        ) -> dict[str, Any]:
            return {
                "batch_size": batch_size,
                "num_workers": data.num_workers,
                "persistent_workers": data.num_workers > 0,  # torch refuses True without workers
                "sampler": sampler,
                "dataset": {
                    "type": dataset.type,
                    "data_root": self.data_root(dataset),
                    "data_prefix": {"img_path": split.images, "seg_map_path": split.labels},
                    "pipeline": pipeline,
                },
            }

        return (
            dataloader(dataset.train, train_pipeline, {"type": "InfiniteSampler", "shuffle": True}, data.batch_size),
            dataloader(dataset.val, val_pipeline, {"type": "DefaultSampler", "shuffle": False}, 1),
        )

    def _resolve_optimization(self, model_name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        model, study = MODELS[model_name], self.study
        optimizer = merged_optimizer(model.optimizer, study.optimizer)
        wrapper: dict[str, Any] = {
            "type": "AmpOptimWrapper" if study.runtime.amp else "OptimWrapper",
            "optimizer": {"type": optimizer.type, **optimizer.arguments},
        }
        if study.runtime.amp:
            wrapper["loss_scale"] = "dynamic"
        if optimizer.clip_grad_norm is not None:
            wrapper["clip_grad"] = {"max_norm": optimizer.clip_grad_norm, "norm_type": 2}
        if optimizer.paramwise is not None:
            wrapper["paramwise_cfg"] = dict(optimizer.paramwise)
        return wrapper, list(_schedulers(model.learning_rate, self.warmup_iters(model), study.schedule.max_iters))

    def warmup_iters(self, model: Model) -> int:
        """Iterations of warmup for this model in this study."""
        schedule = self.study.schedule
        if schedule.warmup_iters is not None:
            return schedule.warmup_iters
        iters = min(model.learning_rate.warmup_iters, schedule.max_iters // _SHARE_OF_WARMUP)
        return iters if iters > 1 else 0  # mmengine's warmup of a single iteration never ends

    @functools.cached_property
    def _evaluator(self) -> dict[str, Any]:
        # `val/mIoU` exists only with this prefix (facts of mmengine: a metric without one is named `mIoU`).
        return {"type": "IoUMetric", "iou_metrics": ["mIoU"], "prefix": "val"}

    @functools.cached_property
    def _default_hooks(self) -> dict[str, Any]:
        stopping, runtime = self.study.early_stopping, self.study.runtime
        return {
            "timer": {"type": "IterTimerHook"},
            "logger": {"type": "LoggerHook", "interval": runtime.log_interval, "log_metric_by_epoch": False},
            "param_scheduler": {"type": "ParamSchedulerHook"},
            "checkpoint": {
                "type": "PlainCheckpointHook",
                "by_epoch": False,
                "interval": self.val_interval,
                "max_keep_ckpts": runtime.max_keep_ckpts,
                "save_best": stopping.monitor if stopping else "val/mIoU",
                "rule": "greater",
            },
            "sampler_seed": {"type": "DistSamplerSeedHook"},
        }

    @functools.cached_property
    def _custom_hooks(self) -> list[dict[str, Any]]:
        hooks: list[dict[str, Any]] = [{"type": "FiniteLossHook"}]
        stopping = self.study.early_stopping
        if stopping is not None:
            arguments = stopping.model_dump()
            if stopping.stopping_threshold is None:
                del arguments["stopping_threshold"]
            hooks.append({"type": "ResumableEarlyStoppingHook", **arguments})
        return hooks


def merged_optimizer(own: Optimizer, said: OptimizerSpec) -> Optimizer:
    """The model's own optimizer with what the study says in its place.

    Another type keeps the learning rate, the weight decay and the per-parameter factors, and drops the arguments that
    only the model's own type has (momentum, betas).
    """
    arguments = dict(own.arguments)
    if said.type is not None and said.type != own.type:
        arguments = {key: arguments[key] for key in ("lr", "weight_decay")}
        if said.type == "SGD":
            arguments["momentum"] = 0.9  # _base_/schedules/schedule_80k.py
    if said.lr is not None:
        arguments["lr"] = said.lr
    if said.weight_decay is not None:
        arguments["weight_decay"] = said.weight_decay
    return dataclasses.replace(
        own,
        type=said.type or own.type,
        arguments=arguments,
        clip_grad_norm=said.clip_grad_norm or own.clip_grad_norm,
    )


def _schedulers(rate: LearningRate, warmup_iters: int, max_iters: int) -> Iterator[dict[str, Any]]:
    if warmup_iters:
        yield {
            "type": "LinearLR",
            "start_factor": rate.warmup_start_factor,
            "begin": 0,
            "end": warmup_iters,
            "by_epoch": False,
        }
    yield {
        "type": "PolyLR",
        "eta_min": rate.eta_min,
        "power": rate.power,
        "begin": warmup_iters,
        "end": max_iters,
        "by_epoch": False,
    }


def _equation_note(model: Model) -> str:
    """What the equation leaves unsaid, or ''."""
    if model.takes_pixel_losses:
        return ""
    # One output before the first decoder layer and one after each (mmdet, Mask2FormerHead.forward).
    outputs = model.numbers["decoder_layers"] + 1
    return f"[queries] terms are summed over the decoder's {outputs} outputs; [decode] is the last one's."


def _term(loss: AuxiliaryLoss, head: str) -> WeightedTerm:
    end = None if loss.schedule is None else loss.schedule.end
    title = loss.title if loss.scales is None else f"multi-scale {loss.title}"
    return WeightedTerm(loss.start_weight, title, head, end)


def _weight_words(loss: AuxiliaryLoss) -> str:
    return f"{loss.weight:g}" if loss.schedule is None else f"{loss.schedule.start:g} to {loss.schedule.end:g}"
