"""Simulates runs whose validations score what a script says: the loop and the hooks are the real ones.

Nothing is trained. The loop is taken from one iteration at which something can happen to the next; checkpoints are
small files that hold what the hooks and the message hub put into them, so that a run can be killed and resumed.
"""

from __future__ import annotations

import itertools
import pickle
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import BaseLoop, Runner, find_latest_checkpoint

from provecfg.proof.dry_runner import DryRunner, EmptyBatches
from provecfg.proof.subject import nothing_printed

Script = Callable[[int], Mapping[str, Any]]
"""The metrics of a validation by its number, counted from 0."""

MOST_VALIDATIONS = 120
"""Validations that are enough to see what early stopping does, unless it is more patient."""
_MOST_CANDIDATES = 4000


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was there at the end: its file's name, and the moment that its weights are of."""

    name: str
    moment: int


@dataclass(frozen=True, slots=True)
class SimulatedRun:
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


class Simulator:
    """Simulates runs of a config.

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
        runner = ScriptedRunner(config, (), lambda number: {}, folder, ())
        if not runner.is_mmengines_loop:
            raise UnknownLoopError(f"{type(runner.train_loop).__name__} is built on no training loop of mmengine's")
        with nothing_printed():
            whole = runner.simulate(_candidates(runner))
        if whole.error is not None:
            raise whole.error
        self.unit = runner.unit
        self.length = runner.length
        self.validations = whole.moments
        """When a run in one piece, without early stopping, is validated."""

    def run(
        self,
        hooks: Callable[[], Sequence[Hook]],
        script: Script,
        *,
        killed_after: int | None = None,
        most_validations: int = MOST_VALIDATIONS,
    ) -> SimulatedRun:
        """Let a run come to its end.

        Args:
            hooks: Makes the hooks; called anew for a run that is resumed, as in another process.
            script: What the validations score.
            killed_after: Kill the run after so many validations, and resume it from its latest checkpoint.
            most_validations: That are simulated; of those beyond, the last one.
        """
        folder = self._folder / str(next(self._runs))
        folder.mkdir(parents=True)
        with nothing_printed(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runner = ScriptedRunner(self.config, hooks(), script, folder, self.validations, killed_after)
            simulated = runner.simulate(_moments(runner, self.validations, most_validations))
            if not runner.was_killed:
                return simulated
            latest = find_latest_checkpoint(str(folder))
            resumed = ScriptedRunner(self.config, hooks(), script, folder, self.validations)
            return resumed.simulate(_moments(resumed, self.validations, most_validations), resume_from=latest)


class ScriptedRunner(DryRunner):
    """A dry Runner whose validations score what a script says, and whose checkpoints hold what hooks put into them.

    Args:
        config: The config.
        hooks: Those that it has; none else is registered.
        script: What each validation scores.
        folder: For its files.
        validations: The moments of all validations of the run. A resumed run that repeats one scores as before.
        killed_after: End the run after so many validations.
    """

    def __init__(
        self,
        config: Any,
        hooks: Sequence[Hook],
        script: Script,
        folder: Path,
        validations: Sequence[int],
        killed_after: int | None = None,
    ) -> None:
        self.validation: ScriptedValidation | None = None
        self.was_killed = False

        def validation(runner: ScriptedRunner) -> BaseLoop:
            self.validation = ScriptedValidation(runner, script, validations, killed_after)
            return self.validation

        super().__init__(config, folder, EmptyBatches(endless=True), validation)
        for hook in hooks:
            self.register_hook(hook)
        self.feed(EmptyBatches(endless=not self.counts_epochs))

    def simulate(self, moments: Sequence[int], *, resume_from: str | None = None) -> SimulatedRun:
        """Run the loop to its end, from a checkpoint if one is named, by way of these moments."""
        error: Exception | None = None
        try:
            self.call_hook("before_run")
            if resume_from is not None:
                self.resume(resume_from, map_location="cpu")
            self.idle_model.stops = (moment for moment in moments if moment > self.moment)
            self.train_loop.run()
            self.call_hook("after_run")
        except _KilledError:
            self.was_killed = True
        except Exception as raised:  # of the config's own classes
            error = raised
        validation = self.validation
        # The loop counts a step when its hooks are through with it.
        in_step = error is not None and self.stage in ("after_train_iter", "after_train_epoch")
        return SimulatedRun(
            moments=tuple(validation.moments) if validation is not None else (),
            waits=tuple(validation.waits) if validation is not None else (),
            ended=self.moment + in_step,
            stopped=bool(self.train_loop.stop_training) and self.moment < self.length,
            checkpoints=tuple(self._checkpoints()),
            resumed_from=Path(resume_from).name if resume_from is not None else None,
            error=error,
            failed=self.calling if error is not None else None,
        )

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
        return checkpoint

    def _checkpoints(self) -> Iterator[Checkpoint]:
        for path in sorted(Path(self.work_dir).rglob("*.pth")):
            meta = pickle.loads(path.read_bytes())["meta"]
            yield Checkpoint(path.name, int(meta["epoch" if self.counts_epochs else "iter"]))


# For the messages of its TypeErrors.
ScriptedRunner.save_checkpoint.__qualname__ = Runner.save_checkpoint.__qualname__


class _KilledError(Exception):
    """The script kills the run here."""


class ScriptedValidation(BaseLoop):
    """mmengine's ValLoop, with the script in the place of model and evaluator.

    Args:
        runner: Whose it is.
        script: What each validation scores.
        validations: The moments of all validations of the run.
        killed_after: End the run after so many validations.
    """

    def __init__(
        self, runner: ScriptedRunner, script: Script, validations: Sequence[int], killed_after: int | None
    ) -> None:
        super().__init__(runner, EmptyBatches(endless=False))
        self.moments: list[int] = []
        self.waits: list[int] = []
        self._script = script
        self._numbers = {moment: number for number, moment in enumerate(validations)}
        self._killed_after = killed_after

    def run(self) -> dict[str, Any]:
        """One validation."""
        runner: Any = self.runner
        moment = runner.moment
        metrics = dict(self._script(self._numbers.get(moment, 0)))
        runner.call_hook("before_val")
        runner.call_hook("before_val_epoch")
        runner.call_hook("after_val_epoch", metrics=metrics)
        runner.call_hook("after_val")
        self.moments.append(moment)
        self.waits += [hook.wait_count for hook in runner.hooks if hasattr(hook, "wait_count")][:1]
        if len(self.moments) == self._killed_after:
            raise _KilledError
        return metrics


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
    for hook in runner.hooks:
        if not isinstance(hook, CheckpointHook) or hook.by_epoch != runner.counts_epochs:
            continue
        if not isinstance(hook.interval, int) or hook.interval <= 0:
            continue
        saves = range(hook.save_begin or hook.interval, until + 1, hook.interval)
        if len(saves) <= 2 * MOST_VALIDATIONS:
            moments.update(saves)
        else:  # of so many only the latest at each validation: what a resumed run would go on from
            moments.update(saves[: (at - saves.start) // saves.step + 1][-1] for at in validations if at >= saves.start)
    return [*sorted(moment for moment in moments if moment <= until), runner.length]
