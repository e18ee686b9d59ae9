"""What `compare` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from provecfg.comparison.cells import AXES, Compared, axes_that_vary
from provecfg.comparison.judging import Comparison, Status
from provecfg.comparison.values import change_in_words, plain
from provecfg.findings import Severity

_LISTED: Final = 4
"""Names that a line lists before `and N more`."""


def as_text(configs: Sequence[Compared], comparisons: Sequence[Comparison]) -> str:
    """What is compared, and each difference under what it is to the comparison; equal comparisons are said once."""
    blocks = [_what_is_compared(configs)]
    told: dict[tuple[str, ...], list[Comparison]] = {}
    for comparison in comparisons:
        told.setdefault((_step(comparison), *_lines(comparison)), []).append(comparison)
    for (step, *lines), alike in told.items():
        head = step + _shared_by(alike, configs)
        blocks.append("\n".join([head, *(f"  {line}" for line in lines or ["no difference"])]))
    blocks.append(_verdict(configs, comparisons))
    return "\n\n".join(blocks)


def as_data(configs: Sequence[Compared], comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Factors of each config and every difference, as JSON holds it."""
    return {
        "factors": {
            config.name: {"study": config.study, **config.coordinates} if config.study else {} for config in configs
        },
        "differences": [
            {
                "configs": [comparison.before.name, comparison.after.name],
                "declared": comparison.declared,
                "key": judged.difference.key,
                "factor": judged.factor.value,
                "status": judged.status.value,
                "reason": judged.reason or None,
                "before": plain(judged.difference.before),
                "after": plain(judged.difference.after),
            }
            for comparison in comparisons
            for judged in comparison.differences
        ],
    }


def _what_is_compared(configs: Sequence[Compared]) -> str:
    lines = []
    for study in dict.fromkeys(config.study for config in configs):
        members = [config for config in configs if config.study == study]
        if not study:
            lines.append(f"{_count(len(members), 'config')}: {_some([config.name for config in members])}")
            continue
        lines.append(f"study {study}: {_count(len(members), 'config')}")
        for axis in axes_that_vary(members):
            values = list(dict.fromkeys(config.coordinates[axis] for config in members))
            lines.append(f"  {axis}: {', '.join(values)}")
        edited = [config.name for config in members if config.is_edited]
        if edited:
            lines.append(f"  edited by hand: {_some(edited)}")
    return "\n".join(lines)


def _step(comparison: Comparison) -> str:
    axis, before, after = comparison.declared, comparison.before, comparison.after
    if axis is not None and axis in AXES and before.coordinates and after.coordinates and before.study == after.study:
        return f"{axis}: {before.coordinates[axis]} -> {after.coordinates[axis]}"
    what = "nothing declared" if axis is None else axis if comparison.was_declared else f"{axis} alone"
    return f"{before.name} -> {after.name}: {what}"


def _shared_by(alike: Sequence[Comparison], configs: Sequence[Compared]) -> str:
    """Where on the other axes the comparisons are that are told at once."""
    axis = alike[0].declared
    cells = [comparison.after for comparison in alike if comparison.after.coordinates]
    if axis is None or axis not in AXES or len(cells) != len(alike):
        return ""
    others = [name for name in axes_that_vary(configs) if name != axis]
    parts = [_some(list(dict.fromkeys(cell.coordinates[name] for cell in cells)), 6) for name in others]
    return f" ({'; '.join(parts)})" if parts else ""


def _lines(comparison: Comparison) -> Iterator[str]:
    for status in Status:
        of_status = comparison.of_status(status)
        if status is Status.RECORD:
            if of_status:
                yield f"{status.value}: {_some([judged.difference.key for judged in of_status], 6)}"
            continue
        label = "differs" if comparison.declared is None and status is Status.UNEXPLAINED else status.value
        for reason in dict.fromkeys(judged.reason for judged in of_status):
            for judged in of_status:
                if judged.reason == reason:
                    yield f"{label}: {change_in_words(judged.difference)}"
            if reason:
                yield f"    since {reason}" if status is Status.DERIVED else f"    {reason}"


def _verdict(configs: Sequence[Compared], comparisons: Sequence[Comparison]) -> str:
    made = f"{_count(len(configs), 'config')}, {_count(len(comparisons), 'comparison')}"
    if any(comparison.of_status(Status.NOT_COMPARED) for comparison in comparisons):
        made += ", not in everything"
    if any(finding.severity is Severity.ERROR for comparison in comparisons for finding in comparison.findings):
        return f"{made}."
    if all(comparison.declared is None for comparison in comparisons):
        return f"{made}: no difference in what is trained."
    return f"{made}: nothing differs but what is declared, and what follows from it."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _some(names: Sequence[str], most: int = _LISTED) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
