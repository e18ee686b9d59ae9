"""Lives through a run whose validations score what a script says: the loop and the hooks are the real ones.

Nothing is trained. The loop is taken from one iteration at which something can happen to the next; checkpoints are
small files that hold what the hooks and the message hub put into them, so that a run can be killed and resumed.
"""

from __future__ import annotations

import itertools
import logging
import pickle
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import MessageHub
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop, Runner, find_latest_checkpoint

from provecfg.proof.subject import nothing_printed

Script = Callable[[int], Mapping[str, Any]]
"""The metrics of the validation at a place, counted from 0."""

MOST_VALIDATIONS = 120
"""Validations that are enough to see what early stopping does, unless it is more patient."""
_MOST_CANDIDATES = 4000

_SILENT = logging.getLogger("provecfg.scripted")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False

_COUNT = itertools.count()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was there at the end: its file's name, and the moment that its weights are of."""

    name: str
    moment: int


@dataclass(frozen=True, slots=True)
class Life:
    """What became of a run.

    Args:
        moments: When it was validated: iterations, or epochs of a loop by epochs. After a resume some are repeated.
        waits: Validations without progress that early stopping had counted after each of them; empty without it.
        ended: When it ended, or failed.
        stopped: Whether early stopping ended it before its last iteration.
        checkpoints: The files at the end.
        resumed_from: The checkpoint that it went on from, or None: it was not resumed, or began anew.
        error: What a hook or the loop raised, or None.
        failed: The hook that raised it, or None.
    """

    moments: tuple[int, ...]
    waits: tuple[int, ...]
    ended: int
    stopped: bool
    checkpoints: tuple[Checkpoint, ...]
    resumed_from: str | None = None
    error: Exception | None = None
    failed: Hook | None = None


class UnknownLoopError(Exception):
    """The training loop is neither of mmengine's nor built on one."""


