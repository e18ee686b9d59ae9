"""The models that a study has names for: configs of mmsegmentation's, and what is edited in them.

Everything else of a model, its numbers, optimizer and schedule, is as its source has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class CatalogModel(NamedTuple):
    """A segmentation model.

    Args:
        name: What a study calls it; the first part of a config's file name.
        title: The name that people use.
        backbone: Backbone as the seed names it.
        decode_head: Type of the source's decode head.
        source: Config that it is, below mmsegmentation's `configs/`.
        stage_channels: Channels of the backbone's four stages, finest first.
        auxiliary_stage: Stage that an auxiliary FCNHead supervises, or None.
        settings: Dotted fields of the source and their values, as a study's `set` has them.
        note: What is worth knowing where the config says the model.
    """

    name: str
    title: str
    backbone: str
    decode_head: str
    source: str
    stage_channels: tuple[int, int, int, int]
    auxiliary_stage: int | None = None
    settings: Mapping[str, Any] = MappingProxyType({})
    note: str = ""


_ALL = (
    CatalogModel(
        name="deeplabv3plus_r50",
        title="DeepLabV3+ R50",
        backbone="ResNet50-V1c",
        decode_head="DepthwiseSeparableASPPHead",
        source="deeplabv3plus/deeplabv3plus_r50-d8_4xb2-80k_cityscapes-512x1024.py",
        stage_channels=(256, 512, 1024, 2048),
        auxiliary_stage=2,
    ),
    CatalogModel(
        name="pspnet_r50",
        title="PSPNet R50",
        backbone="ResNet50-V1c",
        decode_head="PSPHead",
        source="pspnet/pspnet_r50-d8_4xb2-80k_cityscapes-512x1024.py",
        stage_channels=(256, 512, 1024, 2048),
        auxiliary_stage=2,
    ),
    CatalogModel(
        name="segformer_mit-b3",
        title="SegFormer MiT-B3",
        backbone="MiT-B3",
        decode_head="SegformerHead",
        source="segformer/segformer_mit-b3_8xb1-160k_cityscapes-1024x1024.py",
        stage_channels=(64, 128, 320, 512),
        # Whole images, as its _base_ and its ADE20K configs; the source slides a window of 1024 x 1024.
        settings=MappingProxyType({"model.test_cfg": {"_delete_": True, "mode": "whole"}}),
    ),
    CatalogModel(
        name="segnext_mscan-b",
        title="SegNeXt MSCAN-B",
        backbone="MSCAN-B",
        decode_head="LightHamHead",
        source="segnext/segnext_mscan-b_1xb16-adamw-160k_ade20k-512x512.py",
        stage_channels=(64, 128, 320, 512),
    ),
    CatalogModel(
        name="hrnet_hr48",
        title="HRNet-W48",
        backbone="HRNet-W48",
        decode_head="FCNHead",
        source="hrnet/fcn_hr48_4xb2-80k_cityscapes-512x1024.py",
        stage_channels=(48, 96, 192, 384),
        # mmseg's HRNet has no auxiliary head and the seed's has one: it sits where the ResNet models' does.
        auxiliary_stage=2,
        settings=MappingProxyType(
            {
                "model.auxiliary_head": {
                    "type": "FCNHead",
                    "in_channels": 192,
                    "in_index": 2,
                    "channels": 256,
                    "num_convs": 1,
                    "concat_input": False,
                    "dropout_ratio": 0.1,
                    "num_classes": 19,
                    "norm_cfg": {"type": "SyncBN", "requires_grad": True},
                    "align_corners": False,
                    "loss_decode": {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": 0.4},
                }
            }
        ),
        note="mmseg's HRNet has no auxiliary head; this one supervises the 1/16 branch.",
    ),
    CatalogModel(
        name="mask2former_swin-b",
        title="Mask2Former Swin-B",
        backbone="Swin-B",
        decode_head="Mask2FormerHead",
        source="mask2former/mask2former_swin-b-in22k-384x384-pre_8xb2-90k_cityscapes-512x1024.py",
        stage_channels=(128, 256, 512, 1024),
    ),
)

MODELS: Mapping[str, CatalogModel] = MappingProxyType({model.name: model for model in _ALL})
