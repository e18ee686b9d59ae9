"""Datasets, pipelines, the data preprocessor, loaders, and what is measured on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provecfg.facts.data import DATASET_CLASSES, Dataset, Loader, final_size, pair
from provecfg.facts.facts import Facts
from provecfg.facts.metrics import IOU_METRICS, evaluators_of
from provecfg.findings import Severity
from provecfg.mmconfig import Node
from provecfg.rules.edits import fix, removed, renamed, replaced
from provecfg.rules.rule import Mark, rule
from provecfg.spelling import nearest_names

_RESIZING: Final = ("Resize", "RandomResize", "RandomChoiceResize", "ResizeShortestEdge", "ResizeToMultiple")


def _datasets(facts: Facts) -> Iterator[tuple[Loader, Dataset]]:
    for loader in facts.loaders:
        for dataset in loader.datasets:
            yield loader, dataset


@rule("DATA001", Severity.ERROR)
def zero_label_reduced_twice(facts: Facts) -> Iterator[Mark]:
    """LoadAnnotations and its dataset disagree about `reduce_zero_label`.

    Why it matters: an AssertionError in the data loader's workers. The dataset says it, the transform follows.

    Bad:
        train_dataloader = dict(
            dataset=dict(
                reduce_zero_label=False,
                pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', reduce_zero_label=True)]))

    Good:
        train_dataloader = dict(
            dataset=dict(
                reduce_zero_label=True,
                pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]))

    Source: mmsegmentation 1.2.2, datasets/transforms/loading.py, `_load_seg_map`.
    """
    for _, dataset in _datasets(facts):
        load = dataset.transform("LoadAnnotations")
        node = load.get("reduce_zero_label") if load is not None else None
        if node is None or not isinstance(node.value, bool) or dataset.reduces_zero_label is None:
            continue
        known = facts.class_of(dataset.node, "dataset")
        if (
            known is not None
            and not known.dotted.startswith("mmseg.")
            and "reduce_zero_label" not in dataset.node.value
        ):
            continue
        if node.value is not dataset.reduces_zero_label:
            yield Mark(
                node,
                f"reduce_zero_label={node.value} here, {dataset.reduces_zero_label} on the dataset",
                "say it on the dataset only",
                fix("drop it here", removed(node), safe=True),
            )


@rule("DATA002", Severity.ERROR)
def upper_case_metainfo(facts: Facts) -> Iterator[Mark]:
    """`CLASSES` and `PALETTE` are written in lower case now.

    Why it matters: mmseg 0.x's capitals are not read. A plain dataset has no classes then (KeyError at the first
    validation); one with classes of its own keeps all of them.

    Bad:
        train_dataloader = dict(dataset=dict(metainfo=dict(CLASSES=('road', 'other'))))

    Good:
        train_dataloader = dict(dataset=dict(metainfo=dict(classes=('road', 'other'))))

    Source: mmsegmentation 1.2.2, datasets/basesegdataset.py; mmsegmentation issue 3199.
    """
    for _, dataset in _datasets(facts):
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
    for _, dataset in _datasets(facts):
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
    found, or no labels.

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

    Source: mmsegmentation 1.2.2, datasets/basesegdataset.py, `load_data_list`.
    """
    for _, dataset in _datasets(facts):
        prefix = dataset.node.get("data_prefix")
        known = facts.class_of(dataset.node, "dataset")
        if prefix is None or not prefix.is_dict or known is None or not known.dotted.startswith("mmseg."):
            continue
        if not known.is_a("BaseSegDataset") and not known.is_a("BaseCDDataset"):
            continue
        for node in prefix:
            if node.name in ("img_path", "seg_map_path"):
                continue
            right = _PREFIXES.get(node.name)
            if right is None:
                near = nearest_names(node.name, ("img_path", "seg_map_path"), limit=1)
                right = near[0] if near and node.name not in ("img_path", "seg_map_path") else None
            if right is not None and right not in prefix.value and node.name not in ("img_path2", "depth_map_path"):
                yield Mark(
                    node,
                    f"{dataset.kind} does not read data_prefix.{node.name}",
                    f"it is {right}",
                    fix(f"rename it to {right}", renamed(node, right), safe=True),
                    at_key=True,
                )


