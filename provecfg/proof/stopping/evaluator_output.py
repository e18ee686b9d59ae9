"""What the real evaluator returns, seen on predictions that are made for it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite, isqrt
from pathlib import Path
from typing import Any

import torch
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from mmseg.evaluation import IoUMetric
from mmseg.registry import DATASETS

from provecfg.proof.classes import class_of
from provecfg.proof.exceptions import described
from provecfg.proof.subject import nothing_printed

_SIDE = 64
"""Height and width in pixels of a made image, unless there are too many classes for it."""
_WRITES_TO = ("output_dir", "out_file_path", "outfile_prefix")
"""Arguments of metrics that write: mmseg's IoUMetric, mmengine's DumpResults, those that make files for a server."""
_RIGHT = 10
"""One pixel in so many is right in a poor prediction."""


@dataclass(frozen=True, slots=True)
class EvaluatorOutput:
    """The metrics of two validations: one of perfect predictions, one of poor ones, where nine pixels in ten are wrong.

    Args:
        perfect, poor: Metric -> value, in the evaluator's order; empty where it returns nothing.
        failure: What the evaluator raised, or None.
        not_judged: Why nothing is known of its metrics, or None.
    """

    perfect: Mapping[str, Any] = field(default_factory=dict)
    poor: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None
    not_judged: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether the evaluator returned, and so its metrics are known."""
        return self.failure is None and self.not_judged is None

    def direction(self, metric: str) -> str | None:
        """`greater` or `less`: how a perfect prediction compares with a poor one; None where that cannot be told."""
        span = self.span(metric)
        if not span:
            return None
        return "greater" if span > 0 else "less"

    def span(self, metric: str) -> float | None:
        """How far perfect lies from poor, signed; None where either is no finite number."""
        perfect: Any = self.perfect.get(metric)
        poor: Any = self.poor.get(metric)
        try:
            best, worst = float(perfect), float(poor)
        except (TypeError, ValueError):
            return None
        return best - worst if isfinite(best) and isfinite(worst) else None


def evaluator_output(config: Any, folder: Path) -> EvaluatorOutput:
    """Evaluate made predictions with the config's `val_evaluator`, built as mmengine's Runner does.

    Args:
        config: The config. Not changed.
        folder: Where metrics that write predictions may write.
    """
    try:
        perfect, judged = _evaluate(config, folder, right_everywhere=True)
        poor, _ = _evaluate(config, folder, right_everywhere=False)
    except _ForeignMetricError as error:
        return EvaluatorOutput(not_judged=str(error))
    except Exception as error:  # the evaluator is the config's, and may be any class
        return EvaluatorOutput(failure=described(error))
    return EvaluatorOutput(perfect, poor, not_judged=judged)


class _ForeignMetricError(Exception):
    """A metric that is not mmseg's wants other predictions than are made here."""


def _evaluate(config: Any, folder: Path, *, right_everywhere: bool) -> tuple[dict[str, Any], str | None]:
    with nothing_printed(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, of classes that are in no prediction
        # Runner.build_evaluator uses nothing of its runner.
        evaluator = Runner.build_evaluator(None, _writing_to(copy.deepcopy(config.val_evaluator), folder))
        if not isinstance(evaluator, Evaluator):
            return {}, f"the evaluator is a {type(evaluator).__name__}, not mmengine's"
        evaluator.dataset_meta = dataset_meta(config)
        classes = len(evaluator.dataset_meta["classes"])
        foreign = [type(metric).__name__ for metric in evaluator.metrics if not isinstance(metric, IoUMetric)]
        sample = _sample(classes, right_everywhere=right_everywhere, with_depth=bool(foreign))
        try:
            evaluator.process([sample], {"inputs": [], "data_samples": []})
            return dict(evaluator.evaluate(1)), None
        except Exception as error:
            if foreign:
                raise _ForeignMetricError(
                    f"{foreign[0]} does not take the predictions that are made here ({described(error)})"
                ) from None
            raise


def _writing_to(evaluator: Any, folder: Path) -> Any:
    """The same, with predictions written into the folder."""
    if isinstance(evaluator, dict):
        for key in _WRITES_TO:
            if evaluator.get(key):
                evaluator[key] = str(folder / "predictions" / Path(str(evaluator[key])).name)
        return {key: _writing_to(value, folder) if key == "metrics" else value for key, value in evaluator.items()}
    if isinstance(evaluator, (list, tuple)):
        return [_writing_to(metric, folder) for metric in evaluator]
    return evaluator


def _sample(classes: int, *, right_everywhere: bool, with_depth: bool) -> dict[str, Any]:
    """What a validation hands to the metrics: labels (1, H, W) int64, each class as often; depths where asked for."""
    side = max(_SIDE, isqrt(4 * classes) + 1)
    pixels = torch.arange(side * side).reshape(1, side, side)
    label = pixels % classes
    # Of every class as many are right.
    is_right = (pixels // classes) % _RIGHT == 0
    wrong = (label + 1) % max(classes, 2)
    predicted = label if right_everywhere else torch.where(is_right, label, wrong)
    sample: dict[str, Any] = {
        "pred_sem_seg": {"data": predicted},
        "gt_sem_seg": {"data": label},
        "img_path": "made.png",
        "ori_shape": (side, side),
        "img_shape": (side, side),
    }
    if with_depth:
        depth = torch.linspace(1.0, 8.0, 480 * 640).reshape(1, 480, 640)  # the size that `nyu_crop` takes
        sample["gt_depth_map"] = {"data": depth}
        sample["pred_depth_map"] = {"data": depth if right_everywhere else depth * 3}
    return sample


def dataset_meta(config: Any) -> dict[str, Any]:
    """The meta information of the validation's dataset, without its data: its class's, and what the config says."""
    dataset = (config.get("val_dataloader") or {}).get("dataset")
    while isinstance(dataset, dict) and ("dataset" in dataset or "datasets" in dataset):  # wrappers
        inner = dataset.get("dataset") or dataset.get("datasets")
        dataset = inner[0] if isinstance(inner, (list, tuple)) and inner else inner
    meta: dict[str, Any] = {}
    if isinstance(dataset, dict):
        meta.update(getattr(class_of(dataset, DATASETS), "METAINFO", None) or {})
        own = dataset.get("metainfo")
        meta.update(own if isinstance(own, dict) else {})
    if not meta.get("classes"):
        count = _num_classes(config.get("model") or {})
        meta["classes"] = tuple(f"class {index}" for index in range(count))
    return meta


def _num_classes(model: Any) -> int:
    head = model.get("decode_head")
    head = head[-1] if isinstance(head, (list, tuple)) and head else head
    count = head.get("num_classes") if isinstance(head, dict) else None
    return count if isinstance(count, int) and count > 0 else 2
