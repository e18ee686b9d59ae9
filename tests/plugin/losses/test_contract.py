"""What every loss promises to mmseg's decode heads and at the edges, whichever loss it is."""

from __future__ import annotations

import pytest
import torch
from mmseg.registry import MODELS
from torch.testing import assert_close

import provecfg.plugin.losses
from provecfg.catalog.losses import PLUGIN_LOSSES

pytestmark = [
    pytest.mark.stack,
    # torch.compile instantiates autograd functions while it traces, which torch itself deprecates (2.13).
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]

VARIANTS = {
    "focal, int gamma, alpha a class": {"type": "SoftmaxFocalLoss", "gamma": 3, "alpha": [1.0, 0.2, 0.5, 2.0]},
    "focal, gamma below 1": {"type": "SoftmaxFocalLoss", "gamma": 0.5, "alpha": 1},
    "Lovasz, present, batch": {"type": "SegLovaszLoss", "classes": "present", "per_image": False},
    "boundary per class": {"type": "SegBoundaryLoss", "per_class": True},
    "CE, weights, smoothing": {
        "type": "SegCrossEntropyLoss",
        "class_weight": [0.5, 2.0, 1.0, 3.0],
        "label_smoothing": 0.1,
    },
    "Dice, all, per image": {"type": "SegDiceLoss", "classes": "all", "per_image": True, "smooth": 0},
    "multi-scale": {"type": "MultiScaleLoss", "loss": {"type": "SegCrossEntropyLoss"}, "scales": [1, 0.5, 0.3]},
}
CONFIGS = {loss.title: {"type": name} for name, loss in PLUGIN_LOSSES.items() if not loss.wraps_loss} | VARIANTS
CLASS_BLIND = {"boundary"}  # one map over classes: permuting the prediction's classes changes nothing


def needs_four_classes(config):
    return any(isinstance(config.get(key), list) for key in ("alpha", "class_weight"))


@pytest.fixture(params=CONFIGS, ids=list(CONFIGS))
def name(request):
    return request.param


@pytest.fixture
def config(name):
    return dict(CONFIGS[name])


@pytest.fixture
def loss(config):
    return MODELS.build(config)


def test_every_loss_of_the_package_is_in_this_suite():
    assert {config["type"] for config in CONFIGS.values()} == set(provecfg.plugin.losses.__all__)


def test_what_is_recorded_of_a_loss_is_what_its_class_has(config):
    loss, record = MODELS.build(config), PLUGIN_LOSSES[config["type"]]
    assert (record.title, record.takes_pixel_weight, record.has_pixel_map) == (
        loss.title,
        loss.takes_pixel_weight,
        loss.has_pixel_map,
    )
    assert loss.loss_name == record.loss_name


# Edges


@pytest.mark.parametrize("junk", [0.0, float("nan"), float("inf"), 1e30])
def test_nothing_to_count_costs_exactly_nothing(loss, make_scene, value_and_gradient, junk):
    logits, labels = make_scene()
    logits[:, 1] = junk
    value, gradient = value_and_gradient(loss, logits, torch.full_like(labels, 255), ignore_index=255)
    assert value == 0
    assert torch.count_nonzero(gradient) == 0


@pytest.mark.parametrize("void", [0, 1])
def test_a_void_image_leaves_the_mean_to_the_other(loss, make_scene, value_and_gradient, void):
    logits, labels = make_scene()
    labels[void] = 255
    value, gradient = value_and_gradient(loss, logits, labels)
    other = slice(1 - void, 2 - void)
    alone, gradient_alone = value_and_gradient(loss, logits[other], labels[other])
    assert_close(value, alone)
    assert_close(gradient[other], gradient_alone)
    assert torch.count_nonzero(gradient[void]) == 0


