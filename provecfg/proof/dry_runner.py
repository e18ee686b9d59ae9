"""A Runner that trains nothing: the loop and the hooks are mmengine's and the config's, the rest stands still.

What mmengine's Runner and its loops keep in private attributes is known here alone; the rooms ask by name.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch import nn

_SILENT = logging.getLogger("provecfg.dry_run")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False

_COUNT = itertools.count()

_TRAINING_LOOPS = (IterBasedTrainLoop, EpochBasedTrainLoop)


def validates(config: Any) -> bool:
    """Whether a config declares validations."""
    return all(config.get(f"val_{part}") is not None for part in ("cfg", "dataloader", "evaluator"))


_DEFAULT_HOOKS: dict[str, dict[str, Any]] = {  # Runner.register_default_hooks, those that a dry run can have
    "logger": {"type": "LoggerHook"},
    "param_scheduler": {"type": "ParamSchedulerHook"},
    "checkpoint": {"type": "CheckpointHook", "interval": 1},
}


def declared_hooks(config: Any) -> Iterator[tuple[str, Any]]:
    """The hooks of a config, and those that mmengine adds where it leaves them in, each with its dotted key."""
    declared = config.get("default_hooks")
    declared = declared if isinstance(declared, dict) else {}
    for name, hook in {**_DEFAULT_HOOKS, **declared}.items():
        if hook is not None:
            yield (f"default_hooks.{name}" if name in declared else "default_hooks"), hook
    custom = config.get("custom_hooks")
    if isinstance(custom, (list, tuple)):
        yield from ((f"custom_hooks[{index}]", hook) for index, hook in enumerate(custom))


class EmptyBatches:
    """A data loader of batches without contents.

    Args:
        count: In one pass over the data.
        endless: Whether a pass goes on for ever, whatever `count` says, as with an InfiniteSampler.
    """

    dataset = type("NoData", (), {"metainfo": {}})()
    batch_size = 1

    def __init__(self, count: int = 1, *, endless: bool) -> None:
        self._count = count
        self._endless = endless
        self.sampler = self

    def skip(self, count: int) -> None:
        """Nothing: a resumed run has no data to pass over."""

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return itertools.repeat({}) if self._endless else itertools.repeat({}, self._count)


class TooLongError(Exception):
    """A run with more iterations than may be gone through one by one."""


class IdleModel:
    """Called where a model would train a step.

    Attributes:
        stops: Iterations, rising, that the loop leaps to; None for each in turn. After the last comes the run's end.
        steps_left: How many steps may be taken; None for any number.
    """

    def __init__(self, runner: DryRunner) -> None:
        self._runner = runner
        self.stops: Iterator[int] | None = None
        self.steps_left: int | None = None

    def train(self) -> None:
        """Nothing."""

    def train_step(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Leap, and train nothing.

        Raises:
            TooLongError: There have been as many steps as may be.
        """
        if self.steps_left is not None:
            self.steps_left -= 1
            if self.steps_left < 0:
                raise TooLongError
        if self.stops is not None:
            self._runner.leap_to(next(self.stops, self._runner.length))
        return {}


class LogProcessorStub:
    """Stands for the log processor: notes after how many iterations a line comes."""

    def __init__(self) -> None:
        self.iterations: list[int] = []

    def get_log_after_iter(self, runner: Any, batch_idx: int, mode: str) -> tuple[dict[str, Any], str]:
        self.iterations.append(runner.iter + 1)
        return {}, ""

    def get_log_after_epoch(self, *args: Any, **kwargs: Any) -> tuple[dict[str, Any], str]:
        return {}, ""


class VisualizerStub:
    """Stands for the visualizer: notes the steps that scalars are drawn at."""

    def __init__(self) -> None:
        self.dataset_meta: Any = None
        self.steps: list[int] = []

    def add_scalars(self, tag: Any, step: int = 0, file_path: Any = None) -> None:
        self.steps.append(step)

    def close(self) -> None:
        """Nothing."""


