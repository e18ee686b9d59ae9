from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch.testing import assert_close

from provecfg.plugin.losses import SegLovaszLoss
from provecfg.plugin.losses.seg_lovasz_loss import sort_keys

pytestmark = pytest.mark.stack


def lovasz_of_class(p, own):
    """Definition: sort errors downwards, add each times the growth of 1 - IoU when its pixel turns wrong."""
    errors = np.abs(own - p)
    loss, wrong, before = 0.0, np.zeros(len(p), bool), 0.0
    for pixel in np.argsort(-errors):
        wrong[pixel] = True
        missed, added = (wrong & own).sum(), (wrong & ~own).sum()
        jaccard_loss = 1 - (own.sum() - missed) / (own.sum() + added)
        loss += errors[pixel] * (jaccard_loss - before)
        before = jaccard_loss
    return loss


def lovasz_of_image(logits, labels, classes):
    p = softmax(logits.numpy().astype(np.float64), axis=0)
    valid = labels.numpy() != 255
    numbers = range(len(p)) if isinstance(classes, str) else classes
    if classes == "present":
        numbers = sorted(set(labels.numpy()[valid].tolist()))
    return np.mean([lovasz_of_class(p[c][valid], (labels.numpy() == c)[valid]) for c in numbers])


@pytest.mark.parametrize("classes", ["all", "present", [1, 3]])
def test_it_is_the_definition(make_scene, classes):
    logits, labels = make_scene(classes=6, height=9, width=9, patch=3)
    images = [lovasz_of_image(x, y, classes) for x, y in zip(logits, labels, strict=True)]
    loss = SegLovaszLoss(classes=classes)
    assert_close(loss(logits, labels).item(), np.mean(images), rtol=1e-11, atol=0)
    assert_close(loss(logits, labels, reduction_override="sum").item(), np.sum(images), rtol=1e-11, atol=0)
    joined = lovasz_of_image(logits.transpose(0, 1).flatten(1), labels.flatten(), classes)
    assert_close(SegLovaszLoss(classes=classes, per_image=False)(logits, labels).item(), joined, rtol=1e-11, atol=0)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # mmseg's modules, imported here
@pytest.mark.parametrize("classes", ["all", "present", [0, 5]])
@pytest.mark.parametrize("class_weight", [None, [0.5, 1.0, 2.0, 0.0, 1.0, 3.0]])
def test_it_equals_mmsegs_where_that_is_finite(make_scene, value_and_gradient, classes, class_weight):
    from mmseg.models.losses import LovaszLoss

    options = {"classes": classes, "class_weight": class_weight}
    for per_image in (True, False):
        theirs = LovaszLoss(per_image=per_image, reduction="mean" if per_image else "none", **options)
        ours = SegLovaszLoss(per_image=per_image, **options)
        logits, labels = make_scene(classes=6, height=40, width=40, patch=8, dtype=torch.float32)
        value, gradient = value_and_gradient(theirs, logits, labels, ignore_index=255)
        own_value, own_gradient = value_and_gradient(ours, logits, labels, ignore_index=255)
        assert_close(own_value, value, rtol=0, atol=1e-6)
        assert_close(own_gradient, gradient, rtol=0, atol=2e-4 * float(gradient.abs().max()))


def test_at_hard_predictions_it_is_one_minus_mean_iou(make_scene):
    logits, labels = make_scene(1, 5, height=30, width=30, patch=6)
    predicted = logits.argmax(1)
    hard = torch.nn.functional.one_hot(predicted, 5).movedim(-1, 1) * 2000.0
    valid = labels != 255
    iou = []
    for c in range(5):
        own, of_class = (labels == c) & valid, (predicted == c) & valid
        iou.append((own & of_class).sum() / (own | of_class).sum())
    assert_close(SegLovaszLoss()(hard, labels), 1 - torch.stack(iou).mean(), rtol=1e-6, atol=0)


