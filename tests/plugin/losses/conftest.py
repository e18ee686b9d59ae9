"""Small street-like scenes for the losses' tests."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

torch.set_num_threads(1)  # at these sizes threads cost more than they bring


@pytest.fixture(autouse=True, scope="session")
def _mmseg_is_imported():
    """mmseg imports its modules when something is first built; some of those warn about others' deprecations."""
    from mmseg.registry import MODELS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        MODELS.import_from_location()


class Scene(NamedTuple):
    """Logits (N, C, H, W) of a half-trained net, and labels (N, H, W) in patches with 255 between some."""

    logits: Tensor
    labels: Tensor


@pytest.fixture
def make_scene():
    """`make_scene(images, classes, height, width)`: the same scene for the same arguments."""

    def make(images=2, classes=4, height=12, width=14, *, ignored=0.2, patch=4, dtype=torch.float64, seed=0):
        random = torch.Generator().manual_seed(seed)
        rows, columns = -(-height // patch), -(-width // patch)
        coarse = torch.randint(0, classes, (images, rows, columns), generator=random)
        coarse[torch.rand(coarse.shape, generator=random) < ignored] = 255
        labels = coarse.repeat_interleave(patch, 1).repeat_interleave(patch, 2)[:, :height, :width].contiguous()
        logits = torch.randn(images, classes, height, width, generator=random, dtype=torch.float64)
        known = labels.where(labels != 255, 0).unsqueeze(1)
        logits.scatter_add_(1, known, torch.full(known.shape, 1.5, dtype=torch.float64))
        return Scene(logits.to(dtype), labels)

    return make


@pytest.fixture
def value_and_gradient():
    """`value_and_gradient(loss, logits, labels, **call)`: the loss and its gradient by the logits."""

    def run(loss, logits, labels, **call):
        leaf = logits.detach().clone(memory_format=torch.preserve_format).requires_grad_()
        value = loss(leaf, labels, **call)
        value.backward()
        return value.detach(), leaf.grad

    return run
