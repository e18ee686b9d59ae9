from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch.testing import assert_close

from provecfg.plugin.losses import DistanceBoundaryLoss
from provecfg.plugin.losses.distance_maps import signed_distance_maps

pytestmark = pytest.mark.stack


def maps_by_search(labels, classes):
    """Distances by looking at every pair of pixels."""
    maps = np.zeros((classes, *labels.shape))
    places = np.argwhere(labels != 255)
    known = labels[labels != 255]
    for c in range(classes):
        own, other = places[known == c], places[known != c]
        if not len(own) or not len(other):
            continue
        for y, x in places:
            inside = labels[y, x] == c
            distance = np.hypot(*((other if inside else own) - (y, x)).T).min()
            maps[c, y, x] = 1 - distance if inside else distance
    return maps


def test_maps_along_a_line_by_hand():
    labels = torch.tensor([[[0, 0, 0, 1, 1, 255, 2]]])
    maps = signed_distance_maps(labels.where(labels != 255, 0), labels != 255, 4, (0, 1, 2, 3))
    assert maps[0, :, 0].tolist() == [
        [-2, -1, 0, 1, 2, 0, 4],  # the rim of a class is 0, so that it costs nothing to be unsure there
        [3, 2, 1, 0, -1, 0, 2],  # the pixel beside the void: the nearest other pixel is 2 away, beyond it or before
        [6, 5, 4, 3, 2, 0, -1],
        [0, 0, 0, 0, 0, 0, 0],  # not in this image
    ]


@pytest.mark.parametrize("ignored", [0.0, 0.3])
@pytest.mark.parametrize("patch", [1, 3, 5])
def test_maps_are_the_nearest_by_search(make_scene, ignored, patch):
    _, labels = make_scene(3, 4, 11, 13, ignored=ignored, patch=patch, seed=patch)
    maps = signed_distance_maps(labels.where(labels != 255, 0), labels != 255, 4, (0, 1, 2, 3))
    assert maps.dtype is torch.float32
    expected = np.stack([maps_by_search(y, 4) for y in labels.numpy()])
    assert_close(maps.double().numpy(), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("classes", ["all", [1, 3]])
def test_it_is_the_mean_of_probability_times_distance(make_scene, classes):
    logits, labels = make_scene()
    p = softmax(logits.numpy(), axis=1)
    maps = np.stack([maps_by_search(y, 4) for y in labels.numpy()])
    chosen = [0, 1, 2, 3] if classes == "all" else classes
    total = (p[:, chosen] * maps[:, chosen]).sum() / len(chosen) / (labels != 255).sum()
    value = DistanceBoundaryLoss(classes)(logits, labels)
    assert_close(value.item(), total.item(), rtol=1e-6, atol=0)
    diagonal = np.hypot(12, 14)
    assert_close(DistanceBoundaryLoss(classes, normalize=True)(logits, labels), value / diagonal)


def test_given_maps_are_used_and_cost_the_same(make_scene, value_and_gradient):
    logits, labels = make_scene()
    maps = signed_distance_maps(labels.where(labels != 255, 0), labels != 255, 4, (0, 1, 2, 3))
    for classes in ("all", [0, 2]):
        loss = DistanceBoundaryLoss(classes)
        with_maps = value_and_gradient(loss, logits, labels, distance_maps=maps)
        assert_close(with_maps, value_and_gradient(loss, logits, labels))
    doubled = DistanceBoundaryLoss()(logits, labels, distance_maps=2 * maps)
    assert_close(doubled, 2 * DistanceBoundaryLoss()(logits, labels))


def test_the_gradient_by_probabilities_is_the_map(make_scene, value_and_gradient):
    logits, labels = make_scene(ignored=0)
    maps = signed_distance_maps(labels, labels != 255, 4, (0, 1, 2, 3)).double()
    p = logits.softmax(1).requires_grad_()
    (p * maps).sum().div(4 * labels.numel()).backward()
    by_logits = p * (p.grad - (p * p.grad).sum(1, keepdim=True))
    _, gradient = value_and_gradient(DistanceBoundaryLoss(), logits, labels)
    assert_close(gradient, by_logits.detach())


def test_the_labels_themselves_are_the_minimum(make_scene):
    _, labels = make_scene(ignored=0)
    loss = DistanceBoundaryLoss()
    right = torch.nn.functional.one_hot(labels, 4).movedim(-1, 1) * 50.0
    least = loss(right, labels)
    assert least < 0
    for shift in (1, 2, 5):
        assert loss(right.roll(shift, -1), labels) > least


def test_maps_of_another_shape_are_refused(make_scene):
    logits, labels = make_scene()
    with pytest.raises(
        ValueError, match=r"distance_maps must have the logits' shape \(2, 4, 12, 14\), got \(4, 12, 14\)"
    ):
        DistanceBoundaryLoss()(logits, labels, distance_maps=torch.zeros(4, 12, 14))


def test_present_classes_are_refused_with_the_reason():
    with pytest.raises(ValueError, match="absent classes cost nothing here"):
        DistanceBoundaryLoss("present")
