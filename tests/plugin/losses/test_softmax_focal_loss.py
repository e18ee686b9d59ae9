from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (torch's own name for it)
from scipy.special import log_softmax
from torch.testing import assert_close

from provecfg.plugin.losses import SoftmaxFocalLoss
from provecfg.plugin.losses.softmax_blocks import BLOCK_PIXELS

pytestmark = [
    pytest.mark.stack,
    # torch.compile instantiates autograd functions while it traces, which torch itself deprecates (2.13).
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]


def focal_by_pixel(logits, labels, gamma, alpha):
    """The formula, pixel by pixel, in float64; a list of the losses of the pixels that count."""
    values = []
    for scores, label in zip(
        logits.movedim(1, -1).reshape(-1, logits.shape[1]).numpy(), labels.flatten().tolist(), strict=True
    ):
        if label != 255:
            log_p = log_softmax(scores.astype(np.float64))[label]
            values.append(alpha[label] * (-np.expm1(log_p)) ** gamma * -log_p)
    return values


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 5.0])
def test_it_is_the_formula(make_scene, gamma):
    logits, labels = make_scene()
    alpha = [0.3, 1.0, 0.0, 2.5]
    expected = np.mean(focal_by_pixel(logits, labels, gamma, alpha))
    assert_close(SoftmaxFocalLoss(gamma=gamma, alpha=alpha)(logits, labels).item(), expected, rtol=1e-12, atol=0)


def test_gamma_0_and_alpha_1_is_cross_entropy(make_scene, value_and_gradient):
    logits, labels = make_scene()
    plain = value_and_gradient(lambda x, y: F.cross_entropy(x, y, ignore_index=255), logits, labels)
    assert_close(value_and_gradient(SoftmaxFocalLoss(gamma=0, alpha=1), logits, labels), plain)


def test_alpha_scales_and_does_not_balance(make_scene):
    logits, labels = make_scene()
    assert_close(SoftmaxFocalLoss(alpha=0.5)(logits, labels), 0.5 * SoftmaxFocalLoss(alpha=1)(logits, labels))


def test_it_never_exceeds_cross_entropy(make_scene):
    logits, labels = make_scene()
    focal = SoftmaxFocalLoss(alpha=1)(logits, labels, reduction_override="none")
    assert (focal <= F.cross_entropy(logits, labels, ignore_index=255, reduction="none")).all()


def test_with_two_classes_it_is_the_sigmoid_focal_loss_of_the_difference(make_scene):
    logits, labels = make_scene(classes=2, ignored=0)
    p = torch.sigmoid(logits[:, 1] - logits[:, 0])
    p_t = p.where(labels == 1, 1 - p)
    expected = (0.5 * (1 - p_t) ** 2 * -p_t.log()).mean()
    assert_close(SoftmaxFocalLoss(gamma=2.0, alpha=0.5)(logits, labels), expected)


@pytest.mark.parametrize("gamma", [0.5, 1, 2])
def test_sure_pixels_have_a_finite_gradient(value_and_gradient, gamma):
    # 1 - p_t is exactly 0 here, and a root's slope at 0 is infinite.
    logits = torch.tensor([40.0, 0, 0]).view(1, 3, 1, 1).repeat(1, 1, 2, 2)
    value, gradient = value_and_gradient(SoftmaxFocalLoss(gamma=gamma), logits, torch.zeros(1, 2, 2, dtype=torch.long))
    assert value < 1e-15
    assert gradient.abs().max() < 1e-8


def test_impossible_logits_cost_what_cross_entropy_does(value_and_gradient):
    logits = torch.tensor([[0.0, -torch.inf, 1.0], [-torch.inf, 0.0, 1.0]]).T.reshape(1, 3, 1, 2)
    labels = torch.tensor([[[0, 1]]])
    value, gradient = value_and_gradient(SoftmaxFocalLoss(), logits, labels)
    assert value.isfinite()
    assert gradient.isfinite().all()
    value, gradient = value_and_gradient(SoftmaxFocalLoss(), logits, 1 - labels)
    assert value == torch.inf
    assert gradient.isfinite().all()


