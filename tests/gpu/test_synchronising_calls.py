"""The path that losses and samplers take on CUDA, walked without one.

Tensors on the meta device are not on the CPU, and have no values: code that must not look at values takes the same way
as on CUDA, and what would wait for the device is seen by its name or by the tensors that it mixes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmseg.registry import MODELS
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from provecfg.plugin import losses as ours
from provecfg.plugin.heads.semantic_scores import semantic_log_probs
from provecfg.plugin.samplers import HardPixelSampler

pytestmark = pytest.mark.stack

CLASSES = 5
RAMP = [0.5, 1.0, 1.5, 2.0, 2.5]
WAITING = frozenset(
    {"new_tensor", "item", "tolist", "cpu", "numpy", "nonzero", "masked_select", "unique", "bincount", "__bool__"}
    | {"__float__", "__int__", "__index__"}
)
"""Methods that copy from or to the host, or whose result's size is a value. (`torch.tensor` is on the CPU, and is
moved: the move is seen by itself.)"""


class _Calls(TorchFunctionMode):
    """Notes calls that wait, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", str(func))
        if name in WAITING:
            self.waiting.append(name)
        if name in ("__getitem__", "__setitem__"):
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            if any(isinstance(part, list) or (isinstance(part, Tensor) and part.dtype is torch.bool) for part in index):
                self.waiting.append(f"{name} by a list or a mask")
        return func(*args, **(kwargs or {}))


class _Moves(TorchDispatchMode):
    """Notes copies between devices."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        # torch waits after a copy unless it is asked not to (`set_sync_debug_mode` sees the same).
        moved = "copy" in str(func) and isinstance(result, Tensor) and not (kwargs or {}).get("non_blocking")
        if moved and any(isinstance(arg, Tensor) and arg.device != result.device for arg in args):
            self.waiting.append(str(func))
        return result


def waits_of(call: Callable[[Tensor, Tensor], Tensor], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What waits in a forward and a backward pass on logits (2, C, 8, 10) and labels."""
    # There is no autocast for meta tensors; here it is off anyway.
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: contextlib.nullcontext())
    with _Moves() as moves, _Calls() as calls:
        logits = torch.empty(2, CLASSES, 8, 10, device="meta", requires_grad=True)
        labels = torch.empty(2, 8, 10, device="meta", dtype=torch.int64)
        value = call(logits, labels)
        if value.requires_grad:
            value.sum().backward()
    return [*calls.waiting, *moves.waiting]


MAPS = torch.empty(2, CLASSES, 8, 10, device="meta")
LOSSES = {
    "CE": ours.SegCrossEntropyLoss(),
    "CE, smoothing and class weights": ours.SegCrossEntropyLoss(RAMP, 0.1),
    "focal": ours.SoftmaxFocalLoss(),
    "focal, alpha a class": ours.SoftmaxFocalLoss(gamma=0.5, alpha=RAMP),
    "boundary-aware focal": ours.BoundaryAwareFocalLoss(),
    "Dice": ours.SegDiceLoss(),
    "Dice, some classes, per image": ours.SegDiceLoss(classes=[1, 2], per_image=True),
    "Lovasz": ours.SegLovaszLoss(),
    "Lovasz, present, batch, class weights": ours.SegLovaszLoss(classes="present", per_image=False, class_weight=RAMP),
    "boundary": ours.SegBoundaryLoss(),
    "boundary, per class": ours.SegBoundaryLoss(per_class=True),
    "multi-scale": MODELS.build({"type": "MultiScaleLoss", "loss": {"type": "SegCrossEntropyLoss"}}),
}


@pytest.mark.parametrize("name", LOSSES)
def test_no_loss_waits_for_the_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert waits_of(lambda logits, labels: LOSSES[name](logits, labels), monkeypatch) == []


@pytest.mark.parametrize("classes", ["all", [2, 3]])
def test_distance_boundary_does_not_wait_where_maps_are_given(classes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    loss = ours.DistanceBoundaryLoss(classes=classes)
    assert waits_of(lambda logits, labels: loss(logits, labels, distance_maps=MAPS), monkeypatch) == []


def test_pixel_weights_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = ours.SegDiceLoss()
    assert waits_of(lambda logits, labels: loss(logits, labels, weight=labels.float()), monkeypatch) == []


@pytest.mark.parametrize("thresh", [0.7, None])
def test_the_sampler_of_hard_pixels_does_not_wait(thresh: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    head = SimpleNamespace(ignore_index=255, loss_decode=ours.SegCrossEntropyLoss())
    sampler = HardPixelSampler(head, thresh, 3)
    assert waits_of(lambda logits, labels: sampler.sample(logits, labels.unsqueeze(1)), monkeypatch) == []


def test_scores_of_masks_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def scores(logits: Tensor, labels: Tensor) -> Tensor:
        return semantic_log_probs(logits.flatten(2).transpose(1, 2), logits.new_empty(2, 80, 4, 4))

    assert waits_of(scores, monkeypatch) == []


@pytest.mark.parametrize(
    "wait",
    [
        lambda logits: logits.new_tensor([1.0, 2.0]).sum(),
        lambda logits: logits[:, [0, 1]].sum(),
        lambda logits: torch.tensor([1.0, 2.0]).to(logits.device).sum(),
    ],
    ids=["new_tensor", "a list as index", "a copy to the device"],
)
def test_what_waits_is_seen(wait: Callable[[Tensor], Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    assert waits_of(lambda logits, labels: wait(logits), monkeypatch) != []
