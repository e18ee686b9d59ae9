"""`provecfg replay`: where an early-stopping rule would have stopped a finished run."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.study.load import checked_study, set_field
from provecfg.study.schema import EarlyStopping

if TYPE_CHECKING:
    from provecfg.mmconfig import Node
    from provecfg.proof.stopping.finished_log import FinishedLog, Validation
    from provecfg.proof.stopping.replay import Replay

_FIELD = "early_stopping"
_FREE = {"monitor": None, "rule": ("greater", "less")}
"""Fields that a log of any run may need, and a study's own metrics do not: their values, where they are few."""
_UNSHOWN = ("monitor", "rule", "strict")
_DEFAULTS = "the defaults of a study"


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """An early-stopping rule.

    Args:
        arguments: Of the hook.
        source: Where they come from.
        is_monitor_given: Whether somebody named the metric: the config, or `--set`.
    """

    arguments: dict[str, Any]
    source: str
    is_monitor_given: bool


@click.command()
@click.argument("log", metavar="LOG", type=click.Path(path_type=Path))
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Take the rule of this config.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="early_stopping.FIELD=VALUE",
    help="Replace a field of the rule, such as early_stopping.patience=3 (repeatable).",
)
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@terminal_options
def command(log: Path, config: Path | None, settings: tuple[str, ...], output_format: str, terminal: Terminal) -> int:
    """Say where an early-stopping rule would have stopped a finished run, and what would have been lost and saved.

    LOG is a run's work dir, or one log of it: vis_data/scalars.json, <timestamp>.json or <timestamp>.log. The rule is
    that of --config; without it, of the config in the work dir, if LOG is one; or else a study's default. --set changes
    it. mmengine's own hook is asked; nothing is executed of the config.
    """
    from provecfg.proof.stopping.finished_log import read_log

    record = read_log(log)
    path = config or (_config_beside(log, record) if log.is_dir() else None)
    rule = _with_settings(_rule_of(path, must_have=config is not None) if path else _default(_DEFAULTS), settings)
    rule, note = _for_metrics_of(rule, record)
    from provecfg.training.preflight import require_stack

    require_stack()
    from provecfg.proof.stopping.replay import replay

    result = replay(record, rule.arguments)
    if record.broken_lines:
        terminal.note(
            f"{record.broken_lines} line{'s' * (record.broken_lines != 1)} of the log cannot be read; passed over"
        )
    if note:
        terminal.note(note)
    as_data = _as_data(record, rule, result)
    terminal.result(json.dumps(as_data, indent=2) if output_format == "json" else _as_text(record, rule, result))
    return ExitCode.CLEAN


def _default(source: str) -> StoppingRule:
    return StoppingRule(EarlyStopping().model_dump(), source, is_monitor_given=False)


def _config_beside(folder: Path, log: FinishedLog) -> Path | None:
    """The config that mmengine wrote into a work dir."""
    beside: Path = log.files[-1].with_name("config.py")
    if beside.is_file():
        return beside
    written = sorted(folder.glob("*.py"))
    return written[0] if len(written) == 1 else None


def _rule_of(path: Path, *, must_have: bool) -> StoppingRule:
    """The rule of a config's early-stopping hook; its file is read as data."""
    from provecfg.mmconfig import read_config
    from provecfg.registry.layout import EARLY_STOPPING_HOOKS

    if not path.is_file():
        raise ProvecfgError(f"{path} does not exist" if not path.exists() else f"{path} is not a file")
    view = read_config(path)
    hooks = [hook for hook in view.dig("custom_hooks") or () if hook.is_dict and hook.type in EARLY_STOPPING_HOOKS]
    if not hooks:
        if must_have:
            raise ProvecfgError(f"{path} has no early stopping", hint="leave --config out for a study's default rule")
        return _default(f"{_DEFAULTS}; {path} has no early stopping")
    # mmengine's own defaults, which the hook itself fills in
    arguments = {child.name: _value(child) for child in hooks[0] if child.name not in ("type", "priority")}
    return StoppingRule(arguments, f"{hooks[0].key} of {path}", is_monitor_given=True)


def _value(node: Node) -> Any:
    if node.is_opaque:
        raise ProvecfgError(
            f"{node.file}: {node.key} cannot be known without running the config",
            hint=f"--set {_FIELD}.{node.name}=VALUE, and leave --config out",
        )
    return node.value


def _with_settings(rule: StoppingRule, settings: tuple[str, ...]) -> StoppingRule:
    if not settings:
        return rule
    fields: dict[str, Any] = {}
    for setting in settings:
        set_field(fields, setting)
    rule_settings = fields.pop(_FIELD, {})
    if fields or not isinstance(rule_settings, dict) or not rule_settings:
        other = next(iter(fields), _FIELD)
        raise ProvecfgError(
            f"--set {other}: a replay has the fields of {_FIELD} only", hint=f"e.g. --set {_FIELD}.patience=3"
        )
    free = {name: rule_settings.pop(name) for name in _FREE if name in rule_settings}
    for name, value in free.items():
        known = _FREE[name]
        if not isinstance(value, str) or (known is not None and value not in known):
            wanted = " or ".join(map(repr, known)) if known else "the name of a metric"
            raise ProvecfgError(f"--set {_FIELD}.{name}={value}: wanted {wanted}")
    study = checked_study({"name": "replay", _FIELD: rule_settings}, kind="rule")
    checked = {name: getattr(study.early_stopping, name) for name in rule_settings}
    arguments = {**rule.arguments, **free, **checked}
    return StoppingRule(arguments, f"{rule.source}, with --set", rule.is_monitor_given or "monitor" in free)


