"""How a cell is trained: length, optimizer, learning rate, precision, and how it predicts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from provecfg import spelling
from provecfg.study.spec import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Spec,
    problem,
    strict_fields,
)

Fraction = Annotated[float, Field(gt=0, lt=1)]


class _Decay(Spec):
    model_config = ConfigDict(json_schema_extra={"required": ["type"]})  # by it one is told from the others


class Poly(_Decay):
    """(1 - progress) ** power of the learning rate."""

    type: Literal["poly"] = "poly"
    power: PositiveFloat = Field(default=0.9, description="Exponent, > 0; 1 is a straight line.")
    eta_min: NonNegativeFloat = Field(default=0.0, description="Learning rate at the end, >= 0.")


class Cosine(_Decay):
    """Half a cosine from the learning rate to `eta_min`."""

    type: Literal["cosine"] = "cosine"
    eta_min: NonNegativeFloat = Field(default=0.0, description="Learning rate at the end, >= 0.")


class Step(_Decay):
    """A factor at each of some points of the run."""

    type: Literal["step"] = "step"
    milestones: tuple[Fraction, ...] = Field(
        default=(0.6, 0.9), min_length=1, description="Where the rate falls, as shares of the run, in (0, 1)."
    )
    gamma: Fraction = Field(default=0.1, description="Factor at each, in (0, 1).")


class Constant(_Decay):
    """The learning rate stays."""

    type: Literal["constant"] = "constant"


class Plateau(_Decay):
    """A factor each time that validations no longer improve the metric that early stopping monitors."""

    type: Literal["plateau"] = "plateau"
    factor: Fraction = Field(default=0.1, description="Factor on the learning rate, in (0, 1).")
    patience: PositiveInt = Field(default=2, description="Validations without improvement until it falls, >= 1.")


DECAYS: dict[str, type[Spec]] = {"poly": Poly, "cosine": Cosine, "step": Step, "constant": Constant, "plateau": Plateau}


_Name = Annotated[str, Field(json_schema_extra={"enum": list(DECAYS)})]


def _decay_fields(value: Any) -> Any:
    """A name stands for the decay with its defaults."""
    value = {"type": value} if isinstance(value, str) else value
    if isinstance(value, dict) and isinstance(value.get("type"), str) and value["type"] not in DECAYS:
        raise problem("unknown_decay", spelling.unknown("decay", value["type"], DECAYS))
    if isinstance(value, dict):
        return strict_fields(value)
    return value


Decay = Annotated[
    Annotated[Poly | Cosine | Step | Constant | Plateau, Field(discriminator="type")],
    BeforeValidator(_decay_fields, json_schema_input_type=_Name | Poly | Cosine | Step | Constant | Plateau),
]


class Schedule(Spec):
    """The length of the run, and the learning rate over it."""

    max_iters: PositiveInt = Field(default=80000, description="Iterations of training, >= 1.")
    max_epochs: PositiveInt | None = Field(
        default=None, description="Passes over the training data, in place of `max_iters`; intervals are epochs then."
    )
    val_interval: PositiveInt | None = Field(
        default=None,
        description="Iterations (or epochs) between validations, and between checkpoints. Unless said, 5000, or an "
        "eighth of a run of fewer than 40000, so that early stopping can still stop it.",
    )
    warmup_iters: NonNegativeInt | None = Field(
        default=None,
        description="Iterations of linear warmup. Unless said, the model's own, at most a tenth of the run.",
    )
    decay: Decay | None = Field(
        default=None, description=f"{', '.join(DECAYS)}. Unless said, the model's own, to the end of the run."
    )

    @property
    def length(self) -> int:
        """Of the run, in iterations or, where it has them, epochs."""
        return self.max_iters if self.max_epochs is None else self.max_epochs

    @property
    def unit(self) -> str:
        """What it is counted in."""
        return "epoch" if self.by_epoch else "iteration"

    @property
    def by_epoch(self) -> bool:
        """Whether it is counted in epochs."""
        return self.max_epochs is not None


class OptimizerSpec(Spec):
    """What differs from the model's own optimizer."""

    type: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*$")] | None = Field(
        default=None, description="An optimizer of torch or mmengine by its name. Unless said, the model's own."
    )
    lr: PositiveFloat | None = Field(default=None, description="Learning rate, > 0.")
    weight_decay: NonNegativeFloat | None = Field(default=None, description=">= 0.")
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="Other arguments of its class: `{betas: [0.9, 0.99]}`."
    )
    clip_grad_norm: PositiveFloat | None = Field(default=None, description="Largest norm of the gradient, > 0.")
    accumulate: PositiveInt | None = Field(
        default=None, description="Iterations whose gradients one step of the optimizer takes, >= 1."
    )
    scale_lr_from: PositiveInt | None = Field(
        default=None,
        description="Batch size of all processes that the learning rate is meant for: it is scaled to the real one.",
    )


class Ema(Spec):
    """An exponential moving average of the weights, which is what validations and checkpoints are of."""

    momentum: Fraction = Field(default=0.0002, description="Share of the newest weights at each step, in (0, 1).")
    begin: NonNegativeInt = Field(default=0, description="Iteration that it begins at, >= 0.")


class Inference(Spec):
    """How a trained model predicts a whole image."""

    mode: Literal["whole", "slide"] | None = Field(
        default=None, description="The image at once, or windows of it. Unless said, the model's own."
    )
    window: tuple[PositiveInt, PositiveInt] | None = Field(
        default=None, description="Height and width of a window in pixels; unless said, the crop's."
    )
    stride: tuple[PositiveInt, PositiveInt] | None = Field(
        default=None, description="Down and across, in pixels; unless said, two thirds of the window."
    )
    tta_scales: tuple[PositiveFloat, ...] = Field(
        default=(), description="Factors on the image's size that test-time augmentation averages over."
    )
    tta_flip: bool = Field(default=True, description="Whether test-time augmentation also mirrors images.")


class Runtime(Spec):
    """How training runs, the result aside."""

    amp: bool = Field(default=False, description="Train in mixed precision (needs CUDA).")
    amp_dtype: Literal["float16", "bfloat16"] = Field(default="float16", description="The lower precision.")
    deterministic: bool = Field(default=False, description="The same numbers each time; slower.")
    ema: Ema | None = Field(default=None, description="Average the weights over training.")
    log_interval: PositiveInt = Field(default=50, description="Iterations between log lines, >= 1.")
    max_keep_ckpts: PositiveInt = Field(default=3, description="Checkpoints kept besides the best one, >= 1.")
    trackers: tuple[Literal["tensorboard", "mlflow", "wandb"], ...] = Field(
        default=(), description="Experiment trackers that get a run's numbers besides the files of its work dir."
    )
