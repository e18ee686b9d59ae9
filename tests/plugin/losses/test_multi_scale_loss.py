from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from provecfg.plugin.losses import MultiScaleLoss, SegCrossEntropyLoss, SegLovaszLoss
from provecfg.plugin.losses.multi_scale_loss import resize_logits, resize_nearest

pytestmark = pytest.mark.stack

CE = {"type": "SegCrossEntropyLoss"}


def test_at_scale_1_it_is_the_loss_itself(make_scene, value_and_gradient):
    logits, labels = make_scene()
    assert_close(
        value_and_gradient(MultiScaleLoss({**CE, "loss_weight": 0.4}, scales=[1]), logits, labels),
        value_and_gradient(SegCrossEntropyLoss(loss_weight=0.4), logits, labels),
        rtol=0, atol=0,
    )  # fmt: skip


def test_it_is_the_weighted_mean_over_scales(make_scene):
    logits, labels = make_scene(height=12, width=16, ignored=0)
    half = torch.nn.functional.avg_pool2d(logits, 2)  # bilinear at half size is the mean of four
    expected = 0.75 * SegLovaszLoss()(logits, labels) + 0.25 * SegLovaszLoss()(half, labels[:, 1::2, 1::2])
    loss = MultiScaleLoss({"type": "SegLovaszLoss"}, scales=[1.0, 0.5], scale_weights=[3, 1])
    assert_close(loss(logits, labels), expected)


def test_ignored_pixels_have_no_part_in_the_interpolation():
    logits = torch.tensor([[1.0, 100.0, 3.0, 5.0], [1.0, 100.0, 7.0, 9.0]]).view(1, 1, 2, 4)
    valid = torch.tensor([[[True, False, True, True], [True, False, True, True]]])
    assert resize_logits(logits, valid, (1, 2)).flatten().tolist() == [1, 6]


@pytest.mark.parametrize("size", [(5, 7), (4, 6), (1, 1), (12, 3)])
def test_a_label_that_is_kept_has_logits_under_it(make_scene, size):
    _, labels = make_scene(ignored=0.5, patch=1)
    valid = labels != 255
    kept = resize_nearest(valid, size)
    logits = torch.ones(2, 1, 12, 14).masked_fill(~valid.unsqueeze(1), torch.nan)
    assert_close(resize_logits(logits, valid, size)[:, 0][kept], torch.ones(int(kept.sum())))


def test_nearest_labels_are_those_of_torch(make_scene):
    _, labels = make_scene(height=13, width=17, patch=1)
    for size in ((6, 8), (3, 5), (13, 2)):
        expected = torch.nn.functional.interpolate(labels.unsqueeze(1).float(), size, mode="nearest-exact")
        assert_close(resize_nearest(labels, size), expected.squeeze(1).long())


@pytest.mark.filterwarnings("ignore:Default ``avg_non_ignore`` is False:UserWarning")
def test_it_takes_mmsegs_losses(make_scene):
    logits, labels = make_scene()
    theirs = MultiScaleLoss({"type": "CrossEntropyLoss", "avg_non_ignore": True})
    assert_close(theirs(logits, labels, ignore_index=255), MultiScaleLoss(CE)(logits, labels), rtol=1e-6, atol=0)


def test_pixel_weights_are_refused_if_the_loss_cannot_honour_them(make_scene):
    logits, labels = make_scene()
    loss = MultiScaleLoss({"type": "SegLovaszLoss"})
    with pytest.raises(ValueError, match="cannot honour pixel weights"):
        loss(logits, labels, weight=torch.ones(labels.shape))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"scales": []}, r"scales is \[\]"),
        ({"scales": [2.0]}, r"scales is \[2\.0\], must be numbers in \(0, 1\]"),
        ({"scale_weights": [1.0]}, "scale_weights has 1 values, scales has 3"),
        ({"scale_weights": [0, 0, 0]}, "with a sum > 0"),
    ],
)
def test_values_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        MultiScaleLoss(CE, **wrong)
