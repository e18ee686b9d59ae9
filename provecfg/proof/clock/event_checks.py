"""What is wrong with when validations, checkpoints and log lines fall, and what is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.hooks import CheckpointHook

from provecfg.findings import Finding
from provecfg.proof.clock.dry_run import CountingRunner, DryRun
from provecfg.proof.clock.problems import END_NOT_SAVED, LOG_LOST, NOT_SAVED, NOT_VALIDATED

_SHOWN = 50  # moments in the evidence: of more, the first and the last
_ONLY_AT_THE_END = 100  # an interval so many times the run's length is a way to say "at the end only"


def check_validations(run: DryRun, runner: CountingRunner) -> None:
    """Say when it validates, and what is wrong with that."""
    loop = runner.train_loop
    validation = runner.val_loop
    if validation is None:
        run.lines.append("no validation is declared")
        return
    moments, interval = validation.moments, runner.cfg.train_cfg.get("val_interval")
    run.evidence["validations"] = _summary(moments)
    run.lines.append(f"validates {_times(moments)}")
    begin = loop.val_begin
    if not moments or (moments == [run.length] and begin > run.length):
        key = "val_begin" if begin > run.length else "val_interval"
        run.findings.append(
            Finding(
                NOT_VALIDATED,
                f"validations are declared, and none falls within the {run.length} {run.unit}s",
                f"train_cfg.{key}",
                f"{key} is {begin if key == 'val_begin' else interval}",
            )
        )
    elif isinstance(interval, int) and interval < 0:
        run.findings.append(
            Finding(
                NOT_VALIDATED,
                f"val_interval is {interval}: it is validated {len(moments)} times in {run.length} {run.unit}s",
                "train_cfg.val_interval",
                "for no validation, leave val_cfg, val_dataloader and val_evaluator out",
            )
        )
    elif moments == [run.length] and isinstance(interval, int) and interval > run.length + 1:
        # Length + 1 is how mmdet's configs say "no validation on the way".
        run.findings.append(
            Finding(
                NOT_VALIDATED,
                f"val_interval is {interval} and the run has {run.length} {run.unit}s: it is validated once, when it "
                "is over (by mmengine before 0.10.8, never)",
                "train_cfg.val_interval",
                f"set val_interval to {max(run.length // 10, 1)}, say",
            )
        )


def check_checkpoints(run: DryRun, runner: CountingRunner, key: str, hook: CheckpointHook) -> None:
    """Say when a hook saves checkpoints, and what is wrong with that."""
    unit = "epoch" if hook.by_epoch else "iteration"
    counted = "epoch" if unit == run.unit == "epoch" else "iter"
    moments = [meta[counted] for meta in runner.saved.get(id(hook), ())]
    run.evidence.setdefault("checkpoints", {})[key] = _summary(moments)
    kept = f", the last {hook.max_keep_ckpts} are kept" if 0 < hook.max_keep_ckpts < len(moments) else ""
    in_unit = f" (counted in {unit}s)" if run.unit == "epoch" and unit != "epoch" else ""
    run.lines.append(f"saves checkpoints {_times(moments)}{in_unit}{kept}")
    if key == "default_hooks":  # mmengine's own default, which nobody wrote
        return
    on_the_way = [moment for moment in moments if (run.unit, unit) == ("epoch", "iteration") or moment < run.length]
    declared = hook.interval > 0 and hook.interval < _ONLY_AT_THE_END * run.length
    if unit == "epoch" and run.unit == "iteration" and declared and not on_the_way:
        run.findings.append(
            Finding(
                NOT_SAVED,
                f"{type(hook).__name__} counts epochs, of which this loop has one: "
                + (
                    f"its only checkpoint comes at the end, after {run.length} iterations"
                    if moments
                    else "it saves none"
                ),
                f"{key}.by_epoch",
                "set by_epoch=False",
            )
        )
    elif unit != run.unit:
        return
    elif declared and not on_the_way and hook.interval > run.length:
        what = "the only checkpoint comes at the end" if moments else "no checkpoint is written"
        run.findings.append(
            Finding(
                NOT_SAVED,
                f"{what}: interval is {hook.interval}, and the run has {run.length} {run.unit}s",
                f"{key}.interval",
                f"set interval to {max(run.length // 10, 1)}, say",
            )
        )
    elif moments and moments[-1] < run.length:
        run.findings.append(
            Finding(
                END_NOT_SAVED,
                f"the last checkpoint comes after {moments[-1]} of {run.length} {run.unit}s: what is trained after it "
                "is lost",
                f"{key}.save_last",
                "leave save_last on",
            )
        )


def check_log(run: DryRun, runner: CountingRunner, key: str) -> None:
    """Say when a hook logs, and what is wrong with that."""
    moments, validation = runner.log_processor.iterations, runner.val_loop
    if run.unit == "iteration" or run.batches_known:
        run.evidence["log_lines"] = len(moments)
        every = f"every {moments[1] - moments[0]} iterations" if len(moments) > 1 else _times(moments)
        run.lines.append(f"logs {every}")
        if not moments and key != "default_hooks":
            run.findings.append(
                Finding(
                    LOG_LOST,
                    f"no line of training is logged in {run.length} {run.unit}s",
                    f"{key}.interval",
                    "lower the interval",
                )
            )
    drawn = validation.drawn_at if validation is not None else []
    if len(drawn) > 1 and len(set(drawn)) == 1 and run.unit == "iteration":
        hooks = runner.cfg.get("default_hooks")
        declared = hooks.get("logger") if isinstance(hooks, dict) else None
        # It is mmengine's default, too; a finding only where the config asks for it.
        if isinstance(declared, dict) and declared.get("log_metric_by_epoch") is True:
            run.findings.append(
                Finding(
                    LOG_LOST,
                    f"the metrics of all {len(drawn)} validations are logged at step {drawn[0]}",
                    f"{key}.log_metric_by_epoch",
                    "set log_metric_by_epoch=False",
                )
            )
        else:
            run.lines.append(f"the metrics of all validations are drawn at step {drawn[0]}")
    processor = runner.cfg.get("log_processor")
    if run.unit == "iteration" and isinstance(processor, dict) and processor.get("by_epoch") is True:
        run.findings.append(
            Finding(
                LOG_LOST,
                "the log counts epochs, of which this loop has one",
                "log_processor.by_epoch",
                "set by_epoch=False",
            )
        )


def _summary(moments: Sequence[int]) -> dict[str, Any]:
    few = list(moments) if len(moments) <= _SHOWN else [*moments[: _SHOWN // 2], *moments[-_SHOWN // 2 :]]
    return {"count": len(moments), "at": few}


def _times(moments: Sequence[int]) -> str:
    if not moments:
        return "never"
    shown = [str(moment) for moment in moments]
    if len(shown) > 4:
        shown = [*shown[:2], "...", shown[-1]]
    times = "once" if len(moments) == 1 else f"{len(moments)} times"
    return f"{times}: {', '.join(shown)}"
