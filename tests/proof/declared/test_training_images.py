"""Sizes of training images, seen on real pipelines and data preprocessors."""

from __future__ import annotations

from typing import Any

import mmseg.datasets
import mmseg.models  # noqa: F401
import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, MODELS, TRANSFORMS

from provecfg.proof.declared.stubs import with_files_stubbed
from provecfg.proof.declared.training_images import TrainingImages, training_images, training_size, training_transforms

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]

LOAD = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}]
CROP = {"type": "RandomCrop", "crop_size": (128, 128), "cat_max_ratio": 0.75}
FLIP = {"type": "RandomFlip", "prob": 0.5}
PACK = {"type": "PackSegInputs"}


@pytest.fixture(autouse=True)
def mmseg_scope() -> None:
    init_default_scope("mmseg")


def resize(width: int, height: int, low: float = 0.5, high: float = 2.0) -> dict[str, Any]:
    return {"type": "RandomResize", "scale": (width, height), "ratio_range": (low, high), "keep_ratio": True}


def preprocessor(**padding: Any) -> Any:
    return MODELS.build({"type": "SegDataPreProcessor", "mean": [0.0] * 3, "std": [1.0] * 3, **padding})


def images_of(*steps: dict[str, Any], **padding: Any) -> TrainingImages | None:
    transforms = [TRANSFORMS.build(dict(step)) for step in (*LOAD, *steps, PACK)]
    return training_images(transforms, preprocessor(**padding))


def test_a_crop_is_what_is_trained_on_whatever_the_images() -> None:
    sizes = TrainingImages((128, 128), (128, 128), (128, 128))
    assert images_of(resize(512, 256), CROP, FLIP, size=(128, 128)) == sizes
    assert images_of(CROP, size=(128, 128)) == sizes
    assert sizes.padded_share == 0.0


def test_a_crop_caps_what_is_resized_and_the_rest_is_padding() -> None:
    images = images_of(resize(512, 256, 0.25, 1.0), CROP, size=(128, 128))
    assert images == TrainingImages((64, 128), (128, 128), (128, 128))
    assert images.padded_share == 0.5


def test_one_of_several_sizes_is_as_random_as_a_ratio() -> None:
    choice = {
        "type": "RandomChoiceResize",
        "scales": [64, 96, 128],
        "resize_type": "ResizeShortestEdge",
        "max_size": 512,
    }
    assert images_of(choice, CROP, size=(128, 128)) == TrainingImages((64, 128), (128, 128), (128, 128))


def test_images_of_sizes_that_make_no_batch_have_none() -> None:
    assert images_of(resize(256, 128), size=(128, 128)) == TrainingImages((64, 128), (256, 512), None)


def test_a_batch_is_what_the_preprocessor_pads_it_to() -> None:
    fixed = {"type": "Resize", "scale": (120, 90), "keep_ratio": True}
    assert images_of(fixed, size_divisor=32) == TrainingImages((90, 120), (90, 120), (96, 128))
    assert images_of(resize(256, 128), size=(256, 512)) == TrainingImages((64, 128), (256, 512), (256, 512))


def test_several_images_in_one_are_of_its_size() -> None:
    mosaic = {"type": "RandomMosaic", "prob": 1.0, "img_scale": (96, 96)}
    assert images_of(mosaic, CROP, size=(128, 128)) == TrainingImages((128, 128), (128, 128), (128, 128))


def test_sizes_that_depend_on_the_images_are_not_known() -> None:
    assert images_of(FLIP, size=(128, 128)) is None
    assert images_of({"type": "Resize", "scale_factor": 0.1}, size=(128, 128)) is None


def test_a_transform_that_blank_images_do_not_come_through_says_nothing() -> None:
    assert images_of({"type": "PackSegInputs"}, size=(128, 128)) is None


def test_where_nothing_is_known_of_the_images_the_padding_decides() -> None:
    assert training_size(preprocessor(size=(128, 96)), None) == (128, 96)
    assert training_size(preprocessor(size_divisor=32), None) is None
    unequal = TrainingImages((64, 128), (256, 512), None)
    assert training_size(preprocessor(size=(300, 128)), unequal) == (300, 512)


def test_numbers_are_drawn_at_random_again_afterwards() -> None:
    before = np.random.random_sample
    np.random.seed(0)
    expected = np.random.random_sample()
    np.random.seed(0)
    images_of(resize(256, 128), CROP, size=(128, 128))
    assert np.random.random_sample is before
    assert np.random.random_sample() == expected


def test_transforms_inside_wrappers_come_before_those_of_the_wrapper() -> None:
    inner = {
        "type": "BaseSegDataset",
        "data_root": "absent",
        "metainfo": {"classes": ("road", "sky")},
        "pipeline": LOAD,
    }
    wrapper = {"type": "MultiImageMixDataset", "dataset": inner, "pipeline": [CROP, PACK]}
    with with_files_stubbed():
        dataset = DATASETS.build(wrapper)
    names = [type(transform).__name__ for transform in training_transforms(dataset)]
    assert names == ["LoadImageFromFile", "LoadAnnotations", "RandomCrop", "PackSegInputs"]
