from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.testing import assert_close

from provecfg.plugin.losses import BoundaryAwareFocalLoss, SoftmaxFocalLoss

pytestmark = pytest.mark.stack


def boundary_by_scipy(labels, classes):
    energy = sum(
        ndimage.sobel((labels == c).astype(float), axis, mode="nearest") ** 2 for c in range(classes) for axis in (0, 1)
    )
    whole = ndimage.minimum_filter((labels != 255).astype(int), size=3, mode="nearest")
    return np.minimum(np.sqrt(energy / 32), 1) * whole


def test_it_is_focal_times_one_plus_the_boundary_map(make_scene):
    logits, labels = make_scene(ignored=0.1)
    boundary = torch.tensor(np.stack([boundary_by_scipy(y, 4) for y in labels.numpy()]))
    expected = SoftmaxFocalLoss()(logits, labels, reduction_override="none") * (1 + boundary)
    assert_close(BoundaryAwareFocalLoss()(logits, labels, reduction_override="none"), expected)
    assert_close(BoundaryAwareFocalLoss()(logits, labels), expected.sum() / (labels != 255).sum())


def test_labels_that_agree_in_their_last_byte_are_different_classes(make_scene):
    logits, _ = make_scene(1, 300, 6, 6)
    labels = torch.tensor([[[0, 0, 0, 256, 256, 256]] * 6])
    ratio = BoundaryAwareFocalLoss()(logits, labels, reduction_override="none") / SoftmaxFocalLoss()(
        logits, labels, reduction_override="none"
    )
    assert_close(ratio, torch.tensor([1.0, 1, 2, 2, 1, 1]).double().expand(1, 6, 6))


def test_on_a_constant_label_map_it_is_focal(make_scene, value_and_gradient):
    logits, labels = make_scene()
    for constant in (torch.full_like(labels, 2), torch.full_like(labels, 2).where(labels != 255, 255)):
        assert_close(
            value_and_gradient(BoundaryAwareFocalLoss(gamma=1, alpha=0.7), logits, constant),
            value_and_gradient(SoftmaxFocalLoss(gamma=1, alpha=0.7), logits, constant),
            rtol=0, atol=0,
        )  # fmt: skip


def test_without_boundary_weight_it_is_focal(make_scene, value_and_gradient):
    logits, labels = make_scene()
    assert_close(
        value_and_gradient(BoundaryAwareFocalLoss(boundary_weight=0), logits, labels),
        value_and_gradient(SoftmaxFocalLoss(), logits, labels),
        rtol=0, atol=0,
    )  # fmt: skip


def test_it_is_between_focal_and_twice_focal(make_scene):
    logits, labels = make_scene()
    focal = SoftmaxFocalLoss()(logits, labels)
    assert focal < BoundaryAwareFocalLoss()(logits, labels) < 2 * focal


@pytest.mark.parametrize("wrong", [-1, float("inf")])
def test_a_boundary_weight_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match=r"boundary_weight is .*, must be"):
        BoundaryAwareFocalLoss(boundary_weight=wrong)
