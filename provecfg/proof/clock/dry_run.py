"""A dry run that counts: when it validates, saves checkpoints and logs."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook, LoggerHook
from mmengine.registry import HOOKS
from mmengine.runner import BaseLoop

from provecfg.findings import Finding
from provecfg.proof.classes import class_of
from provecfg.proof.dry_runner import DryRunner, EmptyBatches, declared_hooks


class CountingRunner(DryRunner):
    """A dry Runner that notes checkpoints and writes none.

    Args:
        config: The config.
        batches: What stands for the training data.
        work_dir: Where hooks may write.
    """

    def __init__(self, config: Any, batches: EmptyBatches, work_dir: Path) -> None:
        super().__init__(config, work_dir, batches, CountedValidation)
        self.saved: dict[int, list[dict[str, int]]] = {}

    def save_checkpoint(self, *args: Any, meta: dict[str, int] | None = None, **kwargs: Any) -> None:
        """Note the epoch and iteration, by the id of the hook that asks."""
        self.saved.setdefault(id(self.calling), []).append(dict(meta or {}))

    def register_kinds(self, kinds: tuple[type[Hook], ...]) -> list[tuple[str, Hook]]:
        """Build the config's hooks of these kinds, and mmengine's default ones where it leaves them in.

        Returns:
            Dotted key and hook of each, by priority. What cannot be built is left out: another check says so.
        """
        keys: dict[int, str] = {}
        for key, declared in declared_hooks(self.cfg):
            before = [id(hook) for hook in self.hooks]
            try:
                if issubclass(class_of(declared, HOOKS) or object, kinds):
                    self.register_hook(copy.deepcopy(declared))
            except Exception:
                continue
            keys.update({id(hook): key for hook in self.hooks if id(hook) not in before})
        return [(keys[id(hook)], hook) for hook in self.hooks if id(hook) in keys]


@dataclass(slots=True)
class DryRun:
    """A run's loop and what falls when; counts are of iterations, or of epochs where the loop counts epochs.

    Args:
        runner: With its loop built, or None where it cannot be.
        unit: `iteration` or `epoch`.
        length: Of the run; 0 where it is not known.
        batches: In an epoch: known from the data, assumed, or None where the loop has no epochs.
        batches_known: Whether `batches` comes from the data.
        lines, evidence, findings: As in `Section`.
    """

    runner: CountingRunner | None = None
    unit: str = "iteration"
    length: int = 0
    batches: int | None = None
    batches_known: bool = False
    lines: list[str] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


class CountedValidation(BaseLoop):
    """A validation that only notes when it was called, and lets the hooks log metrics."""

    def __init__(self, runner: CountingRunner) -> None:
        super().__init__(runner, EmptyBatches(endless=False))
        self.moments: list[int] = []
        self.drawn_at: list[int] = []

    def run(self) -> None:
        """Note the moment, and the step that the metrics would be drawn at."""
        self.moments.append(self.runner.moment)
        steps = self.runner.visualizer.steps
        for hook in self.runner.hooks:
            if isinstance(hook, LoggerHook):
                steps.clear()
                hook.after_val_epoch(self.runner)
                self.drawn_at += steps
