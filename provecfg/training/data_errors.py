"""Data that fails in mid-run, by the name of its file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.hooks import Hook
from mmengine.runner import Runner

from provecfg.errors import ExitCode, ProvecfgError
from provecfg.training.data_checks import ignored_label, num_classes

_FILES = {"img_path": "image", "seg_map_path": "label map"}


class DataError(ProvecfgError):
    """A sample that cannot be loaded."""

    def __init__(self, message: str) -> None:
        # From a loader process torch hands on the text of its traceback, which ends in the message.
        message = message.strip().rpartition(f"{type(self).__name__}: ")[2]
        super().__init__(message, exit_code=ExitCode.FINDINGS)


class NamingPipeline(Compose):
    """A dataset's pipeline whose errors name the files of the sample.

    Args:
        pipeline: The same without.
    """

    def __init__(self, pipeline: Compose) -> None:
        self.transforms = pipeline.transforms

    def __call__(self, data: dict[str, Any]) -> dict[str, Any] | None:
        """Transform a sample.

        Raises:
            DataError: A transform has failed.
        """
        files = [f"{kind} {data[key]!r}" for key, kind in _FILES.items() if isinstance(data.get(key), str)]
        try:
            result: dict[str, Any] | None = super().__call__(data)
        except Exception as error:
            if not files:
                raise
            reason = str(error).partition("\n")[0]
            raise DataError(f"{' with '.join(files)} cannot be loaded: {type(error).__name__}: {reason}") from error
        return result


def name_files_in_errors(dataset: Any) -> None:
    """Have errors of a dataset, and of those inside it, name the files."""
    if type(getattr(dataset, "pipeline", None)) is Compose:
        dataset.pipeline = NamingPipeline(dataset.pipeline)
    inner = getattr(dataset, "datasets", None)
    for part in (getattr(dataset, "dataset", None), *(inner if isinstance(inner, (list, tuple)) else ())):
        if part is not None:
            name_files_in_errors(part)


class BatchHook(Hook):
    """Keeps the batch that is worked on, for what there may be to say about it when its iteration fails."""

    def __init__(self) -> None:
        self._batch: Any = None

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Keep it."""
        self._batch = data_batch

    def label_outside(self, config: Config) -> str | None:
        """The first label in the batch that is no class, with its file; None where there is none.

        Args:
            config: Its heads say how many classes there are, and which label is ignored.
        """
        classes, ignored = num_classes(config), ignored_label(config)
        samples = self._batch.get("data_samples") if isinstance(self._batch, Mapping) else None
        if classes is None or not isinstance(samples, (list, tuple)):
            return None
        for sample in samples:
            labels = getattr(getattr(sample, "gt_sem_seg", None), "data", None)
            if not isinstance(labels, torch.Tensor):
                continue
            outside = labels[(labels != ignored) & ((labels < 0) | (labels >= classes))]
            if outside.numel():
                shift = " after reduce_zero_label" if sample.metainfo.get("reduce_zero_label") else ""
                file = sample.metainfo.get("seg_map_path") or sample.metainfo.get("img_path")
                return (
                    f"label {int(outside[0])}{shift} in {file!r}: classes are 0 to {classes - 1}, {ignored} is ignored"
                )
        return None
