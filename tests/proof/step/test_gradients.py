from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from provecfg.proof.step.declared_losses import DeclaredLoss
from provecfg.proof.step.equation import equation_of
from provecfg.proof.step.gradients import Gradients, check_gradients, gradients_of, grouped
from provecfg.proof.step.training_step import TrainingStep, run_step

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]


class Mean(nn.Module):
    """A loss: the mean of what it is given, times a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.loss_weight = 1.0

    def forward(self, value: Tensor) -> Tensor:
        return self.loss_weight * (value * self.factor).mean()


class Model(nn.Module):
    def __init__(self, factors: tuple[float, ...], *, sees_backbone: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Linear(2, 2)
        self.head = nn.Linear(2, 2)
        self.spare = nn.Linear(2, 2)
        self.losses = nn.ModuleList(map(Mean, factors))
        self.sees_backbone = sees_backbone

    def data_preprocessor(self, data: dict[str, Any], training: bool) -> dict[str, Any]:
        return data

    def forward(self, mode: str) -> dict[str, Tensor]:
        features = self.backbone(torch.ones(3, 2))
        seen = self.head(features if self.sees_backbone else features.detach())
        return {f"loss_{index}": loss(seen) for index, loss in enumerate(self.losses)}

    def parse_losses(self, logged: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        return sum(logged.values(), torch.zeros(())), logged


def gradients(model: Model) -> Gradients:
    losses = [
        DeclaredLoss(f"model.head.loss[{index}]", "head", f"n{index}", {"type": "Mean"}, module, 1.0)
        for index, module in enumerate(model.losses)
    ]
    step = run_step(model, {}, losses, {})
    assert isinstance(step, TrainingStep)
    return gradients_of(model, step, equation_of(step, losses).terms)


def problems(measured: Gradients, *, may_be_unused: bool = False) -> list[str]:
    return [finding.problem.name for finding in check_gradients(measured, may_be_unused=may_be_unused)]


def test_each_loss_moves_its_head_and_the_backbone() -> None:
    measured = gradients(Model((1.0, 2.0)))
    assert [(reach.head, reach.elsewhere, reach.backbone) for reach in measured.reaches] == [((2, 2), 0, True)] * 2
    assert (measured.moved, measured.parameters) == (4, 6)


def test_parameters_without_a_part_in_the_total_are_unused() -> None:
    measured = gradients(Model((1.0,)))
    assert measured.unused == ["spare.weight", "spare.bias"]
    assert problems(measured) == ["unused-parameters"]
    assert problems(measured, may_be_unused=True) == []


def test_frozen_parameters_are_no_matter() -> None:
    model = Model((1.0,))
    model.spare.requires_grad_(False)
    assert problems(gradients(model)) == []


def test_a_loss_that_moves_nothing_is_found_beside_one_that_does() -> None:
    measured = gradients(Model((1.0, 0.0)))
    assert [reach.head for reach in measured.reaches] == [(2, 2), (0, 2)]
    assert problems(measured, may_be_unused=True) == ["loss-trains-nothing"]


def test_a_backbone_that_no_loss_reaches_is_unused() -> None:
    measured = gradients(Model((1.0,), sees_backbone=False))
    assert measured.reaches[0].backbone is False
    assert measured.unused == ["backbone.weight", "backbone.bias", "spare.weight", "spare.bias"]


def test_a_backbone_used_around_its_forward_is_not_unused() -> None:
    class Around(Model):
        def forward(self, mode: str) -> dict[str, Tensor]:
            logged = super().forward(mode)
            return {**logged, "loss_0": logged["loss_0"] + 0.0 * self.spare.weight.sum() + self.backbone.bias.sum()}

    model = Around((1.0,), sees_backbone=False)
    assert gradients(model).unused == ["backbone.weight", "spare.bias"]


def test_a_gradient_that_is_not_a_number_is_found() -> None:
    measured = gradients(Model((float("nan"),)))
    assert measured.not_finite == ["backbone.weight", "backbone.bias", "head.weight", "head.bias"]
    assert problems(measured, may_be_unused=True) == ["not-finite"]


def test_names_are_grouped_by_their_part() -> None:
    assert grouped(["backbone.fc.weight", "backbone.fc.bias", "head.weight"]) == "backbone.fc (2), head (1)"
