"""The configs that a study's models are: read, never executed, and what an edit has to know of them."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from provecfg.catalog.models import MODELS
from provecfg.errors import ProvecfgError
from provecfg.findings import Severity
from provecfg.mmconfig import ConfigView, DottedName, Opaque, read_config
from provecfg.mmconfig.shipped_bases import FOLDER
from provecfg.study.models import EDITABLE, Model
from provecfg.study.spec import problem

LossCalls = Literal["each", "points", "sets", "own"]
"""How a head calls its losses: each on its logits and the labels; each on points of them; on sets of masks; or in a way
of its own, each loss on something else."""

# mmsegmentation 1.2.2 and 1.4, models/decode_heads: heads whose `loss_by_feat` calls the losses in its own way.
_CALLS: Final[Mapping[str, LossCalls]] = {
    "PointHead": "points",
    "MaskFormerHead": "sets",
    "Mask2FormerHead": "sets",
    "Mask2FormerPixelLossHead": "sets",
    "PIDHead": "own",
    "DDRHead": "own",
    "STDCHead": "own",
}
TAKES_PIXEL_LOSSES: Final[Mapping[str, str]] = {"Mask2FormerHead": "Mask2FormerPixelLossHead"}
"""Heads on sets of masks, and the plugin's that is the same and calls losses of pixels beside its own."""
_NO_SEGMENTATION: Final[Mapping[str, str]] = {
    "DepthEstimator": "it predicts depth, which has no classes",
    "MultimodalEncoderDecoder": "its classes are texts (text_encoder.dataset_name), which no other data has",
}
_TARGETS: Final = frozenset({"GenerateEdge"})
"""mmseg's transforms that make another target of the label map: PIDHead's edges."""
# mmsegmentation 1.2.2: heads with a branch pooled to one pixel and normalised there.
_POOLED: Final = frozenset({"PSPHead", "ASPPHead", "DepthwiseSeparableASPPHead", "UPerHead", "EncHead"})
_STAGES: Final = 4
_ALL: Final = tuple(range(_STAGES))
# mmsegmentation 1.2.2, models/backbones: resnet.py (`planes`) and swin.py (`in_channels`).
_DOUBLES: Final = frozenset({"ResNet", "ResNetV1c", "ResNetV1d", "ResNeXt", "ResNeSt", "SwinTransformer"})
"""Backbones each of whose four stages hands on twice the channels of the one before."""


@dataclass(frozen=True, slots=True)
class Head:
    """A head of a base that a study's losses go to.

    Args:
        name: What the equation calls it: `decode`, `auxiliary`; with a number where there are several.
        path: Keys and indices from the model to it.
        kind: Its class, without scope.
        calls: How it calls its losses.
        weight: Factor on its primary loss.
        stage: The one output of the backbone that it sees, or None.
        channels: Of what it sees, by stage.
    """

    name: str
    path: tuple[str | int, ...]
    kind: str
    calls: LossCalls
    weight: float
    stage: int | None
    channels: Mapping[int, int] = dataclasses.field(default_factory=dict)

    @property
    def is_auxiliary(self) -> bool:
        return self.path[0] == "auxiliary_head"


@dataclass(frozen=True, slots=True)
class Base:
    """A config, as far as a study takes it.

    Args:
        name: What its cells are called.
        title: The name that people use.
        source: Where it is from, for a comment.
        note: What is worth knowing where the config says the model.
        model, optim_wrapper, param_scheduler: Plain values of these keys.
        imports: Modules of its `custom_imports`.
        heads: Decode heads, then auxiliary heads.
        stage_channels: Channels of the backbone's stages, as far as they are known.
        crop_size: (height, width) in pixels that it is trained on, or None.
        label_transforms: What its training pipeline makes of a label map for heads with a target of their own.
    """

    name: str
    title: str
    source: str
    note: str
    model: dict[str, Any]
    optim_wrapper: dict[str, Any]
    param_scheduler: list[dict[str, Any]]
    imports: tuple[str, ...]
    heads: tuple[Head, ...]
    stage_channels: Mapping[int, int]
    crop_size: tuple[int, int] | None
    label_transforms: list[dict[str, Any]]

    @property
    def main_head(self) -> Head:
        """The decode head that predicts: the last, of a cascade."""
        return [head for head in self.heads if not head.is_auxiliary][-1]

    @property
    def takes_pixel_losses(self) -> bool:
        """Whether cross-entropy over pixels is the primary loss of its decode head."""
        return self.main_head.calls in ("each", "points")

    @property
    def normalises_pooled_features(self) -> bool:
        """Whether a batch norm sees one value a channel and image, so that training needs two images."""
        return any(head.kind in _POOLED for head in self.heads)

    @property
    def refuses_auxiliary_losses(self) -> str | None:
        """Why no auxiliary loss can be added to its decode head; None where one can."""
        head = self.main_head
        if head.calls == "own":
            return f"{head.kind} calls each of its losses on an output of its own, and no other"
        if head.calls == "sets" and head.kind not in {*TAKES_PIXEL_LOSSES, *TAKES_PIXEL_LOSSES.values()}:
            return f"{head.kind} is trained on sets of masks alone"
        return None