@rule("DATA005", Severity.ERROR)
def normalised_twice(facts: Facts) -> Iterator[Mark]:
    """Images are normalised in the pipeline and again by the model.

    Why it matters: SegDataPreProcessor subtracts mean and divides by std; a `Normalize` left over from 0.x does it
    before. Both work, and the model sees images that no pretrained weights have seen.

    Bad:
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512), mean=[123.7], std=[58.4]))
        train_dataloader = dict(dataset=dict(pipeline=[dict(type='Normalize', mean=[123.7], std=[58.4])]))

    Good:
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512), mean=[123.7], std=[58.4]))
        train_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadImageFromFile')]))

    Source: mmsegmentation 1.2.2, models/data_preprocessor.py; mmagic issue 1064.
    """
    if facts.value(facts.preprocessor, "mean") is None or not isinstance(facts.value(facts.preprocessor, "mean"), list):
        return
    for _, dataset in _datasets(facts):
        node = dataset.transform("Normalize")
        if node is not None:
            yield Mark(node, "Normalize here, and mean and std in the data preprocessor", "take Normalize out")


@rule("DATA006", Severity.WARNING)
def padded_size_missing(facts: Facts) -> Iterator[Mark]:
    """The data preprocessor needs either `size` or `size_divisor`.

    Why it matters: with neither, or with both, the first training batch fails an assertion.

    Bad:
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', mean=[123.7], std=[58.4]))
        train_dataloader = dict(batch_size=2)

    Good:
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', mean=[123.7], std=[58.4], size=(512, 512)))
        train_dataloader = dict(batch_size=2)

    Known problems: a config that is only tested with needs neither.

    Source: mmsegmentation 1.2.2, utils/misc.py, `stack_batch`; mmsegmentation issue 2938.
    """
    node = facts.preprocessor
    if node is None or node.type != "SegDataPreProcessor" or facts.loader("train") is None:
        return
    given = [name for name in ("size", "size_divisor") if node.value.get(name) is not None]
    if not given:
        yield Mark(
            node, "neither size nor size_divisor: the first batch fails", "set size to the crop's", missing="size"
        )
    elif len(given) == 2:
        yield Mark(node.get("size_divisor") or node, "size and size_divisor: the first batch fails", "keep one")
    test = node.get("test_cfg")
    if test is not None and test.is_dict and test.value:
        given = [name for name in ("size", "size_divisor") if test.value.get(name) is not None]
        if len(given) != 1:
            yield Mark(test, "test_cfg needs either size or size_divisor: the first validation fails", "set one")


@rule("DATA007", Severity.ERROR)
def images_do_not_stack(facts: Facts) -> Iterator[Mark]:
    """Training images of different sizes are larger than the size they are padded to.

    Why it matters: `size` pads, it does not crop. After a random resize without a crop, the images of a batch have
    different sizes, and torch.stack fails.

    Bad:
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512)))
        train_dataloader = dict(
            batch_size=2,
            dataset=dict(pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='RandomResize', scale=(1024, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
                dict(type='PackSegInputs'),
            ]))

    Good:
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512)))
        train_dataloader = dict(
            batch_size=2,
            dataset=dict(pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='RandomResize', scale=(1024, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
                dict(type='RandomCrop', crop_size=(512, 512)),
                dict(type='PackSegInputs'),
            ]))

    Source: mmsegmentation 1.2.2, utils/misc.py, `stack_batch`; mmsegmentation issue 3058.
    """
    size, train = pair(facts.value(facts.preprocessor, "size")), facts.loader("train")
    if size is None or train is None or train.batch_size == 1:
        return
    for dataset in train.datasets:
        after = final_size(dataset.transforms)
        if after is None or after.height is not None or after.at is None:
            continue
        if after.at.type not in ("RandomResize", "RandomChoiceResize") and dataset.kind not in _MIXED_SIZES:
            continue  # images of one size stay of one size
        largest = _largest(after.at)
        if largest is not None and largest[0] <= min(size) and largest[1] <= max(size):
            continue
        yield Mark(
            after.at,
            f"images leave the pipeline in different sizes, and size={size} only pads",
            f"add dict(type='RandomCrop', crop_size={size}, cat_max_ratio=0.75) behind it",
        )


