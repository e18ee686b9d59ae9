"""Which labels the heads of a model can be trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import nn

from provecfg.proof.classes import class_of

_PARTS = ("decode_head", "auxiliary_head")


@dataclass(frozen=True, slots=True)
class LabelHead:
    """A head, as the labels see it.

    Args:
        key: Its dotted path in the config.
        classes: Classes that it tells apart.
        largest: The largest label that it can be trained on: a head of one channel takes 0 and 1.
        ignored: The label that it leaves out.
    """

    key: str
    classes: int
    largest: int
    ignored: int


def label_heads(config: Config, model: nn.Module | None) -> list[LabelHead]:
    """The heads that are trained on label maps: those of the built model, or else those that the config says."""
    heads = _built_heads(model) if model is not None else _declared_heads(config)
    return list(heads)


def _built_heads(model: nn.Module) -> Iterator[LabelHead]:
    for name in _PARTS:
        part = getattr(model, name, None)
        heads = list(part) if isinstance(part, nn.ModuleList) else [part]
        for index, head in enumerate(heads):
            classes, ignored = getattr(head, "num_classes", None), getattr(head, "ignore_index", 255)
            if name == "auxiliary_head" and _makes_its_targets(type(head)):
                continue
            if isinstance(head, nn.Module) and isinstance(classes, int) and isinstance(ignored, int):
                key = f"model.{name}[{index}]" if isinstance(part, nn.ModuleList) else f"model.{name}"
                single = _is_single(head)
                yield LabelHead(key, classes, 1 if single else classes - 1, ignored)


def _makes_its_targets(head: type | None) -> bool:
    """Whether a head's loss is its own, as of STDCHead, which is trained on the edges of the label map."""
    own = getattr(head, "loss_by_feat", None)
    return own is not None and own is not BaseDecodeHead.loss_by_feat


def _is_single(head: nn.Module) -> bool:
    """Whether the head gives one channel: what is trained on it is 0 or 1."""
    last = getattr(head, "conv_seg", None)
    channels = getattr(last, "out_channels", None)
    return (channels if isinstance(channels, int) else getattr(head, "out_channels", None)) == 1


def _declared_heads(config: Config) -> Iterator[LabelHead]:
    model = config.get("model") or {}
    for name in _PARTS:
        part = model.get(name)
        heads: Sequence[Any] = part if isinstance(part, (list, tuple)) else [part]
        for index, head in enumerate(heads):
            classes = head.get("num_classes") if isinstance(head, dict) else None
            if name == "auxiliary_head" and classes is not None and _makes_its_targets(class_of(head, MODELS)):
                continue
            if isinstance(classes, int):
                ignored = head.get("ignore_index", 255)
                key = f"model.{name}[{index}]" if isinstance(part, (list, tuple)) else f"model.{name}"
                largest = 1 if head.get("out_channels") == 1 else classes - 1
                yield LabelHead(key, classes, largest, ignored if isinstance(ignored, int) else 255)
