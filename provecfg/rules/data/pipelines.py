"""The steps of a pipeline: what has to be there, in which order, and what validation must not do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provecfg.facts.data import DATASET_CLASSES, LABEL_LOADERS, Dataset, Loader, pair
from provecfg.facts.facts import Facts
from provecfg.facts.numbers import number
from provecfg.findings import Severity
from provecfg.mmconfig import Node
from provecfg.registry import ClassInfo
from provecfg.rules.rule import Mark, rule

_RESIZING_AT_RANDOM: Final = frozenset({"RandomResize", "RandomChoiceResize"})
_RESIZING: Final = _RESIZING_AT_RANDOM | {"Resize", "ResizeShortestEdge", "ResizeToMultiple"}


@rule("DATA009", Severity.ERROR)
def labels_resized_in_validation(facts: Facts) -> Iterator[Mark]:
    """The validation pipeline loads the labels before it resizes.

    Why it matters: predictions are compared at the image's own size, and the labels were resized with the image: an
    IndexError about shapes at the first validation. A size that the images of the data set have already is none.

    Bad:
        val_dataloader = dict(sampler=dict(type='DefaultSampler'), dataset=dict(type='CityscapesDataset', pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='Resize', scale=(1024, 512), keep_ratio=True),
            dict(type='PackSegInputs'),
        ]))

    Good:
        val_dataloader = dict(sampler=dict(type='DefaultSampler'), dataset=dict(type='CityscapesDataset', pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(1024, 512), keep_ratio=True),
            dict(type='LoadAnnotations'),
            dict(type='PackSegInputs'),
        ]))

    Known problems: a fixed size is DATA041, but for data sets of which it is known which sizes their images have.

    Source: mmsegmentation 1.2.2, evaluation/metrics/iou_metric.py; mmsegmentation issue 3185.
    """
    for load, resize, is_certain in _labels_resized(facts):
        if is_certain:
            yield Mark(
                load,
                f"labels are loaded before {resize.type}, and resized with the image",
                f"put {load.type} behind {resize.type}",
            )


@rule("DATA041", Severity.WARNING)
def labels_brought_to_a_size(facts: Facts) -> Iterator[Mark]:
    """The validation pipeline loads the labels before it brings both to a fixed size.

    Why it matters: predictions are compared at the image's own size. If that is not the fixed one for every image, the
    first validation fails with an IndexError about shapes; if it is, the resize does nothing.

    Bad:
        val_dataloader = dict(sampler=dict(type='DefaultSampler'), dataset=dict(
            type='BaseSegDataset', metainfo=dict(classes=('a', 'b')), pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='Resize', scale=(1024, 1024)),
            dict(type='PackSegInputs'),
        ]))

    Good:
        val_dataloader = dict(sampler=dict(type='DefaultSampler'), dataset=dict(
            type='BaseSegDataset', metainfo=dict(classes=('a', 'b')), pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(1024, 1024)),
            dict(type='LoadAnnotations'),
            dict(type='PackSegInputs'),
        ]))

    Source: mmsegmentation 1.2.2, evaluation/metrics/iou_metric.py; mmsegmentation issue 3185.
    """
    for load, resize, is_certain in _labels_resized(facts):
        if not is_certain:
            yield Mark(
                load,
                f"labels are loaded before {resize.type}: validation fails unless all images have that size",
                f"put {load.type} behind {resize.type}",
            )


_OF_MANY_SIZES: Final = frozenset(
    {
        "ADE20KDataset",
        "COCOStuffDataset",
        "MapillaryDataset_v1",
        "MapillaryDataset_v2",
        "PascalContextDataset",
        "PascalContextDataset59",
        "PascalVOCDataset",
    }
)
"""Datasets of photographs as they were taken (mmsegmentation 1.2.2, datasets)."""
_OF_ONE_SIZE: Final = {"BDD100KDataset": (1280, 720), "CityscapesDataset": (2048, 1024)}
"""Width and height of all images, px (Yu et al. 2020, BDD100K; Cordts et al. 2016, Cityscapes)."""


def _labels_resized(facts: Facts) -> Iterator[tuple[Node, Node, bool]]:
    """What loads the labels of a validation or test, what resizes them then, and whether it surely changes a size."""
    for loader, dataset in facts.datasets:
        if loader.split == "train":
            continue
        load = None
        for index, node in enumerate(dataset.transforms):
            kind = node.type
            rest = dataset.transforms[index + 1 :]
            if kind in LABEL_LOADERS:
                load = node
            elif any(each.type in LABEL_LOADERS or _is_of_user(facts, each) for each in rest):
                continue  # labels are loaded again, or made to fit
            elif kind in _RESIZING and load is not None:
                if not _leaves_the_size(node, dataset):
                    yield load, node, _changes_sizes(dataset, node)
                break


def _has_its_images(dataset: Dataset) -> bool:
    """Whether a dataset has the images that its class is named after: others have other classes, as a rule."""
    return dataset.is_of_release and dataset.classes == DATASET_CLASSES.get(dataset.kind)


def _leaves_the_size(resize: Node, dataset: Dataset) -> bool:
    """Whether every image of a dataset has the size that it is resized to."""
    scale, size = pair(resize.value.get("scale")), _OF_ONE_SIZE.get(dataset.kind)
    if resize.type != "Resize" or scale is None or size is None or not _has_its_images(dataset):
        return False
    if resize.value.get("keep_ratio") is True:  # mmcv 2.1.0, image/geometric.py, `rescale_size`
        return min(max(scale) / max(size), min(scale) / min(size)) == 1
    return scale == size


def _changes_sizes(dataset: Dataset, resize: Node) -> bool:
    """Whether a transform that does not leave all sizes is certain to change one."""
    scale = resize.value.get("scale")
    is_factor = resize.type == "Resize" and scale is None and resize.value.get("scale_factor") not in (None, 1)
    if resize.type in _RESIZING_AT_RANDOM or is_factor:
        return True
    if not _has_its_images(dataset):
        return False
    is_of_one_size = dataset.kind in _OF_ONE_SIZE and resize.type == "Resize" and pair(scale) is not None
    return is_of_one_size or dataset.kind in _OF_MANY_SIZES


_HOLDS_TRANSFORMS: Final = ("Compose", "RandomApply", "RandomChoice", "TestTimeAug")


@rule("DATA016", Severity.ERROR)
def pipeline_lacks_a_step(facts: Facts) -> Iterator[Mark]:
    """The pipeline does not load labels, or does not pack its results.

    Why it matters: without LoadAnnotations there are no labels to train on, or to measure with; without PackSegInputs
    the model is not given what it reads. Either fails at the first batch.

    Bad:
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(
                type='CityscapesDataset',
                pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]))

    Good:
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(
                type='CityscapesDataset',
                pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))

    Known problems: judged where all transforms are mmseg's or mmcv's.

    Source: mmsegmentation 1.2.2, datasets/transforms/formatting.py; evaluation/metrics/iou_metric.py, `process`.
    """
    measures = any(
        evaluator.kind == "IoUMetric" and facts.value(evaluator.node, "format_only", False) is False
        for evaluator in facts.val_evaluators
    )
    says_pipelines = facts.is_whole_run and any(dataset.transforms for _, dataset in facts.datasets)
    for loader, dataset in facts.datasets:
        pipeline = dataset.node.get("pipeline")
        of_dataset = facts.class_of(dataset.node, "dataset")
        if of_dataset is None or not of_dataset.dotted.startswith("mmseg."):
            continue
        if not _is_released(facts, of_dataset):
            continue  # it may hold others under keys of its own
        if pipeline is None and dataset.outer_pipeline is None and says_pipelines:
            yield Mark(
                dataset.node, "no pipeline: images are neither loaded nor packed", "give it one", missing="pipeline"
            )
        if pipeline is None or not dataset.transforms:
            continue
        kinds = []
        for node in dataset.transforms:
            info = facts.class_of(node, "transform")
            if info is None or info.dotted.partition(".")[0] not in ("mmseg", "mmcv") or not _is_released(facts, info):
                break
            kinds.append(info.type_name)
        else:
            packs = any(kind.startswith("Pack") or kind in _HOLDS_TRANSFORMS for kind in kinds)
            if not packs and not _packs_by_itself(facts, loader, dataset):
                yield Mark(pipeline, "the pipeline does not end with PackSegInputs", "add it as the last step")
            loads = any("Annotation" in kind or kind in _HOLDS_TRANSFORMS for kind in kinds)
            if not loads and loader.split == "train":
                yield Mark(pipeline, "the training pipeline loads no labels", "add dict(type='LoadAnnotations')")
            if not loads and loader.split == "val" and measures:
                yield Mark(
                    pipeline,
                    "the validation pipeline loads no labels, which IoUMetric reads",
                    "add dict(type='LoadAnnotations')",
                )


def _packs_by_itself(facts: Facts, loader: Loader, dataset: Dataset) -> bool:
    """Whether something of the user's comes between a pipeline and the model: a collate function, or a wrapper."""
    if "collate_fn" in loader.node.value:
        return True
    around = dataset.node.parent
    while around is not None and around is not loader.node:
        info = facts.class_of(around, "dataset") if around.is_dict and "type" in around.value else None
        if info is not None and not _is_released(facts, info):
            return True
        around = around.parent
    return False


