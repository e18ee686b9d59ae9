"""The equation at the head of a generated config, against its losses."""

from __future__ import annotations

from pathlib import Path

import pytest

from provecfg.catalog.studies import STUDIES
from provecfg.facts.facts import Facts
from provecfg.generate.plan import plans_of
from provecfg.generate.render import render
from provecfg.mmconfig import read_config
from provecfg.rules.files.stated_losses import equation_not_as_written, losses_not_as_named
from provecfg.study.load import study_from_fields

GENERATED = Path(__file__).parents[2] / "generated"


def messages(path: Path, **options: object) -> list[str]:
    view = read_config(path, cfg_options=[(key.replace("__", "."), value) for key, value in options.items()])
    return [finding.message for finding in equation_not_as_written(Facts(view))]


def changed(folder: Path, name: str, old: str, new: str, *, count: int = 1) -> Path:
    text = (GENERATED / f"{name}.py").read_text(encoding="utf-8")
    assert old in text
    path = folder / "config.py"
    path.write_text(text.replace(old, new, count), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", STUDIES)
def test_every_cell_of_every_study_trains_its_equation(name: str, tmp_path: Path) -> None:
    path = tmp_path / "config.py"
    for part in STUDIES[name].parts:
        study, problems = study_from_fields(part)
        assert study is not None, problems
        for plan in plans_of(study):
            path.write_text(render(plan), encoding="utf-8")
            assert messages(path) == [], plan.name


def test_a_weight_of_many_digits_is_its_own(tmp_path: Path) -> None:
    study, problems = study_from_fields(
        {"name": "a", "models": ["pspnet_r50"], "losses": {"auxiliary": [{"type": "focal", "weight": 0.1234567}]}}
    )
    assert study is not None, problems
    (plan,) = plans_of(study)
    path = tmp_path / "config.py"
    path.write_text(render(plan), encoding="utf-8")
    assert messages(path) == []


def test_a_loss_of_which_only_the_study_knows_may_be_any_term_that_is_nobodys(tmp_path: Path) -> None:
    path = changed(tmp_path, "pspnet_r50_bdd10k_focal", "0.3 focal[", "0.3 Tversky[", count=2)
    text = path.read_text(encoding="utf-8").replace("type='SoftmaxFocalLoss'", "type='TverskyLoss'")
    path.write_text(text, encoding="utf-8")
    assert messages(path) == []
    path.write_text(text.replace("loss_weight=0.3", "loss_weight=0.5", 1), encoding="utf-8")
    assert messages(path) == ["Tversky[decode] has weight 0.5, and 0.3 in the equation"]


def test_another_weight_is_told_with_both(tmp_path: Path) -> None:
    path = changed(tmp_path, "pspnet_r50_bdd10k_focal", "loss_weight=0.3", "loss_weight=0.5")
    assert messages(path) == ["focal[decode] has weight 0.5, and 0.3 in the equation"]


def test_a_set_loss_counts(tmp_path: Path) -> None:
    path = changed(tmp_path, "mask2former_swin-b_bdd10k_ce", "loss_weight=2.0", "loss_weight=0.0")
    assert messages(path) == ["class CE[queries] has weight 0, and 2 in the equation"]


def test_another_loss_is_one_too_many_and_one_too_few(tmp_path: Path) -> None:
    path = changed(tmp_path, "segformer_mit-b3_bdd10k_boundary", "type='SegBoundaryLoss'", "type='DiceLoss'")
    assert messages(path) == [
        "DiceLoss[decode] is not in the equation",
        "the equation has 0.3 boundary[decode], and the head no such loss",
    ]


def test_a_head_that_is_gone_is_missed(tmp_path: Path) -> None:
    path = changed(tmp_path, "hrnet_hr48_bdd10k_ce", "auxiliary_head=dict(", "old_head=dict(")
    assert messages(path) == ["the equation has terms of a head 'auxiliary', and the model has no such head"]


def test_an_option_of_the_command_line_does_not_contradict_the_file() -> None:
    path = GENERATED / "pspnet_r50_bdd10k_ce.py"
    assert messages(path, model__decode_head__loss_decode__0__loss_weight=3.0) == []


def test_a_child_may_train_other_losses(tmp_path: Path) -> None:
    path = tmp_path / "child.py"
    base = GENERATED / "pspnet_r50_bdd10k_focal.py"
    path.write_text(f"_base_ = {str(base)!r}\nmodel = dict(auxiliary_head=dict(loss_decode=[]))\n", encoding="utf-8")
    assert messages(path) == []


def test_a_comment_of_somebody_else_is_no_equation(tmp_path: Path) -> None:
    path = changed(tmp_path, "pspnet_r50_bdd10k_focal", "# Written by provecfg", "# Written by me")
    path.write_text(path.read_text(encoding="utf-8").replace("loss_weight=0.3", "loss_weight=0.5"), encoding="utf-8")
    assert messages(path) == []


def named(path: Path) -> list[str]:
    return [finding.message for finding in losses_not_as_named(Facts(read_config(path)))]


@pytest.mark.parametrize("name", STUDIES)
def test_every_cell_has_the_losses_that_it_is_named_for(name: str, tmp_path: Path) -> None:
    for part in STUDIES[name].parts:
        study, problems = study_from_fields(part)
        assert study is not None, problems
        for plan in plans_of(study):
            path = tmp_path / f"{plan.name}.py"
            path.write_text(render(plan), encoding="utf-8")
            assert named(path) == []


def test_a_head_without_the_loss_of_the_name_is_told(tmp_path: Path) -> None:
    path = changed(tmp_path, "hrnet_hr48_bdd10k_lovasz", "type='SegLovaszLoss'", "type='DiceLoss'")
    assert named(path) == ["the config is named for lovasz, and this head has no such loss"]


def test_a_name_without_a_loss_wants_none(tmp_path: Path) -> None:
    path = changed(tmp_path, "pspnet_r50_bdd10k_ce", "type='CrossEntropyLoss', use_sigmoid=False", "type='DiceLoss'")
    assert named(path) == ["the config is named for no loss beside CE, and has DiceLoss"]


def test_any_other_name_is_free(tmp_path: Path) -> None:
    path = changed(tmp_path, "pspnet_r50_bdd10k_ce", "pspnet_r50_bdd10k_ce", "my_run_focal", count=9)
    assert named(path) == []
