"""The model around the heads: pretrained weights, stages, batch norm, and how it predicts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from provecfg.facts.data import Dataset, final_size, is_no_pair, pair
from provecfg.facts.facts import Facts
from provecfg.facts.lookup import scope_and_name
from provecfg.facts.model import Head, settings_read
from provecfg.facts.numbers import count
from provecfg.findings import Severity
from provecfg.invariants import images_for_pooled_batch_norm
from provecfg.mmconfig import Node
from provecfg.registry import ClassInfo
from provecfg.rules.edits import fix, put, removed, replaced
from provecfg.rules.rule import Mark, rule
from provecfg.spelling import is_misspelling, nearest_names


@rule("HEAD018", Severity.WARNING)
def batch_norm_of_one_image(facts: Facts) -> Iterator[Mark]:
    """A head normalises features that are pooled to one pixel, over a batch of one image.

    Why it matters: batch norm needs more than one value per channel: "Expected more than 1 value per channel when
    training", at the first iteration. SyncBN over several processes has them; on one it is the same as BN.

    Bad:
        model = dict(decode_head=dict(
            type='PSPHead', in_channels=2048, channels=512, num_classes=4, norm_cfg=dict(type='BN')))
        train_dataloader = dict(batch_size=1, sampler=dict(type='InfiniteSampler'))

    Good:
        model = dict(decode_head=dict(
            type='PSPHead', in_channels=2048, channels=512, num_classes=4, norm_cfg=dict(type='BN')))
        train_dataloader = dict(batch_size=2, sampler=dict(type='InfiniteSampler'))

    Known problems: SyncBN is not reported, since it has the images of all processes, and no config says how many there
    are; `provecfg run`, which starts them, refuses it on one (RUN117).

    Source: torch.nn.functional, `_verify_batch_size`; mmsegmentation issue 272.
    """
    train = facts.loader("train")
    if train is None or train.batch_size is None or images_for_pooled_batch_norm(train.batch_size) is None:
        return
    kind = normalising_pooled(facts, BATCH_NORMS)
    if kind is not None:
        yield Mark(
            train.node.get("batch_size") or train.node,
            f"{kind}: {images_for_pooled_batch_norm(train.batch_size)}",
            "set batch_size=2 or more, or norm_cfg=dict(type='GN', num_groups=32) in that part",
        )


BATCH_NORMS: Final = ("BN", "BN2d")
"""Norms over the images of one process."""
SYNCHRONISED_NORMS: Final = ("SyncBN", "MMSyncBN")
"""Norms over the images of all processes; on one, the same as a batch norm."""


_POOLING_BACKBONES: Final = frozenset({"BiSeNetV1", "BiSeNetV2", "FastSCNN", "ICNet", "STDCContextPathNet"})
"""Backbones with a branch that pools to one pixel and normalises (mmsegmentation 1.2.2, models/backbones)."""


def normalising_pooled(facts: Facts, norms: Collection[str]) -> str | None:
    """The class of a part that normalises features pooled to one pixel, by one of these norms, or None."""
    parts = [(head.node, head.kind) for head in facts.heads if _pools_to_one_pixel(facts, head)]
    backbone = facts.section("model.backbone")
    if backbone is not None and (kind := backbone.type) is not None and kind in _POOLING_BACKBONES:
        parts.append((backbone, kind))
    return next((kind for part, kind in parts if facts.value(part.get("norm_cfg"), "type") in norms), None)


def _pools_to_one_pixel(facts: Facts, head: Head) -> bool:
    info = facts.class_of(head.node)
    if info is None:
        return False
    if any(info.is_a(name) for name in ("PSPHead", "UPerHead", "APCHead")):
        scales = head.get("pool_scales")
        return isinstance(scales, (list, tuple)) and 1 in scales
    return info.is_a("ASPPHead")


@rule("HEAD019", Severity.ERROR)
def weights_named_twice(facts: Facts) -> Iterator[Mark]:
    """Pretrained weights are named at two places.

    Why it matters: the segmentor hands its `pretrained` to the backbone and asserts that it has none of its own; a
    backbone asserts that `pretrained` and `init_cfg` are not both set. Either fails when the model is built.

    Bad:
        model = dict(pretrained='a.pth', backbone=dict(pretrained='b.pth'))

    Good:
        model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='b.pth')))

    Source: mmsegmentation 1.2.2, models/segmentors/encoder_decoder.py; models/backbones/resnet.py.
    """
    outer, backbone = facts.of_model("pretrained"), facts.section("model.backbone")
    if backbone is None:
        return
    inner, init = backbone.get("pretrained"), backbone.get("init_cfg")
    is_twice = sum(weights is not None and weights.value is not None for weights in (outer, inner, init)) > 1
    if not is_twice or facts.is_unknown_to_release(facts.model):
        return
    if outer is not None and isinstance(outer.value, str) and inner is not None and inner.value is not None:
        yield Mark(
            outer,
            "pretrained is set on the model and on its backbone",
            "keep the backbone's",
            fix("drop the model's", removed(outer), safe=False),
        )
    pretrained = inner if inner is not None and isinstance(inner.value, str) else None
    pretrained = pretrained or (outer if outer is not None and isinstance(outer.value, str) else None)
    info = facts.class_of(backbone)
    # a class of the user's may load the two in turn
    reads_both = info.is_of_user if info is not None else backbone.type is not None
    if pretrained is not None and init is not None and init.value and not reads_both:
        yield Mark(pretrained, "the backbone's weights are named by pretrained and by init_cfg", "keep init_cfg")


@rule("HEAD020", Severity.ERROR)
def slide_inference(facts: Facts) -> Iterator[Mark]:
    """Sliding inference is not set up completely.

    Why it matters: `mode='slide'` needs `crop_size` and `stride`, two numbers each, and the stride must not exceed the
    crop. It is read at the first validation, after hours of training: an AttributeError, a TypeError or a bare
    AssertionError.

    Bad:
        model = dict(test_cfg=dict(mode='slide', crop_size=(512, 512)))
        val_dataloader = dict(batch_size=1)

    Good:
        model = dict(test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))
        val_dataloader = dict(batch_size=1)

    Source: mmsegmentation 1.2.2, models/segmentors/encoder_decoder.py, `slide_inference`, `inference`.
    """
    test, kind = facts.section("model.test_cfg"), facts.of_model("type")
    if facts.loader("val") is None and facts.loader("test") is None:
        return  # a base of configs that may say more
    reads_mode = kind is not None and scope_and_name(kind.value)[1] in ("EncoderDecoder", "CascadeEncoderDecoder")
    if reads_mode and facts.schedule.validates:
        test_cfg = facts.of_model("test_cfg")
        is_set = test_cfg is not None and test_cfg.value is not None
        lacking = facts.model if not is_set else test
        if lacking is not None and (not is_set or "mode" not in lacking.value):
            yield Mark(
                lacking,
                "the model's test_cfg has no mode, which is read at the first validation",
                "set test_cfg=dict(mode='whole')",
                missing="test_cfg" if test is None else "mode",
            )
    if test is None:
        return
    mode = facts.value(test, "mode", "whole")
    plain = kind is None or kind.value in (None, "EncoderDecoder", "CascadeEncoderDecoder")
    is_own_mode = isinstance(mode, str) and facts.segmentor is not None and facts.segmentor.names_text(mode)
    if isinstance(mode, str) and mode not in ("slide", "whole") and plain and not is_own_mode:
        yield Mark(test.get("mode") or test, f"no inference mode {mode!r}", "use 'slide' or 'whole'")
    if mode != "slide":
        return
    sizes = {}
    for name in ("crop_size", "stride"):
        node = test.get(name)
        if node is None or node.value is None:
            yield Mark(test, f"sliding inference without {name}", f"set {name} to (height, width)", missing=name)
        elif isinstance(node.value, int):
            both = (node.value, node.value)
            yield Mark(
                node,
                f"{name}={node.value!r:.60} is one number, sliding inference unpacks two",
                f"write {both!r:.60}",
                fix(f"write {both!r:.60}", replaced(node, both), safe=False),
            )
        elif (height_and_width := pair(node.value)) is not None:
            sizes[name] = height_and_width
        elif is_no_pair(node.value):
            yield Mark(node, f"{name}={node.value!r:.60} is no pair of whole numbers", f"set {name} to (height, width)")
    if (
        len(sizes) == 2
        and any(step > side for step, side in zip(sizes["stride"], sizes["crop_size"], strict=True))
        and not _makes_own_images(facts)  # which may be no larger than the crop
    ):
        yield Mark(
            test.get("stride") or test,
            f"stride {sizes['stride']!r:.60} is larger than the crop {sizes['crop_size']!r:.60}: pixels between are "
            "never seen",
            "make it smaller than the crop, two thirds of it for example",
        )


def _makes_own_images(facts: Facts) -> bool:
    """Whether a transform of the user's has a part in the size of the images that are predicted."""
    loaders = [loader for split in ("val", "test") if (loader := facts.loader(split)) is not None]
    transforms = [transform for loader in loaders for dataset in loader.datasets for transform in dataset.transforms]
    infos = [facts.class_of(transform, "transform") for transform in transforms]
    return any(info is None or info.is_of_user for info in infos)


