from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch.testing import assert_close

from provecfg.plugin.losses import SegDiceLoss
from provecfg.plugin.losses.softmax_blocks import BLOCK_PIXELS

pytestmark = pytest.mark.stack


def dice_losses(logits, labels, shares, smooth):
    """1 - Dice of each class, and which classes the labels hold; of all the pixels given."""
    p = softmax(np.moveaxis(logits.numpy(), 1, -1).reshape(-1, logits.shape[1]), axis=1)
    y, w = labels.numpy().ravel(), shares.numpy().ravel() * (labels.numpy().ravel() != 255)
    losses, present = [], []
    for c in range(p.shape[1]):
        hits = sum(w[i] * p[i, c] for i in range(len(y)) if y[i] == c)
        size = sum(w[i] for i in range(len(y)) if y[i] == c)
        losses.append(1 - (2 * hits + smooth) / ((w * p[:, c]).sum() + size + smooth))
        present.append(size > 0)
    return np.array(losses), np.array(present)


@pytest.mark.parametrize("smooth", [0, 1, 30.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_formula(make_scene, smooth, weighted):
    logits, labels = make_scene(classes=6, height=8, width=8)
    random = torch.Generator().manual_seed(1)
    shares = torch.rand(labels.shape, generator=random, dtype=torch.float64) if weighted else torch.ones(labels.shape)
    weight = shares if weighted else None
    losses, present = dice_losses(logits, labels, shares, smooth)
    assert not present.all()
    for classes, chosen in (("present", present), ("all", np.full(6, True)), ([1, 4], np.isin(range(6), [1, 4]))):
        value = SegDiceLoss(classes, smooth)(logits, labels, weight=weight)
        assert_close(value.item(), losses[chosen].mean(), rtol=1e-12, atol=0)
    images = []
    for n in range(2):
        losses, present = dice_losses(logits[n : n + 1], labels[n : n + 1], shares[n : n + 1], smooth)
        images.append(losses[present].mean())
    per_image = SegDiceLoss("present", smooth, per_image=True)
    assert_close(per_image(logits, labels, weight=weight).item(), np.mean(images), rtol=1e-12, atol=0)
    total = per_image(logits, labels, weight=weight, reduction_override="sum")
    assert_close(total.item(), np.sum(images), rtol=1e-12, atol=0)


def test_at_hard_predictions_it_is_one_minus_the_dice_of_sets(make_scene):
    logits, labels = make_scene(1, 5, 30, 30, patch=6)
    predicted = logits.argmax(1)
    valid = labels != 255
    expected = []
    for c in range(5):
        own, mine = (labels == c) & valid, (predicted == c) & valid
        if own.any():
            expected.append(1 - 2 * (own & mine).sum() / (own.sum() + mine.sum()))
    hard = torch.nn.functional.one_hot(predicted, 5).movedim(-1, 1) * 2000.0
    assert_close(SegDiceLoss(smooth=0)(hard, labels), torch.stack(expected).mean())


def test_a_perfect_prediction_costs_nothing(make_scene):
    _, labels = make_scene()
    right = torch.nn.functional.one_hot(labels.where(labels != 255, 0), 4).movedim(-1, 1) * 100.0
    for classes in ("present", "all"):
        assert SegDiceLoss(classes)(right, labels).abs() < 1e-6


def test_half_half_tversky_is_dice(make_scene):
    logits, labels = make_scene(ignored=0)
    p = logits.softmax(1).movedim(1, -1).reshape(-1, 4)
    own = torch.nn.functional.one_hot(labels.flatten(), 4).double()
    hit, false_alarm, miss = (p * own).sum(0), (p * (1 - own)).sum(0), ((1 - p) * own).sum(0)
    tversky = (1 - hit / (hit + 0.5 * false_alarm + 0.5 * miss)).mean()
    assert_close(SegDiceLoss("all", smooth=0)(logits, labels), tversky)


def test_the_gradient_is_that_of_the_plain_form_across_blocks(make_scene, value_and_gradient):
    logits, labels = make_scene(2, 3, 200, 190, patch=25)
    assert logits[0, 0].numel() * 2 > BLOCK_PIXELS
    weight = torch.rand(labels.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def plain(x, y, weight=None):
        counts = (y != 255).double() * (1 if weight is None else weight)
        own = torch.nn.functional.one_hot(y.where(y != 255, 0), 3).movedim(-1, 1) * counts.unsqueeze(1)
        p = x.softmax(1)
        dice = (2 * (p * own).sum((0, 2, 3)) + 1) / ((p * counts.unsqueeze(1)).sum((0, 2, 3)) + own.sum((0, 2, 3)) + 1)
        return 1 - dice.mean()

    for class_weight in (None, weight):
        fused = value_and_gradient(SegDiceLoss("all"), logits, labels, weight=class_weight)
        assert_close(fused, value_and_gradient(plain, logits, labels, weight=class_weight))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"smooth": -1}, "smooth is -1"),
        ({"classes": "some"}, "classes is 'some'"),
        ({"reduction": "none"}, "per pixel"),
    ],
)
def test_values_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        SegDiceLoss(**wrong)
