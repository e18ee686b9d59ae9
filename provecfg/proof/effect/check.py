"""Every declared key is changed in turn: something that is built has to change with it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmengine.registry import DefaultScope
from torch import nn

from provecfg.findings import Finding
from provecfg.proof.built import Built
from provecfg.proof.declared.build import Builder, Parts
from provecfg.proof.declared.recorded_config import Reads
from provecfg.proof.declared.stubs import visualizers_stubbed, with_files_stubbed
from provecfg.proof.effect.problems import BUILDS_THE_SAME
from provecfg.proof.effect.rebuilt_part import RebuiltPart
from provecfg.proof.effect.settings import Setting, settings_of, words_of
from provecfg.proof.section import Section
from provecfg.proof.step.config_paths import steps_of, value_at
from provecfg.proof.subject import Subject, nothing_printed
from provecfg.spelling import first_few, shown

NAME = "effect"

_NOT_COMPARED = frozenset({"loop", "runner", "visualizer", "vis_backend", "parameter scheduler"})
"""Registries of what begins something when it is built (a worker, a connection), or sets the optimizer that it is
given: a schedule is told from another by living through it, which is the clock's."""
_OPTIMIZER = "optim_wrapper"
_BY_NAME = f"{_OPTIMIZER}.paramwise_cfg.custom_keys"
"""Which parameters these apply to, if any, is seen by the sections of the declared and of the clock."""
_BUILT_TOO_OFTEN = 4
"""A dict that this many parts are built of is left alone: all of them would have to be compared."""
_MODULES = 4_000
"""Modules that are built anew in all, unless the proof is thorough: some ten thousand a second."""


def check(subject: Subject, built: Built) -> Section:
    """Build each part of a config with other values, and compare it with what is declared.

    Args:
        subject: The config. Unless it is to be thorough, the settings of large parts are left alone.
        built: With its declaration.
    """
    declaration = built.declaration
    if declaration is None or not declaration.parts.builders:
        return Section(NAME, not_judged="nothing could be built")
    effect = _EffectCheck(declaration.config, declaration.parts, declaration.by_path, subject.thorough)
    scope = str(declaration.config.get("default_scope") or "mmseg")
    with (
        nothing_printed(),
        DefaultScope.overwrite_default_scope(scope),
        visualizers_stubbed(),
        with_files_stubbed(),
    ):
        effect.compare_parts()
    return effect.section()


