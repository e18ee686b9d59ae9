"""A toy segmentation run on the real Runner: a convolution, eight images, and a metric that follows a script."""

from __future__ import annotations

import itertools
import json
import logging
import multiprocessing
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from provecfg.checksums import SUFFIX

_RUN_NUMBERS = itertools.count()
VAL_INTERVAL = 2
SCORE = "val/mIoU"


class ToyImages(Dataset):
    """Pairs of a (3, 8, 8) image and its (8, 8) labels, which are whether the first channel is positive."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        image = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(index))
        return {"inputs": image, "labels": (image[0] > 0).long()}


class ToySegmentor(BaseModel):
    """One convolution. It counts its training steps in a buffer, and so in its checkpoints.

    Args:
        spoil: Changes the dict of losses of a step, given the step (from 1) and the dict.
    """

    def __init__(self, spoil: Callable[[int, dict[str, torch.Tensor]], None] | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, padding=1)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.spoil = spoil

    def forward(self, inputs: torch.Tensor, labels: torch.Tensor, mode: str = "tensor") -> Any:
        logits = self.conv(inputs)
        if mode == "predict":
            return [{"steps": int(self.steps)}]
        self.steps += 1
        losses = {
            "decode.loss_ce": nn.functional.cross_entropy(logits, labels),
            "decode.loss_zero": 0 * logits.mean(),
            "decode.acc_seg": (logits.argmax(1) == labels).float().mean(),
        }
        if self.spoil is not None:
            self.spoil(int(self.steps), losses)
        return losses


class ScriptedMetric(BaseMetric):
    """Scores the validation after k steps as the script says for k; by the steps in the weights, not by its calls."""

    def __init__(self, scores: Sequence[float]) -> None:
        super().__init__(prefix="val")
        self.scores = scores

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.extend(data_samples)

    def compute_metrics(self, results: list[dict[str, int]]) -> dict[str, float]:
        return {"mIoU": self.scores[results[0]["steps"] // VAL_INTERVAL - 1]}


class Diary(Hook):
    """Writes a line for each validation: what early stopping and the best checkpoint have come to."""

    priority = "LOWEST"

    def __init__(self, path: Path) -> None:
        self.path = path

    def after_val_epoch(self, runner: Runner, metrics: Any = None) -> None:
        stopper = next((hook for hook in runner.hooks if hasattr(hook, "wait_count")), None)
        entry = {
            "iter": runner.iter,
            "best": None if stopper is None else float(stopper.best_score),
            "wait": None if stopper is None else stopper.wait_count,
            "saved_best": float(runner.message_hub.get_info("best_score", "nan")),
            "file": Path(runner.message_hub.get_info("best_ckpt") or "").name,
            "stop": runner.train_loop.stop_training,
        }
        with open(self.path, "a") as file:
            file.write(json.dumps(entry) + "\n")


class At(Hook):
    """Calls something in one stage of one iteration (counted from 1 in training, from 0 in validation)."""

    def __init__(self, stage: str, iteration: int, action: Callable[[Runner], None], priority: str) -> None:
        self.priority = priority

        def method(runner: Runner, **kwargs: Any) -> None:
            if runner.iter + (1 if stage == "after_train_iter" else 0) == iteration:
                action(runner)

        setattr(self, stage, method)


class ToyRun:
    """Makes and runs Runners in one work directory.

    Args:
        work_dir: Where to.
        scores: val/mIoU of the validation after each `VAL_INTERVAL` iterations.
        patience: Of early stopping; None for a run without it.
    """

    def __init__(self, work_dir: Path, scores: Sequence[float], patience: int | None = 3, max_iters: int = 20) -> None:
        self.work_dir = work_dir
        self.scores = scores
        self.patience = patience
        self.max_iters = max_iters
        self.checkpoint: dict[str, Any] = {}
        self.extra_hooks: list[Hook | dict[str, Any]] = []
        self.model_args: dict[str, Any] = {}
        self.overrides: dict[str, Any] = {}

    def runner(self, *, resume: bool = False, load_from: str | None = None) -> Runner:
        torch.set_num_threads(1)  # also lets the process be forked
        torch.manual_seed(1)  # the model is made before the Runner seeds
        hooks: list[Any] = [{"type": "FiniteLossHook"}, *self.extra_hooks]
        if self.patience is not None:
            hooks.append(
                {"type": "ResumableEarlyStoppingHook", "monitor": SCORE, "rule": "greater", "patience": self.patience}
            )
        settings: dict[str, Any] = {
            "model": ToySegmentor(**self.model_args),
            "work_dir": str(self.work_dir),
            "train_dataloader": self.loader("InfiniteSampler"),
            "val_dataloader": self.loader("DefaultSampler"),
            "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": self.max_iters, "val_interval": VAL_INTERVAL},
            "val_cfg": {},
            "val_evaluator": Evaluator([ScriptedMetric(self.scores)]),
            "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9}},
            "param_scheduler": [{"type": "PolyLR", "end": self.max_iters, "by_epoch": False}],
            "default_hooks": {
                "logger": {"type": "LoggerHook", "interval": 1, "log_metric_by_epoch": False},
                "checkpoint": {
                    "type": "PlainCheckpointHook",
                    "by_epoch": False,
                    "interval": VAL_INTERVAL,
                    "save_best": SCORE,
                    "rule": "greater",
                    **self.checkpoint,
                },
            },
            "custom_hooks": [*hooks, Diary(self.work_dir / "diary.jsonl")],
            "log_processor": {"by_epoch": False},
            "log_level": "ERROR",
            "randomness": {"seed": 1},
            "resume": resume,
            "load_from": load_from,
            # Runners of one name share mmengine's message hub.
            "experiment_name": f"toy{next(_RUN_NUMBERS)}",
        }
        return Runner(**{**settings, **self.overrides})

    @staticmethod
    def loader(sampler: str) -> dict[str, Any]:
        return {
            "batch_size": 2,
            "dataset": ToyImages(),
            "sampler": {"type": sampler, "shuffle": False},
            "collate_fn": {"type": "default_collate"},
        }

    def train(self, **how: Any) -> Runner:
        runner = self.runner(**how)
        runner.train()
        return runner

    def train_in_child(self, **how: Any) -> int:
        """Train in a forked process, which may kill itself; return its exit code, negative for a signal."""
        with warnings.catch_warnings():
            # Python 3.12 warns of forking beside threads: torch's, which the child does not use.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = multiprocessing.get_context("fork").Process(target=self.train, kwargs=how)
            child.start()
            child.join(60)
        return child.exitcode

    def diary(self) -> list[dict[str, Any]]:
        """The entries, of each iteration the last one (an interrupted validation is made again)."""
        lines = (self.work_dir / "diary.jsonl").read_text().splitlines()
        return list({entry["iter"]: entry for entry in map(json.loads, lines)}.values())

    def files(self) -> list[str]:
        """Names of the checkpoints and of what was left of writing one; checksums only where their file is gone."""
        names = {path.name for path in [*self.work_dir.glob("*.pth*"), *self.work_dir.glob("last_checkpoint*")]}
        return sorted(names - {name + SUFFIX for name in names})


@pytest.fixture
def toy_run(tmp_path: Path) -> Callable[..., ToyRun]:
    """Make a `ToyRun` in a named folder of its own."""

    def make(name: str = "run", **arguments: Any) -> ToyRun:
        folder = tmp_path / name
        folder.mkdir()
        return ToyRun(folder, **arguments)

    return make


@pytest.fixture
def at() -> type[At]:
    return At


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Any:
    """Undo what a Runner does to the process: its default scope, and the log files that it holds open."""
    before = set(DefaultScope._instance_dict)
    yield
    for name in set(DefaultScope._instance_dict) - before:
        del DefaultScope._instance_dict[name]
    for logger in MMLogger._instance_dict.values():
        for handler in list(logger.handlers):
            if isinstance(handler, logging.FileHandler):
                logger.removeHandler(handler)
                handler.close()