@pytest.mark.parametrize("junk", [7.0, float("nan"), float("inf"), float("-inf")])
def test_ignored_pixels_move_neither_value_nor_gradient(loss, make_scene, value_and_gradient, junk):
    logits, labels = make_scene()
    ignored = labels == 255
    assert ignored.any()
    value, gradient = value_and_gradient(loss, logits, labels)
    changed = logits.clone()
    changed[:, :2] = changed[:, :2].masked_fill(ignored.unsqueeze(1), junk)
    assert_close(value_and_gradient(loss, changed, labels), (value, gradient), rtol=0, atol=0)
    assert torch.count_nonzero(gradient.movedim(1, -1)[ignored]) == 0


def test_one_pixel_that_counts_is_enough(loss, make_scene, value_and_gradient):
    logits, labels = make_scene()
    labels[:] = 255
    labels[1, 0, 0] = 2
    value, gradient = value_and_gradient(loss, logits, labels)
    assert value.isfinite()
    assert gradient.isfinite().all()


SHAPES = [
    (1, 4, 1, 1),
    (2, 4, 1, 9),
    (2, 4, 9, 1),
    (1, 1, 5, 6),
    (1, 2, 5, 6),
    (1, 150, 5, 6),
    (0, 4, 5, 6),
    (1, 4, 2, 2),
]


@pytest.mark.parametrize(
    ("name", "images", "classes", "height", "width"),
    [(name, *shape) for name in CONFIGS for shape in SHAPES if shape[1] == 4 or not needs_four_classes(CONFIGS[name])],
)
def test_small_and_odd_shapes_are_finite(loss, make_scene, value_and_gradient, images, classes, height, width):
    logits, labels = make_scene(images, classes, height, width, ignored=0, dtype=torch.float32)
    value, gradient = value_and_gradient(loss, logits, labels)
    assert value.isfinite()
    assert gradient.isfinite().all()
    assert gradient.shape == logits.shape


@pytest.mark.parametrize("only", [0, 3])
def test_a_batch_of_one_class_is_finite(loss, make_scene, value_and_gradient, only):
    logits, labels = make_scene(dtype=torch.float32)
    value, gradient = value_and_gradient(loss, logits, torch.full_like(labels, only))
    assert value.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize(("size", "dtype"), [(1e4, torch.float32), (1e4, torch.float64), (6e4, torch.float16)])
def test_huge_logits_are_finite(loss, make_scene, value_and_gradient, size, dtype):
    logits, labels = make_scene(dtype=torch.float32)
    value, gradient = value_and_gradient(loss, (logits.sign() * size).to(dtype), labels)
    assert value.isfinite()
    assert gradient.isfinite().all()


def test_nan_under_a_pixel_that_counts_shows_in_the_value(loss, make_scene):
    logits, labels = make_scene(ignored=0)
    logits[0, 1, 5, 5] = torch.nan
    assert loss(logits, labels).isnan()


# Dtypes, layouts, modes


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_logits_are_computed_in_float32(loss, make_scene, value_and_gradient, dtype):
    logits, labels = make_scene(dtype=dtype)
    value, gradient = value_and_gradient(loss, logits, labels)
    exact, exact_gradient = value_and_gradient(loss, logits.float(), labels)
    assert value.dtype is torch.float32
    assert_close(value, exact, rtol=0, atol=0)
    assert_close(gradient, exact_gradient.to(dtype), rtol=0, atol=0)


def test_float64_stays(loss, make_scene):
    assert loss(*make_scene()).dtype is torch.float64


def test_float32_is_near_float64(loss, make_scene, value_and_gradient):
    logits, labels = make_scene(height=40, width=40)
    exact, exact_gradient = value_and_gradient(loss, logits.float().double(), labels)
    value, gradient = value_and_gradient(loss, logits.float(), labels)
    assert_close(value.double(), exact, rtol=2e-6, atol=1e-7)
    assert_close(gradient.double(), exact_gradient, rtol=0, atol=float(exact_gradient.abs().max()) * 2e-5)


