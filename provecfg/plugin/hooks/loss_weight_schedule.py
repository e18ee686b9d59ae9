"""Loss weights that change over a run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import BaseLoop, Runner
from torch import nn

from provecfg import spelling
from provecfg.errors import ProvecfgError
from provecfg.plugin.hooks.weight_schedules import Schedule, first_difference, plain, schedule_from

_CHECKPOINT_KEY = "loss_weight_schedules"
_LOSSES_OF_HEADS = "loss_decode"


@HOOKS.register_module()
class LossWeightScheduleHook(Hook):
    """Sets the weights of losses before every training iteration, by schedules that see the iteration alone.

    Nothing adds up over the iterations: a resumed run, and every process of a distributed one, has in iteration i the
    weights that any other has there. `loss_weight` of the loss in the config is never used.

    The checkpoint holds the schedules, and a run that is resumed with others is refused where they differ in the
    iterations that are done: it would be no run that either config describes. A change of what is still to come
    (a longer run, say) is none of that, and is taken.

    The weights are logged as `<head>.<loss>_weight` beside the losses, the loss without its "loss":
    `decode_head.focal_weight`, `auxiliary_head_0.focal_weight`. (mmengine's log averages what has "loss" in its key
    over the last iterations, and readers of logs take it for a loss.)

    Args:
        schedules: One dict for each loss:

            - head: Name of the head in the model: "decode_head", "auxiliary_head", "auxiliary_head[1]" of a list.
            - loss_name: Of one of its losses; of Mask2Former's own, "loss_cls", "loss_mask" or "loss_dice".
            - kind: "constant" (value), "linear" or "cosine" (start, end, begin_iter, end_iter), or "steps"
              (milestones, values); see `weight_schedules`. begin_iter is 0 unless given, end_iter the run's length.

            Iterations count from 0. Weights are >= 0; a loss is computed at weight 0, too.
        strict: Whether resuming with other schedules is refused; False to be warned only.

    State: `checkpoint["loss_weight_schedules"]`, from "<head>.<loss_name>" to the schedule, its defaults filled in.

    Raises:
        ProvecfgError: When built, a schedule that is none, or two of one loss. Before the run (in training only), a
            head or loss that the model does not have, two losses of that name, a loss without a weight that can be
            set, or a second hook of this kind. When resumed, see above.
    """

    def __init__(self, schedules: Sequence[Mapping[str, Any]], strict: bool = True) -> None:
        self._targets = _targets(schedules)
        self.strict = strict
        self.schedules: dict[str, Schedule] = {}
        self._losses: dict[str, Any] = {}  # modules with a `loss_weight`
        self._log_keys: dict[str, str] = {}
        self._loaded: Mapping[str, Any] | None = None

    def before_run(self, runner: Runner) -> None:
        """Find the losses. Not to test or validate alone, where the model may be wrapped in what has no heads."""
        if not isinstance(runner._train_loop, BaseLoop):
            return
        if any(isinstance(hook, LossWeightScheduleHook) and hook is not self for hook in runner.hooks):
            raise ProvecfgError("two LossWeightScheduleHooks", hint="put the schedules of both into one")
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        for (head, loss_name), fields in self._targets.items():
            target = f"{head}.{loss_name}"
            self._losses[target] = _find_loss(model, head, loss_name)
            with _saying(f"schedule of {target}"):
                self.schedules[target] = schedule_from(fields, runner.max_iters)
        self._log_keys = _log_keys(self._targets)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Set the weights of this iteration, and log them."""
        for target, schedule in self.schedules.items():
            weight = schedule.at(runner.iter)
            self._losses[target].loss_weight = weight
            runner.message_hub.update_scalar(self._log_keys[target], weight)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Add the schedules, as plain data."""
        checkpoint[_CHECKPOINT_KEY] = {target: plain(schedule) for target, schedule in self.schedules.items()}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep the schedules until `before_train` knows whether this is a resume."""
        self._loaded = checkpoint.get(_CHECKPOINT_KEY, {})

    def before_train(self, runner: Runner) -> None:
        """Compare the schedules, if the run was resumed: only then is its first iteration not 0."""
        loaded, self._loaded = self._loaded, None
        if loaded is None or runner.iter == 0:
            return
        differences = [
            difference
            for target in {**loaded, **self.schedules}
            if (difference := _difference(target, loaded.get(target), self.schedules.get(target), runner.iter))
        ]
        if not differences:
            return
        message = f"resumed at iteration {runner.iter} with other loss weights: {'; '.join(differences)}"
        if self.strict:
            raise ProvecfgError(
                message,
                hint="keep the schedules of the iterations that are done, start anew from the weights (load_from "
                "without resume), or set strict=False of LossWeightScheduleHook to go on nevertheless",
            )
        runner.logger.warning(message)


