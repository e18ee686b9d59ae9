"""The model of a cell: that of its base, with the study's losses, classes, data and crop put in."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from provecfg.catalog.datasets import Dataset
from provecfg.catalog.strategies import Strategy
from provecfg.generate import data
from provecfg.generate.inference import set_test_cfg
from provecfg.generate.losses import HeadLosses
from provecfg.generate.strategies import mixing
from provecfg.study.bases import TAKES_PIXEL_LOSSES, Base
from provecfg.study.schema import Study

_TRAINS_EDGES = "STDCHead"
"""mmseg's head whose classes are edge and no edge, whatever the data's are."""


def edited_model(
    base: Base, study: Study, dataset: Dataset, strategy: Strategy, heads: Sequence[HeadLosses]
) -> dict[str, Any]:
    """The `model` of a cell.

    Args:
        base: Whose model it is.
        study: What is trained, and on which crops.
        dataset: Whose classes it predicts.
        strategy: Whether the images of a batch are mixed.
        heads: The losses of its heads, those that deep supervision adds last.
    """
    model = copy.deepcopy(base.model)
    _move_pretrained(model)
    model["data_preprocessor"] = mixing(data.data_preprocessor(study.data, dataset, base), strategy)
    for key in ("decode_head", "auxiliary_head"):
        _set_classes(model.get(key), len(dataset.classes))
    for losses in heads:
        if losses.added is not None:
            _add_auxiliary_head(model, losses, dataset)
        else:
            _set_losses(_at(model, losses.head.path), losses, dataset)
    _follow_crop(model, base, study.data.crop_size)
    set_test_cfg(model, study, base)
    if not study.pretrained:
        _start_from_random_weights(model)
    last = {key: model.pop(key) for key in ("train_cfg", "test_cfg") if key in model}
    return model | last


def _at(model: dict[str, Any], path: Sequence[str | int]) -> dict[str, Any]:
    value: Any = model
    for step in path:
        value = value[step]
    assert isinstance(value, dict)  # as the base's reader has seen it
    return value


def _set_losses(config: dict[str, Any], losses: HeadLosses, dataset: Dataset) -> None:
    head = losses.head
    config["ignore_index"] = dataset.ignore_index
    config.pop("sampler", None)
    if losses.entries is None:  # the head's own
        _drop_class_weights(config)
        return
    config["type"] = TAKES_PIXEL_LOSSES.get(head.kind, config["type"])
    config.pop("loss_decode", None)  # the last key, as what is looked for
    config["loss_decode"] = losses.entries
    if losses.sampler is not None:
        config["sampler"] = losses.sampler


def _add_auxiliary_head(model: dict[str, Any], losses: HeadLosses, dataset: Dataset) -> None:
    """One more FCN head; `auxiliary_head` is a list where there are several."""
    config = {
        "type": "FCNHead",
        "in_channels": losses.added,
        "in_index": losses.head.stage,
        "channels": 256,  # as the auxiliary heads of _base_/models/pspnet_r50-d8.py
        "num_convs": 1,
        "concat_input": False,
        "dropout_ratio": 0.1,
        "num_classes": len(dataset.classes),
        "norm_cfg": {"type": "SyncBN", "requires_grad": True},
        "align_corners": False,
        "ignore_index": dataset.ignore_index,
        "loss_decode": losses.entries,
    }
    existing = model.get("auxiliary_head")
    if existing is None and len(losses.head.path) == 1:
        model["auxiliary_head"] = config
    else:
        heads = existing if isinstance(existing, list) else [] if existing is None else [existing]
        model["auxiliary_head"] = [*heads, config]


def _set_classes(value: Any, num_classes: int) -> None:
    """The number of classes, of a head and of the heads in it."""
    if isinstance(value, (list, tuple)):
        for item in value:
            _set_classes(item, num_classes)
    elif isinstance(value, dict):
        if str(value.get("type", "")).rpartition(".")[2] == _TRAINS_EDGES:
            return
        before = value.get("num_classes")
        if before is not None:
            value["num_classes"] = num_classes
            if value.get("out_channels") == before and "feat_channels" not in value:
                value["out_channels"] = num_classes
        for key, item in value.items():
            if key == "loss_cls" and isinstance(item, dict):
                _fit_set_weights(item, num_classes)
            else:
                _set_classes(item, num_classes)


def _fit_set_weights(loss: dict[str, Any], num_classes: int) -> None:
    """The weights of classes and `no object`: all classes alike, so that any number of them can be had."""
    weights = loss.get("class_weight")
    if isinstance(weights, list) and weights:
        loss["class_weight"] = [weights[0]] * num_classes + [weights[-1]]


def _drop_class_weights(value: Any) -> None:
    """Weights of the classes that the base was made for, in losses that are the head's own."""
    losses = value.get("loss_decode")
    for loss in losses if isinstance(losses, list) else [losses]:
        if isinstance(loss, dict):
            loss.pop("class_weight", None)


def _follow_crop(model: dict[str, Any], base: Base, crop: tuple[int, int]) -> None:
    """Sizes that are the base's crop become the study's: of a transformer's image, and of a sliding window."""
    parts = [model.get("backbone"), *_as_list(model.get("decode_head")), *_as_list(model.get("auxiliary_head"))]
    for part in parts:
        if isinstance(part, dict) and base.crop_size in (_pair(part.get("img_size")), None) and "img_size" in part:
            part["img_size"] = crop
    test_cfg = model.get("test_cfg")
    if isinstance(test_cfg, dict) and test_cfg.get("mode") == "slide":
        window, stride = _pair(test_cfg.get("crop_size")), _pair(test_cfg.get("stride"))
        if window is not None and stride is not None:
            test_cfg["crop_size"] = crop
            test_cfg["stride"] = tuple(
                max(1, round(side * step / of)) for side, step, of in zip(crop, stride, window, strict=True)
            )


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _pair(value: Any) -> tuple[int, int] | None:
    if isinstance(value, int):
        return value, value
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return value[0], value[1]
    return None


def _move_pretrained(model: dict[str, Any]) -> None:
    """mmseg's deprecated `pretrained` as the backbone's `init_cfg`, which says the same (models/segmentors)."""
    checkpoint = model.pop("pretrained", None)
    backbone = model.get("backbone")
    if checkpoint is not None and isinstance(backbone, dict):
        backbone["init_cfg"] = {"type": "Pretrained", "checkpoint": checkpoint}


def _start_from_random_weights(value: Any) -> None:
    """Drop every `init_cfg` that loads a checkpoint."""
    if isinstance(value, dict):
        init = value.get("init_cfg")
        if isinstance(init, dict) and init.get("type") == "Pretrained":
            del value["init_cfg"]
        for item in value.values():
            _start_from_random_weights(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _start_from_random_weights(item)
