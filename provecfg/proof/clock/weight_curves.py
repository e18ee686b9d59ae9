"""Loss weights that change over the run: the real schedules, on the real losses of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from provecfg.errors import ProvecfgError
from provecfg.findings import Finding
from provecfg.plugin.hooks.loss_weight_schedule import LossWeightScheduleHook
from provecfg.plugin.hooks.weight_schedules import Schedule, Steps, plain
from provecfg.proof.clock.dry_run import SteppedRunner
from provecfg.proof.clock.problems import WEIGHTS_FAIL, WEIGHTS_UNFINISHED

_SAMPLES = 50


@dataclass(slots=True)
class Weights:
    """What was seen of loss weights; as in `Section`."""

    lines: list[str] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def step_weights(runner: SteppedRunner, model: nn.Module | None, iterations: int) -> Weights:
    """Let the hooks of loss weights find their losses, and set them in iterations all over the run.

    Args:
        runner: Whose config it is, its loop built.
        model: Whose losses they are; None where it is not built: then the schedules are looked at alone.
        iterations: Length of the run.
    """
    weights = Weights()
    hooks = _hooks(runner, weights)
    placeholder, loop = runner.model, runner.train_loop
    begun = loop._iter
    for key, given, hook in hooks:
        runner.model, runner._hooks = model, [other for _, _, other in hooks]
        kept: dict[int, tuple[Any, Any]] = {}
        try:
            if model is None:
                weights.lines.append("loss weights: the model is not built, so its losses were not looked for")
                continue
            kept = {
                id(part): (part, part.loss_weight)
                for part in model.modules()
                if isinstance(getattr(part, "loss_weight", None), (int, float))
            }
            hook.before_run(runner)
            for index, target in enumerate(hook.schedules):
                _judge(weights, f"{key}.schedules[{index}]", given, runner, hook, target, iterations)
        except ProvecfgError as error:
            weights.findings.append(Finding(WEIGHTS_FAIL, error.message, f"{key}.schedules", error.hint))
        finally:
            for part, weight in kept.values():
                part.loss_weight = weight
            runner.model, loop._iter = placeholder, begun
    return weights


def _hooks(runner: SteppedRunner, weights: Weights) -> list[tuple[str, Any, LossWeightScheduleHook]]:
    found = []
    custom = runner.cfg.get("custom_hooks")
    for index, given in enumerate(custom if isinstance(custom, (list, tuple)) else ()):
        key = f"custom_hooks[{index}]"
        if not isinstance(given, Mapping) or given.get("type") not in (
            LossWeightScheduleHook,
            LossWeightScheduleHook.__name__,
        ):
            continue
        options = {name: value for name, value in given.items() if name not in ("type", "priority")}
        try:
            found.append((key, given, LossWeightScheduleHook(**options)))
        except ProvecfgError as error:
            weights.findings.append(Finding(WEIGHTS_FAIL, error.message, f"{key}.schedules", error.hint))
        except TypeError as error:
            weights.findings.append(Finding(WEIGHTS_FAIL, str(error), key))
    return found


def _judge(
    weights: Weights,
    key: str,
    given: Mapping[str, Any],
    runner: SteppedRunner,
    hook: LossWeightScheduleHook,
    target: str,
    iterations: int,
) -> None:
    schedule, loss = hook.schedules[target], hook._losses[target]
    seen: dict[int, float] = {}
    for iteration in _iterations(schedule, iterations):
        runner.train_loop._iter = iteration
        hook.before_train_iter(runner, iteration)
        seen[iteration] = float(loss.loss_weight)
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
    elif (end := getattr(schedule, "end_iter", 0)) > iterations and last != schedule.end:
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
    places = {0, iterations - 1, *(place + near for place in turns for near in (-1, 0, 1))}
    places |= {iterations * index // _SAMPLES for index in range(_SAMPLES)}
    return sorted(place for place in places if 0 <= place < iterations)
