"""The rooms of a proof, and the way of one config through them."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Final

from provecfg.errors import wants_traceback
from provecfg.findings import Finding
from provecfg.proof.augmentation import check as augmentation
from provecfg.proof.built import Built
from provecfg.proof.clock import check as clock
from provecfg.proof.data import check as data
from provecfg.proof.declared import check as declared
from provecfg.proof.declared.build import BuildFailure
from provecfg.proof.declared.construction import build_declared
from provecfg.proof.declared.consumption import overlap
from provecfg.proof.effect import check as effect
from provecfg.proof.memory import check as memory
from provecfg.proof.prediction import check as prediction
from provecfg.proof.problems import CHECK_FAILED
from provecfg.proof.section import Section, TimedSection
from provecfg.proof.step import check as step
from provecfg.proof.stopping import check as stopping
from provecfg.proof.subject import Subject

ROOMS: Final[tuple[ModuleType, ...]] = (declared, step, clock, stopping, data, augmentation, prediction, memory, effect)
"""Each has a `NAME`, and `check(subject, built)`, which returns a `Section` or several. This is their order."""


def sections_of(subject: Subject) -> list[TimedSection]:
    """What every room sees of a config. The first one's time is that of the building, too."""
    started = time.monotonic()
    built: Built | None = None
    sections: list[TimedSection] = []
    for room in ROOMS:
        try:
            built = built or build_declared(subject)
            seen = room.check(subject, built)
        except Exception as error:  # one room's mistake must not hide what the others see
            built = built or Built.nothing()
            seen = Section(room.NAME, findings=(_failure(room.NAME, error),))
        parts: tuple[Section, ...] = (seen,) if isinstance(seen, Section) else tuple(seen)
        now = time.monotonic()
        sections += (TimedSection(section, (now - started) / len(parts)) for section in parts)
        started = now
    failures = built.declaration.parts.failures if built is not None and built.declaration is not None else ()
    return [sections[0], *(_without_repetitions(timed, failures) for timed in sections[1:])] if sections else []


def _without_repetitions(timed: TimedSection, failures: Sequence[BuildFailure]) -> TimedSection:
    """The section without what the first one says already: that the same part cannot be built, for the same reason."""
    section = timed.section
    repeated = [
        finding
        for finding in section.findings
        if any(overlap(failure.key, finding.key) and failure.message in finding.message for failure in failures)
    ]
    if not repeated:
        return timed
    reason = section.not_judged or f"{repeated[0].key} cannot be built"
    kept = tuple(finding for finding in section.findings if finding not in repeated)
    return replace(timed, section=replace(section, findings=kept, not_judged=reason))


def _failure(name: str, error: Exception) -> Finding:
    if wants_traceback():
        traceback.print_exception(error)
    innermost = traceback.extract_tb(error.__traceback__)[-1]
    at = f"{Path(innermost.filename).name}:{innermost.lineno}"
    first_line = str(error).partition("\n")[0]
    return Finding(
        CHECK_FAILED,
        f"the check {name!r} failed by itself: {type(error).__name__}: {first_line} ({at})",
        hint="please report it, with the config",
    )
