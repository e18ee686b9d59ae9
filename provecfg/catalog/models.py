"""The models that a study can name.

A model is a template (its family's layout) and the numbers that the template asks for. Optimizer and learning-rate
schedule are those of mmseg's own config of the same model; only the end of the schedule follows the study.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


def _frozen(**values: Any) -> Mapping[str, Any]:
    return MappingProxyType(values)


@dataclass(frozen=True, slots=True)
class Optimizer:
    """An optimizer as mmengine's `OptimWrapper` takes it.

    Args:
        type: Name in mmengine's OPTIMIZERS.
        arguments: Its arguments, the learning rate `lr` included.
        clip_grad_norm: Largest norm of the gradient, or None for no clipping.
        paramwise: mmengine's `paramwise_cfg`, or None.
    """

    type: str
    arguments: Mapping[str, Any]
    clip_grad_norm: float | None = None
    paramwise: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class LearningRate:
    """A polynomial decay to the end of training, after an optional linear warmup.

    Args:
        power: Exponent of the decay.
        eta_min: Learning rate at the end.
        warmup_iters: Iterations of warmup in the source's schedule; 0 for none.
        warmup_start_factor: Factor on the learning rate at the first iteration of the warmup.
    """

    power: float
    eta_min: float
    warmup_iters: int = 0
    warmup_start_factor: float = 1e-6


@dataclass(frozen=True, slots=True)
class Pretrained:
    """ImageNet weights of a backbone.

    Args:
        checkpoint: What the config names: an alias that mmengine resolves, or an address.
        filename: The file's name in torch's hub cache.
    """

    checkpoint: str
    filename: str


@dataclass(frozen=True, slots=True)
class Model:
    """A segmentation model.

    Args:
        name: What a study calls it; the first part of a config's file name.
        title: The name that people use.
        backbone: Backbone as the seed names it.
        decode_head: Type of the decode head.
        template: Name of its family's template, without folder and suffix.
        numbers: What the template asks for.
        stage_channels: Channels of the backbone's four stages, finest first.
        auxiliary_stage: Stage that an FCNHead supervises, or None.
        optimizer: As in `source`.
        learning_rate: As in `source`.
        pretrained: Backbone weights.
        test_size_divisor: At test time images are padded to a multiple of this; None for no padding.
        normalises_pooled_features: A batch norm sees one value per channel and image, so training needs two images
            per process.
        takes_pixel_losses: False where the head is trained on sets of masks, so that cross-entropy on pixels is not
            its primary loss.
        source: mmseg config that the numbers are from.
    """

    name: str
    title: str
    backbone: str
    decode_head: str
    template: str
    numbers: Mapping[str, Any]
    stage_channels: tuple[int, int, int, int]
    optimizer: Optimizer
    learning_rate: LearningRate
    pretrained: Pretrained
    source: str
    auxiliary_stage: int | None = None
    test_size_divisor: int | None = None
    normalises_pooled_features: bool = False
    takes_pixel_losses: bool = True


# _base_/schedules/schedule_80k.py
_SGD = Optimizer("SGD", _frozen(lr=0.01, momentum=0.9, weight_decay=0.0005))
_POLY = LearningRate(power=0.9, eta_min=1e-4)

# segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py and
# segnext/segnext_mscan-t_1xb16-adamw-160k_ade20k-512x512.py
_ADAMW_OF_TRANSFORMERS = Optimizer(
    "AdamW",
    _frozen(lr=0.00006, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise=_frozen(
        custom_keys={
            "pos_block": {"decay_mult": 0.0},
            "norm": {"decay_mult": 0.0},
            "head": {"lr_mult": 10.0},
        }
    ),
)
_WARMUP_THEN_LINEAR = LearningRate(power=1.0, eta_min=0.0, warmup_iters=1500)

_SWIN_B_DEPTHS = (2, 2, 18, 2)


def _mask2former_paramwise(depths: tuple[int, ...]) -> Mapping[str, Any]:
    # mask2former/mask2former_swin-b-in22k-384x384-pre_8xb2-90k_cityscapes-512x1024.py: the backbone learns at a tenth
    # of the rate; norms and embeddings are not decayed.
    norm = {"lr_mult": 0.1, "decay_mult": 0.0}
    embedding = {"lr_mult": 1.0, "decay_mult": 0.0}
    keys: dict[str, Any] = {
        "backbone": {"lr_mult": 0.1, "decay_mult": 1.0},
        "backbone.patch_embed.norm": norm,
        "backbone.norm": norm,
        "absolute_pos_embed": norm,
        "relative_position_bias_table": norm,
        "query_embed": embedding,
        "query_feat": embedding,
        "level_embed": embedding,
    }
    for stage, blocks in enumerate(depths):
        for block in range(blocks):
            keys[f"backbone.stages.{stage}.blocks.{block}.norm"] = norm
    for stage in range(len(depths) - 1):
        keys[f"backbone.stages.{stage}.downsample.norm"] = norm
    return _frozen(custom_keys=keys, norm_decay_mult=0.0)


_ONEDL_WEIGHTS = "https://mmassets.onedl.ai/mmsegmentation/v0.5/pretrain"  # where the sources' configs point

_ALL = (
    Model(
        name="deeplabv3plus_r50",
        title="DeepLabV3+ R50",
        backbone="ResNet50-V1c",
        decode_head="DepthwiseSeparableASPPHead",
        template="deeplabv3plus",
        numbers=_frozen(  # _base_/models/deeplabv3plus_r50-d8.py
            depth=50,
            in_channels=2048,
            low_level_channels=256,
        ),
        stage_channels=(256, 512, 1024, 2048),
        auxiliary_stage=2,
        optimizer=_SGD,
        learning_rate=_POLY,
        pretrained=Pretrained("open-mmlab://resnet50_v1c", "resnet50_v1c-2cccc1ad.pth"),
        normalises_pooled_features=True,
        source="deeplabv3plus/deeplabv3plus_r50-d8_4xb2-80k_cityscapes-512x1024.py",
    ),
    Model(
        name="pspnet_r50",
        title="PSPNet R50",
        backbone="ResNet50-V1c",
        decode_head="PSPHead",
        template="pspnet",
        numbers=_frozen(  # _base_/models/pspnet_r50-d8.py
            depth=50,
            in_channels=2048,
        ),
        stage_channels=(256, 512, 1024, 2048),
        auxiliary_stage=2,
        optimizer=_SGD,
        learning_rate=_POLY,
        pretrained=Pretrained("open-mmlab://resnet50_v1c", "resnet50_v1c-2cccc1ad.pth"),
        normalises_pooled_features=True,
        source="pspnet/pspnet_r50-d8_4xb2-80k_cityscapes-512x1024.py",
    ),
    Model(
        name="segformer_mit-b3",
        title="SegFormer MiT-B3",
        backbone="MiT-B3",
        decode_head="SegformerHead",
        template="segformer",
        numbers=_frozen(  # segformer/segformer_mit-b3_8xb1-160k_cityscapes-1024x1024.py
            embed_dims=64,
            num_layers=[3, 4, 18, 3],
            in_channels=[64, 128, 320, 512],
        ),
        stage_channels=(64, 128, 320, 512),
        optimizer=_ADAMW_OF_TRANSFORMERS,
        learning_rate=_WARMUP_THEN_LINEAR,
        pretrained=Pretrained(
            f"{_ONEDL_WEIGHTS}/segformer/mit_b3_20220624-13b1141c.pth", "mit_b3_20220624-13b1141c.pth"
        ),
        source="segformer/segformer_mit-b3_8xb1-160k_cityscapes-1024x1024.py",
    ),
    Model(
        name="segnext_mscan-b",
        title="SegNeXt MSCAN-B",
        backbone="MSCAN-B",
        decode_head="LightHamHead",
        template="segnext",
        numbers=_frozen(  # segnext/segnext_mscan-b_1xb16-adamw-160k_ade20k-512x512.py
            embed_dims=[64, 128, 320, 512],
            depths=[3, 3, 12, 3],
            in_channels=[128, 320, 512],
            channels=512,
        ),
        stage_channels=(64, 128, 320, 512),
        optimizer=_ADAMW_OF_TRANSFORMERS,
        learning_rate=_WARMUP_THEN_LINEAR,
        pretrained=Pretrained(
            f"{_ONEDL_WEIGHTS}/segnext/mscan_b_20230227-3ab7d230.pth", "mscan_b_20230227-3ab7d230.pth"
        ),
        test_size_divisor=32,
        source="segnext/segnext_mscan-b_1xb16-adamw-160k_ade20k-512x512.py",
    ),
    Model(
        name="hrnet_hr48",
        title="HRNet-W48",
        backbone="HRNet-W48",
        decode_head="FCNHead",
        template="hrnet",
        numbers=_frozen(
            widths=(48, 96, 192, 384),  # hrnet/fcn_hr48_4xb2-80k_cityscapes-512x1024.py
        ),
        stage_channels=(48, 96, 192, 384),
        # mmseg's HRNet has no auxiliary head and the seed's has one: it sits where the ResNet models' does.
        auxiliary_stage=2,
        optimizer=_SGD,
        learning_rate=_POLY,
        pretrained=Pretrained("open-mmlab://msra/hrnetv2_w48", "hrnetv2_w48-d2186c55.pth"),
        source="hrnet/fcn_hr48_4xb2-80k_cityscapes-512x1024.py",
    ),
    Model(
        name="mask2former_swin-b",
        title="Mask2Former Swin-B",
        backbone="Swin-B",
        decode_head="Mask2FormerHead",
        template="mask2former",
        numbers=_frozen(  # mask2former/mask2former_swin-b-in22k-384x384-pre_8xb2-90k_cityscapes-512x1024.py
            pretrain_img_size=384,
            embed_dims=128,
            depths=list(_SWIN_B_DEPTHS),
            num_heads=[4, 8, 16, 32],
            window_size=12,
            in_channels=[128, 256, 512, 1024],
            num_queries=100,
            decoder_layers=9,
            class_weight=2.0,
            mask_weight=5.0,
            dice_weight=5.0,
            no_object_weight=0.1,
        ),
        stage_channels=(128, 256, 512, 1024),
        optimizer=Optimizer(
            "AdamW",
            _frozen(lr=0.0001, weight_decay=0.05, eps=1e-8, betas=(0.9, 0.999)),
            clip_grad_norm=0.01,
            paramwise=_mask2former_paramwise(_SWIN_B_DEPTHS),
        ),
        learning_rate=LearningRate(power=0.9, eta_min=0.0),
        pretrained=Pretrained(
            f"{_ONEDL_WEIGHTS}/swin/swin_base_patch4_window12_384_22k_20220317-e5c09f74.pth",
            "swin_base_patch4_window12_384_22k_20220317-e5c09f74.pth",
        ),
        test_size_divisor=32,
        takes_pixel_losses=False,
        source="mask2former/mask2former_swin-b-in22k-384x384-pre_8xb2-90k_cityscapes-512x1024.py",
    ),
)

MODELS: Mapping[str, Model] = MappingProxyType({model.name: model for model in _ALL})
