"""Real signals to real runs."""

from __future__ import annotations

import contextlib
import os
import signal
import threading

import pytest
import torch

from provecfg.errors import ExitCode
from provecfg.interruption import SIGNALS, StopRequested
from provecfg.plugin.hooks import CheckpointOnInterruptHook, TrainingInterrupted

pytestmark = pytest.mark.stack

SCORES = [10.0, 20.0, 15.0, 30.0, 25.0]
EACH = pytest.mark.parametrize("signum", SIGNALS)


def send(signum: int):
    return lambda _: os.kill(os.getpid(), signum)


def handlers() -> list:
    return [signal.getsignal(signum) for signum in SIGNALS]


def interrupted(run, *extra_hooks) -> TrainingInterrupted:
    """Train until a hook sends a signal; then leave the run as it was without those hooks."""
    hook = CheckpointOnInterruptHook()
    before = handlers()
    run.extra_hooks = [hook, *extra_hooks]
    with hook.signals.listening(), pytest.raises(TrainingInterrupted) as caught:
        run.train()
    run.extra_hooks = []
    assert handlers() == before
    return caught.value


def assert_goes_on_as_one_in_a_piece(toy_run, run) -> None:
    whole = toy_run("whole", scores=SCORES, max_iters=10)
    whole.overrides = run.overrides
    whole.checkpoint = run.checkpoint
    straight, resumed = whole.train(), run.train(resume=True)
    assert run.diary() == whole.diary()
    for name, value in straight.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name


@EACH
def test_the_iteration_is_finished_and_saved_and_the_run_goes_on_from_there(toy_run, at, signum):
    run = toy_run(scores=SCORES, max_iters=10)
    outcome = interrupted(run, at("before_train_iter", 4, send(signum), priority="NORMAL"))
    path = run.work_dir / "iter_5.pth"
    assert (outcome.signum, outcome.iteration, outcome.checkpoint) == (signum, 5, str(path))
    asks_requeue = signum in (signal.SIGUSR1, signal.SIGUSR2)
    assert outcome.exit_code == (ExitCode.REQUEUE if asks_requeue else ExitCode.INTERRUPTED)
    assert outcome.message == f"{signal.Signals(signum).name} after iteration 5: iter_5.pth holds what was done"
    assert torch.load(path, weights_only=True)["meta"]["iter"] == 5
    assert_goes_on_as_one_in_a_piece(toy_run, run)


def test_a_validation_is_left_at_once_and_made_up_for(toy_run, at):
    run = toy_run(scores=SCORES, max_iters=10)
    outcome = interrupted(run, at("before_val_iter", 4, send(signal.SIGINT), priority="NORMAL"))
    assert outcome.iteration == 4
    assert [entry["iter"] for entry in run.diary()] == [2]
    assert_goes_on_as_one_in_a_piece(toy_run, run)


def test_in_a_validation_without_a_checkpoint_of_its_iteration_one_is_written(toy_run, at):
    run = toy_run(scores=SCORES, max_iters=10)
    run.checkpoint = {"interval": 5}
    outcome = interrupted(run, at("before_val_iter", 4, send(signal.SIGINT), priority="NORMAL"))
    assert outcome.checkpoint == str(run.work_dir / "iter_4.pth")
    assert_goes_on_as_one_in_a_piece(toy_run, run)


def test_a_validation_that_was_finished_is_not_made_again(toy_run, at):
    run = toy_run(scores=SCORES, max_iters=10)
    # While the score is computed, after the last batch.
    interrupted(run, at("after_val_epoch", 6, send(signal.SIGINT), priority="VERY_HIGH"))
    assert [entry["iter"] for entry in run.diary()] == [2, 4]  # the diary comes after
    run.train(resume=True)
    assert [(entry["iter"], entry["wait"]) for entry in run.diary()] == [(2, 0), (4, 0), (8, 0), (10, 1)]