@pytest.mark.parametrize("gamma", [0, 0.5, 2])
def test_probabilities_too_small_for_their_dtype_cost_what_they_should(make_scene, value_and_gradient, gamma):
    logits, labels = make_scene(dtype=torch.float32)
    logits[0, :, ::2] *= 60  # exp(-104) is 0 in float32
    assert (logits.softmax(1) == 0).any()
    logits[1, 0].masked_fill_(labels[1] == 255, -torch.inf)
    loss = SoftmaxFocalLoss(gamma, reduction="none")
    exact = SoftmaxFocalLoss(gamma, reduction="none")(logits.double(), labels)
    assert_close(loss(logits, labels).double(), exact, rtol=1e-5, atol=1e-6)
    compiled = torch.compile(loss, backend="eager", fullgraph=True)
    torch.compiler.reset()
    assert_close(compiled(logits, labels).double(), exact, rtol=1e-5, atol=1e-6)
    _, gradient = value_and_gradient(SoftmaxFocalLoss(gamma), logits, labels)
    _, exact_gradient = value_and_gradient(SoftmaxFocalLoss(gamma), logits.double(), labels)
    assert_close(gradient.double(), exact_gradient, rtol=1e-5, atol=1e-8)


def test_images_larger_and_smaller_than_a_block_are_covered(make_scene, value_and_gradient):
    for images, side in ((1, 300), (7, 150)):  # several blocks an image; several images a block and a rest
        assert images * side**2 > BLOCK_PIXELS
        logits, labels = make_scene(images, 3, side, side, patch=30, dtype=torch.float32)

        def plain(x, y):
            surprise = F.cross_entropy(x, y, ignore_index=255, reduction="none")
            return (0.5 * (-torch.expm1(-surprise)) ** 2 * surprise).sum() / (y != 255).sum()

        fused = value_and_gradient(SoftmaxFocalLoss(), logits, labels)
        expected = value_and_gradient(plain, logits, labels)
        assert_close(fused, expected, rtol=1e-5, atol=float(expected[1].abs().max()) * 1e-5)


def test_mean_over_all_pixels_counts_the_ignored(make_scene):
    logits, labels = make_scene()
    over_all = SoftmaxFocalLoss(avg_non_ignore=False)(logits, labels)
    share = (labels != 255).double().mean()
    assert_close(over_all, share * SoftmaxFocalLoss()(logits, labels))


def test_points_of_a_point_head_will_do(make_scene):
    logits, labels = make_scene()
    assert_close(SoftmaxFocalLoss()(logits.flatten(2), labels.flatten(1)), SoftmaxFocalLoss()(logits, labels))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"gamma": -1}, "gamma is -1, must be"),
        ({"alpha": -0.5}, r"alpha\[0\] is -0\.5, must be"),
        ({"alpha": [1.0, float("inf")]}, r"alpha\[1\] is inf"),
        ({"alpha": []}, "alpha is empty"),
    ],
)
def test_values_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        SoftmaxFocalLoss(**wrong)


def test_alphas_for_another_number_of_classes_are_refused(make_scene):
    with pytest.raises(ValueError, match="alpha has 2 values, the logits have 4 classes"):
        SoftmaxFocalLoss(alpha=[1.0, 2.0])(*make_scene())


def test_there_is_no_second_derivative(make_scene):
    logits, labels = make_scene()
    leaf = logits.requires_grad_()
    (first,) = torch.autograd.grad(SoftmaxFocalLoss()(leaf, labels), leaf, create_graph=True)
    assert not first.requires_grad


def test_compiled_in_several_blocks_it_is_the_same(make_scene, value_and_gradient):
    logits, labels = make_scene(1, 3, 300, 300, patch=30, dtype=torch.float32)
    torch.compiler.reset()
    compiled = torch.compile(SoftmaxFocalLoss(), backend="eager", fullgraph=True)
    assert_close(value_and_gradient(compiled, logits, labels), value_and_gradient(SoftmaxFocalLoss(), logits, labels))