@dataclass(slots=True)
class _EffectCheck:
    """What has been seen so far of one config."""

    config: Any
    parts: Parts
    by_path: Mapping[str, Reads]
    is_thorough: bool
    kept: int = 0
    changed: int = 0
    not_rebuilt: int = 0
    left: list[str] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def section(self) -> Section:
        """All of it."""
        lines = [
            f"{self.kept + self.changed} settings: {self.kept} are kept by what they are given to, "
            f"{self.changed} were changed, of which {len(self.dead)} change nothing that is built"
        ]
        if self.not_rebuilt:
            lines.append(f"{self.not_rebuilt} more are of parts that cannot be built by themselves, or take too long")
        if self.left:
            lines.append(f"--thorough would change {len(self.left)} more, of large parts ({first_few(self.left)})")
        evidence = {
            "kept": self.kept,
            "changed": self.changed,
            "not_rebuilt": self.not_rebuilt,
            "left": self.left,
            "dead": self.dead,
        }
        return Section(NAME, tuple(lines), evidence, tuple(self.findings))

    def compare_parts(self) -> None:
        """Build each part that does not simply keep what it is given, with other values; small ones first."""
        changeable = [part for part in itertools.starmap(self._changeable, self._builders()) if part.settings]
        modules_left = _MODULES
        for part in sorted(changeable, key=lambda part: part.modules):
            settings = part.settings
            if not self.is_thorough:
                settings = settings[: modules_left // part.modules]
                modules_left -= part.modules * len(settings)
            self.left += [setting.key for setting in part.settings[len(settings) :]]
            self._compare(part, settings)

    def _changeable(self, key: str, builders: list[Builder]) -> _Part:
        """A part, with those of its settings that it does not simply keep, and that nobody else judges."""
        declared = value_at(self.config, key)
        part = _Part(declared, builders, [])
        if not isinstance(declared, dict) or len(builders) >= _BUILT_TOO_OFTEN:
            return part
        removed = {name for builder in builders for name in builder.removed}
        other_parts = self.parts.built if key != _OPTIMIZER else ()
        for setting in settings_of(declared, key, words_of(part.cls), other_parts):
            if setting.steps[0] in removed or self._is_judged_elsewhere(setting):
                continue
            if any(_is_kept(builder.part, declared, setting) for builder in builders):
                self.kept += 1
            else:
                part.settings.append(setting)
        return part

    def _builders(self) -> Iterator[tuple[str, list[Builder]]]:
        for key, builders in self.parts.builders.items():
            if self.parts.built[key][0] not in _NOT_COMPARED and not f"{key}.".startswith(f"{_OPTIMIZER}."):
                yield key, builders
        runner = self.parts.runner
        if self.parts.model is not None and runner is not None and not self.parts.failed(_OPTIMIZER):
            wrapper = getattr(runner, _OPTIMIZER, None)
            if wrapper is not None:
                # Of the constructor, which no dict of the config names with all that it takes.
                yield _OPTIMIZER, [Builder(runner.build_optim_wrapper, {}, frozenset(), wrapper)]

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

    def _compare(self, part: _Part, settings: list[Setting]) -> None:
        rebuilt = [RebuiltPart(builder, part.declared) for builder in part.builders]
        if not all(each.can_be_built() for each in rebuilt):
            # it needs the part around it, or more time or memory than there should be
            self.not_rebuilt += len(settings)
            return
        for setting in settings:
            self.changed += 1
            if all(each.ignores(setting) for each in rebuilt) and not self._may_show_around(setting):
                self.dead.append(setting.key)
                values = ", ".join(shown(value) for value in setting.others[:3])
                self.findings.append(
                    Finding(
                        BUILDS_THE_SAME,
                        f"{part.cls.__name__} is built the same with {setting.name}={shown(setting.value)} "
                        f"as with {values}",
                        setting.key,
                        hint="remove it, or set what it depends on",
                    )
                )

    def _may_show_around(self, setting: Setting) -> bool:
        """Whether a part around the setting's own may read it before it builds that: heads look into their losses."""
        steps = steps_of(setting.key)
        for key, builders in self._builders():
            around = steps_of(key)
            if len(around) < len(steps) - len(setting.steps) and steps[: len(around)] == around:
                inner = Setting(setting.key, tuple(steps[len(around) :]), setting.value, setting.others)
                if RebuiltPart(builders[0], value_at(self.config, key)).may_show(inner):
                    return True
        return False


@dataclass(frozen=True, slots=True)
class _Part:
    """A dict of the config that something is built of, and what of it can be changed."""

    declared: Any
    builders: list[Builder]
    settings: list[Setting]

    @property
    def cls(self) -> type:
        """What it is built to."""
        return type(self.builders[0].part)

    @property
    def modules(self) -> int:
        """How many modules are built to build it."""
        parts = (builder.part for builder in self.builders)
        return sum(sum(1 for _ in part.modules()) if isinstance(part, nn.Module) else 1 for part in parts)


def _is_kept(part: Any, declared: Any, setting: Setting) -> bool:
    """Whether a part has an attribute of the key's name with the value that is declared: another would be kept, too."""
    name = setting.steps[0]
    kept = getattr(part, "__dict__", {})
    for attribute in (name, f"_{name}"):
        with contextlib.suppress(Exception):  # of a comparison: an array is neither true nor false
            if attribute in kept and kept[attribute] == dict.__getitem__(declared, name):
                return True
    return False
