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
        (4, "'b' has both `combine` and `file`, which is the whole pipeline"),
    ]
    assert findings[2].message.startswith("absent.py cannot be read: ")


def test_a_batch_of_one_image_cannot_be_mixed() -> None:
    fields = {"name": "a", "models": ["segformer_mit-b3"], "strategies": ["mixup"], "data": {"batch_size": 1}}
    study, (finding,) = study_from_fields(fields)
    assert study is None
    assert finding.message == "mixup mixes the images of a batch, and a batch has one"


GENERATED = {"name": "gen_fog", "manifest": "fog.csv", "ratio": 0.25}


def test_generated_images_stand_beside_the_real_ones_in_every_batch() -> None:
    plan = plan_of("pspnet_r50", strategies=[GENERATED])
    assert complaints(plan) == []
    loader = plan.train_dataloader
    assert loader["sampler"] == {"type": "GeneratedShareSampler", "share": 0.25}
    real, generated = loader["dataset"]["datasets"]
    assert generated.pop("manifest") == "fog.csv"
    assert generated.pop("generated_of") == ["bdd10k", "BDD10k"]
    assert generated == real  # the same images, so that those of other splits are left out
    assert [step["type"] for step in real["pipeline"]][-2:] == ["RandomFlip", "PackSegInputs"]
    assert "25% of each batch generated" in plan.strategy.title
    assert plan.val_dataloader["dataset"]["type"] == "BDD100KDataset"


def test_generated_images_go_with_other_augmentations_and_joined_datasets() -> None:
    both = {"name": "both", "join": ["bdd10k", {"name": "ulm", "base": "cityscapes", "train": {"only": "ulm_*"}}]}
    strategy = {**GENERATED, "combine": ["minimal", "cutmix"]}
    plan = plan_of("pspnet_r50", datasets=[both], strategies=[strategy])
    assert complaints(plan) == []
    real, generated = plan.train_dataloader["dataset"]["datasets"]
    assert [len(joined["datasets"]) for joined in (real, generated)] == [2, 2]
    assert generated["datasets"][1]["generated_of"] == ["ulm", "cityscapes", "Cityscapes (ulm)"]
    assert plan.segmentor["data_preprocessor"]["batch_augments"][0]["kind"] == "cutmix"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"strategies": [{"name": "a", "ratio": 0.5}]}, "needs one of `combine`, `file` and `manifest`"),
        ({"strategies": [{"name": "a", "combine": ["minimal"], "ratio": 0.5}]}, "`ratio` is of generated images"),
        ({"strategies": [{"name": "a", "manifest": "a.csv", "prob": 0.5}]}, "`prob` is of what `combine` names"),
        ({"strategies": [GENERATED], "schedule": {"max_epochs": 16}}, "a run of epochs waits for one"),
    ],
)
def test_generated_images_are_refused_where_they_say_nothing(fields: dict[str, Any], message: str) -> None:
    study, findings = study_from_fields({"name": "test", "models": ["pspnet_r50"], **fields})
    assert study is None
    assert any(message in finding.message for finding in findings), findings


def test_a_manifest_that_is_there_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("gen_path,original_path\na.png,b.png\n")
    entry = {"name": "a", "manifest": str(tmp_path / "a.csv")}
    study, findings = study_from_fields({"name": "test", "models": ["pspnet_r50"], "strategies": [entry]})
    assert study is None
    assert "has no column 'dataset'" in findings[0].message
