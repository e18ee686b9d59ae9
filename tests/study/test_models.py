"""What a study can name as a model, and how it refuses the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from provecfg.findings import Finding
from provecfg.study.load import read_study
from provecfg.study.schema import Study

SEGFORMER = "segformer/segformer_mit-b5_8xb1-160k_cityscapes-1024x1024"


def read(folder: Path, models: str) -> tuple[Study | None, list[Finding]]:
    path = folder / "study.yaml"
    path.write_text(f"name: test\nmodels: {models}\nlosses: {{auxiliary: [none]}}\n")
    return read_study(path)


@pytest.mark.parametrize(
    "base",
    [f"mmseg::{SEGFORMER}.py", f"mmseg::{SEGFORMER}", SEGFORMER.partition("/")[2], "mmseg::" + SEGFORMER[10:]],
)
def test_a_config_of_mmsegmentation_has_a_long_and_a_short_name(base: str, tmp_path: Path) -> None:
    study, findings = read(tmp_path, f"['{base}']")
    assert study is not None, findings
    assert list(study.bases) == ["segformer_mit-b5"]
    assert study.bases["segformer_mit-b5"].source == f"mmseg's {SEGFORMER}.py"


def test_a_model_is_named_and_changed_by_its_entry(tmp_path: Path) -> None:
    study, findings = read(tmp_path, "[{base: pspnet_r50, name: deeper, set: {model.backbone.depth: 101}}]")
    assert study is not None, findings
    assert study.bases["deeper"].model["backbone"]["depth"] == 101
    assert study.fields()["models"] == [{"base": "pspnet_r50", "name": "deeper", "set": {"model.backbone.depth": 101}}]


def test_a_config_of_the_users_is_found_from_the_studys_folder_and_never_executed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "unet.py").write_text(
        "_base_ = 'mmseg::unet/unet-s5-d16_fcn_4xb4-160k_cityscapes-512x1024.py'\n"
        "custom_imports = dict(imports=['mine.heads'], allow_failed_imports=False)\n"
        "model = dict(decode_head=dict(type='MyHead'))\n"
    )
    study, findings = read(tmp_path, "[{base: mine/unet.py}]")
    assert study is not None, findings
    (base,) = study.bases.values()
    assert (base.name, base.main_head.kind, base.imports) == ("unet", "MyHead", ("mine.heads",))


def test_every_mistake_is_said_at_once_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("model = dict(\n")
    (tmp_path / "computed.py").write_text(
        "_base_ = 'mmseg::pspnet/pspnet_r50-d8_4xb2-80k_cityscapes-512x1024.py'\n"
        "import os\n"
        "model = dict(backbone=dict(depth=int(os.environ['DEPTH'])))\n"
    )
    models = """
  - pspnet_r5O
  - {base: absent.py}
  - {base: broken.py}
  - {base: computed.py}
  - {base: pspnet_r50, set: {model.decode_head.num_classes: 3}}
  - {base: pspnet_r50, name: other, set: {train_cfg.max_iters: 3}}
  - vpd_sd_4xb8-25k_nyu-480x480
  - san-vit-b16_coco-stuff164k-640x640"""
    study, findings = read(tmp_path, models)
    assert study is None
    messages = {(finding.span.row if finding.span else 0, finding.message) for finding in findings}
    assert [finding.span.row for finding in findings if finding.span] == [3, 4, 5, 6, 7, 8, 9, 10]
    assert (3, "unknown model 'pspnet_r5O'; did you mean 'pspnet_r50'?") in messages
    assert (7, "'model.decode_head.num_classes' is written by the study: its field `datasets` says it") in messages
    assert any(row == 8 and "'train_cfg.max_iters' is not below model, optim_wrapper" in text for row, text in messages)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ("[{base: absent.py}]", "absent.py cannot be edited: "),
        ("[vpd_sd_4xb8-25k_nyu-480x480]", "is a DepthEstimator: it predicts depth, which has no classes"),
        ("[san-vit-b16_coco-stuff164k-640x640]", "is a MultimodalEncoderDecoder: its classes are texts"),
        ("[pspnet_r50, {base: segformer_mit-b3, name: pspnet_r50}]", "'pspnet_r50' stands more than once"),
        ("[{base: pspnet_r50, set: {model.backbone.depth.x: 1}}]", "cannot be edited: "),
    ],
)
def test_a_base_of_which_no_cell_can_be_made_is_refused_by_name(models: str, message: str, tmp_path: Path) -> None:
    study, findings = read(tmp_path, models)
    assert study is None
    assert message in findings[0].message


def test_an_auxiliary_loss_that_a_head_would_never_call_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("name: test\nmodels: [pidnet-s_2xb6-120k_1024x1024-cityscapes]\n")
    study, (finding,) = read_study(path)
    assert study is None
    assert finding.message == (
        "pidnet-s takes no auxiliary loss: PIDHead calls each of its losses on an output of its own, and no other"
    )
    assert finding.span is not None
    assert (finding.span.row, finding.span.column) == (2, 10)


@pytest.mark.parametrize(
    ("model", "channels"),
    [
        ("mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py", [256, 512, 1024, 2048]),
        ("{base: pspnet_r50, name: small, set: {model.backbone.depth: 18, model.decode_head.in_channels: 512, "
         "model.auxiliary_head.in_channels: 256}}", [64, 128, 256, 512]),
        ("swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512", [96, 192, 384, 768]),
        ("hrnet_hr48", [48, 96, 192, 384]),
    ],
)  # fmt: skip
def test_deep_supervision_is_taken_on_stages_that_no_head_sees(model: str, channels: list[int], tmp_path: Path) -> None:
    study, findings = read(tmp_path, f"[{model}]")
    assert study is not None, findings
    (base,) = study.bases.values()
    assert [base.stage_channels[stage] for stage in range(4)] == channels


@pytest.mark.parametrize(
    "settings",
    [
        "{model.backbone: {_delete_: true, type: mmpretrain.ResNet, depth: 50}}",
        "{model.decode_head: {in_index: [-2, -1], in_channels: [1024, 2048]}, model.auxiliary_head: null}",
    ],
)
def test_no_width_follows_where_it_is_not_known_which_stages_heads_see(settings: str, tmp_path: Path) -> None:
    base = "mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py"
    study, findings = read(tmp_path, f"[{{base: '{base}', name: changed, set: {settings}}}]")
    assert study is not None, findings
    assert set(study.bases["changed"].stage_channels) <= {2, 3}


def test_a_stage_of_unknown_width_is_refused_with_the_model(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    losses = "{auxiliary: [none], deep_supervision: [{stage: 0, weight: 0.2}]}"
    path.write_text(f"name: test\nmodels: [fast_scnn_8xb4-160k_cityscapes-512x1024]\nlosses: {losses}\n")
    study, findings = read_study(path)
    assert study is None
    assert "fast_scnn: no head says how many channels stage 0 has" in [finding.message for finding in findings]