def whole_pipelines(facts: Facts) -> Iterator[tuple[Loader, Dataset]]:
    """Datasets whose transforms are all known, so that what is not there is missing."""
    if not facts.is_mmseg:
        return
    for loader in facts.loaders:
        for dataset in loader.datasets:
            infos = [facts.class_of(transform, "transform") for transform in dataset.transforms]
            if infos and all(info is not None and _is_released(facts, info) for info in infos):
                yield loader, dataset


def _is_of_user(facts: Facts, transform: Node) -> bool:
    info = facts.class_of(transform, "transform")
    return info is not None and not _is_released(facts, info)


def _is_released(facts: Facts, info: ClassInfo) -> bool:
    """Whether a transform does what its name says here: a fork of mmsegmentation may have others in its own tree."""
    return facts.registry.snapshot.record(info.dotted) is not None or info.dotted.startswith("provecfg.")


@rule("DATA025", Severity.ERROR)
def no_image_loaded(facts: Facts) -> Iterator[Mark]:
    """The pipeline does not load an image.

    Why it matters: a dataset hands over paths. The first transform that wants the image fails with a KeyError, in the
    first batch or, for validation data, after the first interval.

    Bad:
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(type='CityscapesDataset', pipeline=[dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))

    Good:
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(
                type='CityscapesDataset',
                pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))

    Known problems: judged where all transforms are mmseg's or mmcv's and the last one packs.

    Source: mmsegmentation 1.2.2, datasets/basesegdataset.py, `load_data_list`; mmcv 2.1.0, transforms/loading.py.
    """
    for _, dataset in whole_pipelines(facts):
        kinds = [transform.type or "" for transform in dataset.transforms]
        if "PackSegInputs" in kinds and not any(kind.startswith("Load") and "Image" in kind for kind in kinds):
            pipeline = dataset.node.get("pipeline") or dataset.node
            yield Mark(pipeline, "the pipeline loads no image", "begin it with dict(type='LoadImageFromFile')")


