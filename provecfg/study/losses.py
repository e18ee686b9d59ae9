"""The losses that a study can name.

A spec class names the registered class that it becomes (`registered`); its fields are that class's arguments, with the
seed's values as defaults, and `weight` becomes `loss_weight`. A subclass of `AuxiliaryLoss` is all that a new one needs
here: the tables below are made of the subclasses.
"""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Field

from provecfg import spelling
from provecfg.catalog.losses import PLUGIN_LOSSES
from provecfg.study.spec import NonNegativeFloat, PositiveFloat, Spec, problem, strict_fields


class Loss(Spec):
    """A loss of a head's list."""

    registered: ClassVar[str]
    """Name in mmseg's MODELS."""
    title: ClassVar[str]
    """Name in the equation of the total loss; a class of provecfg's plugin says it itself."""
    purpose: ClassVar[str]
    """What it is for, in a line."""
    fixed: ClassVar[dict[str, Any]] = {}
    """Arguments that the seed fixes: written out in the config, not open to choice."""
    takes_pixel_weights: ClassVar[bool] = True
    """Whether a pixel sampler (OHEM) can choose this loss's pixels; a class of the plugin says it itself."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Take from the plugin's class what it says of itself.

        Raises:
            TypeError: Neither the spec nor a class of the plugin says what the equation calls the loss.
        """
        registered = getattr(cls, "registered", None)
        of_plugin = PLUGIN_LOSSES.get(registered or "")
        if of_plugin is not None:
            cls.title, cls.takes_pixel_weights = of_plugin.title, of_plugin.takes_pixel_weight
        elif registered is not None and not hasattr(cls, "title"):
            raise TypeError(
                f"{cls.__name__} has no title, and {registered} is no known loss of provecfg.plugin: give it one, or "
                "run `python -m docs.generate.plugin_snapshot` if the plugin has it by now"
            )

    def arguments(self) -> dict[str, Any]:
        """What the registered class is called with, `type` and `loss_weight` aside."""
        chosen = {name: getattr(self, name) for name in type(self).model_fields if name not in _NOT_ARGUMENTS}
        return {**self.fixed, **chosen}


_NOT_ARGUMENTS = frozenset({"type", "weight", "schedule", "scales"})


class CrossEntropy(Loss):
    """Softmax cross-entropy, averaged over the pixels that are not ignored: the primary loss of every head.

    Its weights are the study's `head_weights`. With class weights or label smoothing it becomes SegCrossEntropyLoss,
    since mmseg's has no smoothing and raises IndexError where class weights meet `avg_non_ignore`.
    """

    registered: ClassVar[str] = "CrossEntropyLoss"
    title: ClassVar[str] = "CE"
    purpose: ClassVar[str] = "pixel-wise classification; the primary loss"
    fixed: ClassVar[dict[str, Any]] = {"use_sigmoid": False, "avg_non_ignore": True}

    type: Literal["cross_entropy"] = "cross_entropy"
    class_weight: tuple[NonNegativeFloat, ...] | None = Field(
        default=None,
        description="One weight a class, or a file that `provecfg class-weights` wrote, by its path from the study.",
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0, description="Share of the target that is spread over all classes, in [0, 1)."
    )

    @property
    def is_plain(self) -> bool:
        """Whether mmseg's own class is enough."""
        return self.class_weight is None and self.label_smoothing == 0

    def config(self, weight: float) -> dict[str, Any]:
        """The entry of a head's `loss_decode`."""
        if self.is_plain:
            return {"type": self.registered, **self.fixed, "loss_weight": float(weight)}
        entry: dict[str, Any] = {"type": "SegCrossEntropyLoss", "avg_non_ignore": True}
        if self.class_weight is not None:
            entry["class_weight"] = list(self.class_weight)
        if self.label_smoothing:
            entry["label_smoothing"] = self.label_smoothing
        return {**entry, "loss_weight": float(weight)}


class WeightSchedule(Spec):
    """How a loss's weight changes over the run."""

    kind: Literal["linear", "cosine"] = Field(default="linear", description="The curve between the two values.")
    start: NonNegativeFloat = Field(default=0.5, description="Weight at the first iteration, >= 0.")
    end: NonNegativeFloat = Field(default=0.1, description="Weight at the last iteration, >= 0.")


