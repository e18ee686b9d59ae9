from __future__ import annotations

import numpy as np
import pytest

from provecfg.plugin.transforms import SegAutoAugment, SegRandAugment
from provecfg.plugin.transforms.image_operations import GEOMETRY, OPERATIONS, apply_operation


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A white square on black, labelled 1 on 0."""
    labels = np.zeros((48, 64), np.uint8)
    labels[16:32, 24:40] = 1
    return np.repeat(labels[..., None] * 255, 3, axis=2), labels


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", GEOMETRY)
def test_what_moves_pixels_moves_their_labels(name: str, sign: int) -> None:
    image, labels = apply_operation(name, *scene(), 15, sign, 255)
    assert not np.array_equal(labels, scene()[1])
    inside = labels != 255
    assert np.mean((image[..., 0] > 127)[inside] == (labels == 1)[inside]) > 0.98


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in GEOMETRY])
def test_colours_change_no_label(name: str) -> None:
    image, labels = apply_operation(name, *scene(), 15, 1, 255)
    assert np.array_equal(labels, scene()[1])
    assert image.shape == scene()[0].shape
    assert image.dtype == np.uint8


@pytest.mark.parametrize("name", [*GEOMETRY, "Brightness", "Color", "Contrast", "Posterize", "Solarize", "Identity"])
def test_an_operation_of_no_strength_changes_nothing(name: str) -> None:
    image, labels = apply_operation(name, *scene(), 0, 1, 255)
    assert np.array_equal(image, scene()[0])
    assert np.array_equal(labels, scene()[1])


def test_pixels_from_outside_are_ignored() -> None:
    _, labels = apply_operation("TranslateX", *scene(), 30, 1, 200)
    assert (labels == 200).any()
    assert set(np.unique(labels)) <= {0, 1, 200}


@pytest.mark.parametrize("policy", [SegRandAugment, SegAutoAugment])
def test_the_share_of_changed_images_is_the_probability(policy: type) -> None:
    np.random.seed(0)
    transform = policy(prob=0.5)
    random = np.random.RandomState(1).randint(0, 255, (48, 64, 3)).astype(np.uint8)
    changed = 0
    for _ in range(200):
        results = transform({"img": random, "gt_seg_map": scene()[1].astype(np.int64)})
        assert results["gt_seg_map"].dtype == np.int64
        changed += not np.array_equal(results["img"], random)
    assert 0.35 < changed / 200 <= 0.57  # some operations of low strength change nothing


def test_no_image_is_changed_in_place() -> None:
    image, labels = scene()
    SegRandAugment(num_ops=3, magnitude=20)({"img": image, "gt_seg_map": labels})
    assert np.array_equal(image, scene()[0])
    assert np.array_equal(labels, scene()[1])


def test_arguments_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="prob is 2"):
        SegAutoAugment(prob=2)
    with pytest.raises(ValueError, match="magnitude 31"):
        SegRandAugment(magnitude=31)
    with pytest.raises(ValueError, match="three channels"):
        SegRandAugment()({"img": np.zeros((4, 4, 1), np.uint8), "gt_seg_map": np.zeros((4, 4), np.uint8)})