def test_autocast_changes_nothing(loss, make_scene, value_and_gradient):
    logits, labels = make_scene(dtype=torch.float32)
    plain = value_and_gradient(loss, logits, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_close(value_and_gradient(loss, logits, labels), plain, rtol=0, atol=0)


def test_memory_layout_changes_nothing(loss, make_scene, value_and_gradient):
    logits, labels = make_scene()
    plain = value_and_gradient(loss, logits, labels)
    last = logits.to(memory_format=torch.channels_last)
    strided = torch.stack([logits, logits], -1)[..., 0]
    strided_labels = torch.stack([labels, labels], -1)[..., 0]
    assert_close(value_and_gradient(loss, last, labels), plain)
    assert_close(value_and_gradient(loss, strided, strided_labels), plain)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int16])
def test_labels_of_any_integer_dtype_are_taken(loss, make_scene, value_and_gradient, dtype):
    logits, labels = make_scene()
    assert_close(
        value_and_gradient(loss, logits, labels.to(dtype)), value_and_gradient(loss, logits, labels), rtol=0, atol=0
    )


def test_compiled_without_graph_breaks_it_is_the_same_and_a_wrong_label_makes_it_nan(
    loss, make_scene, value_and_gradient
):
    # While torch.compile traces, as on CUDA, values cannot be looked at: this is also the test of that path.
    logits, labels = make_scene(height=6, width=7, dtype=torch.float32)
    torch.compiler.reset()
    compiled = torch.compile(loss, backend="eager", fullgraph=True)
    assert_close(value_and_gradient(compiled, logits, labels), value_and_gradient(loss, logits, labels))
    labels[0, 3, 3] = 99
    value, gradient = value_and_gradient(compiled, logits, labels)
    assert value.isnan()
    assert gradient.isfinite().all()


def test_gradient_is_that_of_finite_differences(loss, make_scene):
    logits, labels = make_scene(2, 4, 4, 5, patch=2)
    assert torch.autograd.gradcheck(lambda x: loss(x, labels), logits.requires_grad_())


def test_gradient_follows_what_comes_after_the_loss(loss, make_scene, value_and_gradient):
    logits, labels = make_scene()
    _, gradient = value_and_gradient(loss, logits, labels)
    leaf = logits.clone().requires_grad_()
    (3 * loss(leaf, labels)).backward()
    assert_close(leaf.grad, 3 * gradient)
    leaf.grad = None
    value = loss(leaf * 1, labels)
    value.backward(retain_graph=True)
    value.backward()
    assert_close(leaf.grad, 2 * gradient)


def test_value_without_gradient_is_the_same(loss, make_scene):
    logits, labels = make_scene()
    with_gradient = loss(logits.clone().requires_grad_(), labels).detach()
    with torch.no_grad():
        assert loss(logits.clone().requires_grad_(), labels) == with_gradient
    assert loss(logits, labels) == with_gradient


def test_inputs_are_left_as_they_were(loss, make_scene, value_and_gradient):
    logits, labels = make_scene()
    before = logits.clone(), labels.clone()
    leaf = logits.requires_grad_()
    loss(leaf, labels).backward()
    assert_close((leaf.detach(), labels), before, rtol=0, atol=0)


# Symmetries


def permuted(labels, order):
    """Labels renamed so that class order[i] is now class i."""
    renamed = labels.clone()
    for new, old in enumerate(order):
        renamed[labels == old] = new
    return renamed


def test_renaming_the_classes_changes_nothing(loss, config, make_scene, value_and_gradient):
    logits, labels = make_scene()
    order = [2, 0, 3, 1]
    for key in ("alpha", "class_weight"):
        if isinstance(config.get(key), list):
            config[key] = [config[key][old] for old in order]
    renamed = MODELS.build(config)
    value, gradient = value_and_gradient(loss, logits, labels)
    again, gradient_again = value_and_gradient(renamed, logits[:, order], permuted(labels, order))
    assert_close(again, value)
    assert_close(gradient_again, gradient[:, order])


