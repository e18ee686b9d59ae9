"""The hooks of a config that stop a run early and keep checkpoints, built by their real classes."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmengine.hooks import CheckpointHook, EarlyStoppingHook, Hook
from mmseg.registry import HOOKS

from provecfg.proof.classes import class_of
from provecfg.proof.dry_runner import declared_hooks
from provecfg.proof.subject import nothing_printed

_ELSEWHERE = ("out_dir", "file_client_args", "backend_args", "published_keys")
"""Arguments of CheckpointHook that make it write outside of the work dir, or read the weights again."""


@dataclass(frozen=True, slots=True)
class DeclaredHook:
    """A hook that the config declares, or that mmengine adds where it does not.

    Args:
        key: Dotted path of its dict.
        cls: Its class.
        config: Its dict, or the hook itself where the config holds one.
        without: Arguments that are left out when it is made.
    """

    key: str
    cls: type[Hook]
    config: Any
    without: tuple[str, ...] = field(default=())

    def make(self) -> Hook:
        """A new one.

        Raises:
            Exception: What its class raises.
        """
        if not isinstance(self.config, Mapping):
            return copy.deepcopy(self.config)
        left_out = {*self.without, *(_ELSEWHERE if issubclass(self.cls, CheckpointHook) else ())}
        arguments = {key: copy.deepcopy(value) for key, value in self.config.items() if key not in left_out}
        priority = arguments.pop("priority", None)
        with nothing_printed():
            hook: Hook = HOOKS.build(arguments)
        if priority is not None:
            hook.priority = priority
        return hook

    @property
    def best(self) -> tuple[tuple[str, str], ...]:
        """Dotted path and name of each metric whose best checkpoint is kept."""
        saved = self._argument("save_best")
        if isinstance(saved, str):
            return ((f"{self.key}.save_best", saved),)
        if isinstance(saved, (list, tuple)):
            return tuple((f"{self.key}.save_best[{index}]", name) for index, name in enumerate(saved))
        return ()

    def key_of(self, argument: str) -> str:
        """Dotted path of an argument, or of the hook where it does not have it."""
        return f"{self.key}.{argument}" if self._argument(argument) is not None else self.key

    def _argument(self, argument: str) -> Any:
        if argument in self.without or not isinstance(self.config, Mapping):
            return None
        return self.config.get(argument)


def stopping_hooks(config: Any) -> Iterator[DeclaredHook]:
    """The early-stopping and checkpoint hooks of a config, in the order in which mmengine registers them."""
    for key, hook in declared_hooks(config):
        cls = class_of(hook, HOOKS)
        if cls is not None and issubclass(cls, (CheckpointHook, EarlyStoppingHook)):
            yield DeclaredHook(key, cls, hook)