@rule("HEAD029", Severity.WARNING)
def unread_key_of_the_model(facts: Facts) -> Iterator[Mark]:
    """Nothing reads a key of the model's `train_cfg` or `test_cfg`.

    Why it matters: the segmentor and its heads look up the keys that they know and leave the others: a setting that is
    misspelt, or that belongs to a head or to the loop, has no effect.

    Bad:
        model = dict(
            type='EncoderDecoder',
            backbone=dict(type='ResNetV1c', depth=18),
            decode_head=dict(type='FCNHead', in_channels=512, channels=128, num_classes=19),
            test_cfg=dict(mode='whole', align_corners=True))

    Good:
        model = dict(
            type='EncoderDecoder',
            backbone=dict(type='ResNetV1c', depth=18),
            decode_head=dict(type='FCNHead', in_channels=512, channels=128, num_classes=19, align_corners=True),
            test_cfg=dict(mode='whole'))

    Known problems: judged where the segmentor and all of its heads are mmsegmentation's or provecfg's.

    Source: mmsegmentation 1.2.2, models/segmentors/encoder_decoder.py; models/decode_heads/point_head.py.
    """
    infos = [facts.segmentor, *(facts.class_of(head.node) for head in facts.heads)]
    if facts.heads and all(info is not None and _is_of_mmseg(info) for info in infos):
        for key in ("train_cfg", "test_cfg"):
            yield from _unread(facts.of_model(key), [info for info in infos if info is not None], key)
    preprocessor = facts.preprocessor
    info = facts.class_of(preprocessor)
    if preprocessor is not None and info is not None and info.type_name == "SegDataPreProcessor":
        yield from _unread(preprocessor.get("test_cfg"), [info], "test_cfg")


