"""The study file: which cells are compared, and what all of them share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr

from provecfg.catalog.datasets import Dataset
from provecfg.catalog.strategies import Strategy
from provecfg.study.bases import Base, ModelEntry, base_of
from provecfg.study.datasets import DatasetChoice, dataset_of, name_of
from provecfg.study.losses import (
    AuxiliaryLoss,
    AuxiliarySelection,
    Boundary,
    CrossEntropy,
    Focal,
    Lovasz,
    cell_label,
    label_of,
)
from provecfg.study.models import Model
from provecfg.study.recipe import Inference, OptimizerSpec, Runtime, Schedule
from provecfg.study.spec import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Spec, Text
from provecfg.study.strategies import StrategyChoice, StrategyEntry, strategy_of


class Ohem(Spec):
    """Online hard example mining in the decode head: only the hardest pixels of a batch train it.

    As mmseg's OHEMPixelSampler chooses them; the mean is over the pixels that are kept, where mmseg's is over all.
    """

    thresh: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.7, description="A pixel is easy above this probability of its class, in (0, 1)."
    )
    min_kept: PositiveInt = Field(
        default=100000, description="Pixels kept at least, for each image of the batch; fewer than the crop has."
    )


class DeepSupervision(Spec):
    """One more FCN head, on a stage of the backbone, with the losses of every head."""

    stage: Annotated[int, Field(ge=0, le=3)] = Field(description="Stage of the backbone, 0 (finest) to 3.")
    weight: PositiveFloat = Field(default=0.4, description="Factor on the primary loss in this head, > 0.")


class Losses(Spec):
    """The primary loss of every head, and the axis of auxiliary losses: one cell for each entry."""

    primary: CrossEntropy = Field(default_factory=CrossEntropy, description="In every head, at its head weight.")
    auxiliary: tuple[AuxiliarySelection, ...] = Field(
        default=((), (Focal(),), (Lovasz(),), (Boundary(),)),
        min_length=1,
        description="One cell an entry: `none`, a name, a spec, or a list of these for several losses at once.",
    )
    auxiliary_weights: tuple[PositiveFloat, ...] | None = Field(
        default=None, min_length=1, description="Axis: each entry of `auxiliary` once with each of these weights."
    )
    ohem: Ohem | None = Field(default=None, description="Train the decode head on hard pixels alone.")
    deep_supervision: tuple[DeepSupervision, ...] = Field(
        default=(), description="More FCN heads, on chosen stages of the backbone."
    )

    def cells(self) -> Iterator[tuple[AuxiliaryLoss, ...]]:
        """The auxiliary losses of every cell."""
        for selection in self.auxiliary:
            if not selection or self.auxiliary_weights is None:
                yield selection
            else:
                for weight in self.auxiliary_weights:
                    yield tuple(loss.model_copy(update={"weight": float(weight)}) for loss in selection)

    def label(self, selection: tuple[AuxiliaryLoss, ...]) -> str:
        """The part of a file name that names a cell's losses; what the primary loss and the heads add comes last."""
        parts = [cell_label(selection)]
        if self.primary.class_weight is not None:
            parts.append("weighted")
        if self.primary.label_smoothing:
            parts.append(f"smooth{self.primary.label_smoothing:g}")
        if self.ohem is not None:
            parts.append("-".join(["ohem", *filter(None, [label_of(self.ohem)])]))
        parts += [f"stage{head.stage}" for head in self.deep_supervision]
        return "-".join(parts)


class HeadWeights(Spec):
    """Factors on the primary loss."""

    decode: PositiveFloat = Field(default=1.0, description="In the decode head, > 0.")
    auxiliary: PositiveFloat = Field(
        default=0.4, description="In the auxiliary heads of models that have some, whatever the base has there; > 0."
    )


class EarlyStopping(Spec):
    """When a run that no longer improves is stopped."""

    monitor: Literal[
        "val/mIoU", "val/mAcc", "val/aAcc", "val/mDice", "val/mFscore", "val/mPrecision", "val/mRecall"
    ] = Field(default="val/mIoU", description="Metric of a validation, in percent.")
    rule: Literal["greater"] = Field(default="greater", description="These metrics are better the greater they are.")
    patience: PositiveInt = Field(default=5, description="Validations without improvement until the run stops, >= 1.")
    min_delta: NonNegativeFloat = Field(
        default=0.1,
        description="Improvement that counts, in points of the metric (0.1 is a tenth of a percent), >= 0.",
    )
    strict: bool = Field(default=False, description="Whether a missing metric is an error while training.")
    check_finite: bool = Field(default=True, description="Whether a NaN or infinite metric stops the run.")
    stopping_threshold: float | None = Field(
        default=None,
        gt=1,
        le=100,
        description="Value of the metric at which the run stops at once, in percent.",
    )