class AuxiliaryLoss(Loss):
    """A loss that is appended to every head's list."""

    model_config = ConfigDict(json_schema_extra={"required": ["type"]})  # by it a spec is told from others

    log_name: ClassVar[str] = ""
    """Its key in the logs where that is not `loss_` and its type."""

    weight: PositiveFloat = Field(default=0.3, description="Factor on the loss, the same in every head; > 0.")
    schedule: WeightSchedule | None = Field(
        default=None, description="Let the weight change over the run, in place of `weight`."
    )
    scales: tuple[Annotated[float, Field(gt=0, le=1)], ...] | None = Field(
        default=None, min_length=1, description="Resolutions of the logits that the loss is averaged over, in (0, 1]."
    )

    @property
    def start_weight(self) -> float:
        """The weight at the first iteration."""
        return float(self.weight if self.schedule is None else self.schedule.start)

    @property
    def loss_name(self) -> str:
        """Its key in the logs."""
        name = self.log_name or f"loss_{type(self).model_fields['type'].default}"
        return name if self.scales is None else f"{name}_multi_scale"

    def config(self) -> dict[str, Any]:
        """The entry of a head's `loss_decode`."""
        entry = {"type": self.registered, **self.arguments()}
        if self.scales is not None:
            entry = {"type": "MultiScaleLoss", "loss": entry, "scales": list(self.scales)}
        return {**entry, "loss_weight": self.start_weight, "loss_name": self.loss_name}


class Focal(AuxiliaryLoss):
    """Softmax focal loss, alpha (1 - p)^gamma CE (Lin et al. 2017, eq. 5, arXiv:1708.02002)."""

    registered: ClassVar[str] = "SoftmaxFocalLoss"
    purpose: ClassVar[str] = "weighs easy pixels down, so that hard ones count"
    fixed: ClassVar[dict[str, Any]] = {"reduction": "mean"}

    type: Literal["focal"] = "focal"
    gamma: NonNegativeFloat = Field(default=2.0, description="Focusing parameter, >= 0; 0 is cross-entropy.")
    alpha: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.5, description="Factor on every class alike, in (0, 1]; no class balancing."
    )


class Lovasz(AuxiliaryLoss):
    """Lovasz-Softmax loss, a surrogate of the mean IoU (Berman et al. 2018, arXiv:1705.08790)."""

    registered: ClassVar[str] = "SegLovaszLoss"
    purpose: ClassVar[str] = "optimises the IoU itself"
    fixed: ClassVar[dict[str, Any]] = {"loss_type": "multi_class", "reduction": "mean"}

    type: Literal["lovasz"] = "lovasz"
    classes: Literal["all", "present"] = Field(
        default="all", description="Average over all classes, or over those that the labels hold."
    )
    per_image: bool = Field(default=True, description="Per image, then averaged; or over the batch as one image.")


class Boundary(AuxiliaryLoss):
    """Binary cross-entropy between the Sobel boundaries of the prediction and of the labels."""

    registered: ClassVar[str] = "SegBoundaryLoss"
    purpose: ClassVar[str] = "penalises errors at the boundaries of objects"

    type: Literal["boundary"] = "boundary"
    per_class: bool = Field(
        default=False,
        description="One boundary map over all classes, or one a class (slower; sees the classes).",
    )


class Dice(AuxiliaryLoss):
    """Softmax Dice loss, averaged over classes, blind to ignored pixels (Milletari et al. 2016, arXiv:1606.04797)."""

    registered: ClassVar[str] = "SegDiceLoss"
    purpose: ClassVar[str] = "optimises the F1 score of each class"
    log_name: ClassVar[str] = "loss_seg_dice"  # Mask2Former has a loss_dice of its own
    fixed: ClassVar[dict[str, Any]] = {"reduction": "mean"}

    type: Literal["dice"] = "dice"
    classes: Literal["all", "present"] = Field(
        default="present", description="Average over all classes, or over those that the labels hold."
    )
    smooth: NonNegativeFloat = Field(default=1.0, description="Added to numerator and denominator, in pixels, >= 0.")
    per_image: bool = Field(default=False, description="Sums for each image, or over the batch.")