_CUTTING: Final = frozenset({"Pad", "RandomCrop"})
_MOVING: Final = _RESIZING | _CUTTING | {"RandomFlip", "RandomRotFlip", "RandomRotate"}
"""What changes where a pixel lies: of mmcv 2.1.0 and mmsegmentation 1.2.2, transforms."""
_MOVING_TWICE: Final = frozenset({"RandomCrop", "RandomFlip", "RandomRotFlip", "RandomRotate"})
"""Of those, what makes another label map of one that it has moved already: a size that is reached stays."""


@rule("DATA026", Severity.ERROR)
def labels_left_behind(facts: Facts) -> Iterator[Mark]:
    """A training pipeline moves the pixels of the image before it loads the labels.

    Why it matters: a flip, a crop or a new size reaches what is loaded by then. Labels that come later stay as they are
    on disk: of another size, or, after a flip, of the mirror image, which trains.

    Bad:
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(type='CityscapesDataset', pipeline=[
                dict(type='LoadImageFromFile'), dict(type='RandomFlip', prob=0.5), dict(type='LoadAnnotations'),
                dict(type='PackSegInputs')]))

    Good:
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(type='CityscapesDataset', pipeline=[
                dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='RandomFlip', prob=0.5),
                dict(type='PackSegInputs')]))

    Known problems: a new size alone is left alone, since the loss resizes the logits to the labels. With a crop or
    padding behind it, both are cut at the same pixels of two sizes, and it is reported where the size is drawn at
    random; a fixed one may be that which the labels have on disk.

    Source: mmcv 2.1.0, transforms/processing.py, `RandomFlip._flip`; mmsegmentation 1.2.2, models/utils/misc.py,
    models/decode_heads/decode_head.py, `loss_by_feat`.
    """
    for loader, dataset in whole_pipelines(facts):
        if loader.split != "train":
            continue
        is_cut = any(transform.type in _CUTTING for transform in dataset.transforms)
        moving = _MOVING - (_RESIZING - _RESIZING_AT_RANDOM if is_cut else _RESIZING)
        moved = None
        for transform in dataset.transforms:
            if transform.type in moving and moved is None:
                moved = transform
            if transform.type in LABEL_LOADERS and moved is not None:
                yield Mark(transform, f"the labels are loaded after {moved.type}", f"put it before {moved.type}")


