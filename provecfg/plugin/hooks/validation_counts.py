"""The counts of a run's validations in its work dir."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from provecfg.counts.counts_file import FOLDER, CountsFile, read_counts_file, to_bytes
from provecfg.counts.validation import Occasion, ValidationCounts
from provecfg.errors import ProvecfgError
from provecfg.plugin.hooks.atomic_backend import PARTIAL, AtomicLocalBackend
from provecfg.plugin.metrics.seg_counts_metric import SegCountsMetric

_FILE: Final = re.compile(r"(?!eval_)(?:.+_)?iter_(\d+)\.npz")
"""Not those of `provecfg eval`."""


@HOOKS.register_module()
class ValidationCountsHook(Hook):
    """Writes what each validation counted to `counts/` in the work dir, and keeps the last ones and the best.

    Does nothing where no evaluator is a `SegCountsMetric`. A file is whole at any moment. One that cannot be written is
    logged as an error and does not end the run: `provecfg eval` makes it anew from the checkpoint.

    The best is the one that the checkpoint hook's `save_best` names first, and without that the one of the highest
    mIoU; of equal ones the first. When a run starts or goes on from an iteration, files of later ones are removed: that
    part is trained again.

    Args:
        keep_last: Validations that are kept beside the best, at least 1.

    Raises:
        ValueError: `keep_last` is less than 1.
    """

    # After CheckpointHook (VERY_LOW), which decides at the first validation what `auto` stands for.
    priority = "LOWEST"

    def __init__(self, keep_last: int = 4) -> None:
        if keep_last < 1:
            raise ValueError(f"keep_last is {keep_last}, must be at least 1")
        self.keep_last = keep_last

    def before_train(self, runner: Runner) -> None:
        folder = Path(runner.work_dir, FOLDER)
        if not is_main_process():
            return
        for path in [*folder.glob(f"*.npz{PARTIAL}"), *(path for step, path in _files(folder) if step > runner.iter)]:
            runner.logger.info(f"{path} is of a part of the run that is trained again, and is removed")
            path.unlink()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        if not is_main_process():
            return
        folder = Path(runner.work_dir, FOLDER)
        for metric in runner.val_evaluator.metrics:
            if not isinstance(metric, SegCountsMetric) or metric.counts is None:
                continue
            occasion = Occasion(
                iteration=runner.iter,
                epoch=runner.epoch or None,
                prefix=metric.prefix,
                metrics={name: float(value) for name, value in (metrics or {}).items() if _is_number(value)},
                parameters=sum(parameter.numel() for parameter in runner.model.parameters()),
            )
            self._write(runner, folder, dataclasses.replace(metric.counts, occasion=occasion))
            metric.counts = None
            self._remove_old(runner, folder, metric.prefix)

    def _write(self, runner: Runner, folder: Path, counts: ValidationCounts) -> None:
        prefix, iteration = counts.occasion.prefix, counts.occasion.iteration
        path = folder / f"{prefix + '_' if prefix else ''}iter_{iteration}.npz"
        try:
            AtomicLocalBackend().put(to_bytes(counts), path)
        except OSError as error:
            runner.logger.error(f"the counts of the validation at {iteration} are not kept: {error}")

    def _remove_old(self, runner: Runner, folder: Path, prefix: str | None) -> None:
        kept = sorted(_opened(folder, prefix), key=lambda file: file.occasion.iteration or 0)
        monitor, rule = _goal(runner, prefix)
        best = _best(kept, monitor, rule)
        for file in kept[: -self.keep_last]:
            if file is not best:
                file.path.unlink()


def _files(folder: Path) -> Iterator[tuple[int, Path]]:
    """The files of counts in a folder with their iterations, by their names."""
    for path in sorted(folder.glob("*.npz")):
        match = _FILE.fullmatch(path.name)
        if match is not None:
            yield int(match[1]), path


def _opened(folder: Path, prefix: str | None) -> Iterator[CountsFile]:
    """Those of a metric; what cannot be read is left alone."""
    for _, path in _files(folder):
        try:
            file = read_counts_file(path)
        except ProvecfgError:
            continue
        if file.occasion.prefix == prefix:
            yield file


def _goal(runner: Runner, prefix: str | None) -> tuple[str, str]:
    """The metric that the best checkpoint goes by, and whether `greater` or `less` is better."""
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.save_best:
            return hook.key_indicators[0], hook.rules[0]
    return f"{prefix}/mIoU" if prefix else "mIoU", "greater"


def _best(files: list[CountsFile], monitor: str, rule: str) -> CountsFile | None:
    """The best by the metric, of equal ones the first, as CheckpointHook keeps it."""
    best, best_value = None, -math.inf
    for file in files:
        value = file.occasion.metrics.get(monitor, math.nan) * (1 if rule == "greater" else -1)
        if value > best_value:
            best, best_value = file, value
    return best


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True
