"""Runs under early-stopping and checkpoint hooks, one for each history of the metric, and how they end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.hooks import CheckpointHook, EarlyStoppingHook, Hook

from provecfg.findings import Finding
from provecfg.proof.stopping.dry_runner import MOST_VALIDATIONS, Life, Stage
from provecfg.proof.stopping.evaluator_output import EvaluatorOutput
from provecfg.proof.stopping.metric_histories import (
    BROKEN,
    FALLING,
    FLAT,
    KILLED,
    RECOVERING,
    RISING,
    History,
    best_place,
    histories,
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
from provecfg.proof.stopping.stopping_hooks import DeclaredHook
from provecfg.proof.stopping.stopping_settings import number


class Lives:
    """The histories of one early-stopping hook, with all checkpoint hooks; or of these alone.

    Args:
        stage: Where they are lived through.
        output: What the evaluator returns.
        savers: The checkpoint hooks, as declared and built.
        stopper: The early-stopping hook, or None.
        keeps_best: Whether some checkpoint hook is to keep the best checkpoint, even if it cannot.
        resumes: Whether the config resumes.
    """

    def __init__(
        self,
        stage: Stage,
        output: EvaluatorOutput,
        savers: Sequence[tuple[DeclaredHook, CheckpointHook]],
        stopper: tuple[DeclaredHook, EarlyStoppingHook] | None,
        *,
        keeps_best: bool,
        resumes: bool,
    ) -> None:
        self.stage, self.output, self.savers = stage, output, savers
        self.declared, self.hook = stopper if stopper is not None else (None, None)
        self.keeps_best, self.resumes = keeps_best, resumes
        self.lines: list[str] = []
        self.evidence: dict[str, Any] = {}
        self.findings: list[Finding] = []
        self.saved = tuple(name for saver, _ in savers for _, name in saver.best)
        known = [name for name in self.saved if name != "auto"]
        first = next(iter(output.perfect), None)
        self.metric: str | None = self.hook.monitor if self.hook is not None else next(iter(known), first)
        self.lives: dict[str, tuple[History, Life]] = {}

    def only_look(self) -> None:
        """Say what becomes of a run that improves all the time, under a hook that is known to be wrong."""
        if self.metric is None or self.output.direction(self.metric) is None:
            self.lines.append("the run never stops early")
            return
        rule, count = self._rule(self.metric), len(self.stage.validations)
        (history,) = (one for one in histories(self.metric, self.output, rule, 0.0, 1, count) if one.name == RISING)
        life = self.stage.live(self._make, self._script(history))
        if life.error is None:
            self.lives[RISING] = history, life
            self.lines.append(f"improving: {self._told(RISING, life)}")

    def judge(self) -> None:
        if self.metric is None or (self.hook is None and not self.saved):
            self.lines.append("no best checkpoint is kept" if not self.saved else "no metric is known")
            return
        for history in self._histories(self.metric):
            # A patient hook needs more validations before it stops than others are shown.
            most = max(MOST_VALIDATIONS, 2 * self._patience() + 2)
            life = self.stage.live(
                self._make, self._script(history), killed_after=history.killed_after, most_validations=most
            )
            if life.error is not None:
                self._failed(life)
                return
            self.lives[history.name] = (history, life)
        if self.hook is not None and self.declared is not None:
            self._judge_stops(self.declared, self.hook)
        for name, (history, life) in self.lives.items():
            self._judge_kept(history, life)
            self.lines.append(f"{name}: {self._told(name, life)}")
        self.evidence = {
            name: {
                "validations": list(life.moments),
                "ended": life.ended,
                "stopped": life.stopped,
                "waits": list(life.waits),
                "checkpoints": {one.name: one.moment for one in life.checkpoints},
                "resumed_from": life.resumed_from,
            }
            for name, (_, life) in self.lives.items()
        }

    def _rule(self, metric: str) -> str:
        rule = self.output.direction(metric) or (self.hook.rule if self.hook is not None else None)
        if rule is None:
            rules = [hook.rules[0] for _, hook in self.savers if hook.save_best and hook.rules[0]]
            rule = rules[0] if rules else "greater"
        return str(rule)

    def _histories(self, metric: str) -> Iterator[History]:
        hook, count = self.hook, len(self.stage.validations)
        if hook is None:
            all_of_them = histories(metric, self.output, self._rule(metric), 0.0, 1, count)
            yield from (history for history in all_of_them if history.name in (RISING, FALLING, BROKEN))
            return
        min_delta = abs(number(hook.min_delta) or 0.0)
        yield from histories(metric, self.output, hook.rule, min_delta, self._patience(), count)

    def _patience(self) -> int:
        """In validations; of another type it fails when its moment comes, as in a run."""
        given = number(self.hook.patience) if self.hook is not None else None
        return int(max(1, min(given or 1, len(self.stage.validations))))

    def _script(self, history: History) -> Any:
        assert self.metric is not None  # asked in `judge`
        return script(history, self.metric, self.output, self.saved)

    def _make(self) -> list[Hook]:
        hooks = [saver.make() for saver, _ in self.savers]
        return [*hooks, self.declared.make()] if self.declared is not None else hooks

    def _failed(self, life: Life) -> None:
        error, failed = life.error, life.failed
        assert error is not None  # asked by the caller
        declared = [saver for saver, _ in self.savers] + ([self.declared] if self.declared else [])
        owner = next((one for one in declared if isinstance(failed, one.cls)), None)
        at = f"at {self.stage.unit} {life.ended}"
        name = type(failed).__name__ if failed is not None else "the training loop"
        self.findings.append(failure(owner, failed, f"{name} fails {at}", error))
        self.lines.append(f"{name} fails {at}")

    def _judge_stops(self, declared: DeclaredHook, hook: EarlyStoppingHook) -> None:
        unit, count, add = self.stage.unit, len(self.stage.validations), self.findings.append
        sign = 1 if hook.rule == "greater" else -1  # the hook turns it by itself
        _, flat = self.lives[FLAT]
        _, falling = self.lives[FALLING]
        waited = flat.waits[-1]
        if flat.stopped and waited != hook.patience:
            add(
                Finding(
                    OTHER_PATIENCE,
                    f"patience {hook.patience} behaves as {waited}: a flat {hook.monitor!r} stops the run at {unit} "
                    f"{flat.ended}",
                    declared.place("patience"),
                    "give the number of validations to wait, 1 or more",
                )
            )
        if not falling.stopped and falling.waits[-1] == 0 and count > 1:
            add(
                Finding(
                    FALL_IS_PROGRESS,
                    f"{hook.monitor!r} gets worse by {abs(hook.min_delta) / 2:g} with every validation, and each "
                    f"counts as progress: min_delta is {sign * hook.min_delta:g}",
                    declared.place("min_delta"),
                    f"write {abs(hook.min_delta):g}",
                )
            )
        elif not falling.stopped:
            add(
                Finding(
                    NEVER_STOPS,
                    f"patience {hook.patience}, and the run of {self.stage.length} {unit}s has {count} "
                    f"validation{'s' * (count != 1)}: it ends before a {hook.monitor!r} that never improves could stop "
                    "it",
                    declared.place("patience"),
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
                    declared.place("min_delta"),
                    "any small number will do",
                )
            )
        self._judge_improving(declared, hook)
        self._judge_resume(declared, hook, flat)

    def _judge_improving(self, declared: DeclaredHook, hook: EarlyStoppingHook) -> None:
        history, life = self.lives[RISING]
        threshold = hook.stopping_threshold
        reached = history.value(len(life.moments) - 1)
        at_threshold = threshold is not None and hook.rule_map[hook.rule](reached, threshold)
        if life.stopped and not at_threshold:
            self.findings.append(
                Finding(
                    IMPROVING_STOPS,
                    f"{hook.monitor!r} improves by more than min_delta with every validation, and the run is stopped "
                    f"at {self.stage.unit} {life.ended}",
                    declared.key,
                )
            )

    def _judge_resume(self, declared: DeclaredHook, hook: EarlyStoppingHook, whole: Life) -> None:
        if KILLED not in self.lives or not whole.stopped:
            return
        history, cut = self.lives[KILLED]
        if cut.resumed_from is None or (cut.ended, cut.stopped) == (whole.ended, whole.stopped):
            return
        unit = self.stage.unit
        moment = self.stage.validations[(history.killed_after or 1) - 1]
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

    def _judge_kept(self, history: History, life: Life) -> None:
        """Whether a checkpoint of the best validation is there at the end, and under a name that tells it."""
        assert self.metric is not None  # there would be no history
        lived = [
            (moment, history.value(place))
            for place, moment in enumerate(self.stage.validations)
            if moment <= life.ended and (history.killed_after is not None or moment in life.moments)
        ]
        place = best_place([value for _, value in lived], self._rule(self.metric))
        if place is None:
            return
        moment = lived[place][0]  # of all metrics: they go together
        for saver, metric, file in self._best_files(life):
            if file is None or file.moment != moment:
                there = "there is no best checkpoint" if file is None else f"{file.name} is of {file.moment}"
                self._lost(saver.key, history.name, metric, moment, there)
            elif str(moment) not in file.name:
                self._unnamed(saver, file)
        is_told = history.name in (FALLING, RECOVERING)  # others have several best validations, or the last one
        if self.hook is None or not life.stopped or self.keeps_best or not is_told:
            return
        if all(one.moment != moment for one in life.checkpoints):
            kept = ", ".join(one.name for one in life.checkpoints) or "none"
            key = self.savers[0][0].key if self.savers else "default_hooks"
            self._lost(key, history.name, self.metric, moment, f"the checkpoints are: {kept}")

    def _best_files(self, life: Life) -> Iterator[tuple[DeclaredHook, str, Any]]:
        for saver, _ in self.savers:
            for _, name in saver.best:
                metric = next(iter(self.output.perfect), name) if name == "auto" else name
                start = f"best_{metric}_".replace("/", "_")
                found = [one for one in life.checkpoints if one.name.startswith(start)]
                yield saver, metric, found[-1] if found else None

    def _lost(self, key: str, history: str, metric: str, moment: int, problem: str) -> None:
        self.findings.append(
            Finding(
                BEST_LOST,
                f"history {history!r}: {metric!r} is best at {self.stage.unit} {moment}, and {problem}",
                key,
                f"save_best={metric!r} keeps it",
            )
        )

    def _unnamed(self, saver: DeclaredHook, file: Any) -> None:
        self.findings.append(
            Finding(
                BEST_UNNAMED,
                f"the best checkpoint of {self.stage.unit} {file.moment} is called {file.name}, as every other would "
                "be: the hook counts epochs, and the loop has one",
                saver.place("by_epoch"),
                "set by_epoch=False",
            )
        )

    def _told(self, name: str, life: Life) -> str:
        unit = self.stage.unit
        if life.stopped:
            waited = life.waits[-1] if life.waits else 0  # none: stopped by what it was resumed with
            why = f", after {waited} validation{'s' * (waited != 1)} without progress" if waited else ""
            why = ", at the NaN" if name == BROKEN else why
            text = f"stops at {unit} {life.ended}{why}"
        else:
            text = f"goes on to {unit} {life.ended}"
        if life.resumed_from is not None:
            text = f"goes on from {life.resumed_from}, {text}"
        elif name == KILLED:
            text = f"begins anew, there being no checkpoint; {text}"
        best = [file.name for _, _, file in self._best_files(life) if file is not None]
        return f"{text}; best checkpoint {' and '.join(dict.fromkeys(best))} kept" if best else text


def failure(declared: DeclaredHook | None, hook: Hook | None, what: str, error: Exception) -> Finding:
    """The finding for an exception of a hook or the loop: what was being done, and the key it comes from."""
    said = str(error).partition("\n")[0]
    key = declared.key if declared is not None else "train_cfg"
    # CheckpointHook keeps arguments that it does not know, and hands them on when it saves.
    unknown: Sequence[str] = [name for name in getattr(hook, "args", None) or () if name in said]
    if unknown:
        key = f"{key}.{unknown[0]}"
    return Finding(SAVING_FAILS, f"{what}: {type(error).__name__}: {said}", key)
