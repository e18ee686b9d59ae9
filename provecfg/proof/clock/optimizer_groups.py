"""The optimizer of a config, built by its real constructor over the model's parameters, and what its groups are."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import OPTIMIZERS
from torch import nn

from provecfg.findings import Finding
from provecfg.proof.clock.dry_run import CountingRunner
from provecfg.proof.clock.problems import NO_RATE, OPTIMIZER_FAILS, OPTION_IGNORED
from provecfg.proof.exceptions import described
from provecfg.training.preflight import hint_for_optimizer

_PARAMWISE = "optim_wrapper.paramwise_cfg"


@dataclass(slots=True)
class OptimizerGroups:
    """A built optimizer.

    Args:
        wrapper: OptimWrapper, or OptimWrapperDict of several.
        is_of_model: Whether it is over the model's parameters, or over a stand-in because there is no model.
        lines, evidence, findings: As in `Section`.
    """

    wrapper: Any = None
    is_of_model: bool = True
    lines: list[str] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def has_no_rate(self) -> bool:
        """Whether there is no rate that could be scheduled."""
        return any(finding.problem is NO_RATE for finding in self.findings)


def build_groups(runner: CountingRunner, model: nn.Module | None) -> OptimizerGroups:
    """Build the optimizer of the runner's config as the Runner does, and set it as the runner's.

    Args:
        runner: Whose config it is.
        model: Whose parameters are grouped, or None: then one parameter stands for all, without `paramwise_cfg`.
    """
    groups, declared = OptimizerGroups(is_of_model=model is not None), runner.cfg.get("optim_wrapper")
    if not isinstance(declared, dict):
        return groups
    cfg = _on_this_device(declared.to_dict() if isinstance(declared, ConfigDict) else copy.deepcopy(declared))
    options = None
    if model is None:
        cfg.pop("constructor", None)
        cfg.pop("paramwise_cfg", None)
        model = nn.Linear(1, 1)
    elif isinstance(cfg.get("paramwise_cfg"), dict):
        cfg["paramwise_cfg"] = options = _TracedOptions(cfg["paramwise_cfg"])
    try:
        wrapper = runner.built_optimizer(cfg, model)
    except Exception as error:  # a class or value of the config's own
        groups.findings.append(_failed(error, cfg))
        return groups
    groups.wrapper = runner.optim_wrapper = wrapper
    if (runner.cfg.get("auto_scale_lr") or {}).get("enable"):
        groups.lines.append("rates are scaled to the batch size of one device (auto_scale_lr)")
    for name, optimizer in optimizers_of(wrapper).items():
        _describe(groups, name, optimizer)
    if options is not None:
        groups.findings += _ignored(options, wrapper, [name for name, _ in model.named_parameters()], cfg)
    return groups


def _failed(error: Exception, cfg: dict[str, Any]) -> Finding:
    optimizer = cfg.get("optimizer")
    kind = optimizer.get("type") if isinstance(optimizer, dict) else None
    if isinstance(kind, str) and OPTIMIZERS.get(kind) is None:  # mmengine says that None cannot be called
        return Finding(
            OPTIMIZER_FAILS,
            f"no optimizer is registered as {kind!r}",
            "optim_wrapper.optimizer.type",
            hint=hint_for_optimizer(kind),
            covers="optim_wrapper",
        )
    return Finding(OPTIMIZER_FAILS, f"the optimizer cannot be built: {described(error)}", "optim_wrapper")


def optimizers_of(wrapper: Any) -> dict[str, torch.optim.Optimizer]:
    """The optimizers by name; a single one has the name ''."""
    if isinstance(wrapper, OptimWrapperDict):
        return {name: part.optimizer for name, part in wrapper.items()}
    return {"": wrapper.optimizer} if isinstance(wrapper, OptimWrapper) else {}


def _on_this_device(cfg: dict[str, Any]) -> dict[str, Any]:
    # Mixed precision refuses to be built on a CPU, and has nothing to do with groups.
    if cfg.get("type") == "AmpOptimWrapper" and not torch.cuda.is_available():
        dropped = ("type", "loss_scale", "dtype", "use_fsdp")
        cfg = {"type": "OptimWrapper", **{key: value for key, value in cfg.items() if key not in dropped}}
    return cfg


def _describe(groups: OptimizerGroups, name: str, optimizer: torch.optim.Optimizer) -> None:
    rates: dict[float, int] = {}
    for group in optimizer.param_groups:
        rates[group["lr"]] = rates.get(group["lr"], 0) + sum(parameter.numel() for parameter in group["params"])
    base = optimizer.defaults["lr"]
    what = f"{type(optimizer).__name__}{f' {name}' if name else ''}"
    decays = {group.get("weight_decay", 0) for group in optimizer.param_groups}
    if groups.is_of_model:
        lowest, highest = min(rates), max(rates)
        shown = f"lr {highest:g}" if lowest == highest else f"lr {lowest:g} to {highest:g} in {len(rates)} groups"
        groups.lines.append(f"{what}: {shown}, weight decay {', '.join(f'{decay:g}' for decay in sorted(decays))}")
    else:
        groups.lines.append(f"{what}: lr {base:g} (the model is not built: without its groups)")
    groups.evidence[name or "optimizer"] = {
        "type": type(optimizer).__name__,
        "parameters_by_lr": {f"{rate:g}": count for rate, count in sorted(rates.items())} if groups.is_of_model else {},
        "weight_decays": sorted(decays),
    }
    if base == 0 and max(rates) == 0:
        groups.findings.append(
            Finding(NO_RATE, "the learning rate is 0: nothing is trained", "optim_wrapper.optimizer.lr")
        )
    if min(rates) < 0:
        groups.findings.append(
            Finding(NO_RATE, f"the learning rate of a group is {min(rates):g}", "optim_wrapper.optimizer.lr")
        )


class _TracedOptions(dict[Any, Any]):
    """Options that know which of them were asked for by name, in dicts within them too."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__({k: _TracedOptions(v) if isinstance(v, dict) else v for k, v in options.items()})
        self.declared = tuple(options)
        self.asked: set[Any] = set()

    def __getitem__(self, key: Any) -> Any:
        self.asked.add(key)
        return super().__getitem__(key)

    def get(self, key: Any, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)

    def pop(self, key: Any, *default: Any) -> Any:
        self.asked.add(key)
        return super().pop(key, *default)

    def __contains__(self, key: Any) -> bool:
        self.asked.add(key)
        return super().__contains__(key)

    def __deepcopy__(self, memo: Any) -> _TracedOptions:
        return self  # what is built from a copy is seen, too

    copy = __copy__ = lambda self: self


