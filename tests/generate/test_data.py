from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provecfg.generate.plan import Plan, plans_of
from provecfg.generate.render import render
from provecfg.study.load import checked_study
from provecfg.validate import judgement_of

WEEDS = {
    "name": "weeds",
    "root": "data/weeds",
    "classes": ["soil", "crop", "weed"],
    "train": {"images": "images/train/*.jpg", "labels": "masks/train/*.png"},
    "val": {"images": "images/val/*.jpg", "labels": "masks/val/*.png"},
}
SHARED = {**WEEDS, "name": "shared", "train": {**WEEDS["train"], "fraction": 0.8, "group": "{scene}_*"}, "val": {}}
COLOURS = {
    **WEEDS,
    "name": "colours",
    "encoding": "rgb",
    "channel_order": "bgr",
    "palette": {"soil": [64, 0, 0], "crop": [0, 128, 0], "weed": [128, 0, 128]},
}
ENTRIES: tuple[dict[str, Any], ...] = (
    WEEDS,
    SHARED,
    COLOURS,
    {**WEEDS, "name": "mapped", "mapping": {"0": "ignore", "7": "soil", "8": "crop", "9": "weed"}},
    {"name": "mine", "base": "cityscapes", "train": {"only": "ulm_*"}},
    {"name": "kept", "base": "outside15k", "cache_labels": True, "slices": {"weather": "attributes.csv"}},
    {"name": "both", "join": ["bdd10k", "cityscapes"]},
)


def plan_of(entry: Any, **fields: Any) -> Plan:
    study = checked_study(
        {"name": "test", "models": ["pspnet_r50"], "losses": {"auxiliary": ["none"]}, "datasets": [entry], **fields}
    )
    (plan,) = plans_of(study)
    return plan


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry["name"] for entry in ENTRIES])
def test_a_config_over_an_entry_has_no_findings(entry: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / f"pspnet_r50_{entry['name']}_ce.py"
    path.write_text(render(plan_of(entry)))
    assert [str(finding.message) for finding in judgement_of(path).findings] == []


def test_heads_have_as_many_classes_as_the_entry() -> None:
    plan = plan_of(WEEDS)
    assert render(plan).count("num_classes=3,") == 2


def test_what_an_entry_does_not_say_is_not_written() -> None:
    assert list(plan_of(WEEDS).train_dataloader["dataset"]) == [
        "type", "data_root", "images", "labels", "metainfo", "encoding", "pipeline",
    ]  # fmt: skip


def test_a_test_split_of_its_own_is_tested_on_and_validation_else() -> None:
    test = {"images": "images/test/*.jpg", "labels": "masks/test/*.png"}
    plan = plan_of({**WEEDS, "test": test})
    assert plan.test_dataloader["dataset"]["images"] == "images/test/*.jpg"
    assert plan_of(WEEDS).test_dataloader == plan_of(WEEDS).val_dataloader


def test_joined_datasets_keep_their_own_classes_of_mmseg() -> None:
    dataset = plan_of({"name": "both", "join": ["bdd10k", "cityscapes"]}).train_dataloader["dataset"]
    assert dataset["type"] == "ConcatDataset"
    assert [part["type"] for part in dataset["datasets"]] == ["BDD100KDataset", "CityscapesDataset"]


def test_a_study_gives_an_entry_another_root() -> None:
    plan = plan_of(WEEDS, data={"root": {"weeds": "/data/w"}})
    assert plan.train_dataloader["dataset"]["data_root"] == "{{$PROVECFG_WEEDS_ROOT:/data/w}}"


def test_a_datasets_own_label_loader_is_in_every_pipeline() -> None:
    plan = plan_of({**COLOURS, "cache_labels": True}, inference={"tta_scales": [1.0]})
    loader = {"type": "LoadEncodedAnnotations", "cache": True}
    for pipeline in (plan.train_dataloader["dataset"]["pipeline"], plan.val_dataloader["dataset"]["pipeline"]):
        assert loader in pipeline
    assert [loader] in plan.tta["tta_pipeline"][1]["transforms"]
    assert plan_of("bdd10k", inference={"tta_scales": [1.0]}).tta["tta_pipeline"][1]["transforms"][2] == [
        {"type": "LoadAnnotations"}
    ]