def test_renaming_the_labels_alone_is_noticed(loss, name, make_scene):
    logits, labels = make_scene()
    change = (loss(logits, permuted(labels, [2, 0, 3, 1])) - loss(logits, labels)).abs()
    assert (change < 1e-12) if name in CLASS_BLIND else (change > 1e-4)


@pytest.mark.parametrize("dims", [(-1,), (-2,), (-1, -2)])
def test_mirror_images_cost_the_same(loss, make_scene, value_and_gradient, dims):
    logits, labels = make_scene()
    value, gradient = value_and_gradient(loss, logits, labels)
    mirrored = value_and_gradient(loss, logits.flip(dims), labels.flip(dims))
    assert_close(mirrored, (value, gradient.flip(dims)))


def test_a_constant_on_all_logits_of_a_pixel_changes_nothing(loss, make_scene, value_and_gradient):
    logits, labels = make_scene()
    shift = torch.linspace(-20, 20, labels.numel(), dtype=logits.dtype).view(labels.shape).unsqueeze(1)
    value, gradient = value_and_gradient(loss, logits, labels)
    assert_close(value_and_gradient(loss, logits + shift, labels), (value, gradient))
    assert gradient.sum(1).abs().max() < 1e-12


def test_the_order_of_images_does_not_matter(loss, make_scene, value_and_gradient):
    logits, labels = make_scene(3)
    value, gradient = value_and_gradient(loss, logits, labels)
    assert_close(value_and_gradient(loss, logits.flip(0), labels.flip(0)), (value, gradient.flip(0)))


# The call


def test_a_decode_head_can_train_on_it(config, make_scene):
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    head = MODELS.build(
        {"type": "FCNHead", "in_channels": 4, "channels": 4, "num_classes": 4, "num_convs": 0, "loss_decode": config}
    )
    logits, labels = make_scene(height=16, width=16, dtype=torch.float32)
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label.unsqueeze(0))) for label in labels]
    losses = head.loss_by_feat(head([logits]), samples)
    (key,) = (key for key in losses if "loss" in key)
    losses[key].backward()
    assert head.conv_seg.weight.grad.abs().sum() > 0


def test_loss_weight_scales_value_and_gradient(loss, config, make_scene, value_and_gradient):
    logits, labels = make_scene()
    value, gradient = value_and_gradient(loss, logits, labels)
    lighter = MODELS.build({**config, "loss_weight": 0.3})
    assert_close(value_and_gradient(lighter, logits, labels), (0.3 * value, 0.3 * gradient))


def test_loss_weight_may_change_between_calls(loss, make_scene):
    logits, labels = make_scene()
    value = loss(logits, labels)
    loss.loss_weight = 0.25
    assert_close(loss(logits, labels), 0.25 * value)


def test_the_head_decides_what_is_ignored(loss, config, make_scene, value_and_gradient):
    logits, labels = make_scene()
    plain = value_and_gradient(loss, logits, labels, ignore_index=255)
    moved = labels.where(labels != 255, -100)
    assert_close(value_and_gradient(loss, logits, moved, ignore_index=-100), plain, rtol=0, atol=0)
    agreeing = MODELS.build({**config, "ignore_index": -100})
    assert_close(value_and_gradient(agreeing, logits, moved, ignore_index=-100), plain, rtol=0, atol=0)
    assert_close(value_and_gradient(agreeing, logits, moved), plain, rtol=0, atol=0)


def test_a_head_that_ignores_another_label_is_refused(config, make_scene):
    with pytest.raises(ValueError, match="ignore_index=254, and its head ignores 255"):
        MODELS.build({**config, "ignore_index": 254})(*make_scene(), ignore_index=255)


def test_a_class_can_be_ignored(loss, make_scene, value_and_gradient):
    logits, labels = make_scene()
    without = labels.where(labels != 0, 255)
    value, gradient = value_and_gradient(loss, logits, without, ignore_index=255)
    assert_close(
        value_and_gradient(loss, logits, without.where(without != 255, 0), ignore_index=0),
        (value, gradient), rtol=0, atol=0,
    )  # fmt: skip


