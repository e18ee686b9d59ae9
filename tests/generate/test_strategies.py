"""How a study's strategies become pipelines and preprocessors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provecfg.catalog.strategies import STRATEGIES
from provecfg.study.load import read_study, study_from_fields
from tests.generate.test_edits import complaints, plan_of


def steps(**fields: Any) -> list[dict[str, Any]]:
    pipeline: list[dict[str, Any]] = plan_of("pspnet_r50", **fields).train_dataloader["dataset"]["pipeline"]
    return pipeline


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_strategy_of_the_catalog_passes_validation(strategy: str) -> None:
    plan = plan_of("pspnet_r50", "focal", strategies=[strategy])
    assert complaints(plan) == []
    assert plan.name == "pspnet_r50_bdd10k_" + (f"{strategy}_" if strategy != "baseline" else "") + "focal"


def test_policies_come_after_the_flip_and_know_what_is_ignored() -> None:
    assert [step["type"] for step in steps(strategies=["randaugment"])][-3:] == [
        "RandomFlip",
        "SegRandAugment",
        "PackSegInputs",
    ]
    assert steps(strategies=["randaugment"])[-2] == {
        "type": "SegRandAugment",
        "num_ops": 2,
        "magnitude": 9,
        "prob": 0.5,
        "ignore_index": 255,
    }


def test_mixing_is_the_preprocessors() -> None:
    preprocessor = plan_of("pspnet_r50", strategies=["cutmix"]).segmentor["data_preprocessor"]
    assert preprocessor["type"] == "MixingDataPreProcessor"
    assert preprocessor["batch_augments"] == [{"kind": "cutmix", "alpha": 1.0, "prob": 0.5}]


def test_strategies_are_combined_and_their_share_is_chosen() -> None:
    both = {"name": "strong", "combine": ["baseline", "randaugment", "mixup"], "prob": 0.25}
    plan = plan_of("pspnet_r50", strategies=[both])
    assert complaints(plan) == []
    pipeline = plan.train_dataloader["dataset"]["pipeline"]
    assert pipeline[2]["ratio_range"] == (0.5, 2.0)
    assert pipeline[-3:-1] == [
        {"type": "RandomApply", "transforms": [{"type": "PhotoMetricDistortion"}], "prob": 0.25},
        {"type": "SegRandAugment", "num_ops": 2, "magnitude": 9, "prob": 0.25, "ignore_index": 255},
    ]
    assert plan.segmentor["data_preprocessor"]["batch_augments"] == [{"kind": "mixup", "alpha": 0.4, "prob": 0.25}]
    assert plan.name == "pspnet_r50_bdd10k_strong_ce"


def test_a_pipeline_of_ones_own_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "size = (512, 512)\n"
        "train_pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),\n"
        "    dict(type='RandomCrop', crop_size=size), dict(type='PackSegInputs')]\n"
    )
    plan = plan_of("pspnet_r50", folder=tmp_path, strategies=[{"name": "mine", "file": "mine.py"}])
    assert complaints(plan) == []
    assert [step["type"] for step in plan.train_dataloader["dataset"]["pipeline"]] == [
        "LoadImageFromFile",
        "LoadAnnotations",
        "RandomCrop",
        "PackSegInputs",
    ]


def test_every_mistake_in_the_strategies_is_said_at_once(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(
        "name: a\nstrategies:\n  - cutmux\n  - {name: b, combine: [mixup], file: x.py}\n"
        "  - {name: c, file: absent.py}\n"
    )
    _, findings = read_study(study)
    assert [(finding.span.row, finding.message) for finding in findings if finding.span][:2] == [
        (3, "unknown strategy 'cutmux'; did you mean 'cutmix'?"),
        (4, "'b' needs either `combine` or `file`"),
    ]
    assert findings[2].message.startswith("absent.py cannot be read: ")


def test_a_batch_of_one_image_cannot_be_mixed() -> None:
    fields = {"name": "a", "models": ["segformer_mit-b3"], "strategies": ["mixup"], "data": {"batch_size": 1}}
    study, (finding,) = study_from_fields(fields)
    assert study is None
    assert finding.message == "mixup mixes the images of a batch, and a batch has one"
