from __future__ import annotations

import ast
from dataclasses import replace

import pytest

from provecfg.catalog.models import MODELS
from provecfg.generate.plan import Plan, plans_of
from provecfg.generate.render import render
from provecfg.header import Header, is_untouched
from provecfg.paths import templates_dir
from provecfg.study.load import study_from_fields


def plans(**fields: object) -> list[Plan]:
    study, problems = study_from_fields({"name": "test", **fields})
    assert study is not None, problems
    return list(plans_of(study))


@pytest.mark.parametrize("plan", plans(), ids=lambda plan: plan.name)
def test_a_config_is_flat_literal_assignments(plan: Plan) -> None:
    for statement in ast.parse(render(plan)).body:
        assert isinstance(statement, ast.Assign)
        for node in ast.walk(statement.value):
            assert isinstance(
                node,
                ast.Call
                | ast.Name
                | ast.Load
                | ast.keyword
                | ast.Dict
                | ast.List
                | ast.Tuple
                | ast.Constant
                | ast.UnaryOp
                | ast.USub,
            ), ast.dump(node)
            if isinstance(node, ast.Name):
                assert node.id == "dict"


def test_rendering_twice_gives_the_same_text() -> None:
    assert [render(plan) for plan in plans()] == [render(plan) for plan in plans()]


def test_the_header_says_the_equation_of_the_total_loss() -> None:
    equations = {plan.name: Header.of(render(plan)).equation for plan in plans()}
    assert equations["pspnet_r50_bdd10k_focal"] == (
        "total = 1 CE[decode] + 0.3 focal[decode] + 0.4 CE[auxiliary] + 0.3 focal[auxiliary]"
    )
    assert equations["segformer_mit-b3_bdd10k_lovasz"] == "total = 1 CE[decode] + 0.3 Lovasz[decode]"
    assert equations["mask2former_swin-b_bdd10k_boundary"] == (
        "total = 2 class CE[queries] + 5 mask BCE[queries] + 5 mask Dice[queries] + 0.3 boundary[decode]"
    )


@pytest.mark.parametrize("plan", plans(), ids=lambda plan: plan.name)
def test_a_rendered_config_says_what_it_is_and_that_nobody_edited_it(plan: Plan) -> None:
    text = render(plan)
    header = Header.of(text)
    assert header is not None
    assert replace(header, checksum=plan.header.checksum) == plan.header
    assert header.cell == (plan.model.name, plan.dataset.name, "baseline", plan.name.rpartition("_")[2], 42)
    assert is_untouched(text)


def test_a_work_dir_is_its_studys_and_its_cells() -> None:
    assert {plan.work_dir for plan in plans()} == {f"work_dirs/test/{plan.name}" for plan in plans()}


def test_every_model_has_a_template_and_every_template_a_model() -> None:
    folder = templates_dir() / "models"
    leaves = {path.name.removesuffix(".py.j2") for path in folder.glob("*.py.j2")}
    layouts = {"resnet"}  # what DeepLabV3+ and PSPNet share
    assert leaves - layouts == {model.template for model in MODELS.values()}
    assert len(leaves) >= 7
