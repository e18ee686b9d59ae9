"""Whether the passes of a data loader's sampler end, seen on the real sampler over data that is not there."""

from __future__ import annotations

import copy
from itertools import islice
from typing import Any

from mmengine.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import DataLoader

from provecfg.proof.subject import Subject
from provecfg.training import adapt

_SAMPLES = 8


class _IndexDataset:
    """So many samples, without contents."""

    def __init__(self) -> None:
        self.metainfo: dict[str, Any] = {}

    def __len__(self) -> int:
        return _SAMPLES

    def __getitem__(self, index: int) -> int:
        return index

    def get_data_info(self, index: int) -> dict[str, Any]:
        return {"sample_idx": index}


def is_endless(loader: Any) -> bool | None:
    """Whether one pass of the loader's sampler goes on for ever.

    Args:
        loader: A data loader of the config (dict).

    Returns:
        None where the sampler cannot be built for data that is not there.
    """
    try:
        sampler = _sampler(loader, _IndexDataset())
    except Exception:  # a class of the config's own, or an argument that another check reports
        return None
    most = 16 * _SAMPLES
    return sum(1 for _ in islice(iter(sampler), most)) == most


def batches_in(subject: Subject, key: str) -> int | None:
    """Batches in one pass over the data of a loader, on one device; None where the data is not given or not read."""
    loader = subject.config.get(key)
    if subject.data_root is None or not isinstance(loader, dict):
        return None
    loader = adapt.with_data_root(subject.config, subject.data_root)[key]
    try:
        dataset = DATASETS.build(copy.deepcopy(loader["dataset"]))
        if hasattr(dataset, "full_init"):
            dataset.full_init()
        if loader.get("num_batch_per_epoch"):
            return int(loader["num_batch_per_epoch"])
        sampler = _sampler(loader, dataset)
        if loader.get("batch_sampler"):
            return len(sampler)
        return len(
            DataLoader(
                dataset, batch_size=loader["batch_size"], sampler=sampler, drop_last=loader.get("drop_last", False)
            )
        )
    except Exception:  # the data is another check's subject
        return None


def _sampler(loader: Any, dataset: Any) -> Any:
    # As Runner.build_dataloader does.
    sampler = DATA_SAMPLERS.build(copy.deepcopy(loader["sampler"]), default_args={"dataset": dataset, "seed": 0})
    batch_sampler = loader.get("batch_sampler")
    if not batch_sampler:
        return sampler
    return DATA_SAMPLERS.build(
        copy.deepcopy(batch_sampler), default_args={"sampler": sampler, "batch_size": loader["batch_size"]}
    )