class DryRunner(Runner):
    """mmengine's Runner without model, data, log and environment, for its own methods and those of loops and hooks.

    Args:
        config: The config.
        folder: Where hooks may write.
        batches: In the place of the training data.
        validation: Makes the loop that stands for the validation; asked only where the config declares validations.
    """

    def __init__(self, config: Any, folder: Path, batches: EmptyBatches, validation: Callable[[Any], BaseLoop]) -> None:
        # Not Runner's own: that one builds all parts of a run, and sets up the process.
        self.cfg = config
        self._work_dir = self._log_dir = str(folder)
        self._experiment_name = self._timestamp = f"dry_run_{next(_COUNT)}"
        self._randomness_cfg: dict[str, Any] = {}
        self._rank, self._world_size, self._distributed, self._launcher = 0, 1, False, "none"
        self._hooks: list[Hook] = []
        self.logger = _SILENT
        self.message_hub = MessageHub(self._experiment_name)
        self.log_processor = LogProcessorStub()
        self.visualizer = VisualizerStub()
        self.idle_model = IdleModel(self)
        self.model: Any = self.idle_model
        self.optim_wrapper: Any = None
        self.param_schedulers: Any = None
        self.calling: Hook | None = None
        self.stage = ""
        self._train_dataloader: Any = batches
        self._train_loop: Any = config.get("train_cfg")  # built by the property `train_loop`
        self._val_loop = validation(self) if validates(config) else None
        self._test_loop = None

    # Where the run is

    @property
    def counts_epochs(self) -> bool:
        """Whether its loop counts epochs."""
        return isinstance(self.train_loop, EpochBasedTrainLoop)

    @property
    def unit(self) -> str:
        """What its loop counts: `iteration` or `epoch`."""
        return "epoch" if self.counts_epochs else "iteration"

    @property
    def moment(self) -> int:
        """Iterations done, or epochs of a loop by epochs."""
        return int(self.train_loop.epoch if self.counts_epochs else self.train_loop.iter)

    @property
    def length(self) -> int:
        """Iterations of the whole run, or epochs of a loop by epochs."""
        return int(self.train_loop.max_epochs if self.counts_epochs else self.train_loop.max_iters)

    @property
    def is_mmengines_loop(self) -> bool:
        """Whether the loop is one of mmengine's, or built on one."""
        return isinstance(self.train_loop, _TRAINING_LOOPS)

    @property
    def loop_runs_as_mmengines(self) -> bool:
        """Whether a loop by iterations does nothing in an iteration that mmengine's does not."""
        names = ("run", "run_iter", "_decide_current_val_interval")
        return all(getattr(type(self.train_loop), name) is getattr(IterBasedTrainLoop, name) for name in names)

    def leap_to(self, moment: int) -> None:
        """Go on from a later moment: the loop and the hooks count the step that is being done as this one."""
        loop = self.train_loop
        loop._iter = moment - 1
        if self.counts_epochs:  # of one iteration each
            loop._epoch = loop._iter

    def feed(self, batches: EmptyBatches) -> None:
        """Give mmengine's loop, which is built, other batches: an epoch is a pass over them."""
        if not self.is_mmengines_loop:
            return
        loop = self.train_loop
        self._train_dataloader = loop.dataloader = batches
        if self.counts_epochs:
            loop._max_iters = loop.max_epochs * len(batches)
        else:
            type(loop.dataloader_iterator).__init__(loop.dataloader_iterator, batches)

    # Hooks

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """As Runner's; `calling` is the hook that is being called, `stage` what all are called for."""
        before = self.calling
        if before is None:
            self.stage = fn_name
        for hook in self._hooks:
            if hasattr(hook, fn_name):
                self.calling = hook
                getattr(hook, fn_name)(self, **kwargs)
        self.calling = before

    @contextlib.contextmanager
    def with_hooks_of(self, model: nn.Module | None, hooks: Sequence[Hook]) -> Iterator[Callable[[int], None]]:
        """Have a real model and other hooks meanwhile; afterwards all is as before.

        Yields:
            Takes the loop to an iteration, counted from 0.
        """
        loop, kept = self.train_loop, (self.model, self._hooks)
        begun = loop._iter

        def go_to(iteration: int) -> None:
            loop._iter = iteration

        self.model, self._hooks = model, list(hooks)
        try:
            yield go_to
        finally:
            (self.model, self._hooks), loop._iter = kept, begun

    # Optimizers and schedulers, as `train` builds them

    def built_optimizer(self, config: Any, model: nn.Module) -> Any:
        """The optimizer wrapper over a real model's parameters, its rates scaled where the config asks for it.

        Args:
            config: In the place of the config's `optim_wrapper`.
            model: Whose parameters it trains.

        Raises:
            Exception: What a class of the config raises.
        """
        kept = self.model, self._train_dataloader
        self.model = model
        try:
            wrapper = self.build_optim_wrapper(config)
            self._train_dataloader = self.cfg.get("train_dataloader")  # for the batch size that rates are scaled by
            self.scale_lr(wrapper, self.cfg.get("auto_scale_lr"))
        finally:
            self.model, self._train_dataloader = kept
        return wrapper

    def check_schedulers(self, config: Any) -> None:
        """Raise what mmengine raises for a `param_scheduler` of a form that it does not take."""
        self._check_scheduler_cfg(config)

    def built_scheduler(self, config: Any, optimizer: Any) -> Any:
        """One parameter scheduler.

        Raises:
            Exception: What its class raises.
        """
        (scheduler,) = self._build_param_scheduler([config], optimizer)
        return scheduler


Attempt = Callable[[str], AbstractContextManager[None]]
"""Called with a dotted key: a context in which building what stands at it may fail."""


class BuildsInStages:
    """Mixed into a real Runner's class: what that keeps unbuilt until it trains or tests is built here, and not run."""

    _train_dataloader: Any
    _train_loop: Any
    _val_loop: Any
    _test_loop: Any

    def build_stages(self, attempt: Attempt) -> None:
        """Build loops, optimizer wrapper and schedulers, each by itself.

        Args:
            attempt: Of each key.
        """
        runner: Any = self
        if self._train_loop is not None:
            declared = self._train_loop
            with attempt("train_cfg"):
                self._train_loop = runner.build_train_loop(declared)
            if self._train_loop is declared and not isinstance(declared, BaseLoop):
                self._train_loop = IterBasedTrainLoop(runner, self._train_dataloader, max_iters=1)
            with attempt("optim_wrapper"):
                runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
                with attempt("auto_scale_lr"):
                    runner.scale_lr(runner.optim_wrapper, runner.auto_scale_lr)
                if runner.param_schedulers is not None:
                    with attempt("param_scheduler"):
                        runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
        if self._val_loop is not None:
            with attempt("val_cfg"):
                self._val_loop = runner.build_val_loop(self._val_loop)
        if self._test_loop is not None:
            with attempt("test_cfg"):
                self._test_loop = runner.build_test_loop(self._test_loop)

    @property
    def built_train_loop(self) -> BaseLoop | None:
        """The training loop; None before it is built."""
        return self._train_loop if isinstance(self._train_loop, BaseLoop) else None

    def dump_config(self) -> None:
        """Nothing is written."""

    def _log_env(self, env_cfg: Any) -> None:
        """Nothing is logged."""
