"""What a backbone and its neck hand on: how many feature maps, and of how many channels each.

Only what the config and the class's defaults settle; for anything else the answer is None.
"""

from __future__ import annotations

from typing import Any, Final

from provecfg.facts.lookup import Lookup, kind_of
from provecfg.facts.numbers import count
from provecfg.mmconfig import Node

_RESNETS: Final = frozenset({"ResNet", "ResNetV1c", "ResNetV1d", "ResNeXt", "ResNeSt"})
_BASIC_BLOCKS: Final = frozenset({18, 34})
"""Depths whose blocks do not widen their output (mmsegmentation 1.2.2, models/backbones/resnet.py, arch_settings)."""


_PLAIN_TRANSFORMERS: Final = frozenset({"BEiT", "MAE", "VisionTransformer"})
"""Backbones all of whose layers hand on as many channels (mmsegmentation 1.2.2, models/backbones/vit.py)."""
_MOBILE_NET_V2: Final = (16, 24, 32, 64, 96, 160, 320)
"""mmsegmentation 1.2.2, models/backbones/mobilenet_v2.py, arch_settings."""

_MOST_FEATURES: Final = 100

_MAKES_FEATURES: Final = "extract_feat"
_CARRY_FEATURES: Final = ("encode_decode", "loss", "_decode_head_forward_train")
"""Methods of a segmentor that hand feature maps to the heads (mmsegmentation 1.2.2, segmentors/encoder_decoder.py)."""


def feature_channels(config: Lookup) -> tuple[int | None, ...] | None:
    """Channels of each feature map that the heads see, None for one that is not known; None if their number is not."""
    model = config.section("model")
    is_unknown = model is not None and model.type is not None and config.class_of(model) is None
    if is_unknown or config.replaces(model, *_CARRY_FEATURES) or config.replaces(model, _MAKES_FEATURES, extended=True):
        return None
    neck, backbone = config.get("model.neck"), config.get("model.backbone")
    if neck is not None and neck.value is not None:
        return _of_neck(config, neck)
    return _of_backbone(config, backbone) if backbone is not None and backbone.is_dict else None


def _of_neck(config: Lookup, neck: Node) -> tuple[int | None, ...] | None:
    if not neck.is_dict:
        return None
    kind = kind_of(neck.value.get("type"))
    if kind == "FPN":
        outs = count(config.argument(neck, "num_outs"))
        if outs is None or not 0 < outs <= _MOST_FEATURES:
            return None
        return (count(config.argument(neck, "out_channels")),) * outs
    if kind == "MultiLevelNeck":
        scales = config.argument(neck, "scales")
        channels = count(config.argument(neck, "out_channels"))
        return (channels,) * len(scales) if isinstance(scales, (list, tuple)) else None
    return None


def _of_backbone(config: Lookup, backbone: Node) -> tuple[int | None, ...] | None:
    if config.is_unknown_to_release(backbone):
        return None  # how many maps it gives is its own affair
    kind = kind_of(backbone.value.get("type"))
    if kind == "HRNet":
        return _of_hrnet(config, backbone)
    stages = _stage_channels(config, backbone, kind)
    if kind == "MSCAN":  # all of its stages
        return stages
    if kind == "UNet":  # the decoder's stages, deepest first
        return stages
    indices = config.argument(backbone, "out_indices")
    if not isinstance(indices, (list, tuple)) or not all(isinstance(index, int) for index in indices):
        return None
    stages = stages or ()
    return tuple(stages[index] if 0 <= index < len(stages) else None for index in indices)


def _stage_channels(config: Lookup, backbone: Node, kind: str) -> tuple[int | None, ...] | None:
    def argument(name: str) -> Any:
        return config.argument(backbone, name)

    if kind in _RESNETS:
        depth, base = argument("depth"), argument("base_channels")
        if not isinstance(depth, int) or not isinstance(base, int):
            return None
        wide = 1 if depth in _BASIC_BLOCKS else 4
        return tuple(base * wide * 2**stage for stage in range(4))
    if kind == "SwinTransformer":
        width = argument("embed_dims")
        return tuple(width * 2**stage for stage in range(4)) if isinstance(width, int) else None
    if kind == "MixVisionTransformer":
        width, heads = argument("embed_dims"), argument("num_heads")
        if isinstance(width, int) and isinstance(heads, (list, tuple)) and all(isinstance(n, int) for n in heads):
            return tuple(width * n for n in heads)
        return None
    if kind == "MobileNetV2" and argument("widen_factor") == 1:
        return _MOBILE_NET_V2
    if kind in _PLAIN_TRANSFORMERS:
        layers, width = argument("num_layers"), count(argument("embed_dims"))
        return (width,) * layers if isinstance(layers, int) and 0 < layers <= _MOST_FEATURES else None
    if kind in ("MSCAN", "PCPVT", "SVT"):
        widths = argument("embed_dims")
        return tuple(count(width) for width in widths) if isinstance(widths, (list, tuple)) else None
    if kind == "UNet":
        stages, base = argument("num_stages"), argument("base_channels")
        if isinstance(stages, int) and isinstance(base, int) and 0 < stages < 20:
            return tuple(base * 2**stage for stage in reversed(range(stages)))
    return None


def _of_hrnet(config: Lookup, backbone: Node) -> tuple[int | None, ...] | None:
    if config.value(backbone, "multiscale_output", True) is not True:
        return None
    widths = backbone.dig("extra.stage4.num_channels")
    if widths is None or not widths.is_list:
        return None
    return tuple(count(width) for width in widths.value)
