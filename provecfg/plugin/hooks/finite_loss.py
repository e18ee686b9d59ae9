"""An end to training on losses that are not numbers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, is_distributed
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from provecfg.errors import ExitCode, ProvecfgError


class NonFiniteError(ProvecfgError):
    """A loss or a weight became NaN or infinite."""

    def __init__(self, message: str, work_dir: str) -> None:
        pointer = Path(work_dir) / "last_checkpoint"
        kept = (
            f"the last checkpoint is {pointer.read_text().strip()}"
            if pointer.is_file()
            else "no checkpoint was written yet"
        )
        super().__init__(
            f"{message}; {kept}",
            hint="lower the learning rate, clip the gradients, or look at the labels of the last batches",
            exit_code=ExitCode.FINDINGS,
        )


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stops training when a loss is NaN or infinite, before the checkpoint of that iteration is written.

    By then the weights were updated with that loss, and are of no use; the files on disk are from before. A step
    can also spoil the weights with a finite loss whose gradient is not; so the weights are looked at before each
    checkpoint, and one that would hold NaN or infinite ones is not written.

    Under automatic mixed precision an infinite gradient is no fault (its scaler skips the step), and is not judged.

    Costs the reading of one number an iteration, which mmengine's RuntimeInfoHook has waited for anyway; with several
    processes also its reduction, so that all of them stop, and none writes a checkpoint, when one has such a loss.

    Raises:
        NonFiniteError: From `after_train_iter`, naming the iteration and the terms; from `before_save_checkpoint`,
            naming the weights. Both name the last checkpoint.
    """

    # Before CheckpointHook (VERY_LOW).
    priority = "ABOVE_NORMAL"

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, torch.Tensor] | None = None,
    ) -> None:
        terms = {name: value for name, value in (outputs or {}).items() if "loss" in name}
        # mmengine's sum of all terms; a model with a `train_step` of its own may have none.
        total = _number(terms["loss"]) if "loss" in terms else sum(map(_number, terms.values()))
        is_finite = math.isfinite(total)
        if _is_finite_everywhere(is_finite):
            return
        if is_finite:
            blame = "a loss of another process"
        else:
            values = {name: _number(value) for name, value in terms.items() if name != "loss"} or {"loss": total}
            # A sum of finite terms can overflow.
            broken = {name: value for name, value in values.items() if not math.isfinite(value)} or {"loss": total}
            blame = ", ".join(f"{name} is {value}" for name, value in broken.items())
        raise NonFiniteError(f"iteration {runner.iter + 1}: {blame}", runner.work_dir)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Refuse to write weights that are not numbers."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        broken = [name for name, weight in model.named_parameters() if not weight.isfinite().all()]
        if broken:
            more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
            raise NonFiniteError(
                f"the checkpoint of iteration {checkpoint['meta']['iter']} is not written: "
                f"NaN or infinite weights in {broken[0]}{more}",
                runner.work_dir,
            )


def _number(value: torch.Tensor | float) -> float:
    return value.item() if isinstance(value, torch.Tensor) else float(value)


def _is_finite_everywhere(is_finite: bool) -> bool:
    if not is_distributed():
        return is_finite
    flag = torch.tensor(float(is_finite))
    all_reduce(flag, op="min")
    return bool(flag.item())
