"""What single samples show: labels, sizes, classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS

from provecfg.findings import Finding
from provecfg.proof.data.label_heads import LabelHead
from provecfg.proof.data.problems import (
    CLASSES_DISAGREE,
    LABELS_OUTSIDE,
    MOSTLY_IGNORED,
    NO_LABEL_MAP,
    PIPELINE_FAILS,
    SIZES_APART,
)
from provecfg.proof.data.sample_reader import ReadFailure, Sample, SampledDataset, leaves
from provecfg.proof.exceptions import described
from provecfg.spelling import first_few as some

_MOSTLY = 0.9
"""Share of ignored pixels from which on little is left to train on."""


def failure(failed: ReadFailure, images: str) -> Finding:
    """The finding of a dataset or a pipeline that fails on `images` ("made images", "the data")."""
    return Finding(
        PIPELINE_FAILS,
        f"{failed.what} on {images}: {described(failed.error)}",
        failed.key,
    )


def check_samples(
    split: str, key: str, samples: Sequence[Sample], heads: Sequence[LabelHead], *, is_real: bool
) -> Iterator[Finding]:
    """What is wrong with samples as they come out of the pipeline.

    Args:
        split: `train` or `val`.
        key: Dotted path of the dataset.
        samples: What was read, images in each.
        heads: Those that are trained on the labels.
        is_real: Whether it is the user's data.
    """
    whose = "" if is_real else " of a made image"
    for sample in samples:
        if sample.labels is None:
            name = f" of {sample.image_path!r}" if is_real else whose
            yield Finding(
                NO_LABEL_MAP,
                f"the sample{name} comes out of the {split} pipeline without its label map (gt_sem_seg)",
                f"{key}.pipeline",
                hint="LoadAnnotations has to be in the pipeline, before PackSegInputs",
            )
            return
    apart = next((finding for sample in samples for finding in _sizes_apart(split, key, sample, is_real)), None)
    if apart is not None:
        yield apart
    if split == "train":
        yield from _labels_outside(key, samples, heads, is_real)


def _sizes_apart(split: str, key: str, sample: Sample, is_real: bool) -> Iterator[Finding]:
    assert sample.inputs is not None
    assert sample.labels is not None
    labels, image = tuple(sample.labels.shape), tuple(sample.inputs.shape[1:])
    name = f"{sample.image_path!r}" if is_real else "a made image"
    if split == "train" and labels != image:
        yield Finding(
            SIZES_APART,
            f"{name} leaves the training pipeline as {_size(image)}, its label map as {_size(labels)}",
            f"{key}.pipeline",
            hint="what changes the image's size has to come after LoadAnnotations, and change the label map, too",
        )
    elif split == "val" and sample.original is not None and labels != sample.original:
        yield Finding(
            SIZES_APART,
            f"{name} is read as {_size(sample.original)}, which is the size of its prediction; its label map is "
            f"{_size(labels)}",
            f"{key}.pipeline",
            hint="load the label map after Resize: LoadAnnotations behind it keeps its own size",
        )


def _labels_outside(
    key: str, samples: Sequence[Sample], heads: Sequence[LabelHead], is_real: bool
) -> Iterator[Finding]:
    for head in heads:
        outside: dict[int, str] = {}
        for sample in samples:
            for value in sample.values:
                if value != head.ignored and not 0 <= value <= head.largest:
                    outside.setdefault(value, sample.label_path)
        if outside:
            value, path = max(outside.items())
            where = f"label {value} of {path!r}" if is_real else f"the dataset's label {value}"
            others = some([str(other) for other in sorted(outside)[:-1]], 6)
            more = f" (as do {others})" if others else ""
            yield Finding(
                LABELS_OUTSIDE,
                f"{where} reaches {head.key}{more}, which takes 0 to {head.largest} and ignores {head.ignored}",
                f"{head.key}.num_classes",
                hint="the dataset's classes, reduce_zero_label, and num_classes, out_channels and ignore_index of the "
                "head have to fit together",
            )


def check_ignored(key: str, samples: Sequence[Sample], ignored: int) -> Iterator[Finding]:
    """Whether most pixels of a training sample of the user's data are ignored."""
    share = ignored_share(samples, ignored)
    if share is not None and share > _MOSTLY:
        yield Finding(
            MOSTLY_IGNORED,
            f"{share:.0%} of the pixels of {len(samples)} training samples have the ignored label {ignored}",
            f"{key}.data_prefix.seg_map_path",
        )