class Stage:
    """Where the runs of a config are lived through.

    Args:
        config: The config; its `train_cfg` is looked at, and whether it has validations.
        folder: For the files of the runs; one that does not exist is made.

    Raises:
        UnknownLoopError: The loop cannot be taken forward.
        Exception: What building the loop raises, or the loop without any hook.
    """

    def __init__(self, config: Any, folder: Path) -> None:
        self.config = config
        self._folder = folder
        self._runs = itertools.count()
        runner = ScriptedRunner(config, (), lambda place: {}, folder, ())
        if not isinstance(runner.train_loop, (IterBasedTrainLoop, EpochBasedTrainLoop)):
            raise UnknownLoopError(f"{type(runner.train_loop).__name__} is built on no training loop of mmengine's")
        with nothing_printed():
            whole = runner.live(_candidates(runner))
        if whole.error is not None:
            raise whole.error
        self.unit = "epoch" if isinstance(runner.train_loop, EpochBasedTrainLoop) else "iteration"
        self.length = runner.length
        self.validations = whole.moments
        """When a run in one piece, without early stopping, is validated."""

    def live(
        self,
        hooks: Callable[[], Sequence[Hook]],
        script: Script,
        *,
        killed_after: int | None = None,
        most_validations: int = MOST_VALIDATIONS,
    ) -> Life:
        """Let a run come to its end.

        Args:
            hooks: Makes the hooks; called anew for a run that is resumed, as in another process.
            script: What the validations score.
            killed_after: Kill the run after so many validations, and resume it from its latest checkpoint.
            most_validations: That are lived through; of those beyond, the last one.
        """
        folder = self._folder / str(next(self._runs))
        folder.mkdir(parents=True)
        with nothing_printed(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runner = ScriptedRunner(self.config, hooks(), script, folder, self.validations, killed_after)
            life = runner.live(_moments(runner, self.validations, most_validations))
            if not runner.was_killed:
                return life
            latest = find_latest_checkpoint(str(folder))
            again = ScriptedRunner(self.config, hooks(), script, folder, self.validations)
            return again.live(_moments(again, self.validations, most_validations), resume_from=latest)


def validates(config: Any) -> bool:
    """Whether validations are declared."""
    return all(config.get(f"val_{part}") is not None for part in ("cfg", "dataloader", "evaluator"))


class ScriptedRunner(Runner):
    """mmengine's Runner without model, data, log and environment, for its own methods and those of the hooks."""

    def __init__(
        self,
        config: Any,
        hooks: Sequence[Hook],
        script: Script,
        folder: Path,
        places: Sequence[int],
        killed_after: int | None = None,
    ) -> None:
        # Not Runner's own: that one builds all parts of a run, and sets up the process.
        self.cfg = config
        self._work_dir = self._log_dir = str(folder)
        self._experiment_name = self._timestamp = f"scripted{next(_COUNT)}"
        self._randomness_cfg: dict[str, Any] = {}
        self._rank, self._world_size, self._distributed, self._launcher = 0, 1, False, "none"
        self.logger = _SILENT
        self.message_hub = MessageHub(self._experiment_name)
        self.visualizer = _NoVisualizer()
        self.model = _Leaps(self)
        self.optim_wrapper = self.param_schedulers = None
        self.calling: Hook | None = None
        self._stage = ""
        self.was_killed = False
        self._train_dataloader = _EmptyBatches(endless=True)
        self._val_loop = ScriptedValidation(self, script, places, killed_after) if validates(config) else None
        self._test_loop = None
        self._hooks: list[Hook] = []
        for hook in hooks:
            self.register_hook(hook)
        self._train_loop = self.build_train_loop(config.train_cfg)
        if isinstance(self._train_loop, EpochBasedTrainLoop):
            self._train_loop.dataloader = _EmptyBatches(endless=False)

    @property
    def moment(self) -> int:
        """Iterations done, or epochs of a loop by epochs."""
        return int(self.epoch if isinstance(self.train_loop, EpochBasedTrainLoop) else self.iter)

    @property
    def length(self) -> int:
        """Iterations of the whole run, or epochs."""
        return int(self.max_epochs if isinstance(self.train_loop, EpochBasedTrainLoop) else self.max_iters)

    def live(self, moments: Sequence[int], *, resume_from: str | None = None) -> Life:
        """Run the loop to its end, from a checkpoint if one is given, by way of these moments."""
        error: Exception | None = None
        try:
            self.call_hook("before_run")
            if resume_from is not None:
                self.resume(resume_from, map_location="cpu")
            self.model.leaps = (moment for moment in moments if moment > self.moment)
            self.train_loop.run()
            self.call_hook("after_run")
        except _KilledError:
            self.was_killed = True
        except Exception as raised:  # of the config's own classes
            error = raised
        validation, loop = self._val_loop, self.train_loop
        # The loop counts a step when its hooks are through with it.
        in_step = error is not None and self._stage in ("after_train_iter", "after_train_epoch")
        return Life(
            moments=tuple(validation.moments) if validation is not None else (),
            waits=tuple(validation.waits) if validation is not None else (),
            ended=self.moment + in_step,
            stopped=bool(loop.stop_training) and self.moment < self.length,
            checkpoints=tuple(self._checkpoints()),
            resumed_from=Path(resume_from).name if resume_from is not None else None,
            error=error,
            failed=self.calling if error is not None else None,
        )

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Call all hooks, and know which one is being called."""
        before = self.calling
        if before is None:
            self._stage = fn_name
        for hook in self._hooks:
            if hasattr(hook, fn_name):
                self.calling = hook
                getattr(hook, fn_name)(self, **kwargs)
        self.calling = before

    def save_checkpoint(  # the parent's signature, so that a hook's unknown argument fails as it would there
        self,
        out_dir: str,
        filename: str,
        file_client_args: dict[str, Any] | None = None,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: dict[str, Any] | None = None,
        by_epoch: bool = True,
        backend_args: dict[str, Any] | None = None,
    ) -> None:
        """Write what hooks and message hub have to say; the weights are left out."""
        meta = dict(meta or {})
        meta.setdefault("epoch", self.epoch + 1 if by_epoch else self.epoch)
        meta.setdefault("iter", self.iter if by_epoch else self.iter + 1)
        checkpoint = {"meta": meta, "state_dict": {}, "message_hub": self.message_hub.state_dict()}
        self.call_hook("before_save_checkpoint", checkpoint=checkpoint)
        path = Path(out_dir, filename)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(checkpoint))

    def load_checkpoint(self, filename: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read what `save_checkpoint` wrote."""
        checkpoint: dict[str, Any] = pickle.loads(Path(filename).read_bytes())
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        self._has_loaded = True
        return checkpoint

    def _checkpoints(self) -> Iterator[Checkpoint]:
        by_epoch = isinstance(self.train_loop, EpochBasedTrainLoop)
        for path in sorted(Path(self._work_dir).rglob("*.pth")):
            meta = pickle.loads(path.read_bytes())["meta"]
            yield Checkpoint(path.name, int(meta["epoch" if by_epoch else "iter"]))


# For the messages of its TypeErrors.
ScriptedRunner.save_checkpoint.__qualname__ = Runner.save_checkpoint.__qualname__


class _KilledError(Exception):
    """The script kills the run here."""


class ScriptedValidation(BaseLoop):
    """mmengine's ValLoop, with the script in the place of model and evaluator.

    Args:
        runner: Whose it is.
        script: What each validation scores.
        places: The moments of all validations of the run. A resumed run that repeats one scores as before.
        killed_after: End the run after so many validations.
    """

    def __init__(self, runner: ScriptedRunner, script: Script, places: Sequence[int], killed_after: int | None) -> None:
        super().__init__(runner, _EmptyBatches(endless=False))
        self.moments: list[int] = []
        self.waits: list[int] = []
        self._script = script
        self._places = {moment: place for place, moment in enumerate(places)}
        self._killed_after = killed_after

    def run(self) -> dict[str, Any]:
        """One validation."""
        runner: Any = self.runner
        moment = runner.moment
        metrics = dict(self._script(self._places.get(moment, 0)))
        runner.call_hook("before_val")
        runner.call_hook("before_val_epoch")
        runner.call_hook("after_val_epoch", metrics=metrics)
        runner.call_hook("after_val")
        self.moments.append(moment)
        self.waits += [hook.wait_count for hook in runner.hooks if hasattr(hook, "wait_count")][:1]
        if len(self.moments) == self._killed_after:
            raise _KilledError
        return metrics


class _Leaps:
    """Called where a model would train a step: takes the loop to the next moment at which something can happen."""

    def __init__(self, runner: ScriptedRunner) -> None:
        self._runner = runner
        self.leaps: Iterator[int] = iter(())

    def train(self) -> None:
        """Nothing."""

    def train_step(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        loop = self._runner.train_loop
        # The loop and the hooks count this step as done when it returns.
        loop._iter = next(self.leaps, self._runner.length) - 1
        if isinstance(loop, EpochBasedTrainLoop):
            loop._epoch = loop._iter
        return {}


class _EmptyBatches:
    """A data loader of empty batches: one in an epoch, so that iterations are epochs there."""

    dataset = type("NoData", (), {"metainfo": {}})()
    batch_size = 1

    def __init__(self, *, endless: bool) -> None:
        self._endless = endless
        self.sampler = self

    def skip(self, count: int) -> None:
        """Nothing: a resumed run has no data to pass over."""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return itertools.repeat({}) if self._endless else iter(({},))


class _NoVisualizer:
    dataset_meta: Any = None

    def close(self) -> None:
        """Nothing."""


def _candidates(runner: ScriptedRunner) -> list[int]:
    """The moments at which the loop could validate; the loop decides whether it does."""
    loop, length = runner.train_loop, runner.length
    moments = {1, length}
    for interval in {loop.val_interval, *(loop.dynamic_intervals or ())}:
        if isinstance(interval, int) and interval > 0:
            first = -(-max(loop.val_begin, 1) // interval) * interval
            moments.update(range(first, length + 1, interval)[:_MOST_CANDIDATES])
    return sorted(moment for moment in moments if 0 < moment <= length)


def _moments(runner: ScriptedRunner, validations: Sequence[int], most: int) -> list[int]:
    """The moments of a run that are gone through: its validations, and when checkpoints can be written."""
    until = runner.length
    if len(validations) > most:
        validations, until = [*validations[: most - 1], validations[-1]], validations[most - 2]
    moments = {1, *validations}
    by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
    for hook in runner.hooks:
        if not isinstance(hook, CheckpointHook) or hook.by_epoch != by_epoch:
            continue
        if not isinstance(hook.interval, int) or hook.interval <= 0:
            continue
        saves = range(hook.save_begin or hook.interval, until + 1, hook.interval)
        if len(saves) <= 2 * MOST_VALIDATIONS:
            moments.update(saves)
        else:  # of so many only the latest at each validation: what a resumed run would go on from
            moments.update(saves[: (at - saves.start) // saves.step + 1][-1] for at in validations if at >= saves.start)
    return [*sorted(moment for moment in moments if moment <= until), runner.length]
