"""What a sample has to hold where a step or a head reads it, and labels that stay with their image."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from typing import Final

from provecfg.facts.data import LABEL_LOADERS
from provecfg.facts.facts import Facts
from provecfg.facts.numbers import number
from provecfg.facts.refusals import is_shipped
from provecfg.findings import Severity
from provecfg.mmconfig import Node
from provecfg.registry import ClassInfo
from provecfg.rules.data.pipelines import packs_by_itself, whole_pipelines
from provecfg.rules.rule import Mark, rule

_MIXED: Final = "mix_results"
"""Where MultiImageMixDataset puts the other images (mmsegmentation 1.2.2, datasets/dataset_wrappers.py)."""


@rule("DATA042", Severity.ERROR)
def nothing_to_mix(facts: Facts) -> Iterator[Mark]:
    """A transform that mixes several images is in the pipeline of a dataset that hands over one.

    Why it matters: the other images come from MultiImageMixDataset, for the transforms of its own pipeline alone.
    Anywhere else the transform raises a bare AssertionError in a batch that it is drawn for.

    Bad:
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(type='CityscapesDataset', pipeline=[
                dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
                dict(type='RandomMosaic', prob=1.0, img_scale=(512, 512)),
                dict(type='RandomCrop', crop_size=(512, 512)), dict(type='PackSegInputs')]))

    Good:
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(
                type='MultiImageMixDataset',
                dataset=dict(type='CityscapesDataset', pipeline=[
                    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]),
                pipeline=[
                    dict(type='RandomMosaic', prob=1.0, img_scale=(512, 512)),
                    dict(type='RandomCrop', crop_size=(512, 512)), dict(type='PackSegInputs')]))

    Known problems: judged where all transforms are mmseg's or mmcv's, and the dataset reads as the release's do.

    Source: mmsegmentation 1.2.2, datasets/transforms/transforms.py, `RandomMosaic`; mmsegmentation issue 1677.
    """
    for _, dataset in whole_pipelines(facts):
        own = dataset.node.get("pipeline")
        if own is None or not own.is_list or not dataset.is_read_as_the_release_does:
            continue
        for transform in own:
            info = facts.class_of(transform, "transform")
            if info is None or number(transform.value.get("prob")) == 0:
                continue
            # None of mmsegmentation's own configs mixes images; to read what a class asserts takes a tenth of a start.
            if is_shipped(facts, info, transform.value) or not _asserts(info, _MIXED):
                continue
            yield Mark(
                transform,
                f"{transform.type} mixes images, and {dataset.kind} hands over one at a time",
                "wrap the dataset in a MultiImageMixDataset, and put this into the wrapper's pipeline",
            )


def _asserts(info: ClassInfo, entry: str) -> bool:
    """Whether a method of a class of the release asserts that a sample has an entry."""
    texts = (text for record in info.ancestors if record is not None for text in record.excerpts.values())
    return any(entry in text and entry in _asserted(text) for text in texts)


@functools.lru_cache(maxsize=1024)
def _asserted(text: str) -> frozenset[str]:
    """The entries of which `assert 'entry' in sample` is said in the source of a method."""
    tests = [node.test for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Assert)]
    return frozenset(
        str(test.left.value)
        for test in tests
        if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.In) and isinstance(test.left, ast.Constant)
    )


_OTHER_LABELS: Final = {
    # mmsegmentation 1.2.2, models/decode_heads/{pid_head,vpd_depth_head}.py, `_stack_batch_gt`
    "PIDHead": ("gt_edge_map", "GenerateEdge"),
    "VPDDepthHead": ("gt_depth_map", "LoadDepthAnnotation"),
}
"""Heads that read labels of another kind than classes -> the entry of a sample, and the transform that makes it."""


@rule("DATA043", Severity.ERROR)
def label_that_nothing_makes(facts: Facts) -> Iterator[Mark]:
    """The head reads edges or depths, and the training pipeline makes none.

    Why it matters: the head reads them of every sample beside the classes: an AttributeError at the first iteration.

    Bad:
        model = dict(decode_head=dict(
            type='PIDHead', in_channels=256, channels=256, num_classes=19, loss_decode=[
                dict(type='CrossEntropyLoss', loss_weight=0.4), dict(type='OhemCrossEntropy', thres=0.9, min_kept=1000),
                dict(type='BoundaryLoss', loss_weight=20.0), dict(type='OhemCrossEntropy', thres=0.9, min_kept=1000)]))
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(type='CityscapesDataset', pipeline=[
                dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
                dict(type='RandomCrop', crop_size=(1024, 1024)), dict(type='PackSegInputs')]))

    Good:
        model = dict(decode_head=dict(
            type='PIDHead', in_channels=256, channels=256, num_classes=19, loss_decode=[
                dict(type='CrossEntropyLoss', loss_weight=0.4), dict(type='OhemCrossEntropy', thres=0.9, min_kept=1000),
                dict(type='BoundaryLoss', loss_weight=20.0), dict(type='OhemCrossEntropy', thres=0.9, min_kept=1000)]))
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(type='CityscapesDataset', pipeline=[
                dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
                dict(type='RandomCrop', crop_size=(1024, 1024)), dict(type='GenerateEdge', edge_width=4),
                dict(type='PackSegInputs')]))

    Known problems: judged where all transforms are mmseg's or mmcv's, and nothing of the user's comes between a sample
    and the head, which may make the labels itself.

    Source: mmsegmentation 1.2.2, models/decode_heads/pid_head.py, vpd_depth_head.py; mmsegmentation issue 3350.
    """
    for head in facts.heads:
        info = facts.class_of(head.node)
        label, maker = _OTHER_LABELS.get(head.kind, ("", ""))
        if not label or info is None or info.is_of_user or _are_samples_changed(facts):
            continue
        for loader, dataset in whole_pipelines(facts):
            if loader.split != "train" or dataset.transform("PackSegInputs") is None:
                continue
            if packs_by_itself(facts, loader, dataset):
                continue
            if dataset.transform(maker) is None and dataset.is_read_as_the_release_does:
                yield Mark(
                    dataset.node.get("pipeline") or dataset.node,
                    f"{head.kind} reads {label} of every sample, and no step makes it",
                    f"add dict(type='{maker}'" + (", edge_width=4)" if maker == "GenerateEdge" else ")"),
                )


_GIVEN_SAMPLES: Final = ("forward", "loss", "_decode_head_forward_train")
"""Methods of a preprocessor or a segmentor that samples go through to the head (mmsegmentation 1.2.2, models)."""


def _are_samples_changed(facts: Facts) -> bool:
    """Whether a segmentor or a preprocessor of the user's may put into a sample what the head reads of it."""
    nodes = [node for node in (facts.model, facts.preprocessor) if node is not None and node.type is not None]
    return any(facts.class_of(node) is None or facts.replaces(node, *_GIVEN_SAMPLES, extended=True) for node in nodes)


