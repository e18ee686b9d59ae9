"""Loss weights that change over the run: the real schedules, on the real losses of the model."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from provecfg.errors import ProvecfgError
from provecfg.findings import Finding
from provecfg.plugin.hooks.loss_weight_schedule import LossWeightScheduleHook
from provecfg.plugin.hooks.weight_schedules import Constant, Schedule, Steps, plain
from provecfg.proof.clock.dry_run import CountingRunner
from provecfg.proof.clock.problems import WEIGHTS_FAIL, WEIGHTS_UNFINISHED

_SAMPLES = 50


@dataclass(slots=True)
class WeightCurves:
    """What was seen of loss weights; as in `Section`."""

    lines: list[str] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def weight_curves(runner: CountingRunner, model: nn.Module | None, iterations: int) -> WeightCurves:
    """Let the hooks of loss weights find their losses, and set them in iterations all over the run.

    Args:
        runner: Whose config it is, its loop built.
        model: Whose losses they are; None where it is not built: then the schedules are looked at alone.
        iterations: Length of the run.
    """
    weights = WeightCurves()
    hooks = _hooks(runner, weights)
    for key, hook in hooks:
        if model is None:
            weights.lines.append("loss weights: the model is not built, so its losses were not looked for")
            continue
        with runner.with_hooks_of(model, [other for _, other in hooks]) as go_to, _weights_kept(model):
            try:
                hook.before_run(runner)
                for index, target in enumerate(hook.schedules):
                    seen = _weights_over(runner, go_to, hook, target, iterations)
                    _check_curve(weights, f"{key}.schedules[{index}]", hook.schedules[target], target, seen)
            except ProvecfgError as error:
                weights.findings.append(Finding(WEIGHTS_FAIL, error.message, f"{key}.schedules", error.hint))
    return weights


@contextlib.contextmanager
def _weights_kept(model: nn.Module) -> Iterator[None]:
    kept: list[tuple[Any, Any]] = [
        (part, part.loss_weight)
        for part in model.modules()
        if isinstance(getattr(part, "loss_weight", None), (int, float))
    ]
    try:
        yield
    finally:
        for part, weight in kept:
            part.loss_weight = weight


def _hooks(runner: CountingRunner, weights: WeightCurves) -> list[tuple[str, LossWeightScheduleHook]]:
    hooks = []
    custom = runner.cfg.get("custom_hooks")
    for index, declared in enumerate(custom if isinstance(custom, (list, tuple)) else ()):
        key = f"custom_hooks[{index}]"
        if not isinstance(declared, Mapping) or declared.get("type") not in (
            LossWeightScheduleHook,
            LossWeightScheduleHook.__name__,
        ):
            continue
        options = {name: value for name, value in declared.items() if name not in ("type", "priority")}
        try:
            hooks.append((key, LossWeightScheduleHook(**options)))
        except ProvecfgError as error:
            weights.findings.append(Finding(WEIGHTS_FAIL, error.message, f"{key}.schedules", error.hint))
        except TypeError as error:
            weights.findings.append(Finding(WEIGHTS_FAIL, str(error), key))
    return hooks


def _weights_over(
    runner: CountingRunner, go_to: Callable[[int], None], hook: LossWeightScheduleHook, target: str, iterations: int
) -> dict[int, float]:
    """Iteration -> the weight that the hook sets on the real loss, all over the run."""
    loss = hook._losses[target]
    seen: dict[int, float] = {}
    for iteration in _iterations(hook.schedules[target], iterations):
        go_to(iteration)
        hook.before_train_iter(runner, iteration)
        seen[iteration] = float(loss.loss_weight)
    return seen


def _check_curve(weights: WeightCurves, key: str, schedule: Schedule, target: str, seen: Mapping[int, float]) -> None:
    iterations = max(seen) + 1  # the last one is among them
    first, last = seen[0], seen[iterations - 1]
    weights.evidence[target] = {"schedule": plain(schedule), "points": [[at, value] for at, value in seen.items()]}
    changes = first != last or len(set(seen.values())) > 1
    weights.lines.append(
        f"weight of {target}: {first:g}" + (f", {last:g} in the last iteration ({schedule.kind})" if changes else "")
    )
    if not any(seen.values()):
        weights.findings.append(
            Finding(WEIGHTS_UNFINISHED, f"the weight of {target} is 0 in every iteration", key, "drop the loss")
        )
    elif isinstance(schedule, Steps):
        late = [milestone for milestone in schedule.milestones if milestone >= iterations]
        if late:
            weights.findings.append(
                Finding(
                    WEIGHTS_UNFINISHED,
                    f"the weight of {target} would change in iteration {late[0]}, and the run has {iterations}",
                    f"{key}.milestones",
                    "change it earlier",
                )
            )
    elif not isinstance(schedule, Constant) and (end := schedule.end_iter or 0) > iterations and last != schedule.end:
        weights.findings.append(
            Finding(
                WEIGHTS_UNFINISHED,
                f"the weight of {target} comes to {last:g}, not to {schedule.end:g}: its schedule ends in iteration "
                f"{end}, and the run has {iterations}",
                f"{key}.end_iter",
                "leave end_iter out, and it ends with the run",
            )
        )


def _iterations(schedule: Schedule, iterations: int) -> list[int]:
    """The first and last iteration, those in which something begins or ends and their neighbours, and some between."""
    turns = [*getattr(schedule, "milestones", ()), getattr(schedule, "begin_iter", 0), getattr(schedule, "end_iter", 0)]
    chosen = {0, iterations - 1, *(turn + near for turn in turns for near in (-1, 0, 1))}
    chosen |= {iterations * index // _SAMPLES for index in range(_SAMPLES)}
    return sorted(iteration for iteration in chosen if 0 <= iteration < iterations)