def _is_of_mmseg(info: ClassInfo) -> bool:
    return not info.is_of_user and info.dotted.startswith(("mmseg.", "provecfg."))


def _unread(section: Node | None, readers: list[ClassInfo], key: str) -> Iterator[Mark]:
    """The keys of a `train_cfg` or `test_cfg` that none of the classes reads; one that is None does nothing anyway."""
    known = settings_read(readers, key)
    for node in section if section is not None and section.is_dict else ():
        if node.name in known or node.name.startswith("_") or node.value is None:
            continue
        near = [name for name in nearest_names(node.name, known) if is_misspelling(node.name, name)]
        homes = [info.type_name for info in readers if node.name in info.parameters]
        hint = f"did you mean {near[0]!r}?" if near else f"{homes[0]} takes it" if homes else "leave it out"
        yield Mark(node, f"nothing reads {node.name!r} of {key}", hint, at_key=True, covers=node)


@rule("HEAD031", Severity.ERROR)
def windows_of_padded_images(facts: Facts) -> Iterator[Mark]:
    """Mask2Former predicts in windows of an image that is padded.

    Why it matters: the head resizes each window's prediction to the size of the padded image. It does not fit the
    window's place: a RuntimeError at the first image that is larger than a window, which the first validation has.

    Bad:
        model = dict(
            data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512), test_cfg=dict(size_divisor=32)),
            decode_head=dict(
                type='Mask2FormerHead', num_classes=19, in_channels=[256, 512, 1024, 2048], feat_channels=256,
                out_channels=256,
                loss_cls=dict(type='mmdet.CrossEntropyLoss', class_weight=[1.0] * 19 + [0.1])),
            test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))
        val_dataloader = dict(
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(
                type='CityscapesDataset',
                pipeline=[
                    dict(type='LoadImageFromFile'), dict(type='Resize', scale=(2048, 1024), keep_ratio=True),
                    dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))

    Good:
        model = dict(
            data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512), test_cfg=None),
            decode_head=dict(
                type='Mask2FormerHead', num_classes=19, in_channels=[256, 512, 1024, 2048], feat_channels=256,
                out_channels=256,
                loss_cls=dict(type='mmdet.CrossEntropyLoss', class_weight=[1.0] * 19 + [0.1])),
            test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))
        val_dataloader = dict(
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(
                type='CityscapesDataset',
                pipeline=[
                    dict(type='LoadImageFromFile'), dict(type='Resize', scale=(2048, 1024), keep_ratio=True),
                    dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))

    Known problems: judged where the pipeline makes every image larger than a window; else that is for the data to say.

    Source: mmsegmentation 1.2.2, models/decode_heads/mask2former_head.py, `predict`; mmsegmentation issue 3666.
    """
    test, padding = facts.section("model.test_cfg"), facts.value(facts.preprocessor, "test_cfg")
    if facts.value(test, "mode") != "slide" or not isinstance(padding, dict) or not padding:
        return
    window = pair(facts.value(test, "crop_size"))
    predicted = [dataset for loader, dataset in facts.datasets if loader.split != "train"]
    if window is None or not any(_is_larger(dataset, max(window)) for dataset in predicted):
        return
    for head in facts.heads:
        info = facts.class_of(head.node)
        if info is not None and not info.is_of_user and info.is_a("Mask2FormerHead") and facts.preprocessor is not None:
            yield Mark(
                facts.preprocessor.get("test_cfg") or facts.preprocessor,
                "images are padded, and Mask2FormerHead predicts windows of them at the size of all",
                "set the data preprocessor's test_cfg=None, or predict with mode='whole'",
            )
            return


