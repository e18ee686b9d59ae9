"""Training, validation and test data as they are told apart, and how they are loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from provecfg.facts.data import Dataset
from provecfg.facts.facts import Facts
from provecfg.findings import Severity
from provecfg.mmconfig import Opaque
from provecfg.rules.edits import fix, renamed, replaced
from provecfg.rules.rule import Mark, rule
from provecfg.spelling import nearest_names

_NUMBERED_FROM_ZERO: Final = frozenset(
    {
        # mmsegmentation 1.2.2, datasets/*.py
        "BDD100KDataset",
        "CityscapesDataset",
        "DarkZurichDataset",
        "MapillaryDataset_v1",
        "MapillaryDataset_v2",
        "NightDrivingDataset",
        "PascalVOCDataset",
    }
)
"""Datasets whose first class has label 0, and whose images have pixels of it."""


@rule("DATA029", Severity.WARNING)
def first_class_dropped(facts: Facts) -> Iterator[Mark]:
    """`reduce_zero_label` takes away the first class of a dataset that numbers its classes from 0.

    Why it matters: label 0 becomes the ignored one, and every other label moves down by one. Of Cityscapes and
    BDD100K, whose label 0 is the road, the road is neither trained nor measured, each class goes by its neighbour's
    name, and the last has no pixels.

    Bad:
        val_dataloader = dict(
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='CityscapesDataset', reduce_zero_label=True))

    Good:
        val_dataloader = dict(
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='CityscapesDataset', reduce_zero_label=False))

    Known problems: judged for the datasets of streets and for PASCAL VOC, with the classes that mmseg gives them.

    Source: mmsegmentation 1.2.2, datasets/cityscapes.py and the others; datasets/transforms/loading.py.
    """
    for loader in facts.loaders:
        for dataset in loader.datasets:
            node = dataset.node.get("reduce_zero_label")
            if node is None or node.value is not True or dataset.node.get("metainfo") is not None:
                continue
            if dataset.kind in _NUMBERED_FROM_ZERO:
                yield Mark(
                    node,
                    f"{dataset.kind} numbers its classes from 0, and reduce_zero_label=True drops the first",
                    "set reduce_zero_label=False",
                    fix("keep the first class", replaced(node, False), safe=False),
                )


def _place(dataset: Dataset) -> tuple[Any, ...] | None:
    """What says which samples a dataset has; None where that is not known."""
    values = dataset.node.value
    prefix = values.get("data_prefix")
    if not isinstance(prefix, dict) or not isinstance(prefix.get("img_path"), str):
        return None
    keys = ("data_root", "ann_file", "img_suffix", "indices", "split", "sample_list")
    found = (prefix["img_path"].rstrip("/"), *(values.get(key) or None for key in keys))
    return None if any(isinstance(value, Opaque) or not _is_hashable(value) for value in found) else found


def _is_hashable(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float))


@rule("DATA030", Severity.WARNING)
def validated_on_training_images(facts: Facts) -> Iterator[Mark]:
    """Training and validation read the same images.

    Why it matters: the metric is of images that the model was trained on. It rises with over-fitting, which it is there
    to show, so that early stopping and the best checkpoint wait for the wrong thing.

    Bad:
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(type='CityscapesDataset', data_root='data/cs', data_prefix=dict(
                img_path='leftImg8bit/val', seg_map_path='gtFine/val')))
        val_dataloader = dict(
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='CityscapesDataset', data_root='data/cs', data_prefix=dict(
                img_path='leftImg8bit/val', seg_map_path='gtFine/val')))

    Good:
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(type='CityscapesDataset', data_root='data/cs', data_prefix=dict(
                img_path='leftImg8bit/train', seg_map_path='gtFine/train')))
        val_dataloader = dict(
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='CityscapesDataset', data_root='data/cs', data_prefix=dict(
                img_path='leftImg8bit/val', seg_map_path='gtFine/val')))

    Known problems: folders and lists of files are compared by name; that two folders hold the same images is seen by
    `provecfg prove --data-root`.

    Source: mmengine 0.10.7, dataset/base_dataset.py.
    """
    train, val = facts.loader("train"), facts.loader("val")
    if train is None or val is None:
        return
    trained = {_place(dataset) for dataset in train.datasets} - {None}
    for dataset in val.datasets:
        place = _place(dataset)
        if place is not None and place in trained:
            node = dataset.node.dig("data_prefix.img_path") or dataset.node
            yield Mark(node, f"validation reads the images of {place[0]!r}, and so does training", "name another")


_SPLITS: Final = {
    "train": "training",
    "training": "training",
    "trainval": "trainval",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_LABEL_WORDS: Final = frozenset({"label", "labels", "mask", "masks", "annotation", "annotations", "gtfine", "ann"})
_IMAGE_WORDS: Final = frozenset({"image", "images", "img", "imgs", "leftimg8bit", "jpegimages"})


def _words(path: Any) -> frozenset[str]:
    return frozenset(re.split(r"[\W_]+", path.lower())) if isinstance(path, str) else frozenset()


@rule("DATA031", Severity.WARNING)
def labels_of_another_split(facts: Facts) -> Iterator[Mark]:
    """Images are of one split, labels of another.

    Why it matters: labels are looked for under the names of the images, in another split's folder. They are not found,
    or, where names repeat, are those of other images.

    Bad:
        val_dataloader = dict(
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='CityscapesDataset', data_prefix=dict(
                img_path='leftImg8bit/val', seg_map_path='gtFine/train')))

    Good:
        val_dataloader = dict(
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='CityscapesDataset', data_prefix=dict(
                img_path='leftImg8bit/val', seg_map_path='gtFine/val')))

    Source: mmsegmentation 1.2.2, datasets/basesegdataset.py, `load_data_list`.
    """
    for loader in facts.loaders:
        for dataset in loader.datasets:
            images, labels = (dataset.node.dig(f"data_prefix.{key}") for key in ("img_path", "seg_map_path"))
            if images is None or labels is None:
                continue
            of_images = {_SPLITS[word] for word in _words(images.value) if word in _SPLITS}
            of_labels = {_SPLITS[word] for word in _words(labels.value) if word in _SPLITS}
            if len(of_images) == len(of_labels) == 1 and of_images != of_labels:
                yield Mark(
                    labels, f"labels of {labels.value!r} for images of {images.value!r}", "name the same split in both"
                )


@rule("DATA032", Severity.WARNING)
def images_for_labels(facts: Facts) -> Iterator[Mark]:
    """The folders of images and labels are exchanged.

    Why it matters: no file of the right ending is found; where both have the same, masks are trained on as images.

    Bad:
        val_dataloader = dict(
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='CityscapesDataset', data_prefix=dict(
                img_path='gtFine/val', seg_map_path='leftImg8bit/val')))

    Good:
        val_dataloader = dict(
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='CityscapesDataset', data_prefix=dict(
                img_path='leftImg8bit/val', seg_map_path='gtFine/val')))

    Known problems: judged by the folders' names.

    Source: mmsegmentation 1.2.2, datasets/basesegdataset.py, `load_data_list`.
    """
    for loader in facts.loaders:
        for dataset in loader.datasets:
            images, labels = (dataset.node.dig(f"data_prefix.{key}") for key in ("img_path", "seg_map_path"))
            if images is None or labels is None:
                continue
            in_images, in_labels = _words(images.value), _words(labels.value)
            looks_exchanged = in_images & _LABEL_WORDS and in_labels & _IMAGE_WORDS
            if looks_exchanged and not in_images & _IMAGE_WORDS and not in_labels & _LABEL_WORDS:
                yield Mark(
                    images, f"images from {images.value!r}, and labels from {labels.value!r}", "exchange the two"
                )


@rule("DATA033", Severity.WARNING)
def not_shuffled(facts: Facts) -> Iterator[Mark]:
    """Training images are not shuffled.

    Why it matters: batches hold neighbours on the disk, frames of one drive, say, in the same order in every pass. The
    gradients of a batch agree with each other more than with the data's, and batch norm sees one scene at a time.

    Bad:
        train_dataloader = dict(sampler=dict(type='InfiniteSampler', shuffle=False))

    Good:
        train_dataloader = dict(sampler=dict(type='InfiniteSampler', shuffle=True))

    Source: mmengine 0.10.7, dataset/sampler.py.
    """
    node = facts.get("train_dataloader.sampler.shuffle")
    if node is not None and node.value is False:
        yield Mark(
            node,
            "training images come in the order of the disk",
            "set shuffle=True",
            fix("shuffle them", replaced(node, True), safe=False),
        )


LOADER_KEYS: Final = frozenset(
    {
        # torch 2.4, utils/data/dataloader.py, `DataLoader.__init__`
        "batch_sampler",
        "batch_size",
        "collate_fn",
        "dataset",
        "drop_last",
        "generator",
        "in_order",
        "multiprocessing_context",
        "num_workers",
        "persistent_workers",
        "pin_memory",
        "pin_memory_device",
        "prefetch_factor",
        "sampler",
        "shuffle",
        "timeout",
        "worker_init_fn",
        # mmengine 0.10.7, runner/runner.py, `build_dataloader`
        "disable_subprocess_warning",
        "num_batch_per_epoch",
    }
)


@rule("DATA034", Severity.ERROR)
def unknown_loader_key(facts: Facts) -> Iterator[Mark]:
    """A data loader does not take this key.

    Why it matters: mmengine hands what it does not know to torch's DataLoader, which refuses it.

    Bad:
        train_dataloader = dict(batch_sze=2, sampler=dict(type='InfiniteSampler', shuffle=True))

    Good:
        train_dataloader = dict(batch_size=2, sampler=dict(type='InfiniteSampler', shuffle=True))

    Source: mmengine 0.10.7, runner/runner.py, `build_dataloader`; torch 2.4, utils/data/dataloader.py.
    """
    for loader in facts.loaders:
        for child in loader.node:
            if child.name in LOADER_KEYS or child.name.startswith("_"):
                continue
            near = [name for name in nearest_names(child.name, LOADER_KEYS) if name not in loader.node.value][:1]
            yield Mark(
                child,
                f"a data loader has no {child.name!r}",
                f"did you mean {near[0]!r}?" if near else "leave it out",
                fix(f"rename it to {near[0]!r}", renamed(child, near[0]), safe=True) if near else None,
                at_key=True,
            )


@rule("DATA035", Severity.ERROR)
def batch_size_not_positive(facts: Facts) -> Iterator[Mark]:
    """A batch has no images.

    Why it matters: torch refuses the data loader.

    Bad:
        train_dataloader = dict(batch_size=0, sampler=dict(type='InfiniteSampler', shuffle=True))

    Good:
        train_dataloader = dict(batch_size=2, sampler=dict(type='InfiniteSampler', shuffle=True))

    Source: torch 2.4, utils/data/sampler.py, `BatchSampler.__init__`.
    """
    for loader in facts.loaders:
        size = loader.batch_size
        node = loader.node.get("batch_size")
        if node is not None and size is not None and size < 1:
            yield Mark(node, f"batches of {size} images", "set batch_size to 1 or more")
