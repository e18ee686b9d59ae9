from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (torch's own name for it)
from scipy.special import log_softmax
from torch.testing import assert_close

from provecfg.plugin.losses import SegCrossEntropyLoss

pytestmark = pytest.mark.stack

WEIGHTS = [0.5, 2.0, 0.0, 3.0]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("ignored", [0.0, 0.3])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_it_equals_torch_where_torch_has_it(make_scene, value_and_gradient, smoothing, weights, ignored, reduction):
    logits, labels = make_scene(ignored=ignored)
    tensor = None if weights is None else torch.tensor(weights, dtype=torch.float64)

    def theirs(x, y):
        loss = F.cross_entropy(x, y, tensor, ignore_index=255, label_smoothing=smoothing, reduction=reduction)
        return loss.square().sum() if reduction == "none" else loss  # any function of the map

    def ours(x, y):
        loss = SegCrossEntropyLoss(weights, smoothing, reduction)(x, y)
        return loss.square().sum() if reduction == "none" else loss

    assert_close(value_and_gradient(ours, logits, labels), value_and_gradient(theirs, logits, labels))


def test_with_everything_it_is_the_formula(make_scene):
    logits, labels = make_scene()
    pixel_weights = torch.rand(labels.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    log_p = log_softmax(logits.numpy(), axis=1)
    total = divisor = 0.0
    for n, y, x in np.ndindex(*labels.shape):
        label = int(labels[n, y, x])
        if label == 255:
            continue
        share = float(pixel_weights[n, y, x])
        surprise = -log_p[n, :, y, x]
        total += share * (0.9 * WEIGHTS[label] * surprise[label] + 0.1 / 4 * np.dot(WEIGHTS, surprise))
        divisor += share * WEIGHTS[label]
    value = SegCrossEntropyLoss(WEIGHTS, 0.1, loss_weight=0.4)(logits, labels, weight=pixel_weights)
    assert_close(value.item(), 0.4 * total / divisor, rtol=1e-12, atol=0)


@pytest.mark.filterwarnings("ignore:Default ``avg_non_ignore`` is False:UserWarning")
@pytest.mark.parametrize("avg_non_ignore", [True, False])
def test_without_weights_it_equals_mmsegs(make_scene, value_and_gradient, avg_non_ignore):
    from mmseg.models.losses import CrossEntropyLoss

    logits, labels = make_scene()
    ours, theirs = SegCrossEntropyLoss(avg_non_ignore=avg_non_ignore), CrossEntropyLoss(avg_non_ignore=avg_non_ignore)
    expected = value_and_gradient(theirs, logits, labels, ignore_index=255)
    assert_close(value_and_gradient(ours, logits, labels, ignore_index=255), expected, rtol=1e-7, atol=1e-9)


def test_equal_class_weights_change_nothing(make_scene, value_and_gradient):
    logits, labels = make_scene()
    for equal in (1.0, 7.0):
        assert_close(
            value_and_gradient(SegCrossEntropyLoss([equal] * 4), logits, labels),
            value_and_gradient(SegCrossEntropyLoss(), logits, labels),
        )


def test_labels_whose_classes_all_weigh_nothing_cost_nothing(make_scene, value_and_gradient):
    logits, labels = make_scene()
    value, gradient = value_and_gradient(SegCrossEntropyLoss([0.0, 1, 1, 1]), logits, torch.zeros_like(labels))
    assert value == 0
    assert torch.count_nonzero(gradient) == 0


def test_smoothing_keeps_a_perfect_prediction_from_costing_nothing():
    logits = torch.tensor([30.0, 0, 0, 0], dtype=torch.float64).view(1, 4, 1, 1)
    label = torch.zeros(1, 1, 1, dtype=torch.long)
    assert SegCrossEntropyLoss()(logits, label) < 1e-12
    assert_close(SegCrossEntropyLoss(label_smoothing=0.2)(logits, label).item(), 0.2 * 3 / 4 * 30, rtol=1e-9, atol=0)


def test_float16_logits_do_not_break_it(make_scene, value_and_gradient):
    logits, labels = make_scene(1, 4, 300, 300, dtype=torch.float16)
    value, gradient = value_and_gradient(SegCrossEntropyLoss(), logits, labels)
    assert_close(value, F.cross_entropy(logits.float(), labels, ignore_index=255))
    assert torch.count_nonzero(gradient) > 0  # in float16, torch's own is nan with a gradient of 0 at 2x19x512x512


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"label_smoothing": 1.0}, r"label_smoothing is 1\.0, must be in \[0, 1\)"),
        ({"label_smoothing": -0.1}, r"label_smoothing is -0\.1"),
        ({"class_weight": [1.0, float("nan")]}, r"class_weight\[1\] is nan"),
        ({"class_weight": []}, "class_weight is empty"),
    ],
)
def test_values_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        SegCrossEntropyLoss(**wrong)


def test_weights_for_another_number_of_classes_are_refused(make_scene):
    with pytest.raises(ValueError, match="class_weight has 2 values, the logits have 4 classes"):
        SegCrossEntropyLoss([1.0, 2.0])(*make_scene())