_MOVING: Final = frozenset(
    {
        # albumentations 1.4.0, README.md, "Spatial-level transforms": those that move pixels
        "Affine",
        "CenterCrop",
        "Crop",
        "CropAndPad",
        "CropNonEmptyMaskIfExists",
        "D4",
        "ElasticTransform",
        "Flip",
        "GridDistortion",
        "HorizontalFlip",
        "LongestMaxSize",
        "OpticalDistortion",
        "PadIfNeeded",
        "Perspective",
        "PiecewiseAffine",
        "RandomCrop",
        "RandomCropFromBorders",
        "RandomGridShuffle",
        "RandomResizedCrop",
        "RandomRotate90",
        "RandomScale",
        "RandomSizedCrop",
        "Resize",
        "Rotate",
        "SafeRotate",
        "ShiftScaleRotate",
        "SmallestMaxSize",
        "Transpose",
        "VerticalFlip",
    }
)
"""Transforms of albumentations that move the pixels of an image."""
_LABELS: Final = "gt_seg_map"


@rule("DATA044", Severity.ERROR)
def labels_not_in_the_keymap(facts: Facts) -> Iterator[Mark]:
    """Albu moves the pixels of the image, and its `keymap` leaves the labels out.

    Why it matters: a `keymap` replaces the default, which names both. Albumentations moves what it knows by name: the
    image is turned, and its label map is not, which trains; where the size changes, the batch fails.

    Bad:
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(type='CityscapesDataset', pipeline=[
                dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
                dict(type='Albu', keymap=dict(img='image'), transforms=[dict(type='HorizontalFlip', p=0.5)]),
                dict(type='RandomCrop', crop_size=(512, 512)), dict(type='PackSegInputs')]))

    Good:
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(type='CityscapesDataset', pipeline=[
                dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
                dict(type='Albu', keymap=dict(img='image', gt_seg_map='mask'), transforms=[
                    dict(type='HorizontalFlip', p=0.5)]),
                dict(type='RandomCrop', crop_size=(512, 512)), dict(type='PackSegInputs')]))

    Known problems: transforms that only colour the image may leave the labels out, and are left alone.

    Source: mmsegmentation 1.2.2, datasets/transforms/transforms.py, `Albu`; mmsegmentation issues 1922, 3179.
    """
    for loader, dataset in whole_pipelines(facts):
        is_loaded = False
        for transform in dataset.transforms if loader.split == "train" else ():
            is_loaded = is_loaded or transform.type in LABEL_LOADERS
            keymap = transform.get("keymap")
            if transform.type != "Albu" or not is_loaded or keymap is None or not keymap.is_dict or not keymap.value:
                continue
            targets = facts.value(transform, "additional_targets")
            if _LABELS in keymap.value or any(part.is_opaque for part in keymap.walk()) or targets is not None:
                continue
            moving = _moving(transform)
            if moving is not None:
                yield Mark(
                    keymap,
                    f"{moving} moves the image, and the keymap names no {_LABELS}: the labels stay",
                    f"say keymap=dict(img='image', {_LABELS}='mask'), or leave it out, which is the same",
                )


def _moving(transform: Node) -> str | None:
    """The first of Albu's own transforms that moves pixels, and is ever drawn."""
    own = transform.get("transforms")
    parts = (part for part in own.walk() if part.is_dict and part.value.get("p") != 0) if own is not None else ()
    return next((part.type for part in parts if part.type in _MOVING), None)
