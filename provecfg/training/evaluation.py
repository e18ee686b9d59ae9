"""The counts of a checkpoint: a model evaluated once more, on the split of its config or on another dataset."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmcv.transforms import LoadAnnotations
from mmengine.config import Config, ConfigDict
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope, Registry
from mmengine.runner import Runner
from mmseg.datasets.transforms import LoadBiomedicalAnnotation
from mmseg.evaluation import IoUMetric
from mmseg.registry import DATASETS as MMSEG_DATASETS
from mmseg.registry import METRICS, TRANSFORMS
from torch.utils.flop_counter import FlopCounterMode

from provecfg.catalog.datasets import DATASETS
from provecfg.counts.counts_file import FOLDER, read_counts_file, to_bytes
from provecfg.counts.validation import Occasion
from provecfg.digest import digest_of
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.findings import Severity
from provecfg.generate.data import dataset_of, label_loader
from provecfg.plugin.hooks.atomic_backend import AtomicLocalBackend
from provecfg.plugin.metrics import SegCountsMetric
from provecfg.study.schema import Data
from provecfg.training.adapt import datasets_of, with_data_root, without_amp, without_pretrained
from provecfg.training.progress import Display, RunStatus
from provecfg.training.weight_checks import check_checkpoint
from provecfg.training.work_dir import checkpoints_of, step_of

_METRIC_ARGUMENTS = ("ignore_index", "iou_metrics", "nan_to_num", "beta")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What to evaluate.

    Args:
        config: As mmengine loads it, its modules imported.
        work_dir: Where the counts go.
        checkpoint: The weights.
        split: `val` or `test`: of the config.
        dataset: Name in the catalog, to read that dataset's validation split instead; None for the config's own data.
        data_root: Replaces the data root.
        save_predictions: Folder for the predicted label maps, or None.
        trust_checkpoint: Load a checkpoint that holds more than data.
    """

    config: Config
    work_dir: Path
    checkpoint: Path
    split: str = "val"
    dataset: str | None = None
    data_root: Path | None = None
    save_predictions: Path | None = None
    trust_checkpoint: bool = False

    @property
    def name(self) -> str:
        """What its file of counts is called."""
        return "_".join(part for part in ("eval", self.split, self.dataset, self.checkpoint.stem) if part)

    @property
    def path(self) -> Path:
        """Its file of counts."""
        return self.work_dir / FOLDER / f"{self.name}.npz"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an evaluation.

    Args:
        path: The file of counts; None for a test set without labels, of which only predictions are made.
        metrics: mmseg's.
        is_new: Whether it was made now; otherwise it was there, of the same weights on the same data.
    """

    path: Path | None
    metrics: Mapping[str, float]
    is_new: bool


def checkpoint_of(work_dir: Path, chosen: str, best: str | None = None) -> Path:
    """The checkpoint that `best`, `last` or a path stands for.

    Args:
        work_dir: Where `best` and `last` are looked for.
        chosen: One of them, or a file.
        best: File of the best checkpoint by the run's record, or None.

    Raises:
        ProvecfgError: There is none, or there are several best ones.
    """
    if chosen == "last":
        last = next(iter(checkpoints_of(work_dir)), None)
        if last is None:
            raise ProvecfgError(f"{work_dir} has no checkpoint", hint="name a file with --checkpoint")
        return last
    if chosen != "best":
        path = Path(chosen)
        if not path.is_file():
            raise ProvecfgError(f"--checkpoint {chosen}: there is no such file", hint="best, last, or a file")
        return path
    if best is not None and (work_dir / best).is_file():
        return work_dir / best
    files = sorted(work_dir.glob("best_*.pth"))
    if len(files) != 1:
        names = ", ".join(file.name for file in files) or "no best_*.pth"
        raise ProvecfgError(f"{work_dir} has {names}", hint="name one with --checkpoint, or take --checkpoint last")
    return files[0]


def evaluate(evaluation: Evaluation, display: Display) -> Outcome:
    """Evaluate a checkpoint and write its counts; what was counted of the same weights on the same data is left.

    Raises:
        ProvecfgError: The checkpoint, the data or the config do not allow it.
    """
    weights = f"{evaluation.checkpoint.name} {_digest(evaluation.checkpoint)}"
    config = _prepared(evaluation)
    key = f"{evaluation.split}_dataloader"
    evaluator = config.get(f"{evaluation.split}_evaluator") or config.get("val_evaluator")
    asked = digest_of([config[key].dataset, evaluator, config.model, config.get("data_preprocessor")])
    if evaluation.path.is_file() and evaluation.save_predictions is None:
        occasion = read_counts_file(evaluation.path).occasion
        if (occasion.checkpoint, occasion.asked) == (weights, asked):
            return Outcome(evaluation.path, occasion.metrics, is_new=False)
    problems = check_checkpoint("", evaluation.checkpoint, trusted=evaluation.trust_checkpoint)
    for problem in problems:
        if problem.severity is Severity.ERROR:
            raise ProvecfgError(problem.message, hint=problem.hint, exit_code=ExitCode.FINDINGS)
    metric = _metric(evaluation, config, evaluator, has_labels=_has_labels(config, key))
    progress = _Progress(evaluation.name, display)
    evaluation.work_dir.mkdir(parents=True, exist_ok=True)
    # mmengine's own log of it, which nobody reads twice.
    logs = tempfile.mkdtemp(prefix=f"{evaluation.name}.", dir=evaluation.work_dir)
    try:
        metrics = _tested(evaluation, config, config[key], metric, logs, progress)
    finally:
        progress.close()
        shutil.rmtree(logs, ignore_errors=True)
    if metric.counts is None:
        return Outcome(None, metrics, is_new=True)
    occasion = Occasion(
        iteration=step_of(evaluation.checkpoint) or None,
        prefix=metric.prefix,
        metrics=metrics,
        checkpoint=weights,
        asked=asked,
        split=" ".join(part for part in (evaluation.dataset, evaluation.split) if part),
        parameters=progress.parameters,
        operations=progress.operations,
    )
    AtomicLocalBackend().put(to_bytes(dataclasses.replace(metric.counts, occasion=occasion)), evaluation.path)
    return Outcome(evaluation.path, metrics, is_new=True)


def _tested(
    evaluation: Evaluation, config: Config, loader: Any, metric: SegCountsMetric, logs: str, progress: _Progress
) -> dict[str, float]:
    """The metrics of mmengine's test loop."""
    runner = Runner(
        model=config.model,
        data_preprocessor=config.get("data_preprocessor"),
        work_dir=logs,
        test_dataloader=loader,
        test_cfg={"type": "TestLoop"},
        test_evaluator=Evaluator([metric]),
        load_from=str(evaluation.checkpoint),
        default_scope=config.get("default_scope", "mmseg"),
        env_cfg={"mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0}},
        default_hooks={"logger": None, "checkpoint": None, "param_scheduler": None, "sampler_seed": None},
        log_level="WARNING",
        experiment_name=f"evaluation {evaluation.name}",
        cfg=config,
    )
    runner.register_hook(progress, priority="LOWEST")
    try:
        with contextlib.redirect_stdout(sys.stderr):  # mmengine prints what it loads
            return {name: float(value) for name, value in runner.test().items()}
    finally:
        for handler in list(runner.logger.handlers):
            if isinstance(handler, logging.FileHandler):
                runner.logger.removeHandler(handler)
                handler.close()
        MMLogger._instance_dict.pop(runner.experiment_name, None)


class _Progress(Hook):
    """Shows how many batches are evaluated, and counts what the first costs.

    Attributes:
        parameters: Of the model; None before the first batch, as the other.
        operations: Of the model on the first image, without what it does before and after.
    """

    def __init__(self, name: str, display: Display) -> None:
        self.status = RunStatus(name, "mIoU", max_iters=0)
        self.display = display
        self.parameters: int | None = None
        self.operations: int | None = None
        self._counter = FlopCounterMode(display=False)
        self._counting = contextlib.ExitStack()

    def before_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        if batch_idx == 0:
            self.parameters = sum(parameter.numel() for parameter in runner.model.parameters())
            self._counting.enter_context(self._counter)

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        if batch_idx == 0:
            self._counting.close()
            self.operations = self._counter.get_total_flops() // max(1, len(outputs or ()))
        status = self.status
        status.iteration, status.max_iters = batch_idx + 1, len(runner.test_dataloader)
        self.display.show(status, important=status.iteration == status.max_iters)

    def close(self) -> None:
        """Count no more, and leave the terminal in order; also where the evaluation failed."""
        self._counting.close()
        self.display.close()


def _prepared(evaluation: Evaluation) -> Config:
    """The config, its split being what is evaluated on: its own data, or the catalog's dataset, read as its own is."""
    config = without_amp(without_pretrained(evaluation.config))
    key = f"{evaluation.split}_dataloader"
    datasets = _datasets(config, key)
    if not datasets:
        raise ProvecfgError(f"the config has no {key}", hint="--split val, or give the config one")
    if evaluation.dataset is not None:
        entry, own = DATASETS[evaluation.dataset], datasets[0]
        # each class of datasets has its own loader of label maps
        steps = [label_loader(entry) if _loads_labels(step, config) else step for step in own.get("pipeline") or ()]
        kept = {"metainfo": own.metainfo} if "metainfo" in own and not entry.is_paired else {}
        declared = dataset_of(Data(), entry, "val", lambda _: steps)
        config[key].dataset = ConfigDict({**declared, "data_root": entry.root, **kept})
    return config if evaluation.data_root is None else with_data_root(config, evaluation.data_root)


def _datasets(config: Config, key: str) -> list[Any]:
    """The datasets of a loader, those inside wrappers."""
    return [dataset for path, dataset in datasets_of(config) if path.startswith(f"{key}.")]


def _metric(evaluation: Evaluation, config: Config, evaluator: Any, *, has_labels: bool) -> SegCountsMetric:
    """The metric, which counts as the config's own does."""
    own = next(_iou_metrics(evaluator, config), {})
    output = evaluation.save_predictions
    if not has_labels and output is None:
        raise ProvecfgError(
            f"the {evaluation.split} split has no labels, so nothing can be counted",
            hint="--save-predictions DIR writes the label maps that a test server takes",
        )
    return SegCountsMetric(
        **{name: own[name] for name in _METRIC_ARGUMENTS if name in own},
        prefix=own.get("prefix"),
        output_dir=None if output is None else str(output),
        format_only=not has_labels,
        per_image=True,
    )


def _iou_metrics(evaluator: Any, config: Config) -> Iterator[dict[str, Any]]:
    """The arguments of the metrics of mmseg's kind among an evaluator's."""
    for metric in evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]:
        if issubclass(_class_of(metric, METRICS, config), IoUMetric):
            yield metric