def _for_metrics_of(rule: StoppingRule, log: FinishedLog) -> tuple[StoppingRule, str | None]:
    """The rule with a metric that the log has, and what to say of it.

    Raises:
        ProvecfgError: The log has no such metric. Only for a study's default, which nobody asked for, one of the same
            name under another prefix is taken.
    """
    monitor = rule.arguments.get("monitor")
    if monitor in log.metrics:
        return rule, None
    last = str(monitor).rpartition("/")[2]
    same = [name for name in log.metrics if name.rpartition("/")[2] == last]
    if len(same) == 1 and not rule.is_monitor_given:
        taken = StoppingRule({**rule.arguments, "monitor": same[0]}, rule.source, is_monitor_given=False)
        return taken, f"the log has no {monitor!r}: {same[0]!r} is taken for it"
    from provecfg import spelling

    near = same or spelling.nearest_names(str(monitor), log.metrics, limit=1)
    hint = f"it has {', '.join(log.metrics)}"
    if near:
        hint += f"; --set {_FIELD}.monitor={near[0]}"
    raise ProvecfgError(f"no validation of the log has {monitor!r}, which the rule watches ({rule.source})", hint=hint)


def _as_data(log: FinishedLog, rule: StoppingRule, result: Replay) -> dict[str, Any]:
    def told(validation: Validation | None) -> dict[str, Any] | None:
        if validation is None:
            return None
        value = validation.metrics[result.monitor]
        return {
            "iteration": validation.iteration,
            "epoch": validation.epoch,
            "value": value if math.isfinite(value) else None,
        }

    saved = log.last_iteration - result.stop.iteration if result.stop is not None else 0
    stop = told(result.stop)
    return {
        "log": [str(file) for file in log.files],
        "rule": {**rule.arguments, "rule": result.rule},
        "rule_from": rule.source,
        "validations": len(log.validations),
        "without_metric": result.missing,
        "last_iteration": log.last_iteration,
        "stop": None if stop is None else {"validation": result.stop_number, **stop, "reason": result.reason},
        "best_until_stop": told(result.best_until_stop),
        "best": told(result.best),
        "lost": round(result.lost, 6),
        "saved": {"iterations": saved, "hours": round(saved * log.seconds / 3600, 2) if log.seconds else None},
    }


def _as_text(log: FinishedLog, rule: StoppingRule, result: Replay) -> str:
    metric, stop = result.monitor, result.stop
    count = len(log.validations) - result.missing
    shown = {name: value for name, value in rule.arguments.items() if name not in _UNSHOWN and value is not None}
    arguments = ", ".join(f"{name} {value}" for name, value in shown.items())
    lines = [
        ("log", ", ".join(str(file) for file in log.files)),
        ("", f"{count} validations with {metric}, {_at(log.validations[0])} to {_at(log.validations[-1])}"),
        ("rule", f"{metric} {result.rule}, {arguments}" if arguments else f"{metric} {result.rule}"),
        ("", f"from {rule.source}"),
    ]
    if result.missing:
        lines.append(("", f"{result.missing} validations have no {metric}, and are passed over"))
    if stop is None:
        lines.append(("stops", "never: the rule lets the run go to the end of the log"))
    else:
        lines.append(("stops", f"at {_at(stop)}, validation {result.stop_number} of {count}"))
        if result.reason:
            lines.append(("", result.reason))
    if stop is not None and result.best_until_stop is not result.best:
        lines.append(("best by then", _value_at(result.best_until_stop, metric)))
    lines.append(("best of all", _value_at(result.best, metric)))
    if stop is not None:
        lines.append(("lost", f"{result.lost:.4g} points of {metric}" if result.lost else "nothing"))
        lines.append(("saved", _saved(log, stop)))
    return "\n".join(f"{name:13}{text}".rstrip() for name, text in lines)


def _saved(log: FinishedLog, stop: Validation) -> str:
    iterations = log.last_iteration - stop.iteration
    if iterations <= 0:
        return "nothing: the log ends there"
    time = f", about {_duration(iterations * log.seconds)} of training" if log.seconds else ""
    return f"{iterations} iterations of {log.last_iteration}{time}"


def _duration(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"


def _at(validation: Validation) -> str:
    if validation.epoch is not None:
        return f"epoch {validation.epoch} (iteration {validation.iteration})"
    return f"iteration {validation.iteration}"


def _value_at(validation: Validation | None, metric: str) -> str:
    if validation is None:
        return "none: every value is NaN"
    return f"{validation.metrics[metric]:.4g} at {_at(validation)}"
