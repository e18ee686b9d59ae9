"""What a cell reads, and how it becomes a batch: dataloaders, data preprocessor and evaluator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from provecfg import invariants
from provecfg.catalog.datasets import Dataset, Split
from provecfg.catalog.strategies import Strategy
from provecfg.generate.strategies import training_pipeline
from provecfg.study.bases import Base
from provecfg.study.schema import Data


def train_dataloader(
    data: Data,
    dataset: Dataset,
    strategy: Strategy,
    label_transforms: Sequence[dict[str, Any]] = (),
    *,
    by_epoch: bool = False,
) -> dict[str, Any]:
    """The `train_dataloader`: random crops, without end or epoch by epoch."""

    def pipeline(part: Dataset) -> list[dict[str, Any]]:
        return training_pipeline(data, dataset, strategy, label_loader(part), label_transforms)

    if strategy.manifest is not None:
        return _dataloader(
            data,
            _with_generated(data, dataset, strategy.manifest, pipeline),
            {"type": "GeneratedShareSampler", "share": strategy.generated_share},
            data.batch_size,
        )
    sampler = {"type": "DefaultSampler" if by_epoch else "InfiniteSampler", "shuffle": True}
    return _dataloader(data, dataset_of(data, dataset, "train", pipeline), sampler, data.batch_size)


def _with_generated(
    data: Data, dataset: Dataset, manifest: str, pipeline: Callable[[Dataset], list[dict[str, Any]]]
) -> dict[str, Any]:
    """Real images, and those that were generated of them: two datasets, each of as many as are joined."""
    parts = [part.as_paired() for part in dataset.parts]
    real = [dataset_of(data, part, "train", pipeline) for part in parts]
    generated = []
    for part, of_real in zip(parts, real, strict=True):
        names = list(dict.fromkeys(name for name in (part.name, part.copy_of, part.title) if name))
        generated.append({**of_real, "manifest": manifest, "generated_of": names})
    return _joined([_joined(real), _joined(generated)])


def _joined(datasets: list[dict[str, Any]]) -> dict[str, Any]:
    if len(datasets) == 1:
        return datasets[0]
    # mmengine refuses to join datasets that differ in any of their meta information; their classes are the same
    return {"type": "ConcatDataset", "datasets": datasets, "ignore_keys": ["palette"]}


def val_dataloader(data: Data, dataset: Dataset) -> dict[str, Any]:
    """The `val_dataloader`: whole images, one at a time."""
    return _evaluation_dataloader(data, dataset, "val")


def test_dataloader(data: Data, dataset: Dataset) -> dict[str, Any]:
    """The `test_dataloader`: that of validation, unless the dataset has a test split of its own."""
    return _evaluation_dataloader(data, dataset, "test" if dataset.test is not None else "val")


def _evaluation_dataloader(data: Data, dataset: Dataset, split: str) -> dict[str, Any]:
    def pipeline(part: Dataset) -> list[dict[str, Any]]:
        return [
            {"type": "LoadImageFromFile"},
            {"type": "Resize", "scale": data.resize_scale or dataset.resize_scale, "keep_ratio": True},
            # After Resize: the metric compares with the label map in its own size.
            label_loader(part),
            {"type": "PackSegInputs"},
        ]

    return _dataloader(
        data, dataset_of(data, dataset, split, pipeline), {"type": "DefaultSampler", "shuffle": False}, 1
    )


def label_loader(dataset: Dataset) -> dict[str, Any]:
    """The transform that loads its label maps: ours maps what mmseg's takes as it is."""
    if not dataset.is_paired:
        return {"type": "LoadAnnotations"}
    return {"type": "LoadEncodedAnnotations", **({"cache": True} if dataset.cache_labels else {})}


def _dataloader(data: Data, dataset: dict[str, Any], sampler: dict[str, Any], batch_size: int) -> dict[str, Any]:
    return {
        "batch_size": batch_size,
        "num_workers": data.num_workers,
        "persistent_workers": data.num_workers > 0,  # torch refuses True without workers
        "sampler": sampler,
        "dataset": dataset,
    }


def dataset_of(
    data: Data, dataset: Dataset, split: str, pipeline: Callable[[Dataset], list[dict[str, Any]]]
) -> dict[str, Any]:
    """The dict of a dataset in a loader.

    Args:
        data: What the study says of data.
        dataset: The dataset.
        split: `train`, `val` or `test`.
        pipeline: A dataset, one of those that are joined, to its pipeline.
    """
    if dataset.joined:
        return _joined([dataset_of(data, part, split, pipeline) for part in dataset.joined])
    files, root = dataset.splits[split], data_root(data, dataset)
    if dataset.is_paired:
        arguments = _paired_arguments(dataset, files)
    else:
        arguments = {"data_prefix": {"img_path": files.images, "seg_map_path": files.labels}, **dataset.arguments}
        if files.files is not None:
            arguments["ann_file"] = files.files
    return {"type": dataset.type, "data_root": root, **arguments, "pipeline": pipeline(dataset)}


def _paired_arguments(dataset: Dataset, split: Split) -> dict[str, Any]:
    metainfo: dict[str, Any] = {"classes": list(dataset.classes)}
    if dataset.palette is not None:
        metainfo["palette"] = [list(colour) for colour in dataset.palette]
    arguments: dict[str, Any] = {"images": split.images, "labels": split.labels, "metainfo": metainfo}
    arguments |= {
        "files": split.files,
        "only": split.only,
        "share": split.share,
        "share_seed": split.share_seed if split.share else None,
        "group": split.group,
        "encoding": dataset.encoding,
        "channel_order": dataset.channel_order if dataset.encoding == "rgb" else None,
        "mapping": dict(dataset.mapping) if dataset.mapping is not None else None,
        "slices": dict(dataset.slices) or None,
    }
    return {name: value for name, value in arguments.items() if value is not None}


def data_root(data: Data, dataset: Dataset) -> str:
    """The data root as a config says it: the environment's, or else the study's, or else the dataset's own."""
    root = data.root.get(dataset.name) if isinstance(data.root, dict) else data.root
    root = root or dataset.root
    if invariants.substitutable_path(root) is not None:
        return root  # mmengine's substitution would not read it back; the command line can still replace it
    return f"{{{{${dataset.root_variable}:{root}}}}}"


def data_preprocessor(data: Data, dataset: Dataset, base: Base) -> dict[str, Any]:
    """The model's `data_preprocessor`: the base's, since its pretrained weights go with its mean and deviation."""
    own = base.model.get("data_preprocessor") or {}
    preprocessor: dict[str, Any] = {
        "type": "SegDataPreProcessor",
        "mean": list(dataset.mean),
        "std": list(dataset.std),
        "bgr_to_rgb": True,
        **{key: value for key, value in own.items() if key not in ("size", "size_divisor", "test_cfg")},
        "pad_val": own.get("pad_val", 0),
        "seg_pad_val": dataset.ignore_index,
        "size": data.crop_size,
    }
    if own.get("test_cfg"):
        preprocessor["test_cfg"] = own["test_cfg"]
    return preprocessor


def evaluator(metrics: Sequence[str] = ("mIoU",)) -> dict[str, Any]:
    """The `val_evaluator`, and `test_evaluator`.

    Args:
        metrics: As `IoUMetric` names them.
    """
    # `val/mIoU` exists only with this prefix (facts of mmengine: a metric without one is named `mIoU`).
    return {"type": "SegCountsMetric", "iou_metrics": list(metrics), "prefix": "val"}