class BoundaryFocal(AuxiliaryLoss):
    """Softmax focal loss that weighs pixels at the labels' boundaries up: focal x (1 + boundary weight)."""

    registered: ClassVar[str] = "BoundaryAwareFocalLoss"
    purpose: ClassVar[str] = "focal loss that counts more at boundaries"
    fixed: ClassVar[dict[str, Any]] = {"reduction": "mean"}

    type: Literal["boundary_focal"] = "boundary_focal"
    gamma: NonNegativeFloat = Field(default=2.0, description="Focusing parameter, >= 0.")
    alpha: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.5, description="Factor on every class alike, in (0, 1]."
    )
    boundary_weight: NonNegativeFloat = Field(default=1.0, description="Factor on the Sobel map of the labels, >= 0.")


class DistanceBoundary(AuxiliaryLoss):
    """Boundary loss over signed distance maps of the labels (Kervadec et al. 2019, eq. 5, arXiv:1812.07032)."""

    registered: ClassVar[str] = "DistanceBoundaryLoss"
    purpose: ClassVar[str] = "weighs an error by its distance from the object's boundary"
    fixed: ClassVar[dict[str, Any]] = {"reduction": "mean"}

    type: Literal["distance_boundary"] = "distance_boundary"
    normalize: bool = Field(
        default=False,
        description="Divide distances by the crop's diagonal, so that the weight means the same at any size.",
    )


# Auxiliary losses are defined above this line.

AUXILIARY_LOSSES: dict[str, type[AuxiliaryLoss]] = {
    str(cls.model_fields["type"].default): cls for cls in AuxiliaryLoss.__subclasses__()
}
if TYPE_CHECKING:
    AuxiliarySpec: TypeAlias = AuxiliaryLoss
else:
    AuxiliarySpec = Annotated[functools.reduce(operator.or_, AUXILIARY_LOSSES.values()), Field(discriminator="type")]

PRIMARY_LOSSES: dict[str, type[Loss]] = {"cross_entropy": CrossEntropy}

NO_AUXILIARY = "none"
"""What a study calls a cell with cross-entropy alone."""


def _spec_fields(value: Any) -> Any:
    """A name stands for the spec with its defaults."""
    if isinstance(value, str):
        if value == NO_AUXILIARY:
            raise problem("none_in_list", f"{NO_AUXILIARY!r} stands alone, not beside other losses")
        value = {"type": value}
    if isinstance(value, dict) and isinstance(value.get("type"), str) and value["type"] not in AUXILIARY_LOSSES:
        raise problem(
            "unknown_loss",
            spelling.unknown("auxiliary loss", value["type"], [NO_AUXILIARY, *AUXILIARY_LOSSES]),
        )
    if isinstance(value, dict):
        return strict_fields(value)
    return value


def _loss_list(value: Any) -> Any:
    """A name or a spec stands for the list that holds it alone, `none` for the empty list."""
    if value == NO_AUXILIARY or value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


_LossName = Annotated[str, Field(json_schema_extra={"enum": list(AUXILIARY_LOSSES)})]
_AloneName = Annotated[str, Field(json_schema_extra={"enum": [NO_AUXILIARY, *AUXILIARY_LOSSES]})]
AuxiliarySelection = Annotated[
    tuple[Annotated[AuxiliarySpec, BeforeValidator(_spec_fields)], ...],
    BeforeValidator(
        _loss_list, json_schema_input_type=_AloneName | AuxiliarySpec | list[_LossName | AuxiliarySpec] | None
    ),
]
"""The auxiliary losses of one cell, in the order in which they follow the primary one."""


def cell_label(selection: tuple[AuxiliaryLoss, ...]) -> str:
    """The part of a file name that names the auxiliary losses: `ce`, `focal`, `focal-lovasz`, `focal-weight0.1`.

    A value that is not the default is named, so that cells that differ have names that differ.
    """
    if not selection:
        return "ce"
    return "-".join(label_of(loss) for loss in selection)


def label_of(spec: Spec) -> str:
    """A spec in a file name: its type and what is not its default."""
    fields = type(spec).model_fields
    changed = [
        _changed(name, getattr(spec, name))
        for name, field in fields.items()
        if name != "type" and getattr(spec, name) != field.default
    ]
    return "-".join([str(fields["type"].default), *changed] if "type" in fields else changed)


def _changed(name: str, value: object) -> str:
    name = name.replace("_", "")
    if isinstance(value, WeightSchedule):
        return f"{value.kind}{value.start:g}to{value.end:g}"
    if isinstance(value, bool):
        return name if value else f"no{name}"
    if isinstance(value, tuple):
        return name + "x".join(format(item, "g") for item in value)
    return name + (format(value, "g") if isinstance(value, float) else str(value).lower())