def _largest(resize: Node) -> tuple[float, float] | None:
    scale, ratios = pair(resize.value.get("scale")), resize.value.get("ratio_range")
    if scale is None or not isinstance(ratios, (list, tuple)) or len(ratios) != 2:
        return None
    return min(scale) * ratios[1], max(scale) * ratios[1]


@rule("DATA008", Severity.WARNING)
def crop_larger_than_size(facts: Facts) -> Iterator[Mark]:
    """Training crops are larger than the size that images are padded to.

    Why it matters: an image that is smaller than the crop is padded to `size` only, and does not stack with full crops.
    Mostly one of the two was changed and the other forgotten.

    Bad:
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512)))
        train_dataloader = dict(dataset=dict(pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='RandomCrop', crop_size=(640, 640)),
            dict(type='PackSegInputs'),
        ]))

    Good:
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', size=(640, 640)))
        train_dataloader = dict(dataset=dict(pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='RandomCrop', crop_size=(640, 640)),
            dict(type='PackSegInputs'),
        ]))

    Source: mmsegmentation 1.2.2, utils/misc.py, `stack_batch`.
    """
    size, train = pair(facts.value(facts.preprocessor, "size")), facts.loader("train")
    if size is None or train is None:
        return
    for dataset in train.datasets:
        after = final_size(dataset.transforms)
        if after is None or after.at is None or after.at.type != "RandomCrop":
            continue
        height, width = after.height or 0, after.width or 0
        if height > size[0] or width > size[1]:
            yield Mark(
                after.at.get("crop_size") or after.at,
                f"crops of {height} x {width}, and the data preprocessor pads to {size[0]} x {size[1]}",
                f"set the data preprocessor's size to {(height, width)}",
            )


@rule("DATA009", Severity.ERROR)
def labels_resized_in_validation(facts: Facts) -> Iterator[Mark]:
    """The validation pipeline loads the labels before it resizes.

    Why it matters: predictions are compared at the image's own size, and the labels were resized with the image: an
    IndexError about shapes at the first validation.

    Bad:
        val_dataloader = dict(dataset=dict(pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='Resize', scale=(2048, 1024), keep_ratio=True),
            dict(type='PackSegInputs'),
        ]))

    Good:
        val_dataloader = dict(dataset=dict(pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(2048, 1024), keep_ratio=True),
            dict(type='LoadAnnotations'),
            dict(type='PackSegInputs'),
        ]))

    Source: mmsegmentation 1.2.2, evaluation/metrics/iou_metric.py; mmsegmentation issue 3185.
    """
    for loader, dataset in _datasets(facts):
        if loader.split == "train":
            continue
        load = None
        for node in dataset.transforms:
            kind = node.type
            if kind == "LoadAnnotations":
                load = node
            elif kind in _RESIZING and load is not None:
                yield Mark(
                    load,
                    f"labels are loaded before {kind}, and resized with the image",
                    f"put LoadAnnotations behind {kind}",
                )
                break


_MIXED_SIZES: Final = frozenset(
    {
        # datasets whose images have many sizes
        "ADE20KDataset",
        "COCOStuffDataset",
        "LIPDataset",
        "MapillaryDataset_v1",
        "MapillaryDataset_v2",
        "PascalContextDataset",
        "PascalContextDataset59",
        "PascalVOCDataset",
        "iSAIDDataset",
    }
)