def _ignored(
    options: _TracedOptions, wrapper: Any, parameters: Sequence[str], cfg: dict[str, Any]
) -> Iterator[Finding]:
    """Options that make no difference.

    Args:
        options: Of the groups, as they were asked for while the optimizer was built.
        wrapper: What was built.
        parameters: Names of the model's.
        cfg: The optimizer wrapper's dict.
    """
    for name in options.declared:
        if name not in options.asked:
            yield Finding(
                OPTION_IGNORED,
                f"{name!r} is read by nobody: no option of this name exists",
                f"{_PARAMWISE}.{name}",
                f"the constructor asks for {', '.join(sorted(map(str, options.asked)))}",
            )
    custom = options.get("custom_keys")
    if not isinstance(custom, _TracedOptions):
        return
    settings = {name for optimizer in optimizers_of(wrapper).values() for name in optimizer.defaults}
    used = {name: value for name, value in custom.items() if isinstance(value, _TracedOptions) and value.asked}
    asked = {option for value in used.values() for option in value.asked}
    for name, value in used.items():
        for option in value.declared:
            if option not in value.asked and option not in settings:
                yield Finding(
                    OPTION_IGNORED,
                    f"{option!r} is read by nobody",
                    f"{_PARAMWISE}.custom_keys.{name}.{option}",
                    f"the constructor asks for {', '.join(sorted(map(str, asked)))}",
                )
    # A key that fits no parameter is common where one list of keys serves many models. It matters where it would make
    # a difference that no other key makes.
    for option, default in (("lr_mult", 1.0), ("decay_mult", 1.0)):
        applied = {default, *(value.get(option, default) for value in used.values())}
        for name, value in custom.items():
            if name in used or not isinstance(value, _TracedOptions) or value.get(option, default) in applied:
                continue
            setting = f"{option}={value[option]:g}"
            if not any(str(name) in parameter for parameter in parameters):
                reason = f"no parameter of the model has {name!r} in its name: {setting} is given to none"
                hint = "name a part of the parameters' names, such as backbone or decode_head"
            elif used:
                reason = f"every parameter with {name!r} in its name goes by a longer key: {setting} is given to none"
                hint = "leave one of the two out"
            else:
                constructor = cfg.get("constructor", "DefaultOptimWrapperConstructor")
                kind = constructor if isinstance(constructor, str) else constructor.__name__
                reason = f"{kind} does not apply custom_keys: {setting} is given to no parameter of {name!r}"
                hint = "leave it out, or take a constructor that does, such as DefaultOptimWrapperConstructor"
            yield Finding(OPTION_IGNORED, reason, f"{_PARAMWISE}.custom_keys.{name}", hint)
