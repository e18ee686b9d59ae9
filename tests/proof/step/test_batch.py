from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from provecfg.proof.built import Built
from provecfg.proof.step.batch import BatchPlan, classes_of_dataset, label_map, make_batch, plan_batch
from tests.proof.built_models import built_of

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]


@pytest.fixture(autouse=True)
def mmseg_scope() -> None:
    import mmseg.datasets
    import mmseg.models  # noqa: F401

    init_default_scope("mmseg")


def config_with(pipeline: list[dict[str, Any]] | None = None, **dataset: Any) -> Config:
    steps = [{"type": "RandomCrop", "crop_size": (512, 512)}, {"type": "PackSegInputs"}]
    dataset = {"type": "CityscapesDataset", "pipeline": pipeline or steps, **dataset}
    return Config(
        {
            "model": {"data_preprocessor": {"type": "SegDataPreProcessor", "size": (512, 512)}},
            "train_dataloader": {"dataset": dataset},
        }
    )


class Head(nn.Module):
    num_classes = 7
    ignore_index = 255


class Segmentor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.decode_head = Head()


def built_and_planned(config: Config) -> tuple[Built, BatchPlan]:
    model = Segmentor()
    built = built_of(config, model)
    return built, plan_batch(config, model, built)


def test_classes_are_those_of_the_datasets_class_or_metainfo() -> None:
    assert classes_of_dataset(config_with()) == 19
    assert classes_of_dataset(config_with(metainfo={"classes": ("road", "sky")})) == 2
    assert classes_of_dataset(config_with(type="BaseSegDataset")) is None


def test_classes_are_found_inside_wrappers() -> None:
    inner = {"type": "ADE20KDataset", "pipeline": []}
    assert classes_of_dataset(config_with(type="ConcatDataset", datasets=[inner, inner])) == 150


def test_without_a_dataset_the_main_head_says_the_classes() -> None:
    _, plan = built_and_planned(config_with(type="BaseSegDataset"))
    assert (plan.classes, plan.from_dataset) == (7, False)


@pytest.mark.parametrize("classes", [2, 3, 19, 150])
def test_the_labelled_image_has_every_class_but_the_missing_one_and_ignored_pixels(classes: int) -> None:
    _, plan = built_and_planned(config_with(metainfo={"classes": tuple(map(str, range(classes)))}))
    labels = label_map(plan, (64, 64))
    assert set(np.unique(labels)) == {*range(classes), 255} - {plan.missing}
    assert (plan.missing is None) == (classes == 2)


def test_the_last_image_has_nothing_but_ignored_pixels_where_asked() -> None:
    built, plan = built_and_planned(config_with())
    samples = make_batch(plan, built.transforms, with_ignored_image=True)["data_samples"]
    assert [bool((sample.gt_sem_seg.data == 255).all()) for sample in samples] == [False, True]
    samples = make_batch(plan, built.transforms, with_ignored_image=False)["data_samples"]
    assert not any(bool((sample.gt_sem_seg.data == 255).all()) for sample in samples)


def test_samples_are_what_the_configs_packing_makes() -> None:
    built, plan = built_and_planned(config_with())
    batch = make_batch(plan, built.transforms, with_ignored_image=True)
    assert [tuple(image.shape) for image in batch["inputs"]] == [(3, 64, 64)] * 2
    assert tuple(batch["data_samples"][0].gt_sem_seg.data.shape) == (1, 64, 64)
    assert batch["data_samples"][0].img_shape == (64, 64)


def test_edges_are_made_where_the_pipeline_makes_them() -> None:
    built, plan = built_and_planned(config_with([{"type": "GenerateEdge", "edge_width": 4}, {"type": "PackSegInputs"}]))
    batch = make_batch(plan, built.transforms, with_ignored_image=False)
    assert set(batch["data_samples"][0].gt_edge_map.data.unique().tolist()) == {0, 1}


def test_images_are_of_unequal_sizes_where_nothing_crops_them() -> None:
    resize = {"type": "RandomResize", "scale": (1024, 512), "ratio_range": (0.5, 2.0), "keep_ratio": True}
    _, plan = built_and_planned(config_with([resize, {"type": "PackSegInputs"}]))
    assert plan.sizes == ((128, 256), (32, 64))
