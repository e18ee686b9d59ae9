"""What classes of the release are certain to refuse, told from the excerpts of their source."""

from __future__ import annotations

from typing import Any

import pytest

from provecfg.mmconfig import Opaque
from provecfg.registry import registry_for
from provecfg.registry.preconditions import Refusal, refusal, refusal_by_method
from provecfg.registry.release import RELEASES

HEAD = {"type": "FCNHead", "in_channels": 64, "channels": 32, "num_classes": 19}
NORM = {"type": "BN", "requires_grad": True}
LINEAR_RATE = {"type": "LinearLR", "start_factor": 0.1, "begin": 0, "end": 100}

REFUSED = [
    # an assertion, a conditional raise, arithmetic; of the class, a parent, a function, or what is made inside
    ("transform", {"type": "RandomCrop", "crop_size": (512, 1024, 3)}, {"crop_size": (512, 1024)}, "crop_size"),
    ("transform", {"type": "RandomFlip", "prob": "0.5"}, {"prob": 0.5}, "prob"),
    ("parameter scheduler", {**LINEAR_RATE, "start_factor": 1.5}, {"start_factor": 0.1}, "start_factor"),
    ("parameter scheduler", {**LINEAR_RATE, "end": -1}, {"end": 100}, "end"),
    ("optimizer", {"type": "SGD", "lr": 0.1, "momentum": -0.9}, {"momentum": 0.9}, "momentum"),
    ("hook", {"type": "EarlyStoppingHook", "monitor": "mIoU", "rule": "more"}, {"rule": "greater"}, "rule"),
    ("model", {"type": "MixVisionTransformer", "num_layers": (2, 2, 2)}, {"num_layers": (2, 2, 2, 2)}, "num_layers"),
    ("model", {**HEAD, "num_convs": -1}, {"num_convs": 2}, "num_convs"),
    ("model", {**HEAD, "channels": -32}, {"channels": 32}, "channels"),
    ("model", {**HEAD, "in_channels": [64, 64]}, {"in_channels": 64}, "in_channels"),
    ("model", {"type": "ResNet", "depth": 51}, {"depth": 50}, "depth"),
    ("model", {"type": "ResNet", "depth": 50, "strides": (1, 2, 2)}, {"strides": (1, 2, 2, 2)}, "strides"),
    ("model", {"type": "ResNet", "depth": 50, "norm_cfg": [NORM]}, {"norm_cfg": NORM}, "norm_cfg"),
]


def refusal_of(kind: str, values: dict[str, Any], release: str = "onedl") -> Refusal | None:
    info = registry_for(release=release).find(values["type"], kind)
    assert info is not None
    return refusal(info, values)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(("kind", "values", "_", "key"), REFUSED, ids=lambda value: None)
def test_a_value_is_refused_with_the_argument_it_is_about(
    kind: str, values: dict[str, Any], _: dict[str, Any], key: str, release: str
) -> None:
    refused = refusal_of(kind, values, release)
    assert refused is not None
    assert key in {path.partition(".")[0].partition("[")[0] for path in refused.keys}
    assert refused.words


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(("kind", "values", "mended", "_"), REFUSED, ids=lambda value: None)
def test_the_same_with_a_right_value_is_accepted(
    kind: str, values: dict[str, Any], mended: dict[str, Any], _: str, release: str
) -> None:
    assert refusal_of(kind, values | mended, release) is None


@pytest.mark.parametrize("release", RELEASES)
def test_an_old_name_that_a_decorator_renames_is_accepted_where_it_is_handed_on(release: str) -> None:
    # KernelUpdateHead calls mmcv's FFN with `dropout`, which is `ffn_drop` today
    assert refusal_of("model", {"type": "KernelUpdateHead", "dropout": 0.3}, release) is None


@pytest.mark.parametrize(("kind", "values", "_", "key"), REFUSED, ids=lambda value: None)
def test_what_is_not_known_is_refused_nowhere(kind: str, values: dict[str, Any], _: dict[str, Any], key: str) -> None:
    assert refusal_of(kind, values | {key: Opaque("os.environ['VALUE']")}) is None


def test_the_words_are_the_classes_own() -> None:
    refused = refusal_of("transform", {"type": "RandomCrop", "crop_size": (0, 512)})
    assert refused is not None
    assert refused.error == "AssertionError"
    assert refused.owner == "mmseg.datasets.transforms.transforms.RandomCrop"
    assert "crop_size[0] > 0" in refused.condition


def test_a_loop_that_is_no_dict_is_refused_by_the_runner() -> None:
    runner = registry_for(release="onedl").find_dotted("mmengine.runner.runner.Runner")
    assert runner is not None
    loop = {"type": "IterBasedTrainLoop", "max_iters": 100}
    refused = refusal_by_method(runner, "build_train_loop", {"loop": [loop]})
    assert refused is not None
    assert refused.error == "TypeError"
    assert refusal_by_method(runner, "build_train_loop", {"loop": loop}) is None


def test_what_a_call_lacks_is_refused_in_the_call() -> None:
    runner = registry_for(release="onedl").find_dotted("mmengine.runner.runner.Runner")
    assert runner is not None
    refused = refusal_by_method(runner, "build_train_loop", {"loop": {"by_epoch": True}})
    assert refused is not None
    assert refused.is_missing
    assert refused.words == "EpochBasedTrainLoop lacks the argument 'max_epochs'"
    unknown = refusal_by_method(runner, "build_train_loop", {"loop": {"by_epoch": True, "max_iters": 100}})
    assert unknown is not None
    assert unknown.keys == ("loop.max_iters",)
    assert refusal_by_method(runner, "build_train_loop", {"loop": {"by_epoch": False, "max_iters": 100}}) is None


def test_a_table_that_other_packages_fill_is_not_known_whole() -> None:
    annotations = {"type": "mmdet.LoadAnnotations", "with_bbox": True}
    assert refusal_of("transform", {**annotations, "box_type": "qbox"}) is None  # mmrotate registers it


def test_a_config_that_never_ends_is_given_up() -> None:
    deep: Any = {"type": "ResNet", "depth": 50}
    for _ in range(200):
        deep = {"type": "ResNet", "depth": 50, "plugins": [deep]}
    refusal_of("model", deep)  # returns
    assert refusal_of("model", {"type": "ResNet", "depth": 50, "strides": (1,) * 100_000}) is not None