def base_of(model: Model, folder: Path) -> Base:
    """Read the config that a model of a study is.

    Args:
        model: Of the study.
        folder: The study's, where relative paths start.

    Raises:
        ProvecfgError: It cannot be read, or no segmentation model is in it that a study could train; says why.
    """
    shipped, known = model.shipped_path, MODELS.get(model.base)
    view = view_of(model, folder)
    errors = [problem for problem in view.problems if problem.severity is Severity.ERROR]
    if errors:
        raise ProvecfgError(f"{model.base} cannot be edited: {errors[0].message}", hint=errors[0].hint)
    values = {key: plain_value(view.values.get(key), key) for key in EDITABLE}
    segmentor = values["model"]
    if not isinstance(segmentor, dict) or not isinstance(segmentor.get("type"), str):
        raise ProvecfgError(f"{model.base} has no model with a type")
    kind = _class_of(segmentor)
    if kind in _NO_SEGMENTATION:
        raise ProvecfgError(f"{model.base} is a {kind}: {_NO_SEGMENTATION[kind]}")
    heads = tuple(_heads(segmentor))
    if not any(not head.is_auxiliary for head in heads):
        raise ProvecfgError(f"{model.base} has no model.decode_head with a type")
    of_catalog = dict(enumerate(known.stage_channels)) if known is not None else {}
    return Base(
        name=model.label,
        title=known.title if known is not None and model.name is None else model.label,
        source=f"mmseg's {shipped}" if shipped is not None else model.base,
        note=known.note if known is not None else "",
        model=segmentor,
        optim_wrapper=_mapping(values["optim_wrapper"], "optim_wrapper", model),
        param_scheduler=_schedulers(values["param_scheduler"]),
        imports=_imports(values["custom_imports"]),
        heads=heads,
        stage_channels=of_catalog | _stage_channels(segmentor, heads),
        label_transforms=_label_transforms(view),
        crop_size=_size(view.values.get("crop_size")) or _size((segmentor.get("data_preprocessor") or {}).get("size")),
    )


def view_of(model: Model, folder: Path) -> ConfigView:
    """The config that a model of a study is, with the model's settings in it.

    Args:
        model: Of the study.
        folder: The study's, where relative paths start.
    """
    shipped, known = model.shipped_path, MODELS.get(model.base)
    path = FOLDER / shipped if shipped is not None else folder / model.base
    settings = {**(known.settings if known is not None else {}), **model.set}
    return read_config(path, cfg_options=tuple(settings.items()))


