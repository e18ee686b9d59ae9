"""A look at a file before it is parsed: is it safe to hand to Python's parser?

The parser and the syntax tree recurse in C. A file nested deeply enough exhausts memory or the C stack, which cannot be
caught, so depth is bounded from the text first.
"""

from __future__ import annotations

import re

from provecfg.mmconfig.budget import MAX_NESTING, LimitError

MAX_TOKENS = 150_000
_HARMLESS = 2_500
"""A file with fewer characters that can nest than this parses safely however they are arranged."""
_NESTING_CHARACTERS = "([{+-*/%@&|^~.<>=:"
_NESTING_WORD = re.compile(r"\b(?:not|lambda|if|else|elif|await|and|or|in|is|for)\b")
_TOKEN = re.compile(
    r"""
      (?P<string>(?P<prefix>[A-Za-z]{0,2})(?:
          \"\"\"(?:[^\\"]|\\.|"(?!\"\"))*(?:\"\"\"|$)
        | '''(?:[^\\']|\\.|'(?!''))*(?:'''|$)
        | "(?:[^\\"\n]|\\.)*"?
        | '(?:[^\\'\n]|\\.)*'?))
    | (?P<comment>\#[^\n]*)
    | (?P<open>[(\[{])
    | (?P<close>[)\]}])
    | (?P<comma>,)
    | (?P<newline>\n|;)
    | (?P<word>\w+)
    | (?P<operator>[^\s\w])
    """,
    re.VERBOSE | re.DOTALL,
)
_FORMATS = re.compile(r"[fF][rR]?[\"']")
_FORMAT_COST = 10
"""What parsing a format string, or a field of one, costs in tokens."""
_WORDS = frozenset({"not", "lambda", "if", "else", "elif", "await", "and", "or", "in", "is", "for"})


def check_nesting(text: str) -> None:
    """Check that `text`, parsed as Python, stays within the limits.

    Raises:
        LimitError: It may not.
    """
    if len(text) < _HARMLESS:  # most configs; each thing that nests has a character at least
        return
    if _FORMAT_COST * len(_FORMATS.findall(text)) > MAX_TOKENS // 2:
        raise LimitError("it has too many format strings")
    suspicious = sum(map(text.count, _NESTING_CHARACTERS))
    if suspicious < _HARMLESS and len(_NESTING_WORD.findall(text)) + suspicious < _HARMLESS:
        if len(text) > 2 * MAX_TOKENS and text.count(",") + text.count("\n") > MAX_TOKENS:
            raise LimitError("it has too many parts")
        return
    _check_each_token(text)


def _check_each_token(text: str) -> None:
    """Bound the depth of the tree: operators since the last comma, summed over the brackets that are open."""
    formats = _FORMATS.search(text) is not None
    in_formats = 0
    outer: list[int] = []
    here = 0
    below = 0
    elifs = 0
    for tokens, match in enumerate(_TOKEN.finditer(text)):
        kind = match.lastgroup
        if kind == "open":
            here += 1
            outer.append(here)
            below += here
            here = 0
        elif kind == "close":
            here = outer.pop() if outer else 0
            below -= here
        elif kind == "comma":
            here = 0
        elif kind == "newline":
            if not outer:
                here = 0
        elif kind == "operator":
            here += 1
        elif kind == "word":
            if match[0] in _WORDS:
                here += 1
                elifs += match[0] == "elif"
        elif formats and kind == "string":
            # A format string's fields are expressions of their own; where one ends is the parser's to know.
            inside = sum(map(match[0].count, _NESTING_CHARACTERS))
            in_formats += inside
            if inside > 10 * MAX_NESTING:
                raise LimitError("it is nested too deeply")
        if below + here > 3 * MAX_NESTING or elifs > 3 * MAX_NESTING:
            raise LimitError("it is nested too deeply")
        if tokens + _FORMAT_COST * in_formats > MAX_TOKENS:
            raise LimitError("it has too many parts")