@pytest.mark.parametrize("wrong", [-1, 4, 254, 2**40])
def test_a_label_out_of_range_is_refused_by_value(loss, make_scene, wrong):
    logits, labels = make_scene()
    labels[1, 2, 3] = wrong
    with pytest.raises(ValueError, match=rf"label {wrong} is outside \[0, 4\)"):
        loss(logits, labels)


def test_labels_that_are_not_integers_are_refused(loss, make_scene):
    logits, labels = make_scene()
    with pytest.raises(ValueError, match=r"integer tensor, not torch\.float32"):
        loss(logits, labels.float())


def test_labels_of_another_size_are_refused(loss, make_scene):
    logits, labels = make_scene()
    with pytest.raises(ValueError, match=r"need labels of shape \(2, 12, 14\), got \(2, 12, 13\)"):
        loss(logits, labels[..., 1:])


def test_pixel_weights_are_honoured_or_refused(loss, name, make_scene, value_and_gradient):
    logits, labels = make_scene()
    ones = torch.ones(labels.shape)
    if not loss.takes_pixel_weight:
        with pytest.raises(ValueError, match="cannot honour pixel weights"):
            loss(logits, labels, weight=ones)
        return
    plain = value_and_gradient(loss, logits, labels)
    assert_close(value_and_gradient(loss, logits, labels, weight=ones), plain)
    if name != "Dice":  # whose `smooth` is a number of pixels; the others are means, where only ratios count
        assert_close(value_and_gradient(loss, logits, labels, weight=3 * ones), plain)
    value, gradient = value_and_gradient(loss, logits, labels, weight=0 * ones)
    assert value == 0
    assert torch.count_nonzero(gradient) == 0
    if not loss.needs_image:  # else ignored pixels are neighbours, which pixels of weight 0 are not
        some = (torch.arange(labels.numel()).view(labels.shape) % 3 == 0).float()
        assert_close(
            value_and_gradient(loss, logits, labels, weight=some),
            value_and_gradient(loss, logits, labels.where(some > 0, 255)),
        )
    with pytest.raises(ValueError, match=r"weights must have shape \(2, 12, 14\), got \(2, 1, 12, 14\)"):
        loss(logits, labels, weight=ones.unsqueeze(1))


def test_a_map_of_the_pixels_losses_is_given_or_refused(loss, make_scene):
    logits, labels = make_scene()
    if not loss.has_pixel_map:
        with pytest.raises(ValueError, match="has no value per pixel"):
            loss(logits, labels, reduction_override="none")
        return
    leaf = logits.requires_grad_()
    pixels = loss(leaf, labels, reduction_override="none")
    assert pixels.shape == labels.shape
    assert torch.count_nonzero(pixels[labels == 255]) == 0
    assert_close(pixels.sum(), loss(leaf, labels, reduction_override="sum"))
    (from_map,) = torch.autograd.grad((pixels * 2).sum(), leaf)
    (from_sum,) = torch.autograd.grad(loss(leaf, labels, reduction_override="sum"), leaf)
    assert_close(from_map, 2 * from_sum)


WRONG = [
    ({"loss_name": "focal"}, "'focal' must contain 'loss'"),
    ({"loss_weight": -0.4}, r"loss_weight is -0\.4, must be a finite number >= 0"),
    ({"loss_weight": float("nan")}, "loss_weight is nan"),
    ({"reduction": "avg"}, "reduction is 'avg', must be one of mean, sum, none"),
]


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        (name, wrong, message)
        for name in CONFIGS
        for wrong, message in WRONG
        # which takes its loss's reduction
        if CONFIGS[name]["type"] != "MultiScaleLoss" or "reduction" not in wrong
    ],
)
def test_values_that_cannot_be_meant_are_refused(config, wrong, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build({**config, **wrong})


def test_an_unknown_reduction_in_a_call_is_refused(loss, make_scene):
    with pytest.raises(ValueError, match="reduction is 'avg'"):
        loss(*make_scene(), reduction_override="avg")