def plain_value(value: Any, key: str) -> Any:
    """A value of a config as plain Python, its parts its own."""
    if isinstance(value, dict):
        return {name: plain_value(item, f"{key}.{name}") for name, item in value.items()}
    if isinstance(value, tuple):
        return tuple(plain_value(item, f"{key}[{index}]") for index, item in enumerate(value))
    if isinstance(value, list):
        return [plain_value(item, f"{key}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, DottedName):
        return str(value)
    if isinstance(value, Opaque) or not isinstance(value, (str, int, float, bool, type(None))):
        reason = value.reason if isinstance(value, Opaque) else f"a {type(value).__name__}"
        raise ProvecfgError(f"{key} of the base cannot be known without running it: {reason}")
    return value


def _class_of(config: Mapping[str, Any]) -> str:
    return str(config.get("type", "")).rpartition(".")[2]


def _heads(model: Mapping[str, Any]) -> Iterator[Head]:
    for key, role in (("decode_head", "decode"), ("auxiliary_head", "auxiliary")):
        value = model.get(key)
        several = isinstance(value, (list, tuple))
        entries: list[Any] = [*value] if isinstance(value, (list, tuple)) else [value]
        for index, config in enumerate(entries):
            if not isinstance(config, dict) or not config.get("type"):
                continue
            is_last_decoder = role == "decode" and index == len(entries) - 1
            name = role if len(entries) == 1 or is_last_decoder else f"{role} {index}"
            path: tuple[str | int, ...] = (key, index) if several else (key,)
            yield _head(name, path, config)


def _head(name: str, path: tuple[str | int, ...], config: Mapping[str, Any]) -> Head:
    inner = config.get("kernel_generate_head")  # K-Net's: its losses are called on the logits of every stage
    if isinstance(inner, dict):
        return _head(name, (*path, "kernel_generate_head"), inner)
    kind = _class_of(config)
    losses = config.get("loss_decode")
    primary = losses[0] if isinstance(losses, (list, tuple)) and losses else losses
    weight = primary.get("loss_weight", 1.0) if isinstance(primary, dict) else 1.0
    index, channels = config.get("in_index", -1), config.get("in_channels")
    stage = index if isinstance(index, int) and index >= 0 else None
    seen: dict[int, int] = {}
    if stage is not None and isinstance(channels, int):
        seen = {stage: channels}
    elif isinstance(index, (list, tuple)) and isinstance(channels, (list, tuple)):
        pairs = zip(index, channels, strict=False)
        seen = {stage: n for stage, n in pairs if isinstance(stage, int) and stage >= 0 and isinstance(n, int)}
    return Head(name, path, kind, _CALLS.get(kind, "each"), float(weight), stage, seen)


def _stage_channels(model: Mapping[str, Any], heads: tuple[Head, ...]) -> dict[int, int]:
    """Channels of the stages that heads see, and of those that follow from them."""
    seen = {stage: channels for head in heads for stage, channels in head.channels.items()}
    backbone = model.get("backbone")
    if not seen or not isinstance(backbone, dict) or model.get("neck") is not None:
        return seen
    package = str(backbone.get("type", "")).rpartition(".")[0].partition(".")[0]
    indices = backbone.get(
        "out_indices", _ALL if package in ("", "mmseg") else None
    )  # mmpretrain's hand on the last one
    is_whole = backbone.get("num_stages", _STAGES) == _STAGES and indices in (_ALL, [*_ALL])
    if _class_of(backbone) not in _DOUBLES or not is_whole:
        return seen
    stage, channels = max(seen.items())
    return {index: channels * 2**index // 2**stage for index in range(_STAGES)} | seen


def _mapping(value: Any, key: str, model: Model) -> dict[str, Any]:
    if isinstance(value, dict) and isinstance(value.get("optimizer"), dict):
        return copy.deepcopy(value)
    raise ProvecfgError(f"{model.base} has no {key} with an optimizer")


def _schedulers(value: Any) -> list[dict[str, Any]]:
    entries = value if isinstance(value, (list, tuple)) else [value]
    return [dict(entry) for entry in entries if isinstance(entry, dict)]


def _imports(value: Any) -> tuple[str, ...]:
    modules = value.get("imports", ()) if isinstance(value, dict) else ()
    return (modules,) if isinstance(modules, str) else tuple(map(str, modules or ()))


def _label_transforms(view: ConfigView) -> list[dict[str, Any]]:
    pipeline = view.dig("train_dataloader.dataset.pipeline")
    steps = pipeline if pipeline is not None else ()
    return [plain_value(step.value, step.key) for step in steps if step.type in _TARGETS]


def _size(value: Any) -> tuple[int, int] | None:
    if isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(side, int) for side in value):
        return value[0], value[1]
    return None


def _fields(value: Any) -> Any:
    """A name stands for the model with nothing changed."""
    return {"base": value} if isinstance(value, str) else value


def _is_readable(model: Model, info: ValidationInfo) -> Model:
    folder: Path = (info.context or {}).get("folder", Path())
    try:
        base_of(model, folder)
    except ProvecfgError as error:
        raise problem("unreadable_base", error.message) from error
    return model


# What an editor offers, and lets pass: a name of the catalog's, or what looks like a config's.
_Name = Annotated[
    str,
    Field(json_schema_extra={"anyOf": [{"enum": list(MODELS)}, {"pattern": r"::|_\d+xb\d+|\.(py|ya?ml|json)$"}]}),
]
ModelEntry = Annotated[
    Model, BeforeValidator(_fields, json_schema_input_type=_Name | Model), AfterValidator(_is_readable)
]
"""A model of a study, of which it is known that cells can be made. The context says the study's `folder`."""
