"""The edits that fixes propose, made in memory: exact spans, everything else byte for byte as it was."""

from __future__ import annotations

import ast
import difflib
import os
import re
import warnings
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provecfg.errors import ProvecfgError
from provecfg.files import read_bytes
from provecfg.findings import Applicability, Edit, Finding, Fix
from provecfg.paths import write_atomically

_LINE_END = re.compile(r"\r\n|\r|\n")
_BOM = "\ufeff"


@dataclass(frozen=True)
class FixResult:
    """What fixes make of the files; nothing is written yet.

    Args:
        files: Each changed file with its text before and after, line ends and byte order mark as on disk.
        applied: Findings whose fix is made.
        skipped: Findings whose fix is not: it overlaps another one, or no longer fits the file.
    """

    files: Mapping[Path, tuple[str, str]]
    applied: tuple[Finding, ...]
    skipped: tuple[Finding, ...]

    def write(self) -> None:
        """Write the changed files, each atomically and with its mode kept; all of them or none.

        Raises:
            ProvecfgError: A file cannot be written, or is not what was judged any more; those written before it are put
                back.
        """
        done: list[Path] = []
        for path, (before, after) in self.files.items():
            try:
                if not os.access(path, os.W_OK):
                    raise PermissionError("it is read-only")
                if text_on_disk(path) != before:
                    raise PermissionError("it was changed meanwhile")
                write_atomically(path.resolve(), after)  # of a link, the file that it points to
            except (OSError, ProvecfgError) as error:
                for written in done:
                    write_atomically(written.resolve(), self.files[written][0])
                if isinstance(error, ProvecfgError):
                    raise
                raise ProvecfgError(f"cannot write {path}: {error}") from error
            done.append(path)

    def diff(self, base: Path | None = None) -> str:
        """The changes as a unified diff, paths relative to `base`; '' where there are none."""
        return "".join(
            diff_of(before, after, _shown(path, base or Path.cwd())) for path, (before, after) in self.files.items()
        )


def edited(
    findings: Iterable[Finding],
    *,
    unsafe: bool = False,
    editable: Collection[Path] | None = None,
    unsaved: Mapping[Path, str] | None = None,
) -> FixResult:
    """Make as many of the fixes as go together, in memory.

    A fix is made whole or not at all. Of two that overlap, the one of the worse finding is made, else the first; the
    other is left for the next round. A Python file that parsed still does.

    Args:
        findings: Findings, with or without fixes.
        unsafe: Also make fixes that change what is trained.
        editable: Files that may be changed; any but those of installed packages unless given.
        unsaved: Texts that findings are about, where they are not those on disk.
    """
    wanted = [d for d in findings if d.fix is not None and (unsafe or d.fix.applicability is Applicability.SAFE)]
    wanted.sort(key=lambda finding: -finding.severity)
    texts: dict[Path, _Text | None] = {}
    made: dict[Fix, None] = {}
    refused: set[Fix] = set()
    for finding in wanted:
        fix = finding.fix
        if fix is None or fix in made or fix in refused:
            continue
        for edit in fix.edits:
            if edit.filename not in texts:
                allowed = _is_editable(edit.filename) if editable is None else edit.filename in editable
                texts[edit.filename] = _read(edit.filename, unsaved or {}) if allowed else None
        if _take(fix, texts):
            made[fix] = None
        else:
            refused.add(fix)
    for fix in _breaking(list(made), texts):
        del made[fix]
    files = {}
    for path, text in texts.items():
        after = None if text is None else text.after(text.edits)
        if text is not None and after is not None and after != text.raw:
            files[path] = (text.raw, after)
    return FixResult(
        files,
        applied=tuple(d for d in wanted if d.fix in made),
        skipped=tuple(d for d in wanted if d.fix not in made),
    )


def diff_of(before: str, after: str, name: str) -> str:
    """A unified diff of one file, as `git apply` takes it."""
    # not str.splitlines, which also ends lines at form feeds and the like
    old, new = (re.findall(r"[^\n]*\n|[^\n]+", _LINE_END.sub("\n", text)) for text in (before, after))
    lines = []
    for line in difflib.unified_diff(old, new, f"a/{name}", f"b/{name}"):
        lines.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    return "".join(lines)


