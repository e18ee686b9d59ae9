"""The early-stopping hook on the real Runner, with real kills."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook

pytestmark = pytest.mark.stack

FLAT = [10.0] * 10
# Progress, a gain below min_delta (0.1), a loss, progress, then none for good: patience 4 ends at the eighth.
UNEVEN = [10.0, 10.05, 9.0, 12.0, 11.0, 12.05, 11.5, 11.0, 50.0, 50.0]
UNEVEN_WAITS = [0, 1, 2, 0, 1, 2, 3, 4]


def kill_process(runner: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class KillBeforeRewriting(Hook):
    def before_save_checkpoint(self, runner, checkpoint):
        if runner.iter == 8 and "optimizer" in checkpoint:
            kill_process(runner)


def steps(runner) -> int:
    return int(runner.model.steps)


@pytest.mark.parametrize("patience", [1, 3])
def test_flat_metric_stops_after_exactly_patience_validations_without_progress(toy_run, patience):
    run = toy_run(scores=FLAT, patience=patience)
    runner = run.train()
    # The first validation is progress over nothing.
    assert [entry["wait"] for entry in run.diary()] == list(range(patience + 1))
    assert steps(runner) == 2 * (patience + 1)


def test_best_score_moves_by_more_than_min_delta_only(toy_run):
    run = toy_run(scores=UNEVEN, patience=4)
    run.train()
    assert [entry["wait"] for entry in run.diary()] == UNEVEN_WAITS
    assert [entry["best"] for entry in run.diary()] == [10, 10, 10, 12, 12, 12, 12, 12]


@pytest.mark.parametrize(
    ("stage", "iteration"),
    [
        ("before_val", 2),  # between the first checkpoint and the first validation
        ("before_val", 6),
        ("before_val", 8),  # the validation that finds a new best
        ("after_val", 8),
        ("after_val", 10),  # a validation that no checkpoint knows of
        ("after_train_iter", 11),
        ("before_val", 16),  # the validation that ends the run
        ("after_val", 16),  # early stopping has spoken, but nothing is written yet
    ],
)
def test_a_killed_and_resumed_run_makes_the_validations_of_one_in_a_piece(toy_run, at, stage, iteration):
    whole = toy_run("whole", scores=UNEVEN, patience=4)
    whole.train()
    cut = toy_run("cut", scores=UNEVEN, patience=4)
    cut.extra_hooks = [at(stage, iteration, kill_process, priority="LOWEST")]
    assert cut.train_in_child() == -signal.SIGKILL
    cut.extra_hooks = []
    runner = cut.train(resume=True)

    assert cut.diary() == whole.diary()
    assert cut.files() == whole.files()
    assert steps(runner) == 16


@pytest.mark.parametrize("seen", [np.float32, np.float64, float])
def test_a_gain_of_min_delta_counts_the_same_after_a_resume(toy_run, at, seen):
    # 10.05 + 0.1 is 10.15 in float32, and more than the float32 nearest to 10.15 otherwise.
    scores = [seen(10.05), seen(10.15), seen(10.25)]
    whole = toy_run("whole", scores=scores, patience=1, max_iters=6)
    whole.train()
    cut = toy_run("cut", scores=scores, patience=1, max_iters=6)
    cut.extra_hooks = [at("after_train_iter", 3, kill_process, priority="LOWEST")]
    assert cut.train_in_child() == -signal.SIGKILL
    cut.extra_hooks = []
    cut.train(resume=True)
    assert cut.diary() == whole.diary()


def test_two_kills_at_one_validation_change_nothing(toy_run, at):
    whole = toy_run("whole", scores=UNEVEN, patience=4)
    whole.train()
    cut = toy_run("cut", scores=UNEVEN, patience=4)
    cut.extra_hooks = [at("before_val", 8, kill_process, priority="LOWEST")]
    assert cut.train_in_child() == -signal.SIGKILL
    # Killed again in the validation that makes up for it, now with the best checkpoint written, the other one not yet.
    cut.extra_hooks = [KillBeforeRewriting()]
    assert cut.train_in_child(resume=True) == -signal.SIGKILL
    cut.extra_hooks = []
    cut.train(resume=True)

    assert cut.diary() == whole.diary()
    assert cut.files() == whole.files()


def test_a_killed_epoch_based_run_makes_up_for_its_validation_too(toy_run, at):
    # 4 iterations make an epoch; the scores of the script are those after 4, 8, ... iterations.
    def make(name: str):
        run = toy_run(name, scores=[0, 10, 0, 10, 0, 10, 0, 10, 0, 10], patience=2)
        run.overrides = {
            "train_dataloader": run.loader("DefaultSampler"),
            "train_cfg": {"by_epoch": True, "max_epochs": 5},
            "param_scheduler": None,
            "log_processor": {"by_epoch": True},
        }
        run.checkpoint = {"by_epoch": True, "interval": 1}
        return run

    whole = make("whole")
    whole.train()
    assert [entry["wait"] for entry in whole.diary()] == [0, 1, 2]
    cut = make("cut")
    cut.extra_hooks = [at("before_val", 12, kill_process, priority="LOWEST")]
    assert cut.train_in_child() == -signal.SIGKILL
    cut.extra_hooks = []
    runner = cut.train(resume=True)
    assert cut.diary() == whole.diary()
    assert steps(runner) == 12


def test_a_run_that_has_stopped_early_stops_again_without_training(toy_run):
    run = toy_run(scores=FLAT, patience=2)
    run.train()
    before = run.diary()
    runner = run.train(resume=True)
    assert steps(runner) == 6
    assert run.diary() == before


def test_a_stop_that_the_checkpoint_knows_of_needs_no_validation(toy_run):
    # Ever better by less than min_delta, so that the last checkpoint is written again after each validation.
    run = toy_run(scores=[10.0, 10.01, 10.02, 10.03, 10.04], patience=2)
    run.train()
    validations = (run.work_dir / "diary.jsonl").read_text()
    runner = run.train(resume=True)
    assert steps(runner) == 6
    assert (run.work_dir / "diary.jsonl").read_text() == validations


def test_a_stopped_run_goes_on_with_more_patience(toy_run):
    run = toy_run(scores=FLAT, patience=2)
    run.train()
    run.patience = 4
    runner = run.train(resume=True)
    assert [entry["wait"] for entry in run.diary()] == [0, 1, 2, 3, 4]
    assert steps(runner) == 10


def test_loading_weights_only_does_not_take_the_state(toy_run):
    first = toy_run("first", scores=FLAT, patience=2)
    first.train()
    second = toy_run("second", scores=FLAT, patience=2)
    second.train(load_from=str(first.work_dir / "iter_6.pth"))
    assert [entry["wait"] for entry in second.diary()] == [0, 1, 2]


def test_a_checkpoint_without_the_state_starts_patience_anew(toy_run):
    run = toy_run(scores=FLAT, patience=None, max_iters=4)
    run.train()
    run.patience, run.max_iters = 2, 20
    runner = run.train(resume=True)
    assert [entry["wait"] for entry in run.diary()] == [None, None, 0, 1, 2]
    assert steps(runner) == 10


def test_a_metric_that_is_not_a_number_stops_at_once_and_again_on_resume(toy_run):
    run = toy_run(scores=[10.0, float("nan"), 20.0], patience=3)
    assert steps(run.train()) == 4
    assert steps(run.train(resume=True)) == 4


@pytest.mark.filterwarnings("ignore:Skip early stopping process:UserWarning")
def test_a_monitor_that_does_not_exist_never_stops_nor_breaks_a_resume(toy_run):
    run = toy_run(scores=FLAT, patience=None, max_iters=4)
    run.extra_hooks = [{"type": "ResumableEarlyStoppingHook", "monitor": "val/mDice", "rule": "greater", "patience": 1}]
    run.train()
    run.max_iters = 8
    assert steps(run.train(resume=True)) == 8


def test_the_state_in_the_checkpoint_is_plain(toy_run):
    run = toy_run(scores=[10.0, 10.05, 9.0], patience=9, max_iters=6)
    run.train()
    checkpoint = torch.load(run.work_dir / "iter_6.pth", weights_only=True)
    # As of before the third validation.
    assert checkpoint["early_stopping"] == {
        "val/mIoU": {
            "rule": "greater",
            "best_score": 10.0,
            "wait_count": 1,
            "last_score": 10.05,
            "iter": 4,
            "epoch": 0,
        }
    }
