from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmseg.registry import TRANSFORMS

from provecfg.catalog.datasets import DATASETS
from provecfg.data.scenes import Drawing, smoke_data_for
from provecfg.generate.plan import plans_of
from provecfg.generate.render import render
from provecfg.proof.augmentation import check as augmentation
from provecfg.proof.augmentation.draws import Draws, counted, is_apart
from provecfg.proof.built import Built
from provecfg.proof.section import Section
from provecfg.proof.subject import Subject
from provecfg.study.load import study_from_fields

pytestmark = [
    pytest.mark.stack,
    # torch, mmengine and mmdet warn of each other's deprecations when they build.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]

Change = Callable[[Config], None]


@pytest.fixture
def prove(tmp_path: Path) -> Callable[..., Section]:
    """What is seen of the augmentations of a strategy's config."""

    def proved(strategy: Any, change: Change | None = None, root: Path | None = None) -> Section:
        fields = {
            "name": "test",
            "models": ["pspnet_r50"],
            "losses": {"auxiliary": ["none"]},
            "strategies": [strategy],
            "data": {"crop_size": [64, 64], "resize_scale": [256, 128], "root": "absent"},
        }
        study, findings = study_from_fields(fields, tmp_path)
        assert study is not None, findings
        path = tmp_path / "config.py"
        path.write_text(render(next(plans_of(study))))
        config = Config.fromfile(str(path), import_custom_modules=False)
        if change is not None:
            change(config)
        return augmentation.check(Subject(path, config, "cpu", root, tmp_path / "work"), Built.nothing())

    return proved


def changed(section: Section) -> dict[str, float]:
    return {part["name"].partition(" ")[0]: part["changed"] / part["draws"] for part in section.evidence.values()}


@pytest.mark.parametrize(
    ("strategy", "name", "moves_labels"),
    [
        ("baseline", "PhotoMetricDistortion", False),
        ("photometric_distort", "RandomApply", False),
        ("autoaugment", "SegAutoAugment", True),
        ("randaugment", "SegRandAugment", True),
        ("cutmix", "MixingDataPreProcessor", True),
        ("mixup", "MixingDataPreProcessor", True),
    ],
)
def test_a_strategy_changes_the_share_that_it_says(
    prove: Callable[..., Section], strategy: str, name: str, moves_labels: bool
) -> None:
    section = prove(strategy)
    assert section.findings == ()
    shares = changed(section)
    assert shares["RandomFlip"] == pytest.approx(0.5, abs=0.15)
    expected = 0.97 if strategy == "baseline" else 0.45
    assert shares[name] == pytest.approx(expected, abs=0.15)
    (part,) = [part for part in section.evidence.values() if part["name"].startswith(name)]
    assert (part["labels"] > 0) is moves_labels
    json.dumps(section.evidence, allow_nan=False)


def test_minimal_says_that_it_flips_and_nothing_else(prove: Callable[..., Section]) -> None:
    section = prove("minimal")
    assert list(changed(section)) == ["RandomFlip"]
    assert section.lines[0].startswith("RandomFlip changes ")
    assert section.lines[0].endswith("% of their labels, +0.0% ignored (images, said to be 0.5)")


def test_pixels_from_outside_are_ignored(prove: Callable[..., Section]) -> None:
    (part,) = [part for part in prove("randaugment").evidence.values() if part["name"] == "SegRandAugment"]
    assert 0 < part["more_ignored"] < part["labels"]


def test_the_data_is_drawn_on_where_it_is_there(prove: Callable[..., Section], tmp_path: Path) -> None:
    root = smoke_data_for(DATASETS["bdd10k"], Drawing(train=2, val=2, width=96, height=64), tmp_path / "street")
    section = prove("autoaugment", root=root)
    assert section.findings == ()
    assert changed(section)["SegAutoAugment"] > 0.3


def test_a_batch_of_one_image_is_not_mixed(prove: Callable[..., Section]) -> None:
    section = prove("cutmix", lambda config: config.train_dataloader.update(batch_size=1))
    (finding,) = section.findings
    assert (finding.problem.code, finding.key) == ("PROOF121", "model.data_preprocessor.batch_augments")
    assert "probability of 0.5, and changes none of 200 batches of 1" in finding.message


def test_an_augmentation_that_ignores_its_probability_is_an_error(
    prove: Callable[..., Section], monkeypatch: pytest.MonkeyPatch
) -> None:
    import provecfg.plugin.transforms as transforms

    def always(self: Any, results: dict[str, Any]) -> dict[str, Any]:
        results["img"] = 255 - results["img"]
        return results

    monkeypatch.setattr(transforms.SegRandAugment, "transform", always)
    (finding,) = prove("randaugment").findings
    assert finding.problem.code == "PROOF120"
    assert "a probability of 0.5, and changes 100% of 200 images (100% with a probability of 1)" in finding.message


def test_an_augmentation_whose_failures_are_swallowed_is_an_error(
    prove: Callable[..., Section], monkeypatch: pytest.MonkeyPatch
) -> None:
    import provecfg.plugin.preprocessors.mixing_data_preprocessor as preprocessor

    monkeypatch.setattr(preprocessor, "_mix", lambda *_: None)
    (finding,) = prove("mixup").findings
    assert finding.problem.code == "PROOF121"


class OwnNoise:
    """A user's own, whose probability is of a pixel."""

    def __init__(self, prob: float) -> None:
        self.prob = prob

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        chosen = np.random.random(results["img"].shape) < self.prob
        return {**results, "img": np.where(chosen, 255 - results["img"], results["img"])}


def test_what_a_users_own_class_means_by_its_probability_is_not_judged(prove: Callable[..., Section]) -> None:
    TRANSFORMS.register_module(name="OwnNoise", module=OwnNoise, force=True)
    try:
        section = prove(
            "minimal", lambda c: c.train_dataloader.dataset.pipeline.insert(-1, {"type": "OwnNoise", "prob": 0.01})
        )
    finally:
        TRANSFORMS.module_dict.pop("OwnNoise")
    assert section.findings == ()
    assert changed(section)["OwnNoise"] == 1.0
    assert any(line.startswith("OwnNoise changes 100% of 200: 3% of their pixels") for line in section.lines)


def draws(share: float, number: int = 200) -> Draws:
    return Draws(number, round(share * number), 1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("own", "always", "probability", "apart"),
    [
        (0.5, 1, 0.5, False),
        (0.4, 0.8, 0.5, False),
        (0.56, 1, 0.5, False),
        (0.25, 1, 0.5, True),
        (1, 1, 0.5, True),
        (1, 1, 1, False),
        (0, 1, 0, False),
        (0.02, 1, 0, True),
        (0.8, 0.8, 0.5, True),
    ],
)
def test_shares_are_apart_beyond_what_chance_does(own: float, always: float, probability: float, apart: bool) -> None:
    assert is_apart(draws(own), draws(always), probability) is apart


def test_what_changed_is_counted_of_the_draws_that_changed() -> None:
    image, labels = np.zeros((2, 2, 3)), np.array([[0, 1], [1, 1]])

    def drawn(seed: int) -> Any:
        if seed % 2:
            return (image, labels), (image, labels)
        return (image, labels), (image + np.eye(2)[..., None], np.array([[255, 1], [1, 0]]))

    seen = counted(drawn, ignored=255, number=10)
    assert (seen.changed, seen.pixels, seen.labels, seen.ignored) == (5, 0.5, 0.5, 0.25)
    assert seen.text() == "changes 50% of 10: 50% of their pixels, 50% of their labels, +25.0% ignored"


class OwnBatchHook(Hook):
    """A user's own, that augments batches, or swallows why it cannot."""

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        try:
            if self.fails:
                raise RuntimeError
            if batch_idx % 2:
                data_batch["inputs"] = [255 - image for image in data_batch["inputs"]]
        except Exception:
            pass


@pytest.mark.parametrize(("fails", "text"), [(False, "changes 50% of 20: 100% of their"), (True, "changes none of 20")])
def test_what_a_users_hook_does_to_batches_is_said(prove: Callable[..., Section], fails: bool, text: str) -> None:
    HOOKS.register_module(name="OwnBatchHook", module=OwnBatchHook, force=True)
    try:
        section = prove("minimal", lambda config: config.custom_hooks.append({"type": "OwnBatchHook", "fails": fails}))
    finally:
        HOOKS.module_dict.pop("OwnBatchHook")
    assert section.findings == ()
    assert section.lines[-1].startswith(f"OwnBatchHook {text}")
