"""Every declared key is changed in turn: something that is built, or computed of it, has to change with it."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmengine.registry import DefaultScope

from provecfg.findings import Finding
from provecfg.proof.built import Built
from provecfg.proof.data.sample_reader import own_randomness
from provecfg.proof.declared.build import Builder, Parts
from provecfg.proof.declared.recorded_config import Reads
from provecfg.proof.declared.stubs import visualizers_stubbed, with_files_stubbed
from provecfg.proof.effect.comparison import is_same
from provecfg.proof.effect.problems import BUILDS_THE_SAME, COMPUTES_THE_SAME
from provecfg.proof.effect.settings import Setting, alternatives, settings_of
from provecfg.proof.effect.traces import Trace, is_hidden, traced
from provecfg.proof.section import Section
from provecfg.proof.step.config_paths import value_at
from provecfg.proof.subject import Subject, nothing_printed
from provecfg.spelling import first_few as some

NAME = "effect"

_BUILT_ONCE = frozenset({"loop", "runner", "visualizer", "vis_backend"})
"""Registries of what begins something, a worker or a connection, when it is built."""
_OPTIMIZER = "optim_wrapper"
_BY_NAME = f"{_OPTIMIZER}.paramwise_cfg.custom_keys"
"""Which parameters these apply to, if any, is seen by the sections of the declared and of the clock."""
_SECONDS = 240.0
"""After this time the steps of no further key are compared."""


def check(subject: Subject, built: Built) -> Section:
    """Build each part of a config with other values, and compare it with what is declared.

    Args:
        subject: The config. Where it is to be thorough, a step and a prediction of the model are compared, too.
        built: With its declaration.
    """
    declaration = built.declaration
    if declaration is None or not declaration.parts.builders:
        return Section(NAME, not_judged="nothing could be built")
    effect = _EffectCheck(subject, built, declaration.config, declaration.parts, declaration.by_path)
    scope = str(declaration.config.get("default_scope") or "mmseg")
    with (
        nothing_printed(),
        DefaultScope.overwrite_default_scope(scope),
        visualizers_stubbed(),
        with_files_stubbed(),
    ):
        effect.compare_parts()
        effect.compare_steps()
    return effect.section()


@dataclass(slots=True)
class _EffectCheck:
    """What has been seen so far of one config."""

    subject: Subject
    built: Built
    config: Any
    parts: Parts
    by_path: Mapping[str, Reads]
    kept: int = 0
    built_anew: int = 0
    stepped: int = 0
    without_trace: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def section(self) -> Section:
        """All of it."""
        dead = [finding.key for finding in self.findings if finding.problem is BUILDS_THE_SAME]
        lines = [
            f"{self.kept + self.built_anew} settings: {self.kept} are kept by what they are given to, "
            f"{self.built_anew} were changed, of which {len(dead)} change nothing that is built",
            *self.lines,
        ]
        evidence: dict[str, Any] = {"kept": self.kept, "changed": self.built_anew, "dead": dead}
        if self.subject.thorough:
            evidence |= {"stepped": self.stepped, "without_trace": self.without_trace}
        return Section(NAME, tuple(lines), evidence, tuple(self.findings))

    # What is built

    def compare_parts(self) -> None:
        """Build each part that does not simply keep what it is given, with other values."""
        for key, builder in self._builders():
            declared = value_at(self.config, key)
            if not isinstance(declared, dict):
                continue
            settings = []
            for setting in settings_of(declared, key, self.parts.built if key != _OPTIMIZER else ()):
                if setting.steps[0] in builder.taken or self._is_judged_elsewhere(setting):
                    continue
                if _is_kept(builder.part, declared, setting):
                    self.kept += 1
                else:
                    settings.append(setting)
            if settings:
                self._compare_part(declared, settings, builder)

    def _builders(self) -> Iterator[tuple[str, Builder]]:
        for key, builder in self.parts.builders.items():
            if self.parts.built[key][0] not in _BUILT_ONCE and not f"{key}.".startswith(f"{_OPTIMIZER}."):
                yield key, builder
        runner = self.parts.runner
        if self.parts.model is not None and runner is not None and not self.parts.failed(_OPTIMIZER):
            wrapper = getattr(runner, _OPTIMIZER, None)
            if wrapper is not None:
                # Of the constructor, which no dict of the config names with all that it takes.
                yield _OPTIMIZER, Builder(runner.build_optim_wrapper, {}, frozenset(), wrapper)

    def _is_judged_elsewhere(self, setting: Setting) -> bool:
        """Whether the key, or one around it, reaches nobody: that is said by what follows keys on their way."""
        if setting.key.startswith(_BY_NAME):
            return True
        path, steps = setting.key, len(setting.steps)
        for _ in range(steps):
            path, _, name = path.rpartition(".")
            name = name.partition("[")[0]
            reads = self.by_path.get(path)
            if reads is not None and name in reads.declared and name not in reads.consumed:
                return True
        return False

    def _compare_part(self, declared: Any, settings: list[Setting], builder: Builder) -> None:
        plain = _built(builder, declared)
        if plain is None or type(plain) is not type(builder.part):
            return  # of a part around it, without which it cannot be built
        for setting in settings:
            self.built_anew += 1
            others = (_built(builder, setting.changed(declared, value)) for value in alternatives(setting.value))
            if all(other is not None and is_same(plain, other) for other in others):
                owner = type(builder.part).__name__
                self.findings.append(
                    Finding(
                        BUILDS_THE_SAME,
                        f"{owner} is the same with {_shown(setting)} and with any other value: it has no effect",
                        setting.key,
                        hint="remove it, or set what it depends on",
                    )
                )

    # What is computed

    def compare_steps(self) -> None:
        """Where the proof is thorough, train a step and predict an image with each of the model's settings changed."""
        declared = self.config.get("model")
        builder = self.parts.builders.get("model")
        if builder is None or self.built.model is None or not isinstance(declared, dict):
            return
        dead = {finding.key for finding in self.findings}
        settings = [
            setting
            for setting in settings_of(declared, "model")
            if setting.key not in dead and not self._is_judged_elsewhere(setting) and not is_hidden(setting)
        ]
        if not self.subject.thorough:
            self.lines.append(f"--thorough would change {len(settings)} of the model, and compare a step of each")
            return
        plain = self._traced(builder, declared)
        if plain is None:
            self.lines.append("steps not compared: the model fails on a made batch")
            return
        until = time.monotonic() + _SECONDS
        for number, setting in enumerate(settings):
            if time.monotonic() > until:
                self.lines.append(f"steps of {len(settings) - number} settings not compared after {_SECONDS:.0f} s")
                break
            self.stepped += 1
            others = (self._traced(builder, setting.changed(declared, value)) for value in alternatives(setting.value))
            if all(other is not None and is_same(plain, other) for other in others):
                self.without_trace.append(setting.key)
                self.findings.append(
                    Finding(
                        COMPUTES_THE_SAME,
                        f"a training step and a prediction are the same with {_shown(setting)} and with other values",
                        setting.key,
                        hint="remove it, or set what it depends on",
                    )
                )
        self.lines.append(
            f"{self.stepped} settings of the model were changed, and a step and a prediction compared: "
            f"{len(self.without_trace)} leave no trace"
            + (f" ({some(self.without_trace, 5)})" if self.without_trace else "")
        )

    def _traced(self, builder: Builder, declared: Any) -> Trace | None:
        """What a model that is declared so computes; None where it cannot be built, or computes nothing."""
        model = _built(builder, declared)
        return None if model is None else traced(model, self.subject, self.built)


def _built(builder: Builder, declared: Any) -> Any:
    """The part that is declared so; None where its class refuses it, or nothing else would do as well."""
    with own_randomness(), contextlib.suppress(Exception):  # the config's own classes raise what they like
        part = copy.deepcopy(declared)
        for name in builder.taken:
            part.pop(name, None)
        part.update(builder.given)
        return builder.build(part)
    return None


def _is_kept(part: Any, declared: Any, setting: Setting) -> bool:
    """Whether a part has an attribute of the key's name with the value that is declared: another would be kept, too."""
    name = setting.steps[0]
    kept = getattr(part, "__dict__", {})
    for attribute in (name, f"_{name}"):
        with contextlib.suppress(Exception):  # of a comparison: an array is neither true nor false
            if attribute in kept and kept[attribute] == dict.__getitem__(declared, name):
                return True
    return False


def _shown(setting: Setting) -> str:
    name = next(step for step in reversed(setting.steps) if isinstance(step, str))
    value = repr(setting.value)
    return f"{name}={value if len(value) <= 40 else f'{value[:37]}...'}"