@rule("DATA010", Severity.ERROR)
def validation_batch_of_sizes(facts: Facts) -> Iterator[Mark]:
    """Validation batches hold images of different sizes.

    Why it matters: "The image size in a batch should be the same", at the first validation. Images are not padded
    there; a resize that keeps their ratio leaves them different.

    Bad:
        val_dataloader = dict(
            batch_size=4,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(
                type='ADE20KDataset',
                pipeline=[
                    dict(type='LoadImageFromFile'),
                    dict(type='Resize', scale=(2048, 512), keep_ratio=True),
                    dict(type='LoadAnnotations'),
                    dict(type='PackSegInputs'),
                ]))

    Good:
        val_dataloader = dict(
            batch_size=1,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(
                type='ADE20KDataset',
                pipeline=[
                    dict(type='LoadImageFromFile'),
                    dict(type='Resize', scale=(2048, 512), keep_ratio=True),
                    dict(type='LoadAnnotations'),
                    dict(type='PackSegInputs'),
                ]))

    Known problems: judged for datasets of mmseg's that are known to have images of many sizes.

    Source: mmsegmentation 1.2.2, models/data_preprocessor.py, `SegDataPreProcessor.forward`.
    """
    for loader, dataset in _datasets(facts):
        size = loader.batch_size
        if loader.split == "train" or size is None or size < 2 or dataset.kind not in _MIXED_SIZES:
            continue
        after = final_size(dataset.transforms)
        if after is not None and dataset.transforms and not after.is_fixed:
            node = loader.node.get("batch_size") or loader.node
            yield Mark(
                node,
                f"batches of {size} images of {dataset.kind}, which have different sizes",
                "set batch_size=1, or resize to one size (keep_ratio=False)",
                fix("set batch_size=1", replaced(node, 1), safe=True),
            )


@rule("DATA011", Severity.ERROR)
def unknown_iou_metric(facts: Facts) -> Iterator[Mark]:
    """IoUMetric does not know this metric.

    Why it matters: KeyError at the end of the first validation.

    Bad:
        val_evaluator = dict(type='IoUMetric', iou_metrics=['IoU'])

    Good:
        val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])

    Source: mmsegmentation 1.2.2, evaluation/metrics/iou_metric.py, `total_area_to_metrics`.
    """
    for key in ("val_evaluator", "test_evaluator"):
        for evaluator in evaluators_of(facts, key):
            node = evaluator.node.get("iou_metrics") if evaluator.kind == "IoUMetric" else None
            if node is None:
                continue
            for one in list(node) if node.is_list else [node]:
                if not isinstance(one.value, str) or one.value in IOU_METRICS:
                    continue
                near = next((name for name in IOU_METRICS if one.value.lower().lstrip("m") == name.lower()[1:]), None)
                near = near or next(iter(nearest_names(one.value, IOU_METRICS, limit=1)), None)
                yield Mark(
                    one,
                    f"IoUMetric has no metric {one.value!r}",
                    f"did you mean {near!r}?" if near else f"it has {', '.join(IOU_METRICS)}",
                    fix(f"write {near!r}", replaced(one, near), safe=True) if near else None,
                )


@rule("DATA012", Severity.ERROR)
def evaluators_share_keys(facts: Facts) -> Iterator[Mark]:
    """Two evaluators give metrics of the same name.

    Why it matters: ValueError at the first validation, after hours of training. Every IoUMetric gives `aAcc`.

    Bad:
        val_evaluator = [
            dict(type='IoUMetric', iou_metrics=['mIoU']),
            dict(type='IoUMetric', iou_metrics=['mDice']),
        ]

    Good:
        val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU', 'mDice'])

    Source: mmengine 0.10.7, evaluator/evaluator.py, `evaluate`.
    """
    for key in ("val_evaluator", "test_evaluator"):
        seen: dict[str, Node] = {}
        for evaluator in evaluators_of(facts, key):
            twice = [name for name in evaluator.keys or () if name in seen]
            if twice:
                yield Mark(
                    evaluator.node,
                    f"{twice[0]!r} is given by {seen[twice[0]].type} [{seen[twice[0]].name}] too",
                    "name all metrics in one IoUMetric, or give each a prefix",
                )
            for name in evaluator.keys or ():
                seen.setdefault(name, evaluator.node)


