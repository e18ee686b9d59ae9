"""Samples of a dataset, read through its real pipeline."""

from __future__ import annotations

import contextlib
import gc
import pickle
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmseg.registry import DATASETS

from provecfg.proof.subject import nothing_printed

OF_THE_STACK = ("mmcv", "mmseg", "mmdet", "mmengine", "provecfg")
"""Packages of classes whose ways are known."""
_SEED = 0


@dataclass(frozen=True, slots=True)
class ReadFailure:
    """A dataset that could not be built, or a sample that did not come through.

    Args:
        key: Dotted path in the config of what failed.
        what: What failed, in words.
        error: What it raised.
        by_stack: Whether it is of a class of the stack, whose ways are known, and not of one of the user's.
    """

    key: str
    what: str
    error: Exception
    by_stack: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """What the pipeline made of one image.

    Args:
        packed: What the loader would get: `inputs` and `data_samples`.
        inputs: The image, (C, H, W), or None where there is none.
        labels: The label map, (H, W), or None where there is none.
        values: The labels that are in it.
        image_path, label_path: The files, or "".
        original: (height, width) of the image as it was read, or None.
    """

    packed: Any
    inputs: torch.Tensor | None
    labels: torch.Tensor | None
    values: frozenset[int]
    image_path: str
    label_path: str
    original: tuple[int, int] | None


@dataclass(slots=True)
class SampledDataset:
    """A dataset, and samples of it.

    Args:
        dataset: The built dataset, or None where it could not be built.
        samples: Those that came through.
        failure: What did not, the first of it.
        is_segmentation: Whether what comes out is images with label maps, as far as can be told.
    """

    dataset: Any = None
    samples: list[Sample] = field(default_factory=list)
    failure: ReadFailure | None = None

    @property
    def is_segmentation(self) -> bool:
        return all(sample.inputs is not None for sample in self.samples)


def read_samples(dataset: Any, key: str, indices: Sequence[int] | int, seconds: float = 60.0) -> SampledDataset:
    """Build a dataset and read samples of it.

    Args:
        dataset: The config's dict of it.
        key: Its dotted path in the config.
        indices: Which, as far as there are so many; a number stands for that many, evenly spread.
        seconds: After this time no further sample is read.
    """
    read = SampledDataset()
    with nothing_printed(), own_randomness():
        try:
            # mmengine collects garbage after it has listed the images; with the stack imported that takes 0.1 s.
            with mock.patch.object(gc, "collect"):
                read.dataset = DATASETS.build(dataset)
                if hasattr(read.dataset, "full_init"):
                    read.dataset.full_init()
        except Exception as error:  # a dataset's class may raise anything
            read.failure = ReadFailure(key, f"{_name(dataset)} cannot be built", error, _is_of_stack(read.dataset))
            return read
        until = time.monotonic() + seconds
        for index in _chosen(indices, len(read.dataset)):
            try:
                read.samples.append(_sample(read.dataset[index]))
            except Exception as error:
                read.failure = _where(read.dataset, key, index, error)
                break
            if time.monotonic() > until:
                break
    return read


def _chosen(indices: Sequence[int] | int, length: int) -> list[int]:
    if not isinstance(indices, int):
        return [index for index in indices if index < length]
    if length <= indices:
        return list(range(length))
    return sorted({round(number * (length - 1) / max(indices - 1, 1)) for number in range(indices)})


@contextlib.contextmanager
def own_randomness(seed: int = _SEED) -> Iterator[Callable[[], bool]]:
    """The same random numbers in every proof, and those of the process as if none had been drawn.

    Yields:
        Whether any have been drawn of these.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seed_all(seed)
    begun = _drawn_so_far()
    try:
        yield lambda: _drawn_so_far() != begun
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def seed_all(seed: int) -> None:
    """Seed the generators that a pipeline draws from: Python's, NumPy's, and torch's of the CPU."""
    random.seed(seed)
    np.random.seed(seed)
    # torch.manual_seed would seed every other device, too, and format the stack for each
    torch.default_generator.manual_seed(seed)


def _drawn_so_far() -> tuple[object, ...]:
    """The states of the generators, to be compared."""
    return random.getstate(), pickle.dumps(np.random.get_state()), torch.get_rng_state().numpy().tobytes()


def _sample(packed: Any) -> Sample:
    inputs = packed.get("inputs") if isinstance(packed, dict) else None
    data = packed.get("data_samples") if isinstance(packed, dict) else None
    labels = getattr(getattr(data, "gt_sem_seg", None), "data", None)
    if isinstance(labels, torch.Tensor) and labels.ndim == 3 and len(labels) == 1:
        labels = labels[0]
    if not (isinstance(labels, torch.Tensor) and labels.ndim == 2):
        labels = None
    original = getattr(data, "ori_shape", None)
    return Sample(
        packed,
        inputs if isinstance(inputs, torch.Tensor) and inputs.ndim == 3 else None,
        labels,
        frozenset() if labels is None else _values(labels),
        str(getattr(data, "img_path", "")),
        str(getattr(data, "seg_map_path", "")),
        tuple(original[:2]) if original is not None else None,
    )


def _values(labels: torch.Tensor) -> frozenset[int]:
    """The values of a map of whole numbers, some twenty times as fast as by `torch.unique`."""
    lowest = int(labels.min()) if labels.numel() else 0
    return frozenset((torch.nonzero(torch.bincount((labels - lowest).flatten()))[:, 0] + lowest).tolist())


def leaves(dataset: Any, key: str) -> Iterator[tuple[Any, str]]:
    """The datasets inside wrappers, each with its dotted path."""
    inner = getattr(dataset, "dataset", None)
    several = getattr(dataset, "datasets", None)
    if isinstance(inner, BaseDataset) or hasattr(inner, "datasets") or hasattr(inner, "dataset"):
        yield from leaves(inner, f"{key}.dataset")
    elif isinstance(several, (list, tuple)):
        for index, part in enumerate(several):
            yield from leaves(part, f"{key}.datasets[{index}]")
    else:
        yield dataset, key


def _where(dataset: Any, key: str, index: int, error: Exception) -> ReadFailure:
    """The step of the pipeline that raises, as far as running it step by step shows it again."""
    for leaf, leaf_key in leaves(dataset, key):
        steps = getattr(getattr(leaf, "pipeline", None), "transforms", ())
        for item in range(min(index + 1, len(leaf)))[-1:]:
            try:
                data = leaf.get_data_info(item)
            except Exception as again:
                return ReadFailure(leaf_key, f"{type(leaf).__name__} finds no sample", again, _is_of_stack(leaf))
            for number, step in enumerate(steps):
                try:
                    data = step(data)
                except Exception as again:
                    name = type(step).__name__
                    return ReadFailure(f"{leaf_key}.pipeline[{number}]", f"{name} fails", again, _is_of_stack(step))
                if data is None:
                    break
    return ReadFailure(key, f"{type(dataset).__name__} fails", error, _is_of_stack(dataset))


def _is_of_stack(part: Any) -> bool:
    """Whether a dataset or transform is of a class of the stack; what could not be built at all is, too."""
    return part is None or type(part).__module__.partition(".")[0] in OF_THE_STACK


def _name(dataset: Any) -> str:
    kind = dataset.get("type")
    return kind if isinstance(kind, str) else getattr(kind, "__name__", "the dataset")
