"""Runs under early-stopping and checkpoint hooks, one for each history of the metric, and how they end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.hooks import CheckpointHook, EarlyStoppingHook, Hook

from provecfg.findings import Finding
from provecfg.proof.exceptions import described, first_line
from provecfg.proof.stopping.evaluator_output import EvaluatorOutput
from provecfg.proof.stopping.metric_histories import (
    BROKEN,
    FALLING,
    FLAT,
    KILLED,
    RECOVERING,
    RISING,
    MetricHistory,
    histories,
    index_of_best,
    script,
)
from provecfg.proof.stopping.problems import (
    BEST_LOST,
    BEST_UNNAMED,
    FALL_IS_PROGRESS,
    FLAT_IS_PROGRESS,
    FORGETS,
    FORGOTTEN,
    IMPROVING_STOPS,
    NEVER_STOPS,
    OTHER_PATIENCE,
    SAVING_FAILS,
)
from provecfg.proof.stopping.simulator import MOST_VALIDATIONS, Checkpoint, SimulatedRun, Simulator
from provecfg.proof.stopping.stopping_hooks import DeclaredHook
from provecfg.proof.stopping.stopping_settings import number


class EarlyStoppingSimulation:
    """The histories of one early-stopping hook, with all checkpoint hooks; or of these alone.

    Args:
        simulator: Of the config.
        output: What the evaluator returns.
        savers: The checkpoint hooks, as declared and built.
        stopper: The early-stopping hook, or None.
        keeps_best: Whether some checkpoint hook is to keep the best checkpoint, even if it cannot.
        resumes: Whether the config resumes.
    """

    def __init__(
        self,
        simulator: Simulator,
        output: EvaluatorOutput,
        savers: Sequence[tuple[DeclaredHook, CheckpointHook]],
        stopper: tuple[DeclaredHook, EarlyStoppingHook] | None,
        *,
        keeps_best: bool,
        resumes: bool,
    ) -> None:
        self.simulator, self.output, self.savers = simulator, output, savers
        self.declared: DeclaredHook | None = stopper[0] if stopper is not None else None
        self.hook: EarlyStoppingHook | None = stopper[1] if stopper is not None else None
        self.keeps_best, self.resumes = keeps_best, resumes
        self.lines: list[str] = []
        self.evidence: dict[str, Any] = {}
        self.findings: list[Finding] = []
        self.saved = tuple(name for saver, _ in savers for _, name in saver.best)
        named = [name for name in self.saved if name != "auto"]
        first = next(iter(output.perfect), None)
        self.metric: str | None = self.hook.monitor if self.hook is not None else next(iter(named), first)
        self.runs: dict[str, tuple[MetricHistory, SimulatedRun]] = {}

    def tell_improving(self) -> None:
        """Say what becomes of a run that improves all the time, under a hook that is known to be wrong."""
        if self.metric is None or self.output.direction(self.metric) is None:
            self.lines.append("the run never stops early")
            return
        rule, count = self._rule(self.metric), len(self.simulator.validations)
        all_of_them = histories(self.metric, self.output, rule, 0.0, 1, count)
        history = next(history for history in all_of_them if history.name == RISING)
        run = self.simulator.run(self._make, self._script(history))
        if run.error is None:
            self.runs[RISING] = history, run
            self.lines.append(f"improving: {self._described(RISING, run)}")

    def check(self) -> None:
        """Simulate every history, and say what is wrong with how the runs end."""
        if self.metric is None or (self.hook is None and not self.saved):
            self.lines.append("no best checkpoint is kept" if not self.saved else "no metric is known")
            return
        for history in self._histories(self.metric):
            # A patient hook needs more validations before it stops than others are shown.
            most = max(MOST_VALIDATIONS, 2 * self._patience() + 2)
            run = self.simulator.run(
                self._make, self._script(history), killed_after=history.killed_after, most_validations=most
            )
            if run.error is not None:
                self._failed(run)
                return
            self.runs[history.name] = (history, run)
        if self.hook is not None and self.declared is not None:
            self._check_stops(self.declared, self.hook)
        for name, (history, run) in self.runs.items():
            self._check_kept(history, run)
            self.lines.append(f"{name}: {self._described(name, run)}")
        self.evidence = {
            name: {
                "validations": list(run.moments),
                "ended": run.ended,
                "stopped": run.stopped,
                "waits": list(run.waits),
                "checkpoints": {checkpoint.name: checkpoint.moment for checkpoint in run.checkpoints},
                "resumed_from": run.resumed_from,
            }
            for name, (_, run) in self.runs.items()
        }

    def _rule(self, metric: str) -> str:
        rule = self.output.direction(metric) or (self.hook.rule if self.hook is not None else None)
        if rule is None:
            rules = [hook.rules[0] for _, hook in self.savers if hook.save_best and hook.rules[0]]
            rule = rules[0] if rules else "greater"
        return str(rule)

    def _histories(self, metric: str) -> Iterator[MetricHistory]:
        hook, count = self.hook, len(self.simulator.validations)
        if hook is None:
            all_of_them = histories(metric, self.output, self._rule(metric), 0.0, 1, count)
            yield from (history for history in all_of_them if history.name in (RISING, FALLING, BROKEN))
            return
        min_delta = abs(number(hook.min_delta) or 0.0)
        yield from histories(metric, self.output, hook.rule, min_delta, self._patience(), count)

    def _patience(self) -> int:
        """In validations; of another type it fails when its moment comes, as in a run."""
        patience = number(self.hook.patience) if self.hook is not None else None
        return int(max(1, min(patience or 1, len(self.simulator.validations))))

    def _script(self, history: MetricHistory) -> Any:
        assert self.metric is not None  # asked in `check`
        return script(history, self.metric, self.output, self.saved)

    def _make(self) -> list[Hook]:
        hooks = [saver.make() for saver, _ in self.savers]
        return [*hooks, self.declared.make()] if self.declared is not None else hooks

    def _failed(self, run: SimulatedRun) -> None:
        error, failed = run.error, run.failed
        assert error is not None  # asked by the caller
        declared = [saver for saver, _ in self.savers] + ([self.declared] if self.declared else [])
        owner = next((hook for hook in declared if isinstance(failed, hook.cls)), None)
        at = f"at {self.simulator.unit} {run.ended}"
        name = type(failed).__name__ if failed is not None else "the training loop"
        self.findings.append(failure(owner, failed, f"{name} fails {at}", error))
        self.lines.append(f"{name} fails {at}")

    def _check_stops(self, declared: DeclaredHook, hook: EarlyStoppingHook) -> None:
        unit, count, add = self.simulator.unit, len(self.simulator.validations), self.findings.append
        sign = 1 if hook.rule == "greater" else -1  # the hook turns it by itself
        _, flat = self.runs[FLAT]
        _, falling = self.runs[FALLING]
        waited = flat.waits[-1]
        if flat.stopped and waited != hook.patience:
            add(
                Finding(
                    OTHER_PATIENCE,
                    f"patience {hook.patience} behaves as {waited}: a flat {hook.monitor!r} stops the run at {unit} "
                    f"{flat.ended}",
                    declared.key_of("patience"),
                    "give the number of validations to wait, 1 or more",
                )
            )
        if not falling.stopped and falling.waits[-1] == 0 and count > 1:
            add(
                Finding(
                    FALL_IS_PROGRESS,
                    f"{hook.monitor!r} gets worse by {abs(hook.min_delta) / 2:g} with every validation, and each "
                    f"counts as progress: min_delta is {sign * hook.min_delta:g}",
                    declared.key_of("min_delta"),
                    f"write {abs(hook.min_delta):g}",
                )
            )
        elif not falling.stopped:
            add(
                Finding(
                    NEVER_STOPS,
                    f"patience {hook.patience}, and the run of {self.simulator.length} {unit}s has {count} "
                    f"validation{'s' * (count != 1)}: it ends before a {hook.monitor!r} that never improves could stop "
                    "it",
                    declared.key_of("patience"),
                    f"set patience to {count - 2} or less, or validate more often"
                    if count > 2
                    else "validate more often",
                )
            )
        elif not flat.stopped:
            add(
                Finding(
                    FLAT_IS_PROGRESS,
                    f"a {hook.monitor!r} that stays the same counts as progress: min_delta is {hook.min_delta:g}",
                    declared.key_of("min_delta"),
                    "any small number will do",
                )
            )
        self._check_improving(declared, hook)
        self._check_resume(declared, hook, flat)

    def _check_improving(self, declared: DeclaredHook, hook: EarlyStoppingHook) -> None:
        history, run = self.runs[RISING]
        threshold = hook.stopping_threshold
        reached = history.value(len(run.moments) - 1)
        at_threshold = threshold is not None and hook.rule_map[hook.rule](reached, threshold)
        if run.stopped and not at_threshold:
            self.findings.append(
                Finding(
                    IMPROVING_STOPS,
                    f"{hook.monitor!r} improves by more than min_delta with every validation, and the run is stopped "
                    f"at {self.simulator.unit} {run.ended}",
                    declared.key,
                )
            )

    def _check_resume(self, declared: DeclaredHook, hook: EarlyStoppingHook, whole: SimulatedRun) -> None:
        if KILLED not in self.runs or not whole.stopped:
            return
        history, cut = self.runs[KILLED]
        if cut.resumed_from is None or (cut.ended, cut.stopped) == (whole.ended, whole.stopped):
            return
        unit = self.simulator.unit
        moment = self.simulator.validations[(history.killed_after or 1) - 1]
        ends = f"stops at {unit} {cut.ended}" if cut.stopped else "never stops"
        self.findings.append(
            Finding(
                FORGOTTEN if self.resumes else FORGETS,
                f"a run with a flat {hook.monitor!r} that is killed after {unit} {moment} and resumed {ends}, and "
                f"one in a piece at {whole.ended}",
                "resume" if self.resumes else declared.key,
                "provecfg's ResumableEarlyStoppingHook has the same arguments and keeps its state in the checkpoint",
            )
        )

    def _check_kept(self, history: MetricHistory, run: SimulatedRun) -> None:
        """Whether a checkpoint of the best validation is there at the end, and under a name that tells it."""
        assert self.metric is not None  # there would be no history
        validations = [
            (moment, history.value(number))
            for number, moment in enumerate(self.simulator.validations)
            if moment <= run.ended and (history.killed_after is not None or moment in run.moments)
        ]
        best = index_of_best([value for _, value in validations], self._rule(self.metric))
        if best is None:
            return
        moment = validations[best][0]  # of all metrics: they go together
        for saver, metric, file in self._best_files(run):
            if file is None or file.moment != moment:
                there = "there is no best checkpoint" if file is None else f"{file.name} is of {file.moment}"
                self._lost(saver.key, history.name, metric, moment, there)
            elif str(moment) not in file.name:
                self._unnamed(saver, file)
        is_told = history.name in (FALLING, RECOVERING)  # others have several best validations, or the last one
        if self.hook is None or not run.stopped or self.keeps_best or not is_told:
            return
        if all(checkpoint.moment != moment for checkpoint in run.checkpoints):
            kept = ", ".join(checkpoint.name for checkpoint in run.checkpoints) or "none"
            key = self.savers[0][0].key if self.savers else "default_hooks"
            self._lost(key, history.name, self.metric, moment, f"the checkpoints are: {kept}")

    def _best_files(self, run: SimulatedRun) -> Iterator[tuple[DeclaredHook, str, Checkpoint | None]]:
        """The best checkpoint by each metric, with the hook that keeps it."""
        for saver, _ in self.savers:
            for _, name in saver.best:
                metric = next(iter(self.output.perfect), name) if name == "auto" else name
                start = f"best_{metric}_".replace("/", "_")
                best = [checkpoint for checkpoint in run.checkpoints if checkpoint.name.startswith(start)]
                yield saver, metric, best[-1] if best else None

    def _lost(self, key: str, history: str, metric: str, moment: int, problem: str) -> None:
        self.findings.append(
            Finding(
                BEST_LOST,
                f"history {history!r}: {metric!r} is best at {self.simulator.unit} {moment}, and {problem}",
                key,
                f"save_best={metric!r} keeps it",
            )
        )

    def _unnamed(self, saver: DeclaredHook, file: Checkpoint) -> None:
        self.findings.append(
            Finding(
                BEST_UNNAMED,
                f"the best checkpoint of {self.simulator.unit} {file.moment} is called {file.name}, as every other "
                "would be: the hook counts epochs, and the loop has one",
                saver.key_of("by_epoch"),
                "set by_epoch=False",
            )
        )

    def _described(self, name: str, run: SimulatedRun) -> str:
        unit = self.simulator.unit
        if run.stopped:
            waited = run.waits[-1] if run.waits else 0  # none: stopped by what it was resumed with
            why = f", after {waited} validation{'s' * (waited != 1)} without progress" if waited else ""
            why = ", at the NaN" if name == BROKEN else why
            text = f"stops at {unit} {run.ended}{why}"
        else:
            text = f"goes on to {unit} {run.ended}"
        if run.resumed_from is not None:
            text = f"goes on from {run.resumed_from}, {text}"
        elif name == KILLED:
            text = f"begins anew, there being no checkpoint; {text}"
        best = [file.name for _, _, file in self._best_files(run) if file is not None]
        return f"{text}; best checkpoint {' and '.join(dict.fromkeys(best))} kept" if best else text


def failure(declared: DeclaredHook | None, hook: Hook | None, what: str, error: Exception) -> Finding:
    """The finding for an exception of a hook or the loop: what was being done, and the key it comes from."""
    text = first_line(error)
    key = declared.key if declared is not None else "train_cfg"
    # CheckpointHook keeps arguments that it does not know, and hands them on when it saves.
    unknown: Sequence[str] = [name for name in getattr(hook, "args", None) or () if name in text]
    if unknown:
        key = f"{key}.{unknown[0]}"
    return Finding(SAVING_FAILS, f"{what}: {described(error)}", key)
