"""Where in a config the cursor stands, told from a text that is being typed and need not parse."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

_TOKEN: Final = re.compile(
    r"""
      (?P<comment>\#[^\n]*)
    | (?P<string>[rRbBfFuU]{0,2}(?:\"\"\"(?:\\.|[^\\])*?(?:\"\"\"|\Z)|'''(?:\\.|[^\\])*?(?:'''|\Z)
                |\"(?:\\.|[^\\"\n])*\"?|'(?:\\.|[^\\'\n])*'?))
    | (?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*\.?)
    | (?P<number>\d[\w.]*)
    | (?P<open>[(\[{])
    | (?P<close>[)\]}])
    | (?P<newline>\n)
    | (?P<sign>==|[=:,]|[^\s])
    """,
    re.VERBOSE | re.DOTALL,
)
_BEGINS: Final = re.compile(r"[^\W\d]\w*\s*=|import\b|from\b|with\b|if\b|for\b|def\b|class\b|del\b")
_CLOSES: Final = {")": "(", "]": "[", "}": "{"}


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


@dataclass(slots=True)
class _Frame:
    """A bracket that is open: what it holds so far, and where in it we are."""

    bracket: str
    value: dict[str, Any] | list[Any]
    key: str | None = None

    def put(self, value: Any) -> None:
        if isinstance(self.value, list):
            self.value.append(value)
        elif self.key is not None:
            self.value[self.key] = value

    def step(self) -> str | int | None:
        return len(self.value) - 1 if isinstance(self.value, list) else self.key


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the cursor stands.

    Args:
        root: The file's own values, as far as they can be told: dicts, lists and texts; the rest is None.
        around: The dict or list that the cursor is in.
        path: Keys and indices from the top to `around`.
        key: The key whose value is being written, or None where a key, or an item of a list, is.
        prefix: What stands before the cursor of the word under it; of a text, without the quote.
        start: Offset of the first character of `prefix`.
        in_text: Whether the cursor is inside quotes.
    """

    root: dict[str, Any]
    around: dict[str, Any] | list[Any]
    path: tuple[str | int, ...]
    key: str | None
    prefix: str
    start: int
    in_text: bool

    @property
    def dotted(self) -> str:
        """The path as findings and `show` write it."""
        return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path).lstrip(".")


@dataclass(slots=True)
class _Scan:
    """A pass over a text that keeps the brackets that are open; an unclosed one ends where the next variable begins."""

    text: str
    offset: int
    root: dict[str, Any] = field(default_factory=dict)
    frames: list[_Frame] = field(default_factory=list)
    steps: list[str | int | None] = field(default_factory=list)
    cursor: Cursor | None = None

    def run(self) -> Cursor:
        self.frames = [_Frame("", self.root)]
        tokens = [token for token in _tokens(self.text) if token.kind != "comment" or _holds(token, self.offset)]
        for index, token in enumerate(tokens):
            following = tokens[index + 1] if index + 1 < len(tokens) else None
            if self._begins_variable(token, following):
                del self.frames[1:], self.steps[:]
                self.frames[0].key = None
            if self.cursor is None and (token.start >= self.offset or _holds(token, self.offset)):
                self._stop_at(token)
            self._take(token, tokens[index - 1] if index else None, following)
        if self.cursor is None:
            self._stop_at(_Token("newline", "", self.offset, self.offset))
        assert self.cursor is not None
        return self.cursor

    def _begins_variable(self, token: _Token, following: _Token | None) -> bool:
        at_line_start = token.start == 0 or self.text[token.start - 1] == "\n"
        return token.kind == "name" and at_line_start and following is not None and following.text == "="

    def _stop_at(self, token: _Token) -> None:
        frame = self.frames[-1]
        is_word = _holds(token, self.offset) and token.kind in ("string", "name")
        in_text = is_word and token.kind == "string"
        start = token.start + (len(_opening(token.text)) if in_text else 0) if is_word else self.offset
        self.cursor = Cursor(
            self.root,
            frame.value,
            tuple(step for step in self.steps if step is not None),
            frame.key,
            self.text[start : self.offset],
            start,
            in_text,
        )

    def _take(self, token: _Token, before: _Token | None, following: _Token | None) -> None:
        frame = self.frames[-1]
        if token.kind == "open":
            self._open(token, before)
        elif token.kind == "close":
            if len(self.frames) > 1 and frame.bracket == _CLOSES[token.text]:
                self.frames.pop()
                self.steps.pop()
        elif token.kind == "newline":
            if len(self.frames) == 1:
                frame.key = None
        elif token.text == ",":
            if len(self.frames) > 1 and isinstance(frame.value, dict):
                frame.key = None
        elif token.kind in ("name", "string", "number"):
            is_key = following is not None and following.text == (":" if frame.bracket == "{" else "=")
            if is_key and isinstance(frame.value, dict) and frame.key is None:
                frame.key = _literal(token) if token.kind == "string" else token.text
            else:
                frame.put(_literal(token))

    def _open(self, token: _Token, before: _Token | None) -> None:
        frame = self.frames[-1]
        called = before is not None and before.kind == "name" and before.end == token.start
        value: dict[str, Any] | list[Any]
        if token.text == "{" or (token.text == "(" and called):
            value = {}
        else:
            value = []
        if called and isinstance(frame.value, list) and frame.value:
            frame.value.pop()  # the name of what is called
        frame.put(value)
        self.steps.append(frame.step())
        self.frames.append(_Frame(token.text, value))


def cursor_at(text: str, offset: int) -> Cursor:
    """Where a position is.

    Args:
        text: A config being typed.
        offset: Characters before the cursor, >= 0.
    """
    return _Scan(text, offset).run()


def without_variable(text: str, row: int) -> str:
    """A config without the top-level variable that a line belongs to; the lines stay where they are.

    Args:
        text: The config.
        row: The line, from 0.
    """
    lines = text.split("\n")
    begins = [number for number, line in enumerate(lines) if _BEGINS.match(line)]
    first = max((number for number in begins if number <= row), default=0)
    last = min((number for number in begins if number > row), default=len(lines))
    return "\n".join([*lines[:first], *[""] * (last - first), *lines[last:]])


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        yield _Token(match.lastgroup or "sign", match.group(), match.start(), match.end())


def _holds(token: _Token, offset: int) -> bool:
    """Whether the cursor is inside a word, or at its end."""
    if token.kind == "string":
        opening = _opening(token.text)
        is_closed = len(token.text) > len(opening) and token.text.endswith(opening[-1])
        return token.start + len(opening) <= offset <= token.end - is_closed
    if token.kind in ("name", "comment"):
        return token.start < offset <= token.end
    return False


def _opening(text: str) -> str:
    """A text's prefix letters and quotes."""
    match = re.match(r"[rRbBfFuU]*(?:\"\"\"|'''|\"|')", text)
    return match.group() if match else ""


def _literal(token: _Token) -> str | None:
    """What a quoted text says; of a name, the name; else None."""
    if token.kind == "name":
        return token.text
    if token.kind != "string":
        return None
    try:
        value = ast.literal_eval(token.text)
    except (ValueError, SyntaxError):
        return token.text[len(_opening(token.text)) :]
    return value if isinstance(value, str) else None