@rule("DATA013", Severity.WARNING)
def padding_is_trained(facts: Facts) -> Iterator[Mark]:
    """Padded pixels get a label that the head does not ignore.

    Why it matters: `seg_pad_val` is the label of padding. If it is a class, the padding is trained as that class; if it
    is none, the loss fails (a device-side assert on the GPU). Images that fill the size are not padded.

    Bad:
        model = dict(
            data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512), seg_pad_val=0),
            decode_head=dict(num_classes=4, ignore_index=255))

    Good:
        model = dict(
            data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512), seg_pad_val=255),
            decode_head=dict(num_classes=4, ignore_index=255))

    Source: mmsegmentation 1.2.2, utils/misc.py, `stack_batch`.
    """
    node = facts.preprocessor
    if node is None or node.type != "SegDataPreProcessor":
        return
    padded = facts.argument(node, "seg_pad_val")
    head = next(reversed(facts.decode_heads), None)
    ignored = head.get("ignore_index") if head is not None else None
    if not isinstance(padded, int) or not isinstance(ignored, int) or padded == ignored or head is None:
        return
    written = node.get("seg_pad_val")
    kind = f"class {padded}" if head.num_classes is None or padded < head.num_classes else "a label that no channel has"
    yield Mark(
        written or node,
        f"padding is labelled {padded}, the head ignores {ignored}: padding is trained as {kind}",
        f"set seg_pad_val={ignored}",
        fix(f"label padding {ignored}", replaced(written, ignored), safe=False) if written is not None else None,
    )


@rule("DATA014", Severity.ERROR)
def no_sampler(facts: Facts) -> Iterator[Mark]:
    """The data loader has no sampler.

    Why it matters: mmengine's loaders need one: KeyError when training, or the first validation, starts.

    Bad:
        train_dataloader = dict(batch_size=2, dataset=dict(type='CityscapesDataset'))

    Good:
        train_dataloader = dict(
            batch_size=2,
            sampler=dict(type='InfiniteSampler', shuffle=True),
            dataset=dict(type='CityscapesDataset'))

    Source: mmengine 0.10.7, runner/runner.py, `build_dataloader`.
    """
    for loader in facts.loaders:
        dataset = loader.node.get("dataset")
        if dataset is None or dataset.type is None or "sampler" in loader.node.value:
            continue
        if "batch_sampler" not in loader.node.value:
            kind = "InfiniteSampler" if loader.split == "train" else "DefaultSampler"
            yield Mark(
                loader.node,
                "the data loader has no sampler",
                f"set sampler=dict(type='{kind}', shuffle={loader.split == 'train'})",
                missing="sampler",
            )


@rule("DATA015", Severity.ERROR)
def workers_that_do_not_exist(facts: Facts) -> Iterator[Mark]:
    """Options for workers, and no workers.

    Why it matters: torch's DataLoader refuses `persistent_workers=True` and `prefetch_factor` with `num_workers=0`.

    Bad:
        train_dataloader = dict(num_workers=0, persistent_workers=True)

    Good:
        train_dataloader = dict(num_workers=0, persistent_workers=False)

    Source: torch.utils.data.DataLoader.
    """
    for loader in facts.loaders:
        workers = facts.value(loader.node, "num_workers", 0)
        node = loader.node.get("persistent_workers")
        if workers == 0 and node is not None and node.value is True:
            yield Mark(
                node,
                "persistent_workers=True with num_workers=0",
                "set num_workers, or persistent_workers=False",
                fix("set persistent_workers=False", replaced(node, False), safe=True),
            )
        node = loader.node.get("prefetch_factor")
        if workers == 0 and node is not None and isinstance(node.value, int):
            yield Mark(node, "prefetch_factor with num_workers=0", "set num_workers, or drop it")


