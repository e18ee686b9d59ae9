from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.special import softmax
from torch.testing import assert_close

from provecfg.plugin.losses import SegBoundaryLoss
from provecfg.plugin.losses.sobel import box_sums, diagonal_differences, label_boundary, whole_windows

pytestmark = pytest.mark.stack

EPS = 1e-3


def energy(plane):
    gx, gy = (ndimage.sobel(plane, axis, mode="nearest") for axis in (1, 0))
    return gx**2 + gy**2


def one_hot(labels, classes):
    return np.stack([labels == c for c in range(classes)]).astype(np.float64)


def loss_by_scipy(logits, labels, per_class):
    terms = []
    for x, y in zip(logits.numpy(), labels.numpy(), strict=True):
        classes = len(x)
        predicted = np.stack([energy(p) for p in softmax(x.astype(np.float64), axis=0)])
        wanted = np.stack([energy(p) for p in one_hot(y, classes)])
        if per_class:
            predicted, wanted = predicted / 16, wanted / 16
        else:
            predicted, wanted = predicted.sum(0, keepdims=True) / 32, wanted.sum(0, keepdims=True) / 32
        b = np.minimum(np.sqrt(predicted + EPS**2), 1 - EPS)
        t = np.minimum(np.sqrt(wanted), 1)
        counts = ndimage.minimum_filter((y != 255).astype(int), size=3, mode="nearest") == 1
        terms.append((-t * np.log(b) - (1 - t) * np.log(1 - b))[:, counts])
    return np.concatenate(terms, axis=1).mean()


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("side", [1, 2, 3, 25])
def test_it_is_the_definition_by_scipys_sobel(make_scene, per_class, side):
    logits, labels = make_scene(height=side, width=25, ignored=0.1, patch=6)
    expected = loss_by_scipy(logits, labels, per_class)
    assert_close(SegBoundaryLoss(per_class=per_class)(logits, labels).item(), expected, rtol=1e-11, atol=0)


def test_the_label_map_is_that_of_one_hot_labels(make_scene):
    for patch in (1, 2, 5):
        _, labels = make_scene(2, 7, 31, 33, ignored=0, patch=patch)
        expected = [np.sqrt(np.minimum(sum(energy(p) for p in one_hot(y, 7)) / 32, 1)) for y in labels.numpy()]
        boundary = label_boundary(labels.to(torch.uint8), torch.float64)
        assert_close(boundary.numpy(), np.stack(expected), rtol=0, atol=1e-15)


def test_a_straight_step_is_1_on_both_sides_and_the_frame_is_no_boundary():
    labels = torch.tensor([[3, 3, 3, 5, 5, 5]] * 4).unsqueeze(0)
    expected = torch.tensor([[0, 0, 1, 1, 0, 0]] * 4, dtype=torch.float32).unsqueeze(0)
    assert_close(label_boundary(labels, torch.float32), expected, rtol=0, atol=0)
    assert_close(label_boundary(labels.mT, torch.float32), expected.mT, rtol=0, atol=0)


def test_the_box_form_is_the_textbook_sobel():
    plane = torch.rand(9, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    d1, d2 = diagonal_differences(box_sums(plane.unsqueeze(0)))
    assert_close((d1 + d2)[0].numpy(), ndimage.sobel(plane.numpy(), 1, mode="nearest"))
    assert_close((d1 - d2)[0].numpy(), ndimage.sobel(plane.numpy(), 0, mode="nearest"))


def test_windows_are_whole_where_no_neighbour_is_ignored():
    valid = torch.ones(1, 5, 6, dtype=torch.bool)
    valid[0, 0, 0] = valid[0, 3, 4] = False
    expected = ndimage.minimum_filter(valid.numpy()[0], size=3, mode="nearest")
    assert whole_windows(valid)[0].tolist() == expected.tolist()


@pytest.mark.parametrize("per_class", [False, True])
def test_a_flat_prediction_of_flat_labels_costs_the_floor(per_class):
    logits = torch.zeros(1, 3, 6, 6)
    value = SegBoundaryLoss(per_class=per_class)(logits, torch.ones(1, 6, 6, dtype=torch.long))
    assert_close(value, torch.tensor(-np.log1p(-EPS), dtype=torch.float32), rtol=1e-4, atol=0)


@pytest.mark.parametrize("per_class", [False, True])
def test_the_right_step_costs_the_floor_and_a_missed_or_invented_one_much(per_class):
    labels = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 1]] * 6).unsqueeze(0)
    right = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1) * 100.0
    loss = SegBoundaryLoss(per_class=per_class)
    assert loss(right, labels) < 2 * EPS
    missed, invented = loss(torch.zeros_like(right), labels), loss(right, torch.zeros_like(labels))
    shifted = loss(right.roll(1, -1).index_copy(3, torch.tensor([0]), right[..., :1]), labels)
    assert min(missed, invented, shifted) > 0.5


def test_descent_finds_a_boundary_that_the_prediction_lacks():
    labels = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 1]] * 8).unsqueeze(0)
    torch.manual_seed(0)
    logits = (0.1 * torch.randn(1, 2, 8, 8)).requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.1)
    loss = SegBoundaryLoss()
    first = loss(logits, labels).item()
    for _ in range(200):
        optimizer.zero_grad()
        value = loss(logits, labels)
        value.backward()
        optimizer.step()
    assert value < 0.4 * first


def test_void_has_no_boundary(make_scene, value_and_gradient):
    # A flat class with a hole of ignored pixels: neither the hole's rim nor what is predicted in it counts.
    labels = torch.zeros(1, 9, 9, dtype=torch.long)
    labels[0, 3:6, 3:6] = 255
    logits = torch.zeros(1, 3, 9, 9)
    logits[0, 1, 3:6, 3:6] = 50.0
    value, gradient = value_and_gradient(SegBoundaryLoss(), logits, labels)
    assert value < 2 * EPS
    assert torch.count_nonzero(gradient[0, :, 3:6, 3:6]) == 0


@pytest.mark.parametrize("eps", [0, -1e-3, 0.2, float("nan")])
def test_eps_out_of_range_is_refused(eps):
    with pytest.raises(ValueError, match=r"eps is .*, must be in \(0, 0\.1\]"):
        SegBoundaryLoss(eps=eps)