def test_a_validation_that_was_left_is_made_up_for_without_early_stopping(toy_run, at):
    run = toy_run(scores=SCORES, max_iters=10, patience=None)
    interrupted(run, at("before_val_iter", 4, send(signal.SIGINT), priority="NORMAL"))
    assert [entry["iter"] for entry in run.diary()] == [2]
    run.extra_hooks = [CheckpointOnInterruptHook()]
    run.train(resume=True)
    assert [entry["iter"] for entry in run.diary()] == [2, 4, 6, 8, 10]
    assert [entry["saved_best"] for entry in run.diary()] == [10.0, 20.0, 20.0, 30.0, 30.0]


def test_averaged_weights_do_not_take_the_place_of_the_models_own(toy_run, at):
    run = toy_run(scores=SCORES, max_iters=10)
    run.checkpoint = {"interval": 5}
    averaging = {"type": "EMAHook", "momentum": 0.5}
    hook = CheckpointOnInterruptHook()
    run.overrides = {"custom_hooks": [averaging, hook, at("before_val_iter", 4, send(signal.SIGINT), priority="LOW")]}
    with hook.signals.listening(), pytest.raises(TrainingInterrupted):
        run.train()
    run.overrides = {"custom_hooks": [averaging]}
    resumed = run.train(resume=True)
    whole = toy_run("whole", scores=SCORES, max_iters=10)
    whole.overrides = {"custom_hooks": [averaging]}
    for name, value in whole.train().model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name


def test_a_second_ctrl_c_ends_at_once(toy_run, at):
    run = toy_run(scores=SCORES, max_iters=10)

    def send_twice(_):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    hook = CheckpointOnInterruptHook()
    run.extra_hooks = [hook, at("before_train_iter", 4, send_twice, priority="NORMAL")]
    with hook.signals.listening(), pytest.raises(StopRequested):
        run.train()
    assert "iter_5.pth" not in run.files()


def test_a_signal_before_training_ends_at_once():
    hook = CheckpointOnInterruptHook()
    with hook.signals.listening(), pytest.raises(StopRequested) as caught:
        os.kill(os.getpid(), signal.SIGUSR1)
    assert (caught.value.signum, caught.value.requeue) == (signal.SIGUSR1, True)


def test_a_signal_whose_exception_was_lost_ends_before_the_first_iteration(toy_run):
    run = toy_run(scores=SCORES, max_iters=2)
    hook = CheckpointOnInterruptHook()
    run.extra_hooks = [hook]
    with hook.signals.listening():
        with contextlib.suppress(StopRequested):  # as a bare `except` in somebody's module does
            os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StopRequested):
            run.train()
    assert run.files() == []


def test_a_hook_that_listens_by_itself_sends_on_what_came_too_late(toy_run, at):
    run = toy_run(scores=SCORES, max_iters=2)
    run.extra_hooks = [CheckpointOnInterruptHook(), at("after_train", 2, send(signal.SIGTERM), priority="NORMAL")]
    received = []
    before = signal.signal(signal.SIGTERM, lambda signum, _: received.append(signum))
    try:
        run.train()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert received == [signal.SIGTERM]
    assert "iter_2.pth" in run.files()


def test_handlers_are_put_back_when_training_ends_or_raises(toy_run, at):
    before = handlers()
    hook = CheckpointOnInterruptHook()
    run = toy_run("done", scores=SCORES, max_iters=2)
    run.extra_hooks = [hook]
    run.train()
    assert handlers() == before

    def fail(_):
        assert handlers() != before
        raise ZeroDivisionError("on purpose")

    run = toy_run("failed", scores=SCORES, max_iters=2)
    run.extra_hooks = [hook, at("after_train_iter", 1, fail, priority="NORMAL")]
    with hook.signals.listening(), pytest.raises(ZeroDivisionError, match="on purpose"):
        run.train()
    assert handlers() == before


def test_in_another_thread_it_does_nothing(toy_run):
    run = toy_run(scores=SCORES, max_iters=2)
    run.extra_hooks = [CheckpointOnInterruptHook()]
    before = handlers()
    thread = threading.Thread(target=run.train)
    thread.start()
    thread.join()
    assert handlers() == before
    assert "iter_2.pth" in run.files()