@rule("DATA040", Severity.ERROR)
def labels_loaded_twice(facts: Facts) -> Iterator[Mark]:
    """A training pipeline loads the labels twice.

    Why it matters: each loading enters them once more into the list of what moves with the image. A flip then turns
    them back, and a crop cuts what is cut already: they lie elsewhere than the image, which trains, or fails.

    Bad:
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(type='CityscapesDataset', pipeline=[
                dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='LoadAnnotations'),
                dict(type='RandomFlip', prob=0.5), dict(type='PackSegInputs')]))

    Good:
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(type='CityscapesDataset', pipeline=[
                dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='RandomFlip', prob=0.5),
                dict(type='PackSegInputs')]))

    Known problems: a wrapper's pipeline counts as the continuation of its dataset's.

    Source: mmsegmentation 1.2.2, datasets/transforms/loading.py, `LoadAnnotations._load_seg_map`; issue 2452.
    """
    for loader, dataset in whole_pipelines(facts):
        loads = [transform for transform in dataset.transforms if _loads_label_maps(facts, transform)]
        moves = any(transform.type in _MOVING_TWICE for transform in dataset.transforms)
        if loader.split == "train" and len(loads) > 1 and moves:
            yield Mark(loads[1], "the labels are loaded a second time", "leave it out")


def _loads_label_maps(facts: Facts, transform: Node) -> bool:
    info = facts.class_of(transform, "transform")  # mmdet's loads boxes and masks, too, and enters none to be moved
    return transform.type == "LoadAnnotations" and info is not None and info.dotted.startswith("mmseg.")


@rule("DATA027", Severity.ERROR)
def packed_too_early(facts: Facts) -> Iterator[Mark]:
    """A transform comes after the one that packs the results.

    Why it matters: PackSegInputs hands on `inputs` and `data_samples` alone. A transform after it finds no image and
    fails, or finds nothing to do.

    Bad:
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(type='CityscapesDataset', pipeline=[
                dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs'),
                dict(type='RandomFlip', prob=0.5)]))

    Good:
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(type='CityscapesDataset', pipeline=[
                dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='RandomFlip', prob=0.5),
                dict(type='PackSegInputs')]))

    Source: mmsegmentation 1.2.2, datasets/transforms/formatting.py, `PackSegInputs.transform`.
    """
    for _, dataset in whole_pipelines(facts):
        packed = False
        for transform in dataset.transforms:
            if packed:
                yield Mark(
                    transform, f"{transform.type} comes after PackSegInputs, which leaves it nothing", "pack last"
                )
                break
            packed = transform.type == "PackSegInputs"


_BY_CHANCE: Final = frozenset({"PhotoMetricDistortion", "Albu", "BioMedicalRandomGamma", "BioMedicalGaussianNoise"})


@rule("DATA028", Severity.WARNING)
def validated_by_chance(facts: Facts) -> Iterator[Mark]:
    """Validation images are cropped, turned or coloured at random.

    Why it matters: each validation measures other pixels. The metric moves by chance, which early stopping and the best
    checkpoint then follow; a crop leaves out most of the image.

    Bad:
        val_dataloader = dict(
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='CityscapesDataset', pipeline=[
                dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
                dict(type='RandomCrop', crop_size=(512, 512)), dict(type='PackSegInputs')]))

    Good:
        val_dataloader = dict(
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='CityscapesDataset', pipeline=[
                dict(type='LoadImageFromFile'), dict(type='Resize', scale=(2048, 1024), keep_ratio=True),
                dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))

    Source: mmsegmentation 1.2.2, datasets/transforms/transforms.py.
    """
    for loader, dataset in whole_pipelines(facts):
        if loader.split == "train":
            continue
        for transform in dataset.transforms:
            if _is_by_chance(transform):
                yield Mark(
                    transform, f"{transform.type} shows {loader.split} images differently each time", "leave it out"
                )


def _is_by_chance(transform: Node) -> bool:
    kind = transform.type or ""
    prob = number(transform.value.get("prob"))
    return (kind.startswith("Random") or kind in _BY_CHANCE) and prob != 0
