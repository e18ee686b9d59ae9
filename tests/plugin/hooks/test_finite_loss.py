"""What ends training for a loss that is not a number, and what is left on disk."""

from __future__ import annotations

import math
import multiprocessing
import re
from types import SimpleNamespace

import pytest
import torch

from provecfg.errors import ExitCode
from provecfg.plugin.hooks import FiniteLossHook, NonFiniteError

pytestmark = pytest.mark.stack

RISING = [10.0, 20.0, 30.0, 40.0, 50.0]


def spoil_at(step: int, **changes):
    """Multiply terms of the loss of one step: `ce=math.nan` spoils decode.loss_ce."""

    def spoil(now: int, losses: dict[str, torch.Tensor]) -> None:
        if now == step:
            for name, factor in changes.items():
                losses[f"decode.{name}"] = losses[f"decode.{name}"] * factor

    return spoil


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_training_stops_before_the_checkpoint_and_names_term_iteration_and_last_checkpoint(toy_run, factor):
    run = toy_run(scores=RISING)
    run.model_args = {"spoil": spoil_at(4, loss_ce=factor)}
    last = run.work_dir / "iter_2.pth"
    with pytest.raises(
        NonFiniteError, match=rf"^iteration 4: decode\.loss_ce is {factor}; the last checkpoint is .*2\.pth"
    ) as e:
        run.train()
    assert str(last) in e.value.message
    assert e.value.exit_code == ExitCode.FINDINGS
    assert run.files() == ["best_val_mIoU_iter_2.pth", "iter_2.pth", "last_checkpoint"]


def test_before_the_first_checkpoint_it_says_that_there_is_none(toy_run):
    run = toy_run(scores=RISING)
    run.model_args = {"spoil": spoil_at(1, loss_ce=math.nan, loss_zero=math.nan)}
    message = "iteration 1: decode.loss_ce is nan, decode.loss_zero is nan; no checkpoint was written yet"
    with pytest.raises(NonFiniteError, match=re.escape(message)):
        run.train()


def test_a_sum_that_overflows_names_the_sum(toy_run):
    run = toy_run(scores=RISING)

    def overflow(step, losses):
        for name in ("decode.loss_ce", "decode.loss_zero"):
            losses[name] = 0 * losses[name] + 3e38

    run.model_args = {"spoil": overflow}
    with pytest.raises(NonFiniteError, match="iteration 1: loss is inf"):
        run.train()


def test_what_is_no_loss_is_not_judged(toy_run):
    run = toy_run(scores=RISING, max_iters=2)
    run.model_args = {"spoil": spoil_at(1, acc_seg=math.nan)}
    run.train()
    assert "iter_2.pth" in run.files()


def test_weights_spoiled_by_a_finite_loss_are_not_written(toy_run):
    run = toy_run(scores=RISING)

    def break_gradient(step, losses):
        if step == 4:  # sqrt has no slope at 0
            losses["decode.loss_zero"] = losses["decode.loss_zero"].square().sqrt()

    run.model_args = {"spoil": break_gradient}
    with pytest.raises(
        NonFiniteError, match=r"checkpoint of iteration 4 is not written: .* weights in conv\.weight and 1"
    ):
        run.train()
    assert "iter_4.pth" not in run.files()


def _judge_as_rank(rank: int, init_file: str, answers) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{init_file}", rank=rank, world_size=2)
    outputs = {"loss": torch.tensor(math.nan if rank == 1 else 0.5)}
    try:
        FiniteLossHook().after_train_iter(SimpleNamespace(iter=6, work_dir="nowhere"), 6, outputs=outputs)
    except NonFiniteError as error:
        answers.put((rank, error.message))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
# Python 3.12 warns of forking beside threads: torch's, which the children do not use.
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_all_processes_stop_when_one_has_such_a_loss(tmp_path):
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    ranks = [context.Process(target=_judge_as_rank, args=(rank, tmp_path / "init", answers)) for rank in (0, 1)]
    for process in ranks:
        process.start()
    messages = dict(answers.get(timeout=60) for _ in ranks)
    for process in ranks:
        process.join(30)
    assert messages[0].startswith("iteration 7: a loss of another process;")
    assert messages[1].startswith("iteration 7: loss is nan;")