def test_an_absent_class_costs_its_largest_probability(make_scene, value_and_gradient):
    logits, labels = make_scene(ignored=0.3)
    labels = labels.where(labels != 2, 255)
    p = logits.softmax(1)[:, 2].masked_fill(labels == 255, 0).flatten(1).amax(1)
    value, gradient = value_and_gradient(SegLovaszLoss(classes=[2]), logits, labels)
    assert_close(value, p.mean())
    assert (gradient.abs().sum(1) > 0).sum() == 2  # one pixel an image


def test_many_equal_errors_have_one_value(make_scene):
    _, labels = make_scene()
    flat = torch.zeros(2, 4, *labels.shape[1:], dtype=torch.float64)
    expected = np.mean([lovasz_of_image(x, y, "all") for x, y in zip(flat, labels, strict=True)])
    assert_close(SegLovaszLoss()(flat, labels).item(), expected, rtol=1e-12, atol=0)


def test_above_the_radix_threshold_the_order_is_the_same(make_scene, value_and_gradient):
    # torch takes the radix path above some 16 k elements; below, a comparison sort.
    logits, labels = make_scene(1, 3, 200, 200, patch=25)
    exact = value_and_gradient(SegLovaszLoss(), logits.float().double(), labels)
    value, gradient = value_and_gradient(SegLovaszLoss(), logits.float(), labels)
    assert_close(value.double(), exact[0], rtol=1e-6, atol=0)
    # Errors that round to one another's order change single entries, so the whole is compared.
    assert (gradient.double() - exact[1]).norm() < 1e-5 * exact[1].norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keys_sort_larger_errors_first_and_own_pixels_before_others(dtype):
    signed_error = torch.tensor([0.0, 1e-40, 0.25, -0.0, 1.0, -0.25, -1.0, 0.75, -1e-40], dtype=dtype)
    keys, places = sort_keys(signed_error).sort()
    assert places.tolist() == [6, 4, 7, 5, 2, 8, 1, 3, 0]
    assert (keys & 1).tolist() == [0, 1, 1, 0, 1, 0, 1, 0, 1]


def test_a_pixel_that_is_entirely_sure_is_still_one_of_its_class(value_and_gradient):
    # Its error is 0 like those of the other class, and the increments after it depend on what it is.
    logits = torch.zeros(1, 2, 1, 4)
    logits[0, 0, 0] = torch.tensor([200.0, 200.0, 0.0, -200.0])
    labels = torch.tensor([[[0, 0, 0, 1]]])
    assert (logits.softmax(1)[0, 0, 0, :2] == 1).all()
    loss = SegLovaszLoss(classes=[0])
    # e = 0.5 at one of three own pixels: 1 - I/U = 1/3 there; d p / d x = p (1 - p).
    value, gradient = value_and_gradient(loss, logits, labels)
    assert_close(value, torch.tensor(0.5 / 3))
    assert_close(gradient[0, :, 0, 2], torch.tensor([-0.25 / 3, 0.25 / 3]))
    assert torch.count_nonzero(gradient[..., [0, 1, 3]]) == 0


def test_more_pixels_than_float32_can_count_are_counted_in_float64(make_scene, value_and_gradient, monkeypatch):
    logits, labels = make_scene(dtype=torch.float32)
    plain = value_and_gradient(SegLovaszLoss(per_image=False), logits, labels)
    monkeypatch.setattr("provecfg.plugin.losses.seg_lovasz_loss.LARGEST_EXACT", 1)
    assert_close(value_and_gradient(SegLovaszLoss(per_image=False), logits, labels), plain, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"loss_type": "binary"}, "only 'multi_class'"),
        ({"classes": "some"}, "classes is 'some'"),
        ({"classes": []}, r"classes is \[\]"),
        ({"classes": [1, 1]}, "different class numbers"),
        ({"reduction": "none"}, "has no value per pixel"),
        ({"class_weight": [1.0, -1.0]}, r"class_weight\[1\] is -1\.0"),
    ],
)
def test_values_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        SegLovaszLoss(**wrong)


def test_classes_that_the_logits_do_not_have_are_refused(make_scene):
    with pytest.raises(ValueError, match="classes holds 4, the logits have 4 classes"):
        SegLovaszLoss(classes=[0, 4])(*make_scene())
