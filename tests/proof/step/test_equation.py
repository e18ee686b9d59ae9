from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from provecfg.proof.step.declared_losses import DeclaredLoss
from provecfg.proof.step.equation import Equation, check_equation, equation_of
from provecfg.proof.step.training_step import TrainingStep, run_step

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]


class Square(nn.Module):
    """A loss of one number, whose weight is used as it should be."""

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, value: Tensor) -> Tensor:
        return self.loss_weight * value**2


class Unweighted(Square):
    def forward(self, value: Tensor) -> Tensor:
        return value**2


class Model(nn.Module):
    """Logs what `logged` makes of its losses and of the value 3."""

    def __init__(self, losses: list[nn.Module], logged: Any) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(3.0))
        self.losses = nn.ModuleList(losses)
        self.logged = logged

    def data_preprocessor(self, data: dict[str, Any], training: bool) -> dict[str, Any]:
        return data

    def forward(self, mode: str) -> dict[str, Tensor]:
        return self.logged(self.losses, self.value)

    def parse_losses(self, logged: dict[str, Tensor]) -> tuple[Any, dict[str, Tensor]]:
        return sum(value.mean() for key, value in logged.items() if "loss" in key), logged


def equation(modules: list[Any], logged: Any) -> Equation:
    losses = [
        DeclaredLoss(f"model.head.loss[{index}]", "head", f"n{index}", {"type": "Square"}, module, module.loss_weight)
        for index, module in enumerate(modules)
    ]
    step = run_step(Model(modules, logged), {}, losses, {})
    assert isinstance(step, TrainingStep)
    return equation_of(step, losses)


def problems(equation_of_step: Equation) -> list[str]:
    return [finding.problem.name for finding in check_equation(equation_of_step)]


def test_weight_times_raw_value_adds_up_to_the_total() -> None:
    step_equation = equation(
        [Square(1.0), Square(0.25)],
        lambda losses, value: {"loss_a": losses[0](value), "loss_b": losses[1](value + 1), "acc": value},
    )
    assert problems(step_equation) == []
    assert step_equation.as_text() == "total = 1 n0[head] + 0.25 n1[head]"
    assert [(term.raw, term.weighted) for term in step_equation.terms] == [(9.0, 9.0), (16.0, 4.0)]
    assert (step_equation.total, step_equation.declared_total) == (13.0, 13.0)
    assert math.isclose(step_equation.share(step_equation.terms[0]), 9 / 13)


def test_two_losses_added_in_place_are_told_apart() -> None:
    def logged(losses: Any, value: Tensor) -> dict[str, Tensor]:
        total = losses[0](value)
        total += losses[1](value)
        return {"loss": total}

    step_equation = equation([Square(1.0), Square(0.5)], logged)
    assert [term.weighted for term in step_equation.terms] == [9.0, 4.5]
    assert problems(step_equation) == ["losses-share-log-key"]


def test_a_loss_of_several_calls_is_their_sum() -> None:
    step_equation = equation(
        [Square(2.0)], lambda losses, value: {f"d{i}.loss": losses[0](value + i) for i in range(3)}
    )
    assert step_equation.terms[0].calls == 3
    assert (step_equation.terms[0].raw, step_equation.terms[0].weighted) == (50.0, 100.0)
    assert problems(step_equation) == []


def test_a_map_counts_by_its_mean() -> None:
    step_equation = equation([Square(0.5)], lambda losses, value: {"loss": losses[0](value * torch.tensor([1.0, 3.0]))})
    assert (step_equation.terms[0].raw, step_equation.terms[0].weighted) == (45.0, 22.5)
    assert problems(step_equation) == []


def test_what_is_logged_and_not_optimised_is_found() -> None:
    step_equation = equation(
        [Square(), Square()], lambda losses, value: {"loss": losses[0](value), "boundary": losses[1](value)}
    )
    assert problems(step_equation) == ["loss-not-in-total"]
    assert step_equation.as_text() == "total = 1 n0[head]"


def test_what_is_computed_and_dropped_is_found() -> None:
    def logged(losses: Any, value: Tensor) -> dict[str, Tensor]:
        losses[1](value)
        return {"loss": losses[0](value)}

    assert problems(equation([Square(), Square()], logged)) == ["loss-not-in-total"]


def test_what_is_declared_and_never_computed_is_found() -> None:
    assert problems(equation([Square(), Square()], lambda losses, value: {"loss": losses[0](value)})) == [
        "declared-loss-not-computed"
    ]


def test_what_nobody_declared_is_found() -> None:
    step_equation = equation([Square()], lambda losses, value: {"loss": losses[0](value), "loss_extra": value * 2})
    assert problems(step_equation) == ["undeclared-term"]
    assert step_equation.undeclared == {"loss_extra": 6.0}
    assert step_equation.as_text() == "total = 1 n0[head] + loss_extra (not declared)"


def test_a_loss_that_does_not_use_its_weight_is_found() -> None:
    assert problems(equation([Unweighted(0.5)], lambda losses, value: {"loss": losses[0](value)})) == [
        "weight-not-as-declared"
    ]


def test_a_head_that_weights_a_loss_again_is_found() -> None:
    assert problems(equation([Square(0.5)], lambda losses, value: {"loss": losses[0](value) * 3})) == [
        "weight-not-as-declared"
    ]


@pytest.mark.parametrize("weight", [0.0, -0.4])
def test_a_weight_that_is_not_positive_is_found(weight: float) -> None:
    step_equation = equation(
        [Square(), Square(weight)], lambda losses, value: {"loss": losses[0](value), "loss_b": losses[1](value)}
    )
    assert problems(step_equation) == ["weight-not-positive"]


def test_a_loss_that_is_not_a_number_is_found() -> None:
    assert problems(equation([Square()], lambda losses, value: {"loss": losses[0](value * math.nan)})) == ["not-finite"]