def _is_larger(dataset: Dataset, window: int) -> bool:
    """Whether every image of a dataset is resized to more than a window on one side, whatever its own shape.

    Args:
        dataset: Of the validation or the test.
        window: The longer side of a window, in pixels.
    """
    resize = dataset.transform("Resize")
    scale = resize.value.get("scale") if resize is not None else None
    if resize is None or not (isinstance(scale, (list, tuple)) and len(scale) == 2 and all(map(count, scale))):
        return False
    return bool(min(scale) > window if resize.value.get("keep_ratio", False) else max(scale) > window)


@rule("HEAD032", Severity.ERROR)
def positions_of_another_size(facts: Facts) -> Iterator[Mark]:
    """BEiT or MAE is built for images of another size than it is trained on.

    Why it matters: their positions are not resized, as ViT's are. A RuntimeError at the first iteration: the size of
    tensor a must match the size of tensor b.

    Bad:
        model = dict(
            data_preprocessor=dict(type='SegDataPreProcessor', size=(128, 128)),
            backbone=dict(type='MAE', img_size=(512, 512), patch_size=16))

    Good:
        model = dict(
            data_preprocessor=dict(type='SegDataPreProcessor', size=(128, 128)),
            backbone=dict(type='MAE', img_size=(128, 128), patch_size=16))

    Known problems: judged where the training pipeline makes no image larger than what images are padded to.

    Source: mmsegmentation 1.2.2, models/backbones/mae.py, `forward`; models/backbones/beit.py, `BEiTAttention.forward`;
    mmsegmentation issue 1613.
    """
    backbone, size = facts.section("model.backbone"), pair(facts.value(facts.preprocessor, "size"))
    info = facts.class_of(backbone)
    if backbone is None or info is None or info.is_of_user or not info.is_a("BEiT"):
        return
    if facts.preprocessor is None or facts.preprocessor.type != "SegDataPreProcessor":
        return
    train = facts.loader("train")
    if size is None or any(_may_be_larger(dataset, size) for dataset in (train.datasets if train is not None else ())):
        return  # padding makes images larger, and never smaller
    own, patch = pair(facts.argument(backbone, "img_size")), pair(facts.argument(backbone, "patch_size"))
    if own is None or patch is None or size is None:
        return
    if [side // step for side, step in zip(own, patch, strict=True)] != [
        side // step for side, step in zip(size, patch, strict=True)
    ]:
        yield Mark(
            backbone.get("img_size") or backbone,
            f"positions of images of {own}, and images are padded to {size}",
            f"set img_size={size}",
        )


def _may_be_larger(dataset: Dataset, size: tuple[int, int]) -> bool:
    final = final_size(dataset.transforms)
    if final is None or final.height is None or final.width is None:
        return True
    return final.height > size[0] or final.width > size[1]


@rule("HEAD024", Severity.WARNING)
def backbone_loads_whole_model(facts: Facts) -> Iterator[Mark]:
    """The backbone is initialised from a checkpoint of a whole segmentation model.

    Why it matters: the names in it begin with `backbone.`, and none of them matches. The missing keys are a line in the
    log; training starts from random weights.

    Bad:
        model = dict(backbone=dict(init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pspnet/pspnet_r50-d8_512x512_80k.pth')))

    Good:
        model = dict(backbone=dict(init_cfg=dict(
            type='Pretrained',
            prefix='backbone.',
            checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pspnet/pspnet_r50-d8_512x512_80k.pth')))

    Known problems: judged by the address only, so for mmsegmentation's own checkpoints.

    Source: mmengine 0.10.7, model/weight_init.py, `PretrainedInit`; mmsegmentation issues 1380 and 2509.
    """
    init = facts.section("model.backbone.init_cfg")
    if init is None or init.type != "Pretrained" or facts.value(init, "prefix") is not None:
        return
    node = init.get("checkpoint")
    address = node.value if node is not None else None
    if isinstance(address, str) and "/mmsegmentation/v0.5/" in address and "/pretrain/" not in address:
        yield Mark(
            node or init,
            "a checkpoint of a whole segmentation model: none of its names matches the backbone's",
            "set prefix='backbone.'",
            fix("load the backbone's part", put(init, "prefix", "backbone."), safe=False),
        )