class Data(Spec):
    """What is read, and how it becomes a batch."""

    root: Text | dict[str, Text] | None = Field(
        default=None,
        description="Data root; for several datasets, one for each by name. Unless said, the dataset's own.",
    )
    crop_size: tuple[Annotated[int, Field(ge=32)], Annotated[int, Field(ge=32)]] = Field(
        default=(512, 512), description="Height and width of a training crop in pixels, >= 32."
    )
    resize_scale: tuple[Annotated[int, Field(ge=32)], Annotated[int, Field(ge=32)]] | None = Field(
        default=None,
        description="Width and height in pixels that images are scaled into, keeping their ratio. Unless said, the "
        "dataset's own.",
    )
    batch_size: PositiveInt = Field(default=2, description="Images for each process (GPU), >= 1.")
    num_workers: NonNegativeInt = Field(default=4, description="Processes that load data, for each training process.")


SEEDS_MODELS = (
    "deeplabv3plus_r50",
    "pspnet_r50",
    "segformer_mit-b3",
    "segnext_mscan-b",
    "hrnet_hr48",
    "mask2former_swin-b",
)
"""The loss study's, by name: a model that is added to the catalog changes nobody's study."""


def _named(name: str) -> Model:
    return Model(base=name)


class Study(Spec):
    """A study: every model x dataset x strategy x auxiliary loss x seed is a cell, and each cell is one config."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = Field(
        description="Letters, digits, '.', '_' and '-'."
    )
    models: tuple[ModelEntry, ...] = Field(
        default=tuple(map(_named, SEEDS_MODELS)),
        min_length=1,
        description="Axis; names of `provecfg list models --all`, or configs of your own.",
    )
    datasets: tuple[DatasetChoice, ...] = Field(
        default=("bdd10k",), min_length=1, description="Axis; `provecfg list datasets`, or entries of one's own."
    )
    strategies: tuple[StrategyEntry, ...] = Field(
        default=(StrategyChoice(name="baseline", combine=("baseline",)),),
        min_length=1,
        description="Axis; names of `provecfg list strategies`, combinations, or pipelines of your own.",
    )
    seeds: tuple[NonNegativeInt, ...] = Field(default=(42,), min_length=1, description="Axis; seeds of a run, >= 0.")
    losses: Losses = Field(
        default_factory=Losses, description="The losses of every head; their auxiliary part is an axis."
    )
    head_weights: HeadWeights = Field(default_factory=HeadWeights, description="Factors on the primary loss.")
    early_stopping: EarlyStopping | None = Field(
        default_factory=EarlyStopping, description="null for runs that always go to the end."
    )
    schedule: Schedule = Field(default_factory=Schedule)
    data: Data = Field(default_factory=Data)
    optimizer: OptimizerSpec = Field(default_factory=OptimizerSpec)
    inference: Inference = Field(default_factory=Inference)
    metrics: tuple[Literal["mIoU", "mDice", "mFscore"], ...] = Field(
        default=("mIoU",), min_length=1, description="What a validation measures; what is monitored is among it anyway."
    )
    pretrained: bool = Field(
        default=True, description="Whether a backbone starts from the weights that its base names."
    )
    init_from: Text | None = Field(
        default=None, description="Checkpoint that training starts from; a head of other classes is left out of it."
    )
    runtime: Runtime = Field(default_factory=Runtime)

    _folder: Path = PrivateAttr(default=Path())

    @property
    def folder(self) -> Path:
        """Where relative paths start: that of the study's file."""
        return self._folder

    @cached_property
    def bases(self) -> Mapping[str, Base]:
        """What its models are edited from, by their names.

        Raises:
            ProvecfgError: One cannot be read; a study that was read has none such.
        """
        return {model.label: base_of(model, self._folder) for model in self.models}

    @cached_property
    def resolved_strategies(self) -> Mapping[str, Strategy]:
        """What its strategies do, by their names."""
        return {choice.name: strategy_of(choice, self._folder) for choice in self.strategies}

    @cached_property
    def resolved_datasets(self) -> dict[str, Dataset]:
        """The datasets of the axis by name."""
        return {name_of(choice): dataset_of(choice) for choice in self.datasets}

    def fields(self) -> dict[str, Any]:
        """Every field with its value, defaults included, as JSON would hold it.

        Of a dataset's entry only what it says: more of its fields may come, and its configs stay as they are. Trackers
        are a field only where there are any: they change nothing that is trained.
        """
        fields = self.model_dump(mode="json")
        if not self.runtime.trackers:
            del fields["runtime"]["trackers"]
        fields["datasets"] = [
            choice if isinstance(choice, str) else choice.model_dump(mode="json", exclude_unset=True)
            for choice in self.datasets
        ]
        return fields
