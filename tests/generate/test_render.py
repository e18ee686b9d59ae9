from __future__ import annotations

import ast
from pathlib import Path

import pytest

from provecfg.catalog.models import MODELS
from provecfg.generate.plan import Plan, plans_of
from provecfg.generate.render import is_rendered, is_untouched, render
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


def test_a_rendered_config_is_untouched_until_a_letter_changes() -> None:
    text = render(plans()[0])
    assert is_untouched(text)
    edited = text.replace("max_iters=80000", "max_iters=80001")
    assert is_rendered(edited)
    assert not is_untouched(edited)
    assert not is_rendered("model = dict()\n")


def test_a_comment_counts_as_an_edit() -> None:
    assert not is_untouched(render(plans()[0]) + "# mine\n")


def test_rendering_twice_gives_the_same_text() -> None:
    assert [render(plan) for plan in plans()] == [render(plan) for plan in plans()]


def test_the_header_says_the_equation_of_the_total_loss() -> None:
    by_name = {plan.name: render(plan) for plan in plans()}
    assert (
        "# total = 1 CE[decode] + 0.3 focal[decode] + 0.4 CE[auxiliary] + 0.3 focal[auxiliary]\n"
        in by_name["pspnet_r50_bdd10k_focal"]
    )
    assert "# total = 1 CE[decode] + 0.3 Lovasz[decode]\n" in by_name["segformer_mit-b3_bdd10k_lovasz"]
    assert (
        "# total = 2 class CE[queries] + 5 mask BCE[queries] + 5 mask Dice[queries] + 0.3 boundary[decode]\n"
        in by_name["mask2former_swin-b_bdd10k_boundary"]
    )


def test_every_model_has_a_template_and_every_template_a_model() -> None:
    folder = templates_dir() / "models"
    leaves = {path.name.removesuffix(".py.j2") for path in folder.glob("*.py.j2")}
    layouts = {"resnet"}  # what DeepLabV3+ and PSPNet share
    assert leaves - layouts == {model.template for model in MODELS.values()}
    assert len(leaves) >= 7


def test_a_wheel_would_carry_the_templates(project: Path) -> None:
    assert '"templates" = "provecfg/_templates"' in (project / "pyproject.toml").read_text()
