"""Whether configs differ in what was meant to differ, and in nothing else."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from provecfg.comparison.canonical import Unknown, node_at
from provecfg.comparison.cells import AXES, Compared, steps_between
from provecfg.comparison.differences import Difference
from provecfg.comparison.explanations import Pair, copied_to_auxiliary_head, explanation
from provecfg.comparison.factors import NAMES, Factor, factor_of, names_of
from provecfg.comparison.problems import DIFFERS_ELSEWHERE, DIFFERS_NOWHERE, NOT_COMPARED, SEVERAL_FACTORS
from provecfg.comparison.values import change_in_words
from provecfg.findings import Finding, Problem


class Status(enum.Enum):
    """What a difference is to the comparison."""

    DECLARED = "declared"
    DERIVED = "derived"
    RECORD = "record"
    NOT_COMPARED = "not compared"
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True)
class Judged:
    """A difference, and what it is to the comparison.

    Args:
        difference: It.
        factor: What it is a difference of.
        status: What it is to the comparison.
        reason: Why it follows from what was declared, or why it could not be compared; "" where neither.
    """

    difference: Difference
    factor: Factor
    status: Status
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two configs, and what they differ in.

    Args:
        before, after: They.
        declared: What they are declared to differ in, or what alone explains all differences; None where nothing does.
        factors: The factors that this stands for.
        was_declared: Whether the user or the study declared it.
        differences: All of them, judged.
    """

    before: Compared
    after: Compared
    declared: str | None
    factors: frozenset[Factor]
    was_declared: bool
    differences: tuple[Judged, ...]

    def of_status(self, status: Status) -> list[Judged]:
        """The differences of one status."""
        return [judged for judged in self.differences if judged.status is status]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with comparing the two."""
        return tuple(_findings(self))


def compare(configs: Sequence[Compared], declared: Sequence[str] = ()) -> list[Comparison]:
    """Compare cells of a study along its axes, and other configs with the first.

    Args:
        configs: At least two.
        declared: What may differ, by the names of `NAMES`. Of cells, the axes to compare along. Where nothing is, the
            axis is what cells differ in; other configs are compared for the one factor that explains all differences.
    """
    axes = [name for name in declared if name in AXES] if declared else list(AXES)
    steps = list(steps_between(configs, axes)) if len(axes) == len(declared) or not declared else []
    comparisons = [
        _compared(step.before, step.after, step.axis, NAMES[step.axis] if declared else AXES[step.axis])
        for step in steps
    ]
    covered = {id(config) for step in steps for config in (step.before, step.after)}
    first = configs[0]
    for config in configs[1:]:
        if id(config) in covered:
            continue
        if declared:
            factors = frozenset().union(*(NAMES[name] for name in declared))
            comparisons.append(_compared(first, config, " and ".join(declared), factors))
        else:
            comparisons.append(_inferred(first, config))
    return comparisons


def _compared(before: Compared, after: Compared, declared: str, factors: frozenset[Factor]) -> Comparison:
    pair = Pair.of(before.values, after.values)
    return Comparison(before, after, declared, factors, True, tuple(_judged(pair, factors)))


def _inferred(before: Compared, after: Compared) -> Comparison:
    """The comparison by the one factor that explains all, or by none."""
    pair = Pair.of(before.values, after.values)
    for name, factors in NAMES.items():
        judged = tuple(_judged(pair, factors))
        statuses = {difference.status for difference in judged}
        if Status.DECLARED in statuses and Status.UNEXPLAINED not in statuses:
            return Comparison(before, after, name, factors, False, judged)
    return Comparison(before, after, None, frozenset(), False, tuple(_judged(pair, frozenset())))


def _judged(pair: Pair, declared: frozenset[Factor]) -> Iterator[Judged]:
    for difference in pair.differences:
        factor = factor_of(difference)
        if factor is Factor.RECORD:
            yield Judged(difference, factor, Status.RECORD)
        elif not difference.is_known:
            reasons = [value.reason for value in difference.values if isinstance(value, Unknown)]
            yield Judged(difference, factor, Status.NOT_COMPARED, reasons[0] if reasons else "")
        elif factor in declared:
            copied = copied_to_auxiliary_head(difference, pair)
            yield Judged(difference, factor, Status.DERIVED if copied else Status.DECLARED, copied or "")
        else:
            reason = explanation(difference, declared, pair)
            yield Judged(difference, factor, Status.DERIVED if reason else Status.UNEXPLAINED, reason or "")


def _findings(comparison: Comparison) -> Iterator[Finding]:
    before, after = comparison.before.name, comparison.after.name
    meant = _listed([factor.value for factor in Factor if factor in comparison.factors])
    unexplained = comparison.of_status(Status.UNEXPLAINED)
    unknown = comparison.of_status(Status.NOT_COMPARED)
    if comparison.declared is not None:
        for judged in unexplained:
            factor = names_of([judged.factor])[0]
            yield _finding(
                comparison,
                DIFFERS_ELSEWHERE,
                judged.difference,
                f"{before} and {after} are to differ in the {meant} alone, and differ in the "
                f"{judged.factor.value}: {change_in_words(judged.difference)}",
                f"make it the same in both, or say that it is meant to differ: --factor {factor}",
            )
        may_differ = any(judged.factor in comparison.factors for judged in unknown)
        if comparison.was_declared and not comparison.of_status(Status.DECLARED) and not may_differ:
            yield Finding(
                DIFFERS_NOWHERE,
                f"{before} and {after} are to differ in the {meant}, and do not",
                filename=comparison.after.study_file or comparison.after.view.path,
                hint="two runs of them show the noise of training, and nothing else",
            )
    elif unexplained:
        several = names_of(judged.factor for judged in unexplained)
        yield _finding(
            comparison,
            SEVERAL_FACTORS,
            unexplained[0].difference,
            f"{before} and {after} differ in the {_listed(several)}: the comparison cannot tell which made the "
            "difference",
            "compare configs that differ in one of them, or declare what is meant to differ with --factor",
        )
    for judged in unknown:
        yield _finding(
            comparison,
            NOT_COMPARED,
            judged.difference,
            f"{judged.difference.key} of {before} and {after} is not compared: {judged.reason}",
            None,
        )


def _finding(
    comparison: Comparison, problem: Problem, difference: Difference, message: str, hint: str | None
) -> Finding:
    config = comparison.before if difference.after is None else comparison.after
    key = difference.key
    node = node_at(config.view, key) if config.study_file is None else None
    target = config.study_file or config.view.path
    file = target if node is None else node.file
    return Finding(
        problem,
        message,
        key,
        hint,
        file,
        None if node is None else node.span,
        target=target if file != target else None,
    )


def _listed(names: Sequence[str]) -> str:
    return f"{', the '.join(names[:-1])} and the {names[-1]}" if len(names) > 1 else "".join(names)