@rule("DATA016", Severity.ERROR)
def pipeline_lacks_a_step(facts: Facts) -> Iterator[Mark]:
    """The pipeline does not load labels, or does not pack its results.

    Why it matters: without LoadAnnotations there are no labels to train on; without PackSegInputs the model is not
    given what it reads. Either fails at the first batch.

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

    Source: mmsegmentation 1.2.2, datasets/transforms/formatting.py.
    """
    for loader, dataset in _datasets(facts):
        pipeline = dataset.node.get("pipeline")
        known = facts.class_of(dataset.node, "dataset")
        if pipeline is None or not dataset.transforms or known is None or not known.dotted.startswith("mmseg."):
            continue
        kinds = []
        for node in dataset.transforms:
            info = facts.class_of(node, "transform")
            if info is None or info.dotted.partition(".")[0] not in ("mmseg", "mmcv"):
                break
            kinds.append(info.type_name)
        else:
            if not any(kind.startswith("Pack") or kind in ("TestTimeAug", "Compose") for kind in kinds):
                yield Mark(pipeline, "the pipeline does not end with PackSegInputs", "add it as the last step")
            loads = any("Annotation" in kind or kind in ("TestTimeAug", "Compose") for kind in kinds)
            if not loads and loader.split == "train":
                yield Mark(pipeline, "the training pipeline loads no labels", "add dict(type='LoadAnnotations')")


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
    for _, dataset in _datasets(facts):
        palette, classes = dataset.node.dig("metainfo.palette"), dataset.node.dig("metainfo.classes")
        if palette is None or classes is None or not palette.is_list or not classes.is_list or not palette.value:
            continue
        if len(palette.value) != len(classes.value):
            yield Mark(
                palette,
                f"{len(palette.value)} colours for {len(classes.value)} classes",
                "give one colour for each class",
            )


@rule("DATA019", Severity.ERROR)
def labels_not_prefixed(facts: Facts) -> Iterator[Mark]:
    """`data_prefix` says where the images are and not where the labels are.

    Why it matters: LoadAnnotations then has no label map to load: KeyError 'seg_map_path' at the first batch.

    Bad:
        train_dataloader = dict(
            dataset=dict(
                data_prefix=dict(img_path='images/train'),
                pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]))

    Good:
        train_dataloader = dict(
            dataset=dict(
                data_prefix=dict(img_path='images/train', seg_map_path='masks/train'),
                pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]))

    Source: mmsegmentation 1.2.2, datasets/basesegdataset.py, `load_data_list`.
    """
    for _, dataset in _datasets(facts):
        prefix = dataset.node.get("data_prefix")
        known = facts.class_of(dataset.node, "dataset")
        if prefix is None or not prefix.is_dict or dataset.transform("LoadAnnotations") is None:
            continue
        if dataset.kind and (known is None or not known.dotted.startswith("mmseg.")):
            continue
        if "img_path" in prefix.value and not any(key in prefix.value for key in ("seg_map_path", *_PREFIXES)):
            yield Mark(
                prefix,
                "data_prefix without seg_map_path, and LoadAnnotations in the pipeline",
                "say where the label maps are",
                missing="seg_map_path",
            )


@rule("DATA021", Severity.WARNING)
def every_image_is_padded(facts: Facts) -> Iterator[Mark]:
    """Training crops are smaller than the size that images are padded to.

    Why it matters: every image gets a margin of padding, which costs memory and time and trains nothing. Mostly one of
    the two was changed and the other forgotten.

    Bad:
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', size=(640, 640)))
        train_dataloader = dict(dataset=dict(pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='RandomCrop', crop_size=(512, 512)),
            dict(type='PackSegInputs'),
        ]))

    Good:
        model = dict(data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512)))
        train_dataloader = dict(dataset=dict(pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='RandomCrop', crop_size=(512, 512)),
            dict(type='PackSegInputs'),
        ]))

    Source: mmsegmentation 1.2.2, utils/misc.py, `stack_batch`.
    """
    padded = facts.padding
    node = facts.preprocessor.get("size") if facts.preprocessor is not None else None
    if padded is not None and node is not None and padded.least > 0:
        yield Mark(
            node,
            f"every training image is padded: {padded.least:.0%} of the {padded.height} x {padded.width} pixels lie "
            "outside the crop",
            "set size to the crop's",
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
    for _, dataset in _datasets(facts):
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
