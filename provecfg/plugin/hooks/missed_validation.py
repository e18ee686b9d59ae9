"""A validation that the checkpoint which a run goes on from does not know of."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner


def progress_of(runner: Runner) -> Mapping[str, int]:
    """Where training is, as a checkpoint keeps it of the last validation: iter (int), epoch (int)."""
    return {"iter": runner.iter, "epoch": runner.epoch}


def is_validation_missing(runner: Runner, last: Mapping[str, int]) -> bool:
    """Whether a validation is due at this very point, and the last one was before it.

    A training loop writes the checkpoint of iteration k before it validates at k. A run that ends between them leaves
    a checkpoint that does not know of the validation, and mmengine's loops do not make up for it.

    Args:
        runner: Before it trains on.
        last: `progress_of` the last validation.
    """
    loop = runner.train_loop
    if runner.val_loop is None or not hasattr(loop, "val_interval"):
        return False
    # The interval that holds here, as the loop itself works it out before it decides.
    loop._decide_current_val_interval()
    if isinstance(loop, EpochBasedTrainLoop):
        now, before, end = runner.epoch, last["epoch"], runner.max_epochs
    else:
        now, before, end = runner.iter, last["iter"], runner.max_iters
    is_due = now >= loop.val_begin and (now % loop.val_interval == 0 or now == end)
    return is_due and now != before


class MakeUpValidation(Hook):
    """Has a hook make up for a validation when every other one has prepared for training, since validating uses them.

    Args:
        make_up: The hook's method.
    """

    def __init__(self, make_up: Callable[[Runner], None]) -> None:
        self.make_up = make_up

    def before_train(self, runner: Runner) -> None:
        self.make_up(runner)
