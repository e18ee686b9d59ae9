from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from provecfg.data.fingerprint import fingerprint_of, survey_of, write_fingerprint
from provecfg.data.recorded_fingerprint import recorded_digest, recorded_fingerprint
from provecfg.generate.plan import plans_of
from provecfg.generate.render import render
from provecfg.study.load import checked_study
from provecfg.study.schema import Study
from provecfg.training.data_survey import check_survey
from tests.data.small_sets import write_set

pytestmark = pytest.mark.stack

FILES = {split: {"images": f"images/{split}/*.jpg", "labels": f"labels/{split}/*.png"} for split in ("train", "val")}
CLASSES = {"base": "cityscapes"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVECFG_HOME", str(tmp_path / "provecfg-home"))


def study_of(root: Path, **changes: Any) -> Study:
    entry = {"name": "streets", **CLASSES, "root": str(root), **FILES, **changes}
    return checked_study(
        {"name": "a", "models": ["pspnet_r50"], "losses": {"auxiliary": ["none"]}, "datasets": [entry]}
    )


def config_of(study: Study) -> Config:
    (plan,) = plans_of(study)
    loaders = {
        "train_dataloader": plan.train_dataloader,
        "val_dataloader": plan.val_dataloader,
        "test_dataloader": plan.test_dataloader,
    }
    config = Config({**loaders, "default_hooks": plan.default_hooks, "custom_hooks": plan.custom_hooks})
    (dataset,) = study.resolved_datasets.values()
    for loader in loaders:
        config[loader].dataset.data_root = dataset.root
    return config


def codes(study: Study, recorded: Path | None = None) -> list[str]:
    findings = check_survey(config_of(study), recorded)
    return [finding.problem.code for finding in findings]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("clean", []),
        ("mapped twice", ["RUN115", "RUN115", "RUN116"]),
        ("three classes left", ["RUN116"]),
        ("val is train", ["RUN113"]),
    ],
)
def test_what_all_files_together_show_is_found(name: str, expected: list[str], tmp_path: Path) -> None:
    assert sorted(set(codes(study_of(write_set(tmp_path / "set", name)))) - {"RUN115"}) == sorted(
        set(expected) - {"RUN115"}
    )


def test_a_test_split_that_shares_images_with_validation_is_a_warning_where_a_choice_is_made_there(
    tmp_path: Path,
) -> None:
    root = write_set(tmp_path / "set", "clean")
    for kind in ("images", "labels"):
        shutil.copytree(root / kind / "val", root / kind / "test")
    study = study_of(root, test={"images": "images/test/*.jpg", "labels": "labels/test/*.png"})
    assert codes(study) == ["RUN114"]
    config = config_of(study)
    config.custom_hooks = []
    config.default_hooks.checkpoint.pop("save_best")
    assert [f.problem.code for f in check_survey(config, None) if f.problem.code == "RUN114"] == []


def test_the_data_is_held_against_the_fingerprint_beside_the_config(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", "clean")
    study = study_of(root)
    (dataset,) = study.resolved_datasets.values()
    fingerprint = fingerprint_of(survey_of(dataset, root))
    write_fingerprint(tmp_path / "streets.fingerprint.json", fingerprint)
    (plan,) = plans_of(study)
    config = tmp_path / "generated" / f"{plan.name}.py"
    recorded = recorded_fingerprint(config, render(plan))
    assert recorded == tmp_path / "streets.fingerprint.json"
    assert recorded_digest(recorded) == fingerprint["digest"]
    assert codes(study, recorded) == []
    (root / "images/val/street-1-0.jpg").unlink()
    assert codes(study, recorded) == ["RUN112"]


def test_a_joined_dataset_is_left_alone() -> None:
    entry = {"name": "both", "join": ["bdd10k", "cityscapes"]}
    study = checked_study({"name": "a", "models": ["pspnet_r50"], "datasets": [entry]})
    plan = next(iter(plans_of(study)))
    loaders = {"train_dataloader": plan.train_dataloader, "val_dataloader": plan.val_dataloader}
    assert check_survey(Config(loaders), None) == []
