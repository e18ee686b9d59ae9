"""Stubs for what is not there, or not wanted, while the parts of a config are built."""

from __future__ import annotations

import contextlib
import gc
import os.path
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from mmengine import fileio
from mmengine.dataset import BaseDataset
from mmengine.model import base_module, weight_init
from mmengine.visualization import Visualizer

STUB_IMAGES = 64
"""Images of each dataset, where no data is read: enough for an iteration."""


@contextlib.contextmanager
def visualizers_stubbed() -> Iterator[None]:
    """Without backends of the visualizer opening files or connections, and with torch's own settings restored."""
    deterministic, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    try:
        with mock.patch.object(Visualizer, "add_config", return_value=None):
            yield
    finally:
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.benchmark = benchmark


@contextlib.contextmanager
def without_init_info() -> Iterator[None]:
    """Initialise without mmengine's notes of who initialised what, which take longer than the initialising."""
    with (
        mock.patch.object(base_module, "update_init_info", return_value=None),
        mock.patch.object(weight_init, "update_init_info", return_value=None),
    ):
        yield


@contextlib.contextmanager
def with_files_stubbed() -> Iterator[None]:
    """Build datasets as if their files were there, and without reading them."""

    def full_init(dataset: Any) -> None:
        dataset.data_list = [{} for _ in range(STUB_IMAGES)]
        if dataset.serialize_data:
            dataset.data_bytes, dataset.data_address = dataset._serialize_data()
        dataset._fully_initialized = True

    with (
        mock.patch.object(gc, "collect"),  # mmengine's, after it has listed the images; it takes 0.1 s
        mock.patch.object(BaseDataset, "full_init", full_init),
        mock.patch.object(fileio, "exists", return_value=True),
        mock.patch.object(os.path, "isfile", return_value=True),
    ):
        yield
