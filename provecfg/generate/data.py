"""What a cell reads, and how it becomes a batch: dataloaders, data preprocessor and evaluator."""

from __future__ import annotations

from typing import Any

from provecfg import invariants
from provecfg.catalog.datasets import Dataset, Split
from provecfg.catalog.models import Model
from provecfg.catalog.strategies import Strategy
from provecfg.study.schema import Data


def train_dataloader(data: Data, dataset: Dataset, strategy: Strategy) -> dict[str, Any]:
    """The `train_dataloader`: random crops, without end."""
    pipeline: list[dict[str, Any]] = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations"},
        {
            "type": "RandomResize",
            "scale": data.resize_scale or dataset.resize_scale,
            "ratio_range": strategy.ratio_range,
            "keep_ratio": True,
        },
        {"type": "RandomCrop", "crop_size": data.crop_size, "cat_max_ratio": strategy.cat_max_ratio},
        {"type": "RandomFlip", "prob": strategy.flip_prob},
    ]
    if strategy.photometric_distortion:
        pipeline.append({"type": "PhotoMetricDistortion"})
    pipeline.append({"type": "PackSegInputs"})
    sampler = {"type": "InfiniteSampler", "shuffle": True}
    return _dataloader(data, dataset, dataset.train, pipeline, sampler, data.batch_size)


def val_dataloader(data: Data, dataset: Dataset) -> dict[str, Any]:
    """The `val_dataloader`, and `test_dataloader`: whole images, one at a time."""
    pipeline: list[dict[str, Any]] = [
        {"type": "LoadImageFromFile"},
        {"type": "Resize", "scale": data.resize_scale or dataset.resize_scale, "keep_ratio": True},
        # After Resize: the metric compares with the label map in its own size.
        {"type": "LoadAnnotations"},
        {"type": "PackSegInputs"},
    ]
    return _dataloader(data, dataset, dataset.val, pipeline, {"type": "DefaultSampler", "shuffle": False}, 1)


def _dataloader(
    data: Data,
    dataset: Dataset,
    split: Split,
    pipeline: list[dict[str, Any]],
    sampler: dict[str, Any],
    batch_size: int,
) -> dict[str, Any]:
    return {
        "batch_size": batch_size,
        "num_workers": data.num_workers,
        "persistent_workers": data.num_workers > 0,  # torch refuses True without workers
        "sampler": sampler,
        "dataset": {
            "type": dataset.type,
            "data_root": data_root(data, dataset),
            "data_prefix": {"img_path": split.images, "seg_map_path": split.labels},
            "pipeline": pipeline,
        },
    }


def data_root(data: Data, dataset: Dataset) -> str:
    """The data root as a config says it: the environment's, or else the study's, or else the dataset's own."""
    root = data.root.get(dataset.name) if isinstance(data.root, dict) else data.root
    root = root or dataset.root
    if invariants.substitutable_path(root) is not None:
        return root  # mmengine's substitution would not read it back; the command line can still replace it
    return f"{{{{${dataset.root_variable}:{root}}}}}"


def data_preprocessor(data: Data, dataset: Dataset, model: Model) -> dict[str, Any]:
    """The model's `data_preprocessor`."""
    preprocessor: dict[str, Any] = {
        "type": "SegDataPreProcessor",
        "mean": list(dataset.mean),
        "std": list(dataset.std),
        "bgr_to_rgb": True,
        "pad_val": 0,
        "seg_pad_val": dataset.ignore_index,
        "size": data.crop_size,
    }
    if model.test_size_divisor is not None:
        preprocessor["test_cfg"] = {"size_divisor": model.test_size_divisor}
    return preprocessor


def evaluator() -> dict[str, Any]:
    """The `val_evaluator`, and `test_evaluator`."""
    # `val/mIoU` exists only with this prefix (facts of mmengine: a metric without one is named `mIoU`).
    return {"type": "SegCountsMetric", "iou_metrics": ["mIoU"], "prefix": "val"}
