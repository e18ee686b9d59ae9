"""Names and other people's text as messages show them: what they may have been meant to be, and fit for a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# C0 and C1 controls but tab, marks that turn the direction of text (a terminal would obey them), and lone surrogates
# (no stream would take them; names of files have them)
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_LONGEST_SHOWN = 200
_MOST_NAMES = 25
"""As many known names are listed where none is near; a reader looks through no more."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def nearest_names(wrong: str, known: Iterable[str], *, limit: int = 3) -> list[str]:
    """The known names that `wrong` may have been meant to be, best first, at most `limit`.

    Letter case is no difference, and a name that shares its words counts as close: `OHEMSampler` finds
    `OHEMPixelSampler`.
    """
    import difflib  # what is right needs no likeness

    folded = wrong.casefold().replace("-", "_")
    words = {word.casefold() for word in _WORD.findall(wrong)}
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(folded)
    scored = []
    for name in known:
        if name.casefold() == folded:
            scored.append((-2.0, name))
            continue
        matcher.set_seq1(name.casefold())
        if matcher.real_quick_ratio() < 0.5:
            continue
        ratio = matcher.ratio()
        own = {word.casefold() for word in _WORD.findall(name)}
        shared = 2 * len(words & own) / (len(words) + len(own)) if words and own else 0.0
        score = max(ratio, 0.55 * ratio + 0.45 * shared)
        if score >= 0.65:
            scored.append((-score, name))
    return [name for _, name in sorted(scored)[:limit]]


def is_misspelling(wrong: str, right: str) -> bool:
    """Whether the names differ by a letter or two, an ending or an underscore."""
    first, second = wrong.lower().replace("_", ""), right.lower().replace("_", "")
    if first == second or first.rstrip("s") == second.rstrip("s"):
        return True
    return abs(len(first) - len(second)) <= 2 and _distance(first, second) <= (2 if len(second) > 6 else 1)


def _distance(first: str, second: str) -> int:
    """Edits of one letter, or swaps of two neighbours, that make one out of the other."""
    before: list[int] = []
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        before, last, row = row, before, [i]
        for j, b in enumerate(second, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == second[j - 2] and first[i - 2] == b:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """A sentence that says `name` is no known `what`, with the nearest name or, where none is near, the known ones."""
    known = list(known)
    near = nearest_names(name, known, limit=1)
    if not near and len(name) >= 3:
        # `segfomer` is too short for a likeness with `segformer_mit-b3`, and plain to a reader.
        beginnings = {candidate[: len(name) + 1]: candidate for candidate in reversed(known)}
        near = [beginnings[beginning] for beginning in nearest_names(name, beginnings, limit=1)]
    if near:
        return f"unknown {what} {name!r}; did you mean {near[0]!r}?"
    return f"unknown {what} {name!r}; known: {first_few(known, _MOST_NAMES)}"


def first_few(names: Sequence[str], most: int = 3) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def printable(text: str) -> str:
    """The text with control characters, which a file or a name may hold, written as escapes; tabs stay."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def printable_lines(text: str) -> str:
    """The text with control characters in its lines written as escapes; its line ends, `\\r\\n` too, stay."""
    if not _CONTROL.search(text):
        return text
    *lines, last = text.split("\n")
    ended = [f"{printable(line[:-1])}\r\n" if line.endswith("\r") else f"{printable(line)}\n" for line in lines]
    return "".join((*ended, printable(last)))


def shown(value: object) -> str:
    """The value as Python writes it, cut off where it is long; any value can be shown."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of more digits than Python writes, a list within itself
        return f"a value of type {type(value).__name__} that is too large to be shown"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
