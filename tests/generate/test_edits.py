"""Cells made of mmsegmentation's configs and of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provecfg.findings import Severity
from provecfg.generate.plan import Plan, plans_of
from provecfg.generate.render import render
from provecfg.mmconfig import read_config
from provecfg.mmconfig.shipped_bases import whole_configs
from provecfg.study.load import study_from_fields
from provecfg.validate import judgement_of_view


def plan_of(base: str, auxiliary: str = "none", folder: Path = Path(), **fields: Any) -> Plan:
    named = {"name": "test", "models": [base], "losses": {"auxiliary": [auxiliary]}}
    study, findings = study_from_fields({**named, **fields}, folder)
    assert study is not None, findings
    (plan,) = plans_of(study)
    return plan


def complaints(plan: Plan) -> list[str]:
    view = read_config(Path("/study") / f"{plan.name}.py", text=render(plan))
    return [
        f"{finding.code} {finding.key}: {finding.message}"
        for finding in judgement_of_view(view).findings
        if finding.severity > Severity.NOTE
    ]


NO_SEGMENTATION = ("san-", "vpd_")
OWN_LOSSES = ("pidnet", "ddrnet", "maskformer")
SAMPLE = [name for name in list(whole_configs())[::15] if not name.startswith((*NO_SEGMENTATION, *OWN_LOSSES))]
OF_THE_BASE = ("RUN002 optim_wrapper.paramwise_cfg", "SCHED021 param_scheduler[0].eta_min")  # as docs/zoo.md has them


@pytest.mark.parametrize("base", [*SAMPLE, "ocrnet_hr18_4xb2-160k_cityscapes-512x1024"])
def test_a_config_of_mmsegmentation_becomes_a_cell_with_nothing_to_find(base: str) -> None:
    assert [text for text in complaints(plan_of(base, "focal")) if not text.startswith(OF_THE_BASE)] == []


@pytest.mark.parametrize("base", [name for name in whole_configs() if name.startswith(OWN_LOSSES)][::3])
def test_a_head_with_losses_of_its_own_keeps_them(base: str) -> None:
    plan = plan_of(base)
    assert complaints(plan) == []
    assert plan.main_head.entries is None


def test_pidnet_keeps_its_edges_and_loses_the_class_weights_of_other_data() -> None:
    plan = plan_of("pidnet-s_2xb6-120k_1024x1024-cityscapes")
    steps = [step["type"] for step in plan.train_dataloader["dataset"]["pipeline"]]
    assert steps[-2:] == ["GenerateEdge", "PackSegInputs"]
    head = plan.segmentor["decode_head"]
    assert [loss["type"] for loss in head["loss_decode"]] == [
        "CrossEntropyLoss",
        "OhemCrossEntropy",
        "BoundaryLoss",
        "OhemCrossEntropy",
    ]
    assert not any("class_weight" in loss for loss in head["loss_decode"])
    assert plan.header.equation == (
        "total = 0.4 CE[decode] + 1 OhemCrossEntropy[decode] + 20 BoundaryLoss[decode] + 1 OhemCrossEntropy[decode]"
    )


def test_every_head_has_the_classes_of_the_data_and_none_those_of_the_base() -> None:
    plan = plan_of("mask2former_r50_8xb2-160k_ade20k-512x512", "dice")
    head = plan.segmentor["decode_head"]
    assert (head["type"], head["num_classes"], head["ignore_index"]) == ("Mask2FormerPixelLossHead", 19, 255)
    assert head["loss_cls"]["class_weight"] == [1.0] * 19 + [0.1]
    assert "150" not in str(plan.segmentor)


def test_heads_on_edges_keep_their_two_classes() -> None:
    heads = plan_of("stdc1_4xb12-80k_cityscapes-512x1024", "focal").segmentor["auxiliary_head"]
    assert [(head["type"], head["num_classes"], len(head["loss_decode"])) for head in heads] == [
        ("FCNHead", 19, 2),
        ("FCNHead", 19, 2),
        ("STDCHead", 2, 2),
    ]


def test_the_heads_of_a_cascade_are_told_apart_in_the_equation() -> None:
    assert plan_of("ocrnet_hr18_4xb2-40k_cityscapes-512x1024", "focal").header.equation == (
        "total = 0.4 CE[decode 0] + 0.3 focal[decode 0] + 1 CE[decode] + 0.3 focal[decode]"
    )


def test_knets_losses_are_those_of_its_kernel_generator() -> None:
    plan = plan_of("knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512", "focal")
    head = plan.segmentor["decode_head"]
    assert [loss["type"] for loss in head["kernel_generate_head"]["loss_decode"]] == [
        "CrossEntropyLoss",
        "SoftmaxFocalLoss",
    ]
    assert {update["num_classes"] for update in head["kernel_update_head"]} == {19}
    assert plan.header.note == "[decode] terms are summed over the head's 4 outputs."


def test_sizes_that_are_the_bases_crop_follow_the_studys() -> None:
    plan = plan_of("beit-base_upernet_8xb2-160k_ade20k-640x640", data={"crop_size": [256, 256]})
    assert plan.segmentor["backbone"]["img_size"] == (256, 256)
    assert plan.segmentor["test_cfg"] == {"mode": "slide", "crop_size": (256, 256), "stride": (170, 170)}


def test_a_cascade_of_heads_predicts_in_windows() -> None:
    plan = plan_of("pointrend_r50_4xb2-80k_cityscapes-512x1024", inference={"mode": "slide", "window": [256, 512]})
    assert len(plan.segmentor["decode_head"]) == 2
    assert plan.segmentor["test_cfg"]["crop_size"] == (256, 512)
    assert complaints(plan) == []


@pytest.mark.parametrize(("model", "is_padded"), [("mask2former_swin-b", False), ("segnext_mscan-b", True)])
def test_windows_of_mask2former_are_taken_of_images_that_are_not_padded(model: str, is_padded: bool) -> None:
    assert "test_cfg" in plan_of(model).segmentor["data_preprocessor"]
    preprocessor = plan_of(model, inference={"mode": "slide"}).segmentor["data_preprocessor"]
    assert ("test_cfg" in preprocessor) is is_padded


def test_a_model_can_start_from_random_weights() -> None:
    assert "Pretrained" in str(plan_of("pspnet_r50").segmentor)
    assert "Pretrained" not in str(plan_of("pspnet_r50", pretrained=False).segmentor)


def test_the_mean_and_deviation_are_those_of_the_pretrained_weights() -> None:
    preprocessor = plan_of("segmenter_vit-b_mask_8xb1-160k_ade20k-512x512").segmentor["data_preprocessor"]
    assert preprocessor["mean"] == [127.5, 127.5, 127.5]
    assert preprocessor["size"] == (512, 512)


def test_a_class_of_the_users_own_is_imported_by_the_cell(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "_base_ = 'mmseg::unet/unet-s5-d16_fcn_4xb4-160k_cityscapes-512x1024.py'\n"
        "custom_imports = dict(imports=['mine_heads'], allow_failed_imports=False)\n"
        "model = dict(decode_head=dict(type='MyHead', depth=3))\n"
    )
    plan = plan_of("mine.py", "lovasz", tmp_path)
    assert plan.imports == ("provecfg.plugin", "mine_heads")
    assert plan.segmentor["decode_head"]["depth"] == 3
    assert plan.header.equation.startswith("total = 1 CE[decode] + 0.3 Lovasz[decode] + 0.4 CE[auxiliary]")
    assert "# Model: mine.py\n" in render(plan)
