"""Data loaders, datasets and the sizes of images."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from provecfg.facts.data import final_size
from provecfg.facts.facts import Facts
from provecfg.facts.padding import smaller_than_crop

FactsOf = Callable[[str], Facts]


def test_wrappers_are_looked_through_and_their_pipeline_comes_last(facts_of: FactsOf) -> None:
    inner = "dict(type='ADE20KDataset', pipeline=[dict(type='LoadImageFromFile')])"
    facts = facts_of(
        "train_dataloader = dict(dataset=dict(type='MultiImageMixDataset', pipeline=[dict(type='RandomMosaic')],\n"
        f"    dataset=dict(type='ConcatDataset', datasets=[{inner}, {inner}])))\n"
        f"val_dataloader = dict(dataset={inner})\n"
    )
    assert [loader.split for loader, _ in facts.datasets] == ["train", "train", "val"]
    trained, _, validated = (dataset for _, dataset in facts.datasets)
    assert [node.type for node in trained.transforms] == ["LoadImageFromFile", "RandomMosaic"]
    assert [node.type for node in validated.transforms] == ["LoadImageFromFile"]
    assert (trained.classes, trained.reduces_zero_label) == (150, True)


@pytest.mark.parametrize(
    ("steps", "size"),
    [
        ("dict(type='Resize', scale=(200, 100))", (100, 200, True)),
        ("dict(type='Resize', scale=(200, 100), keep_ratio=True)", (None, None, False)),
        ("dict(type='RandomResize', scale=(200, 100)), dict(type='RandomCrop', crop_size=(64, 32))", (64, 32, False)),
        ("dict(type='RandomCrop', crop_size=64), dict(type='Pad', size=(64, 64))", (64, 64, True)),
        ("dict(type='MyResize')", None),
        ("dict(type='Pad', size=64), dict(type='Albu', transforms=[dict(type='ShiftScaleRotate')])", (64, 64, True)),
        ("dict(type='Pad', size=64), dict(type='Albu', transforms=[dict(transforms=[dict(type='Resize')])])", None),
        ("dict(type='Pad', size=64), dict(type='Albu', transforms=read())", None),
    ],
)
def test_the_size_after_a_pipeline_is_that_of_its_last_step_that_decides_it(
    facts_of: FactsOf, steps: str, size: tuple[int | None, int | None, bool] | None
) -> None:
    ((_, dataset),) = facts_of(f"train_dataloader = dict(dataset=dict(pipeline=[{steps}]))\n").datasets
    after = final_size(dataset.transforms)
    assert (after and (after.height, after.width, after.is_fixed)) == size


def test_the_share_of_padding_is_what_the_crop_leaves_of_the_size(facts_of: FactsOf) -> None:
    padding = facts_of(
        "model = dict(data_preprocessor=dict(type='SegDataPreProcessor', size=(100, 100)))\n"
        "train_dataloader = dict(dataset=dict(pipeline=[dict(type='RandomCrop', crop_size=(50, 100))]))\n"
    ).padding
    assert padding is not None
    assert (padding.worst, padding.least) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("resize", "empty"),
    [
        ("type='RandomResize', scale=(128, 96), ratio_range=(0.5, 2.0), keep_ratio=True", 1 - 256 * 192 / 400**2),
        ("type='Resize', scale=(800, 200), keep_ratio=True", 0.5),
        ("type='Resize', scale=(800, 400), keep_ratio=True", None),
        ("type='Resize', scale=(800, 399), keep_ratio=True", None),  # a row or two
        ("type='RandomResize', scale=(800, 200), ratio_range=(0.5, 2.0), keep_ratio=True", None),
        ("type='Resize', scale=(200, 200)", None),  # which other rules judge
        ("type='OwnResize', scale=(200, 200), keep_ratio=True", None),
        ("type='Resize', scale=(200, 200), keep_ratio=True), dict(type='Albu', transforms=[dict(type='Resize')]", None),
        (
            "type='RandomResize', scale=(200, 200), ratio_range=(1.0, 1.5), keep_ratio=True, resize_type='OwnResize'",
            None,
        ),
    ],
)
def test_images_that_no_scale_makes_as_large_as_the_crop_leave_it_empty(
    facts_of: FactsOf, resize: str, empty: float | None
) -> None:
    pipeline = f"[dict(type='LoadImageFromFile'), dict({resize}), dict(type='RandomCrop', crop_size=(400, 400))]"
    ((_, dataset),) = facts_of(f"train_dataloader = dict(dataset=dict(pipeline={pipeline}))\n").datasets
    for size in ((400, 400), (512, 512)):
        small = smaller_than_crop(dataset, size)
        assert (small and small[2]) == (empty and pytest.approx(empty))
    assert smaller_than_crop(dataset, (512, 256)) is None  # which is not as large as the crop


def test_the_models_preprocessor_goes_before_the_top_levels(facts_of: FactsOf) -> None:
    outer = "data_preprocessor = dict(type='Outer')\n"
    inner = "model = dict(data_preprocessor=dict(type='Inner'))\n"
    assert [facts_of(text).preprocessor.type for text in (outer, outer + inner)] == ["Outer", "Inner"]  # type: ignore[union-attr]
