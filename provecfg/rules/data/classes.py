"""Classes and label values: what a dataset says of them, and which are reduced away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provecfg.facts.data import DATASET_CLASSES
from provecfg.facts.facts import Facts
from provecfg.findings import Severity
from provecfg.rules.edits import fix, removed, renamed, replaced
from provecfg.rules.rule import Mark, rule


@rule("DATA001", Severity.ERROR)
def zero_label_reduced_twice(facts: Facts) -> Iterator[Mark]:
    """LoadAnnotations and its dataset disagree about `reduce_zero_label`.

    Why it matters: an AssertionError in the data loader's workers. The dataset says it, the transform follows.

    Bad:
        train_dataloader = dict(
            dataset=dict(
                reduce_zero_label=False,
                pipeline=[
                    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', reduce_zero_label=True),
                    dict(type='PackSegInputs')]))

    Good:
        train_dataloader = dict(
            dataset=dict(
                reduce_zero_label=True,
                pipeline=[
                    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))

    Source: mmsegmentation 1.2.2, datasets/transforms/loading.py, `_load_seg_map`.
    """
    for _, dataset in facts.datasets:
        load = dataset.transform("LoadAnnotations")
        node = load.get("reduce_zero_label") if load is not None else None
        if node is None or not isinstance(node.value, bool) or dataset.reduces_zero_label is None:
            continue
        if node.value is not dataset.reduces_zero_label:
            yield Mark(
                node,
                f"reduce_zero_label={node.value} here, {dataset.reduces_zero_label} on the dataset",
                "say it on the dataset only",
                fix("drop it here", removed(node), safe=False),
            )


@rule("DATA002", Severity.ERROR)
def upper_case_metainfo(facts: Facts) -> Iterator[Mark]:
    """`CLASSES` and `PALETTE` are written in lower case now.

    Why it matters: mmseg 0.x's capitals are not read. A plain dataset has no classes then (KeyError at the first
    validation); one with classes of its own keeps all of them, and trains.

    Bad:
        train_dataloader = dict(dataset=dict(metainfo=dict(CLASSES=('road', 'other'))))

    Good:
        train_dataloader = dict(dataset=dict(metainfo=dict(classes=('road', 'other'))))

    Source: mmsegmentation 1.2.2, datasets/basesegdataset.py; mmsegmentation issue 3199.
    """
    for _, dataset in facts.datasets:
        for node in dataset.node.get("metainfo") or ():
            if node.name in ("CLASSES", "PALETTE"):
                lower = node.name.lower()
                yield Mark(
                    node,
                    f"metainfo.{node.name} is not read",
                    f"write {lower}",
                    fix(f"write {lower}", renamed(node, lower), safe=dataset.kind not in DATASET_CLASSES),
                    at_key=True,
                )


@rule("DATA003", Severity.ERROR)
def no_classes(facts: Facts) -> Iterator[Mark]:
    """The dataset has no class names.

    Why it matters: BaseSegDataset has none by itself, and nothing asks for them before the metric does: KeyError
    'classes' at the first validation.

    Bad:
        val_dataloader = dict(
            sampler=dict(type='DefaultSampler'), dataset=dict(type='BaseSegDataset', data_root='data'))

    Good:
        val_dataloader = dict(
            sampler=dict(type='DefaultSampler'),
            dataset=dict(type='BaseSegDataset', data_root='data', metainfo=dict(classes=('road', 'other'))))

    Source: mmsegmentation 1.2.2, evaluation/metrics/iou_metric.py, `process`; mmsegmentation issue 1399.
    """
    for _, dataset in facts.datasets:
        if dataset.kind not in ("BaseSegDataset", "BaseCDDataset") or not facts.is_mmseg:
            continue
        metainfo = dataset.node.get("metainfo")
        if metainfo is None or (metainfo.is_dict and not {"classes", "CLASSES"} & metainfo.value.keys()):
            yield Mark(
                metainfo or dataset.node,
                f"{dataset.kind} without class names: the first validation fails",
                "set metainfo=dict(classes=(...), palette=[...])",
                missing="classes" if metainfo is not None else "metainfo",
            )


@rule("DATA017", Severity.WARNING)
def classes_differ_between_splits(facts: Facts) -> Iterator[Mark]:
    """Training and validation or test data have different numbers of classes.

    Why it matters: labels mean something else where they are measured than in training, and the metric is of other
    classes.

    Bad:
        train_dataloader = dict(dataset=dict(metainfo=dict(classes=('road', 'car', 'other'))))
        val_dataloader = dict(dataset=dict(metainfo=dict(classes=('road', 'other'))))

    Good:
        train_dataloader = dict(dataset=dict(metainfo=dict(classes=('road', 'other'))))
        val_dataloader = dict(dataset=dict(metainfo=dict(classes=('road', 'other'))))

    Source: mmsegmentation 1.2.2, datasets/basesegdataset.py, `get_label_map`.
    """
    train = facts.loader("train")
    trained = {dataset.classes for dataset in train.datasets} if train is not None else set()
    if len(trained) != 1 or None in trained:
        return
    for dataset in (dataset for loader in facts.loaders if loader.split != "train" for dataset in loader.datasets):
        if dataset.classes is not None and dataset.classes not in trained:
            yield Mark(
                dataset.node.dig("metainfo.classes") or dataset.node,
                f"{dataset.classes} classes here, {next(iter(trained))} in training",
                "give both the same metainfo",
            )


@rule("DATA018", Severity.WARNING)
def palette_length(facts: Facts) -> Iterator[Mark]:
    """There are not as many colours as classes.

    Why it matters: the visualisation of predictions fails, or draws classes alike.

    Bad:
        train_dataloader = dict(dataset=dict(metainfo=dict(classes=('road', 'other'), palette=[[0, 0, 0]])))

    Good:
        train_dataloader = dict(
            dataset=dict(metainfo=dict(classes=('road', 'other'), palette=[[0, 0, 0], [255, 255, 255]])))

    Source: mmsegmentation 1.2.2, datasets/basesegdataset.py, `_update_palette`.
    """
    for _, dataset in facts.datasets:
        palette, classes = dataset.node.dig("metainfo.palette"), dataset.node.dig("metainfo.classes")
        if palette is None or classes is None or not palette.is_list or not classes.is_list or not palette.value:
            continue
        if len(palette.value) != len(classes.value):
            yield Mark(
                palette,
                f"{len(palette.value)} colours for {len(classes.value)} classes",
                "give one colour for each class",
            )


_BACKGROUNDS: Final = frozenset({"background", "void", "unlabeled", "unlabelled", "ignore", "ignored"})


@rule("DATA020", Severity.WARNING)
def background_reduced_away(facts: Facts) -> Iterator[Mark]:
    """`reduce_zero_label` takes label 0 away, and the first class is the background.

    Why it matters: label 0 becomes the ignored one and every other label moves down by one. With the background still
    among the classes, each class is called by its neighbour's name, and the last never appears: its IoU is nan or 0.

    Bad:
        train_dataloader = dict(
            dataset=dict(reduce_zero_label=True, metainfo=dict(classes=('background', 'road', 'car'))))

    Good:
        train_dataloader = dict(dataset=dict(reduce_zero_label=True, metainfo=dict(classes=('road', 'car'))))

    Source: mmsegmentation 1.2.2, datasets/transforms/loading.py, `_load_seg_map`; mmsegmentation issue 2245.
    """
    for _, dataset in facts.datasets:
        node = dataset.node.dig("metainfo.classes")
        if node is None or not node.is_list or not node.value or dataset.reduces_zero_label is not True:
            continue
        first = node.value[0]
        if isinstance(first, str) and first.lower() in _BACKGROUNDS:
            yield Mark(
                node,
                f"reduce_zero_label=True takes label 0 away, and the first class is {first!r}",
                "leave it out of the classes (and of num_classes), or set reduce_zero_label=False",
            )


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
            if dataset.kind in _NUMBERED_FROM_ZERO and dataset.is_of_release:
                yield Mark(
                    node,
                    f"{dataset.kind} numbers its classes from 0, and reduce_zero_label=True drops the first",
                    "set reduce_zero_label=False",
                    fix("keep the first class", replaced(node, False), safe=False),
                )