@contextmanager
def _saying(where: str) -> Iterator[None]:
    """Say in an error what it is about."""
    try:
        yield
    except ProvecfgError as error:
        raise ProvecfgError(f"{where}: {error.message}", hint=error.hint) from error


def _targets(schedules: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Head and loss name -> what the schedule says beside them."""
    if not isinstance(schedules, (list, tuple)) or not schedules:
        raise ProvecfgError(f"schedules is {schedules!r}, must be a list of one or more dicts")
    targets: dict[tuple[str, str], dict[str, Any]] = {}
    for index, schedule in enumerate(schedules):
        with _saying(f"schedules[{index}]"):
            if not isinstance(schedule, Mapping):
                raise ProvecfgError(f"{schedule!r} is no dict")
            fields = dict(schedule)
            target = _text(fields, "head"), _text(fields, "loss_name")
            schedule_from(fields)
        if target in targets:
            raise ProvecfgError(f"two schedules of {'.'.join(target)}")
        targets[target] = fields
    return targets


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.pop(name, None)
    if not isinstance(value, str) or not value:
        raise ProvecfgError(f"{name} is {value!r}, must be a name")
    return value


def _find_loss(model: nn.Module, head: str, loss_name: str) -> Any:
    heads = {name: losses for name, module in _parts(model) if (losses := _losses_of(module))}
    if head not in heads:
        raise ProvecfgError(f"the model has no head {head!r} with losses; {_alternatives(head, heads)}")
    namesakes = [loss for name, loss in heads[head] if name == loss_name]
    if not namesakes:
        raise ProvecfgError(f"{head} has no loss {loss_name!r}; {_alternatives(loss_name, dict(heads[head]))}")
    if len(namesakes) > 1:
        raise ProvecfgError(
            f"{len(namesakes)} losses of {head} are named {loss_name!r}", hint="give each a `loss_name` of its own"
        )
    loss: Any = namesakes[0]
    weight = getattr(loss, "loss_weight", None)
    if isinstance(weight, bool) or not isinstance(weight, (int, float)):
        raise ProvecfgError(f"{loss_name!r} of {head}, a {type(loss).__name__}, has no number `loss_weight` to set")
    try:
        loss.loss_weight = weight
    except AttributeError as error:
        raise ProvecfgError(
            f"`loss_weight` of {loss_name!r} of {head}, a {type(loss).__name__}, cannot be set"
        ) from error
    return loss


def _parts(model: nn.Module) -> Iterable[tuple[str, nn.Module]]:
    for name, module in model.named_children():
        if isinstance(module, nn.ModuleList):
            yield from ((f"{name}[{index}]", item) for index, item in enumerate(module))
        else:
            yield name, module


def _losses_of(head: nn.Module) -> list[tuple[str, nn.Module]]:
    """The losses of a head by the name that they are logged by."""
    losses = []
    for name, module in head.named_children():
        if name == _LOSSES_OF_HEADS:
            for loss in module if isinstance(module, nn.ModuleList) else [module]:
                losses.append((str(getattr(loss, "loss_name", type(loss).__name__)), loss))
        elif "loss" in name:  # as mmdet's heads have them, and log them
            losses.append((str(getattr(module, "loss_name", name)), module))
    return losses


def _alternatives(wrong: str, present: Iterable[str]) -> str:
    near = spelling.nearest_names(wrong, present)
    names = [*near, *sorted(set(present) - set(near))]
    return f"it has {', '.join(names)}" if names else "it has none"


def _log_keys(targets: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Key of each target's weight in the message hub."""
    keys = {}
    for head, loss_name in targets:
        short = loss_name.replace("loss", "").replace("__", "_").strip("_")
        part = head.replace("[", "_").replace("]", "")  # TensorBoard takes no brackets
        keys[f"{head}.{loss_name}"] = f"train/{part}.{short}_weight" if short else f"train/{part}.weight"
    uses = Counter(keys.values())
    # `loss_a` and `a_loss` of one head: told apart by their number.
    return {
        target: key if uses[key] == 1 else f"{key}_{number}" for number, (target, key) in enumerate(keys.items(), 1)
    }


def _difference(target: str, old: Any, new: Schedule | None, iterations: int) -> str | None:
    """What is different in the first iterations, or None."""
    if old is None:
        return f"{target} had no schedule"
    if new is None:
        return f"{target} had a schedule and has none now"
    try:
        before = schedule_from(old)
    except (ProvecfgError, TypeError, ValueError):
        return f"{target} had a schedule that this version of provecfg does not know"
    iteration = first_difference(before, new, iterations)
    if iteration is None:
        return None
    was, now = before.at(iteration), new.at(iteration)
    digits = 6 if not math.isclose(was, now, rel_tol=1e-6) else 17
    return f"{target} was {was:.{digits}g} in iteration {iteration}, now is {now:.{digits}g}"
