"""A whole config run by the real classes: built, trained for some iterations, validated, a checkpoint saved."""

from __future__ import annotations

import enum
import inspect
import os
import random
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from provecfg.proof.processes import Ended, each_in_a_process
from tests.rules.claims.completion import classes_of, import_stack

_IMAGES: Final = 4
_HEIGHT, _WIDTH = 128, 256
_KEYS: Final = ("img_path", "seg_map_path")
_BLOCK_PX: Final = 8
"""Of label maps: so small that each image shows every class."""
_IGNORED: Final = 255
ITERATIONS: Final = 2
"""Before the validation; so many that what goes wrong at the second one is seen."""
_SECONDS: Final = 180


class Moment(enum.Enum):
    """When a run fails."""

    LOAD = "when the config is loaded"
    BUILD = "before the first iteration"
    ITERATION = "in training"
    VALIDATION = "in the validation"
    CHECKPOINT = "when a checkpoint is saved"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run.

    Args:
        moment: When it failed; None where it did not.
        error: The class of what was raised.
        words: Its text.
    """

    moment: Moment | None = None
    error: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """What is run.

    Args:
        text: The config; its datasets say which labels there are.
        data: The config that says in which folders the images are, under which names.
        last: What it is run up to, this included.
    """

    text: str
    data: str
    last: Moment = Moment.CHECKPOINT


def last_of(moments: Collection[Moment]) -> Moment:
    """The latest of some moments; the last there is, of none."""
    return [moment for moment in Moment if moment in moments or not moments][-1]


def outcomes(trials: Sequence[Trial], folder: Path) -> Iterator[Outcome]:
    """Run each in a process of its own, forked from this one, which imports the stack first.

    Raises:
        RuntimeError: The process of one ended, or took too long.
    """
    import_stack()
    items = [(trial, folder / str(index)) for index, trial in enumerate(trials)]
    for outcome in each_in_a_process(_outcome, items, processes=1, seconds=_SECONDS):
        if isinstance(outcome, Ended):
            raise RuntimeError(f"a trial {outcome.reason}")
        yield outcome


def _outcome(item: tuple[Trial, Path]) -> Outcome:
    """Run in a process of its own."""
    import logging
    import warnings

    import numpy as np
    import torch
    from mmengine.config import Config

    trial, folder = item
    folder.mkdir()
    os.chdir(folder)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    seed = zlib.crc32(trial.text.encode())
    for start in (random.seed, np.random.seed, torch.manual_seed):
        start(seed)
    path = folder / "config.py"
    path.write_text(trial.text, encoding="utf-8")
    (folder / "data.py").write_text(trial.data, encoding="utf-8")
    of_files, own = (
        Config.fromfile(file, import_custom_modules=False).to_dict() for file in (folder / "data.py", path)
    )
    draw_data(of_files, own)
    _write_weights([of_files["model"], own["model"]])
    run = _Run(trial.last)
    try:
        run.go(path)
    except _Done:
        return Outcome()
    except Exception as error:
        return Outcome(run.moment, type(error).__name__, str(error))
    return Outcome()


def _write_weights(part: Any) -> None:
    """Write the checkpoints that backbones begin from, where they are files: without any weights."""
    import torch

    if isinstance(part, Mapping):
        checkpoint = part.get("checkpoint") or part.get("pretrained")
        if isinstance(checkpoint, str) and checkpoint.endswith(".pth") and "://" not in checkpoint:
            torch.save({"state_dict": {}}, checkpoint)
    for item in part.values() if isinstance(part, Mapping) else part if isinstance(part, (list, tuple)) else ():
        _write_weights(item)


class _Done(BaseException):
    """Nothing more is to be tried."""


class _Run:
    """Says how far a run has come."""

    def __init__(self, last: Moment) -> None:
        self.moment = Moment.LOAD
        self._last = last

    def go(self, path: Path) -> None:
        """Run a config.

        Raises:
            _Done: Nothing failed up to the last moment.
        """
        from mmengine.config import Config
        from mmengine.runner import Runner, loops

        config = Config.fromfile(path)
        self._is_at(Moment.BUILD)
        config.work_dir = str(path.parent / "work_dir")
        for loop in (loops.IterBasedTrainLoop, loops.EpochBasedTrainLoop):
            self._follow(loop)
        Runner.from_cfg(config).train()

    def _is_at(self, moment: Moment) -> None:
        """What was before went well."""
        if list(Moment).index(moment) > list(Moment).index(self._last):
            raise _Done
        self.moment = moment

    def _follow(self, loop: Any) -> None:
        run_iter, run = loop.run_iter, loop.run
        done = 0

        def followed(loop: Any, *batch: Any) -> None:
            nonlocal done
            run_iter(loop, *batch)
            done += 1
            if done == ITERATIONS:
                self._is_at(Moment.VALIDATION)
                if loop.runner.val_loop is not None:
                    loop.runner.val_loop.run()
                self._is_at(Moment.CHECKPOINT)
                for hook in loop.runner.hooks:
                    if hasattr(hook, "_save_checkpoint"):
                        hook._save_checkpoint(loop.runner)
                raise _Done

        def begun(loop: Any) -> Any:
            self._is_at(Moment.ITERATION)
            return run(loop)

        loop.run_iter, loop.run = followed, begun


def draw_data(of_files: Mapping[str, Any], of_labels: Mapping[str, Any]) -> None:
    """Draw the images and label maps that loaders read, below the current folder.

    Every image shows every class and ignored pixels. Those of Cityscapes have one size, others sizes of many shapes.

    Args:
        of_files: The config that says where they are.
        of_labels: The config whose datasets say how many labels there are.
    """
    head = of_files["model"].get("decode_head")
    if isinstance(head, (list, tuple)):
        head = head[-1]
    number, ignored = head.get("num_classes", 2), head.get("ignore_index", _IGNORED)
    for key in ("train_dataloader", "val_dataloader", "test_dataloader"):
        dataset, labelled = (_innermost(config.get(key, {}).get("dataset")) for config in (of_files, of_labels))
        if isinstance(dataset, Mapping) and "type" in dataset:
            labels = _number_of_labels(labelled if isinstance(labelled, Mapping) else dataset, number)
            _draw(dataset, labels, ignored)


def _innermost(dataset: Any) -> Any:
    """A dataset, without the wrappers around it."""
    while isinstance(dataset, Mapping) and "dataset" in dataset:
        dataset = dataset["dataset"]
    return dataset


def _number_of_labels(dataset: Mapping[str, Any], number: int) -> int:
    """How many values a data set's label maps have, one that is reduced away included.

    Args:
        dataset: Its settings.
        number: Where it has no classes: those of the head.
    """
    settings = _settings(dataset)
    own = classes_of(settings["type"])
    stated = (settings.get("metainfo") or {}).get("classes", range(number))
    return len(own or stated) + bool(settings.get("reduce_zero_label"))


def _settings(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """A dataset's arguments, with the defaults of its class and of those that it hands arguments on to."""
    from mmseg.registry import DATASETS

    defaults = {
        key: parameter.default
        for of in reversed(DATASETS.get(_class_name(dataset)).__mro__)
        if "__init__" in vars(of)
        for key, parameter in inspect.signature(of).parameters.items()
    }
    return {**defaults, **dataset}


