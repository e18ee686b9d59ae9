"""The folders and files of a dataset: where images and labels are, and which split they belong to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from provecfg.facts.data import Dataset
from provecfg.facts.facts import Facts
from provecfg.findings import Severity
from provecfg.mmconfig import Opaque
from provecfg.rules.edits import fix, renamed
from provecfg.rules.rule import Mark, rule
from provecfg.spelling import nearest_names

_PREFIXES: Final = {"img": "img_path", "image": "img_path", "img_dir": "img_path", "seg": "seg_map_path"} | {
    "ann": "seg_map_path",
    "ann_dir": "seg_map_path",
    "seg_map": "seg_map_path",
    "mask": "seg_map_path",
    "label": "seg_map_path",
    "labels": "seg_map_path",
    "images": "img_path",
    "masks": "seg_map_path",
}


@rule("DATA004", Severity.ERROR)
def data_prefix_keys(facts: Facts) -> Iterator[Mark]:
    """`data_prefix` says where images are under another name than mmseg's.

    Why it matters: mmseg reads `img_path` and `seg_map_path`. mmdet's `img` and `seg` are not read: no images are
    found, or no labels. Where `data_prefix` has no `img_path` at all, None stands for the folder.

    Bad:
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(type='CityscapesDataset', data_prefix=dict(img='leftImg8bit/train', seg='gtFine/train')))

    Good:
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(
                type='CityscapesDataset',
                data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train')))

    Known problems: a class of the user's with methods of its own is left alone: it may list its images as it likes.

    Source: mmsegmentation 1.2.2, datasets/basesegdataset.py, `load_data_list`.
    """
    for _, dataset in facts.datasets:
        prefix = dataset.node.get("data_prefix")
        info = facts.class_of(dataset.node, "dataset")
        if prefix is None or not prefix.is_dict or info is None or None in info.ancestors or info.open:
            continue
        if not info.is_a("BaseSegDataset") and not info.is_a("BaseCDDataset"):
            continue
        if not dataset.is_read_as_the_release_does:
            continue
        is_renamed = False
        for node in prefix:
            if node.name in ("img_path", "seg_map_path") or info.may_take_out(node.name):
                continue
            right = _PREFIXES.get(node.name)
            if right is None:
                near = nearest_names(node.name, ("img_path", "seg_map_path"), limit=1)
                right = near[0] if near else None
            if right is not None and node.name not in ("img_path2", "depth_map_path"):
                is_renamed = True
                is_set, name = right in prefix.value, f"rename it to {right}"
                yield Mark(
                    node,
                    f"{dataset.kind} does not read data_prefix.{node.name}",
                    f"it reads {right}, which stays {prefix.value[right]!r}" if is_set else f"it is {right}",
                    None if is_set else fix(name, renamed(node, right), safe=False),
                    at_key=True,
                )
        if facts.is_whole_run and "img_path" not in prefix.value and not is_renamed:
            yield Mark(prefix, "data_prefix without img_path", "say where the images are", missing="img_path")


@rule("DATA019", Severity.ERROR)
def labels_not_prefixed(facts: Facts) -> Iterator[Mark]:
    """`data_prefix` says where the images are and not where the labels are.

    Why it matters: LoadAnnotations then has no label map to load: KeyError 'seg_map_path' at the first batch.

    Bad:
        train_dataloader = dict(
            dataset=dict(
                data_prefix=dict(img_path='images/train'),
                pipeline=[
                    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))

    Good:
        train_dataloader = dict(
            dataset=dict(
                data_prefix=dict(img_path='images/train', seg_map_path='masks/train'),
                pipeline=[
                    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))

    Source: mmsegmentation 1.2.2, datasets/basesegdataset.py, `load_data_list`.
    """
    for _, dataset in facts.datasets:
        prefix = dataset.node.get("data_prefix")
        info = facts.class_of(dataset.node, "dataset")
        if prefix is None or not prefix.is_dict or dataset.transform("LoadAnnotations") is None:
            continue
        if dataset.kind and (info is None or not info.dotted.startswith("mmseg.")):
            continue
        if "img_path" in prefix.value and not any(key in prefix.value for key in ("seg_map_path", *_PREFIXES)):
            yield Mark(
                prefix,
                "data_prefix without seg_map_path, and LoadAnnotations in the pipeline",
                "say where the label maps are",
                missing="seg_map_path",
            )


def _identity(dataset: Dataset) -> tuple[Any, ...] | None:
    """What says which samples a dataset has; None where that is not known."""
    values = dataset.node.value
    prefix, pattern = values.get("data_prefix"), values.get("images")
    keys: tuple[str, ...] = ("data_root", "ann_file", "img_suffix", "indices", "split", "sample_list")
    if isinstance(prefix, dict) and isinstance(prefix.get("img_path"), str):
        first = prefix["img_path"].rstrip("/")
    elif dataset.kind == "PairedFilesDataset" and isinstance(pattern, str):
        first, keys = pattern, ("data_root", "files", "only", "indices")
        if "share" in values:
            return None  # a list of two numbers: what it leaves out is another split's
    else:
        return None
    identity = (first, *(values.get(key) or None for key in keys))
    return None if any(isinstance(value, Opaque) or not _is_hashable(value) for value in identity) else identity


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
    trained = {_identity(dataset) for dataset in train.datasets} - {None}
    for dataset in val.datasets:
        samples = _identity(dataset)
        if samples is not None and samples in trained:
            node = dataset.node.dig("data_prefix.img_path") or dataset.node.get("images") or dataset.node
            yield Mark(node, f"validation reads the images of {samples[0]!r}, and so does training", "name another")
        elif any(_is_below(facts, other, dataset) for other in train.datasets):
            root = dataset.node.value["data_root"]
            message = f"validation reads all images below {root!r}, and those of training are among them"
            yield Mark(dataset.node, message, "say which folders are its own", missing="data_prefix")


def _is_below(facts: Facts, part: Dataset, whole: Dataset) -> bool:
    """Whether a dataset names a folder of the root that another one of its class takes all images of."""
    values, folder = whole.node.value, part.node.dig("data_prefix.img_path")
    if folder is None or not isinstance(folder.value, str) or not folder.value.strip("./"):
        return False
    info = facts.class_of(whole.node, "dataset")
    if info is None or info.is_of_user or not info.is_a("BaseSegDataset") or part.kind != whole.kind:
        return False
    if "data_prefix" in values or values.get("ann_file") or values.get("data_root") != part.node.value.get("data_root"):
        return False
    prefix = facts.argument(whole.node, "data_prefix", "dataset")
    return isinstance(values.get("data_root"), str) and isinstance(prefix, dict) and prefix.get("img_path") == ""


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


_LABEL_WORDS: Final = frozenset({"label", "labels", "mask", "masks", "annotation", "annotations", "gtfine", "ann"})
_IMAGE_WORDS: Final = frozenset({"image", "images", "img", "imgs", "leftimg8bit", "jpegimages"})


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


_SHORT_ESCAPES: Final = {"\a": "\\a", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\v": "\\v", "\f": "\\f", "\r": "\\r"}
"""Control characters that a backslash and a letter stand for."""
_PATHS_OF_A_DATASET: Final = ("data_root", "ann_file", "img_dir", "ann_dir")
_PATHS_OF_A_RUN: Final = ("load_from", "work_dir", "model.pretrained", "model.backbone.init_cfg.checkpoint")


@rule("DATA046", Severity.ERROR)
def control_character_in_a_path(facts: Facts) -> Iterator[Mark]:
    """A path has a control character in it: a backslash and a letter were read as one.

    Why it matters: in a plain text, `\\n` is the end of a line and `\\t` a tab. No folder has that name: the run fails
    with a FileNotFoundError that shows another path than the config has.

    Bad:
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'), dataset=dict(type='CityscapesDataset', data_root='D:\\new\\train'))

    Good:
        train_dataloader = dict(
            sampler=dict(type='InfiniteSampler'), dataset=dict(type='CityscapesDataset', data_root=r'D:\\new\\train'))

    Source: the Python language reference, 2.4.1, escape sequences; mmsegmentation issue 2145.
    """
    nodes = [facts.get(key) for key in _PATHS_OF_A_RUN]
    for _, dataset in facts.datasets:
        nodes += [dataset.node.get(key) for key in _PATHS_OF_A_DATASET]
        prefix = dataset.node.get("data_prefix")
        nodes += list(prefix) if prefix is not None and prefix.is_dict else []
    for node in nodes:
        text = node.value if node is not None and isinstance(node.value, str) else ""
        written = next((_SHORT_ESCAPES[letter] for letter in text if letter in _SHORT_ESCAPES), None)
        if node is not None and written is not None:
            yield Mark(
                node,
                f"{text!r} has a control character in it, written {written}",
                "put an r before the quotes, double the backslashes, or write / instead",
            )
