"""`# provecfg: ignore[LOSS003,STOP001] reason` silences these codes on its line.

A comment that silences nothing, or gives no reason, is a finding itself.
"""

from __future__ import annotations

import functools
import io
import re
import tokenize
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from provecfg.findings.finding import Applicability, Edit, Finding, Fix, Span
from provecfg.findings.problems import MALFORMED, UNUSED

MARKER: Final = "provecfg:"
"""Files without it hold no such comment, and are not looked at further."""


_FORM = "# provecfg: ignore[CODE] reason"
_COMMENT = re.compile(r"#\s*provecfg:\s*(?P<verb>[\w-]*)\s*(?:\[(?P<codes>[^\]\n]*)\])?(?P<reason>[^\n]*)")
_CODE = re.compile(r"[A-Z]{2,}\d{3}")


class Suppression(NamedTuple):
    """One comment.

    Args:
        file: Where it stands.
        span: The comment, from its `#`.
        codes: What it silences.
        reason: Why, in the author's words; '' if they gave none.
        problem: What is wrong with how it is written, or None.
    """

    file: Path
    span: Span
    codes: tuple[str, ...]
    reason: str
    problem: str | None = None


def suppressions_in(text: str, file: Path) -> list[Suppression]:
    """The comments in a file's text.

    Args:
        text: The file's text.
        file: Its path. Python is read with its own tokenizer, so that a string that looks like a comment is none.
    """
    return list(_suppressions_in(text, file)) if MARKER in text else []


@functools.lru_cache(maxsize=1000)  # each file's are asked for twice: for what they silence, and for what they do not
def _suppressions_in(text: str, file: Path) -> tuple[Suppression, ...]:
    comments = (_parsed(comment, file, row, column) for row, column, comment in _comments(text, file))
    return tuple(comment for comment in comments if comment is not None)


Silenced = frozenset[tuple[Path, Span, str]]
"""Comments, by file and span, each with a code that it silenced."""


def silence(findings: Iterable[Finding], texts: Mapping[Path, str]) -> tuple[list[Finding], Silenced]:
    """Leave out what comments silence.

    A finding about a file as a whole is silenced by a comment in its first line.

    Args:
        findings: What was found, placed.
        texts: Text of every file that was read.

    Returns:
        What is left, and which comments silenced what.
    """
    comments: dict[tuple[Path, int, str], list[Suppression]] = {}
    for file, text in texts.items():
        for comment in suppressions_in(text, file):
            for code in comment.codes:
                comments.setdefault((file, comment.span.row, code), []).append(comment)
    kept: list[Finding] = []
    silenced: set[tuple[Path, Span, str]] = set()
    for finding in findings:
        row = finding.span.row if finding.span else 1
        silencing = comments.get((finding.filename, row, finding.code), [])
        silenced |= {(comment.file, comment.span, finding.code) for comment in silencing}
        if not silencing:
            kept.append(finding)
    return kept, frozenset(silenced)


def unused_suppressions(
    texts: Mapping[Path, str],
    silenced: Silenced,
    *,
    asked: Collection[Path],
    is_judged: Callable[[str, Path], bool],
) -> Iterator[Finding]:
    """The comments that silence nothing, and those that are malformed.

    Args:
        texts: Text of every file that was read.
        silenced: What `silence` said of them.
        asked: Files that were judged in their own right: only of their comments one is said to be unused.
        is_judged: Whether a code was looked for in a file; of one that was not, nothing is said to be unused.
    """
    for file, text in texts.items():
        comments = suppressions_in(text, file)
        lines = _lines(text) if comments else []
        for comment in comments:
            if comment.problem is not None and is_judged(MALFORMED.code, file):
                hint = f"write {_FORM}"
                yield Finding(MALFORMED, comment.problem, hint=hint, filename=file, span=comment.span)
            if file not in asked or not is_judged(UNUSED.code, file):
                continue
            unused = [
                code for code in comment.codes if (file, comment.span, code) not in silenced and is_judged(code, file)
            ]
            if unused:
                yield _unused(comment, unused, lines[comment.span.row - 1])


def _unused(comment: Suppression, unused: list[str], line: str) -> Finding:
    silencing = set(comment.codes).difference(unused)
    left = [code for code in comment.codes if code in silencing]
    start = comment.span.column - 1
    if left:
        written = f"# provecfg: ignore[{','.join(left)}] {comment.reason}".rstrip()
        edit = Edit(comment.file, comment.span, written)
    else:
        bare = len(line[:start].rstrip())
        edit = Edit(comment.file, comment.span._replace(column=bare + 1), "")
    return Finding(
        UNUSED,
        f"{', '.join(unused)} {'is' if len(unused) == 1 else 'are'} not found on this line",
        hint="take it out",
        filename=comment.file,
        span=comment.span,
        fix=Fix("take out what silences nothing", Applicability.SAFE, (edit,)),
    )


def _comments(text: str, file: Path) -> Iterator[tuple[int, int, str]]:
    """Row, column and text of every comment that has the marker."""
    if file.suffix == ".json":
        return
    if file.suffix != ".py":
        yield from _comments_by_line(text)
        return
    comments = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text, newline=None).readline):
            if token.type == tokenize.COMMENT and MARKER in token.string:
                comments.append((token.start[0], token.start[1] + 1, token.string))
    except (tokenize.TokenError, SyntaxError):
        yield from _comments_by_line(text)  # the file does not parse; its comments still silence
        return
    yield from comments


def _comments_by_line(text: str) -> Iterator[tuple[int, int, str]]:
    """The same by the look of each line, for what has no tokenizer here (YAML) or does not parse."""
    for row, line in enumerate(_lines(text), start=1):
        if MARKER not in line:
            continue
        match = _COMMENT.search(line)
        if match and (match.start() == 0 or line[match.start() - 1] in " \t"):
            yield row, match.start() + 1, line[match.start() :]


def _lines(text: str) -> list[str]:
    return re.split(r"\r\n|\r|\n", text)


def _parsed(comment: str, file: Path, row: int, column: int) -> Suppression | None:
    match = _COMMENT.match(comment)
    if match is None:
        inner = _COMMENT.search(comment)  # after another remark: `# see #12  # provecfg: ignore[...] ...`
        if inner is None:
            return None
        return _parsed(comment[inner.start() :], file, row, column + inner.start())
    comment = comment.rstrip()
    span = Span(row, column, row, column + len(comment))
    reason = match["reason"].strip().lstrip(":-\u2014").strip()
    if match["verb"] != "ignore":
        return Suppression(file, span, (), reason, f"{match['verb'] or 'nothing'!r} is not something it can do")
    if match["codes"] is None:
        return Suppression(file, span, (), reason, "it names no code")
    named = [code.strip() for code in match["codes"].split(",") if code.strip()]
    codes = tuple(dict.fromkeys(code for code in named if _CODE.fullmatch(code)))
    wrong = [code for code in named if not _CODE.fullmatch(code)]
    problem = None
    if wrong:
        problem = f"{wrong[0]!r} is not a code"
    elif not codes:
        problem = "it names no code"
    elif not reason:
        problem = "it gives no reason"
    return Suppression(file, span, codes, reason, problem)