def ignored_share(samples: Sequence[Sample], ignored: int) -> float | None:
    """Share of the pixels of label maps that are ignored, in [0, 1], or None without a pixel."""
    maps = [sample.labels for sample in samples if sample.labels is not None]
    pixels = sum(labels.numel() for labels in maps)
    return sum(int((labels == ignored).sum()) for labels in maps) / pixels if pixels else None


def labels_in(samples: Sequence[Sample]) -> set[int]:
    """Every label of the samples."""
    return {value for sample in samples for value in sample.values}


def check_classes(
    config: Any, split: str, key: str, read: SampledDataset, heads: Sequence[LabelHead]
) -> Iterator[Finding]:
    """Whether dataset, heads and metric mean the same classes.

    Args:
        config: The config.
        split: `train` or `val`.
        key: Dotted path of the dataset.
        read: The built dataset.
        heads: Those that are trained on the labels.
    """
    metainfo = getattr(read.dataset, "metainfo", None) or {}
    classes = metainfo.get("classes")
    leaf, leaf_key = next(leaves(read.dataset, key), (None, key))
    if classes is None:
        if split == "val" and _has_iou_metric(config):
            yield Finding(
                CLASSES_DISAGREE,
                f"{type(leaf).__name__} of the validation names no classes, and IoUMetric counts by their names",
                f"{leaf_key}.metainfo",
                hint="give it metainfo=dict(classes=(...), palette=[...]), in lower case",
            )
        return
    for head in heads:
        if head.classes != len(classes):
            yield Finding(
                CLASSES_DISAGREE,
                f"{head.key} tells {head.classes} classes apart, and {type(leaf).__name__} of the "
                f"{'training' if split == 'train' else 'validation'} has {len(classes)}: {some(list(classes), 4)}",
                f"{head.key}.num_classes",
                hint=f"num_classes={len(classes)}, or name the classes in the dataset's metainfo (in lower case)",
            )


def check_ignored_class(config: Any, heads: Sequence[LabelHead]) -> Iterator[Finding]:
    """Whether a class is left out of the training and counted by the metric."""
    evaluators = config.get("val_evaluator") or []
    for evaluator in [evaluators] if isinstance(evaluators, dict) else evaluators:
        if not _is_iou_metric(evaluator):
            continue
        counted = evaluator.get("ignore_index", 255)
        for head in heads:
            if 0 <= head.ignored < head.classes and counted != head.ignored:
                yield Finding(
                    CLASSES_DISAGREE,
                    f"{head.key} ignores label {head.ignored}, which is a class, and the metric counts it: it is never "
                    "trained, and its IoU of about 0 is part of the mean",
                    f"{head.key}.ignore_index",
                    hint=f"give IoUMetric ignore_index={head.ignored}, or use reduce_zero_label",
                )


def _has_iou_metric(config: Any) -> bool:
    evaluators = config.get("val_evaluator") or []
    return any(_is_iou_metric(metric) for metric in ([evaluators] if isinstance(evaluators, dict) else evaluators))


def _is_iou_metric(evaluator: Any) -> bool:
    kind = evaluator.get("type") if isinstance(evaluator, dict) else None
    cls = METRICS.get(kind) if isinstance(kind, str) else kind
    return isinstance(cls, type) and issubclass(cls, IoUMetric)


def _size(size: tuple[int, ...]) -> str:
    height, width = size
    return f"{width}x{height}"
