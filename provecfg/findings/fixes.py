"""Fixes that hold: each is judged before it is kept, with every config that its file is part of.

A fix is made if the finding is gone then, no other one has come, and, where it is said to be safe, the values of the
config differ in the fix's own keys and nowhere else. Nothing is written here but by `FixResult.write`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from provecfg.findings.edits import FixResult, as_read, edited, text_on_disk
from provecfg.findings.finding import Applicability, Finding
from provecfg.findings.problem import Severity

MOST_ROUNDS: Final = 30
"""Rounds of judging and mending: a fix may uncover another, and some go one by one."""
MOST_TRIALS: Final = 300
"""How often files are judged as they would be, all rounds together."""

_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class JudgedTarget:
    """A config or study, as its files would be.

    Args:
        findings: What is found in it, after selection and suppression.
        files: The file and its bases.
        values: Dotted path of every value that holds no others -> the value, inheritance applied.
    """

    findings: tuple[Finding, ...]
    files: frozenset[Path]
    values: Mapping[str, Any] = field(default_factory=dict)


Judge = Callable[[Path, Mapping[Path, str]], JudgedTarget]
"""Judges a target, given the text of files that are read as if they held it."""


def apply_fixes(
    targets: Sequence[Path], judge: Judge, *, unsafe: bool = False, unsaved: Mapping[Path, str] | None = None
) -> FixResult:
    """Make as many fixes as hold, in memory, until none is left.

    Args:
        targets: What was asked about; only these files are changed, not their bases, which others may inherit from.
        judge: Reads and judges one of them.
        unsafe: Also make fixes that change what is trained.
        unsaved: Texts of files that are mended instead of what is on disk: an editor's.
    """
    return _Fixing(targets, judge, unsafe, unsaved or {}).result()


class _Fixing:
    def __init__(self, targets: Sequence[Path], judge: Judge, unsafe: bool, unsaved: Mapping[Path, str]) -> None:
        self._judge = judge
        self._unsafe = unsafe
        self._editable = set(targets)
        self._unsaved = unsaved
        self._texts: dict[Path, str] = dict(unsaved)
        as_typed = {path: as_read(text) for path, text in unsaved.items()}
        self._judged = {target: judge(target, as_typed) for target in targets}
        self._rejected: set[tuple[Path, str, str, str]] = set()
        self._applied: list[Finding] = []
        self._trials = MOST_TRIALS

    def result(self) -> FixResult:
        for _ in range(MOST_ROUNDS):
            batch = self._edited(self._candidates())
            if not batch.files:
                break
            if not self._keep_part(batch.applied):
                self._rejected |= {_identity(finding) for finding in batch.applied}
        skipped = tuple(finding for finding in self._findings() if finding.fix is not None and self._may_make(finding))
        originals = {path: self._unsaved.get(path, text_on_disk(path) or "") for path in self._texts}
        files = {path: (originals[path], after) for path, after in self._texts.items() if after != originals[path]}
        return FixResult(files, tuple(self._applied), skipped)

    def _keep_part(self, findings: Sequence[Finding]) -> bool:
        """Make these fixes, or the half or quarter of them that holds: it moves what the others point at."""
        batch = self._edited(findings)
        if not batch.files or self._trials == 0:
            return False
        self._trials -= 1
        if self._keep(batch):
            return True
        middle = len(findings) // 2
        return middle > 0 and (self._keep_part(findings[:middle]) or self._keep_part(findings[middle:]))

    def _findings(self) -> Iterable[Finding]:
        return (finding for judged in self._judged.values() for finding in judged.findings)

    def _may_make(self, finding: Finding) -> bool:
        fix = finding.fix
        return fix is not None and (self._unsafe or fix.applicability is Applicability.SAFE)

    def _candidates(self) -> list[Finding]:
        """What follows from another finding is not mended: it may mean nothing once its cause is."""
        return [
            finding
            for finding in self._findings()
            if self._may_make(finding) and finding.caused_by is None and _identity(finding) not in self._rejected
        ]

    def _edited(self, findings: Iterable[Finding]) -> FixResult:
        return edited(findings, unsafe=self._unsafe, editable=self._editable, unsaved=self._texts)

    def _keep(self, result: FixResult) -> bool:
        """Judge the files as they would be, and keep them so if every fix holds; otherwise nothing is changed."""
        texts = self._texts | {path: after for path, (_, after) in result.files.items()}
        unsaved = {path: as_read(text) for path, text in texts.items()}
        affected = {
            target: judged for target, judged in self._judged.items() if not judged.files.isdisjoint(result.files)
        }
        after = {target: self._judge(target, unsaved) for target in affected}
        if not all(_holds(affected[target], after[target], result.applied) for target in affected):
            if len(result.applied) == 1:
                self._rejected.add(_identity(result.applied[0]))
            return False
        self._texts = texts
        self._judged |= after
        self._applied += result.applied
        return True


def _identity(finding: Finding) -> tuple[Path, str, str, str]:
    return finding.filename, finding.code, finding.key, finding.message


def _holds(before: JudgedTarget, after: JudgedTarget, mended: Collection[Finding]) -> bool:
    """Whether fixes mend a config and do nothing else to it."""
    came = _counted(after.findings) - _counted(before.findings)
    if came:
        return False
    left = {_identity(finding) for finding in after.findings}
    here = set(before.findings)
    if any(_identity(finding) in left for finding in mended if finding in here):
        return False
    if any(finding.fix and finding.fix.applicability is Applicability.UNSAFE for finding in mended):
        return True
    own = {key for finding in mended for key in (finding.key, *_keys_of(finding)) if key}
    return all(
        not own.isdisjoint(_around(path))
        for path in before.values.keys() | after.values.keys()
        if not _same(before.values.get(path, _ABSENT), after.values.get(path, _ABSENT))
    )


def _around(path: str) -> Iterator[str]:
    """A dotted path and those of what it is in: `a.b[0]`, `a.b`, `a`."""
    yield path
    for index, character in enumerate(path):
        if character in ".[":
            yield path[:index]


def _keys_of(finding: Finding) -> Iterable[str]:
    return (key for edit in finding.fix.edits for key in edit.keys) if finding.fix is not None else ()


def _counted(findings: Iterable[Finding]) -> Counter[tuple[str, str]]:
    """Findings that matter, by code and key: lines may have moved."""
    return Counter((finding.code, finding.key) for finding in findings if finding.severity is not Severity.NOTE)


def _same(left: Any, right: Any) -> bool:
    """Whether two values are one: 1, 1.0 and True are three."""
    return type(left) is type(right) and bool(left == right)