def _has_labels(config: Config, key: str) -> bool:
    """Whether every dataset of a loader loads label maps."""
    pipelines = [dataset.get("pipeline") or () for dataset in _datasets(config, key)]
    return all(any(_loads_labels(step, config) for step in pipeline) for pipeline in pipelines)


def _loads_labels(step: Any, config: Config) -> bool:
    return issubclass(_class_of(step, TRANSFORMS, config), (LoadAnnotations, LoadBiomedicalAnnotation))


def _class_of(part: Any, registry: Registry, config: Config) -> type:
    """The class that a dict of the config names; `object` where it names none that is known."""
    kind = part.get("type") if isinstance(part, dict) else None
    with DefaultScope.overwrite_default_scope(config.get("default_scope") or "mmseg"):
        cls = registry.get(kind) if isinstance(kind, str) else kind
    return cls if isinstance(cls, type) else object


def classes_of(config: Config) -> tuple[str, ...] | None:
    """Names of the classes of the config's validation, or None where its dataset does not say."""
    dataset = (config.get("val_dataloader") or {}).get("dataset") or {}
    told = (dataset.get("metainfo") or {}).get("classes")
    if told is None:
        kind = dataset.get("type")
        cls = MMSEG_DATASETS.get(kind) if isinstance(kind, str) else kind
        told = (getattr(cls, "METAINFO", None) or {}).get("classes")
    return None if told is None else tuple(told)


def _digest(file: Path) -> str:
    told = hashlib.sha256()
    with open(file, "rb") as stream:
        while chunk := stream.read(2**20):
            told.update(chunk)
    return told.hexdigest()[:16]