def _class_name(dataset: Mapping[str, Any]) -> str:
    return str(dataset["type"]).rpartition(".")[2]


def _draw(dataset: Mapping[str, Any], labels: int, ignored: int) -> None:
    import numpy as np
    from PIL import Image

    settings = _settings(dataset)
    folders = {"img_path": "", "seg_map_path": "", **(settings.get("data_prefix") or {})}
    images, maps = (Path(settings.get("data_root") or "", folders[key] or "", "a") for key in folders if key in _KEYS)
    names = []
    for index in range(_IMAGES):
        less = 0 if _class_name(dataset) == "CityscapesDataset" else _BLOCK_PX * (index + 1)
        height, width = _HEIGHT - less, _WIDTH - less
        shape = height // _BLOCK_PX, width // _BLOCK_PX
        blocks = np.random.permutation(np.resize([*range(labels), ignored], shape).ravel()).reshape(shape)
        label_map = np.kron(blocks, np.ones((_BLOCK_PX, _BLOCK_PX))).astype(np.uint8)
        pixels = np.random.randint(0, 256, (height, width, 3), dtype=np.uint8)
        for folder, suffix, values in (
            (images, settings["img_suffix"], pixels),
            (maps, settings["seg_map_suffix"], label_map),
        ):
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(folder / f"{index}{suffix}")
        names.append(f"a/{index}")
    if settings.get("ann_file"):
        Path(settings.get("data_root") or "", settings["ann_file"]).write_text("\n".join(names), encoding="utf-8")