@dataclass
class _Text:
    """A file's text as on disk, and the edits that it is to get.

    Args:
        raw: With its own line ends and byte order mark.
        edits: (start, end, text, fix), offsets in `raw`, in order and apart from each other.
    """

    raw: str
    edits: list[tuple[int, int, str, Fix]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._starts = [len(_BOM) if self.raw.startswith(_BOM) else 0]
        self._ends = []
        for match in _LINE_END.finditer(self.raw):
            self._ends.append(match.start())
            self._starts.append(match.end())
        self._ends.append(len(self.raw))
        ends = _LINE_END.findall(self.raw)
        self._newline = max(sorted(set(ends)), key=ends.count) if ends else "\n"

    def place(self, edit: Edit) -> tuple[int, int] | None:
        """Offsets of an edit's span, or None if the file has no such place."""
        start = self._offset(edit.span.row, edit.span.column)
        end = self._offset(edit.span.end_row, edit.span.end_column)
        return None if start is None or end is None or end < start else (start, end)

    def _offset(self, row: int, column: int) -> int | None:
        if not 1 <= row <= len(self._starts) or column < 1:
            return None
        offset = self._starts[row - 1] + column - 1
        return offset if offset <= self._ends[row - 1] else None

    def is_free(self, start: int, end: int) -> bool:
        """Whether no edit is there yet; an insertion may not even touch another edit."""
        index = bisect_left(self.edits, (start, end), key=lambda edit: edit[:2])
        for other_start, other_end, *_ in self.edits[max(index - 1, 0) : index + 1]:
            if start < other_end and other_start < end:
                return False
            touches = start <= other_end and other_start <= end
            if touches and (start == end or other_start == other_end):
                return False
        return True

    def add(self, start: int, end: int, text: str, fix: Fix) -> None:
        written = text if self._newline == "\n" else text.replace("\n", self._newline)
        index = bisect_left(self.edits, (start, end), key=lambda edit: edit[:2])
        self.edits.insert(index, (start, end, written, fix))

    def after(self, edits: Iterable[tuple[int, int, str, Fix]]) -> str:
        """The text with some of its edits made."""
        parts = []
        position = 0
        for start, end, text, _ in edits:
            parts += [self.raw[position:start], text]
            position = end
        return "".join([*parts, self.raw[position:]])


def _take(fix: Fix, texts: Mapping[Path, _Text | None]) -> bool:
    """Add a fix's edits where all of them fit; says whether they did."""
    added: list[tuple[_Text, int]] = []
    for edit in fix.edits:
        text = texts[edit.filename]
        place = None if text is None else text.place(edit)
        if text is None or place is None or not text.is_free(*place):
            for changed, _ in added:
                changed.edits = [kept for kept in changed.edits if kept[3] is not fix]
            return False
        text.add(*place, edit.text, fix)
        added.append((text, place[0]))
    return bool(added)


def _breaking(made: list[Fix], texts: Mapping[Path, _Text | None]) -> set[Fix]:
    """Take out the fixes that would leave a Python file unparsable, and say which they were."""
    broken: set[Fix] = set()
    for path, text in texts.items():
        if text is None or path.suffix != ".py" or not text.edits or not _parses(text.raw):
            continue
        if _parses(text.after(text.edits)):
            continue
        kept: set[Fix] = set()
        broken |= _breaking_in(text, [fix for fix in made if fix not in broken], kept)
    for text in texts.values():
        if text is not None:
            text.edits = [edit for edit in text.edits if edit[3] not in broken]
    return broken


def _breaking_in(text: _Text, fixes: list[Fix], kept: set[Fix]) -> set[Fix]:
    """Those of the fixes with which a text, with the edits of `kept` made, does not parse; the others join `kept`."""
    together = kept.union(fixes)
    if _parses(text.after(edit for edit in text.edits if edit[3] in together)):
        kept |= together
        return set()
    if len(fixes) == 1:
        return set(fixes)
    middle = len(fixes) // 2
    return _breaking_in(text, fixes[:middle], kept) | _breaking_in(text, fixes[middle:], kept)


def _parses(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the config, such as an invalid escape
        try:
            ast.parse(text.removeprefix(_BOM))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def text_on_disk(path: Path) -> str | None:
    """A file's text with its own line ends and byte order mark, or None where it cannot be had."""
    try:
        return read_bytes(path).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def as_read(text: str) -> str:
    """A file's text as the reader of configs has it: no byte order mark, newlines made `\\n`."""
    return _LINE_END.sub("\n", text.removeprefix(_BOM))


def _read(path: Path, unsaved: Mapping[Path, str]) -> _Text | None:
    raw = unsaved.get(path) or text_on_disk(path)
    return None if raw is None else _Text(raw)


def _is_editable(path: Path) -> bool:
    """Whether a file is the user's own, and none of an installed package's."""
    return not {"site-packages", "dist-packages"} & set(path.absolute().parts)


def _shown(path: Path, base: Path) -> str:
    absolute = path.absolute()
    return (absolute.relative_to(base) if absolute.is_relative_to(base) else absolute).as_posix().lstrip("/")
