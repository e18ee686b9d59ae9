"""mmengine's text substitution, done before parsing: `{{ fileDirname }}`, `{{$NAME:default}}` and `{{_base_.a.b}}`.

mmengine does it in three passes, each over the result of the one before; so does this, and keeps what was replaced by
what, so that positions can be led back to the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from provecfg.mmconfig.budget import LimitError
from provecfg.mmconfig.source import Replacement

MAX_SUBSTITUTIONS = 1_000
_PREDEFINED = re.compile(r"\{\{\s*(fileDirname|fileBasenameNoExtension|fileBasename|fileExtname)\s*\}\}")
# mmengine's, with bounds: an unbounded \S*? takes quadratic time on a hostile file.
_VARIABLE = re.compile(r"\{\{['\"]?\s{0,100}\$(\w{1,200})\s{0,100}:\s{0,100}(\S{0,2000}?)\s{0,100}['\"]?\}\}")
_BASE = re.compile(r"\{\{\s*_base_\.([\w.]+)\s*\}\}")


class MissingVariable(NamedTuple):
    """`{{$name:}}` without a default, and the variable is not set."""

    name: str
    start: int
    """Offset in the text on disk, as far as passes before it did not shift it."""


@dataclass(slots=True)
class Substituted:
    """A text after substitution.

    Args:
        text: What is parsed.
        passes: See `SourceFile`.
        references: Placeholder -> dotted path in the bases.
        variables: Each environment variable that was looked up, and what it was (None: not set).
        missing: Variables without a value.
    """

    text: str
    passes: tuple[tuple[Replacement, ...], ...] = ()
    references: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str | None] = field(default_factory=dict)
    missing: list[MissingVariable] = field(default_factory=list)


def substitute(text: str, path: Path, environment: Mapping[str, str]) -> Substituted:
    """Apply the three passes to the text of `path`.

    Raises:
        LimitError: There are more than `MAX_SUBSTITUTIONS`.
    """
    result = Substituted(text)
    if "{{" not in text:
        return result
    if text.count("{{") > 10 * MAX_SUBSTITUTIONS:
        raise LimitError("it has too many substitutions")

    stem, extension = os.path.splitext(path.name)
    predefined = {
        "fileDirname": str(path.parent),
        "fileBasename": path.name,
        "fileBasenameNoExtension": stem,
        "fileExtname": extension,
    }
    _replace(result, _PREDEFINED, lambda match: predefined[match[1]].replace("\\", "/"))

    def variable(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        result.variables[name] = environment.get(name)
        value = environment.get(name, default)
        if not value:
            result.missing.append(MissingVariable(name, match.start()))
        return value

    _replace(result, _VARIABLE, variable)

    def base(match: re.Match[str]) -> str:
        # mmengine appends a random number; ours has to be the same on every reading.
        placeholder = f"_{match[1]}_{{{{_base_.{match[1]}}}}}"
        result.references[placeholder] = match[1]
        return f'"{placeholder}"'

    _replace(result, _BASE, base)
    return result


def _replace(result: Substituted, pattern: re.Pattern[str], replacement: Callable[[re.Match[str]], str]) -> None:
    text = result.text
    pieces: list[str] = []
    replacements: list[Replacement] = []
    done = 0
    length = 0
    for match in pattern.finditer(text):
        if len(replacements) == MAX_SUBSTITUTIONS:
            raise LimitError("it has too many substitutions")
        new = replacement(match)
        pieces += (text[done : match.start()], new)
        start = length + match.start() - done
        length = start + len(new)
        done = match.end()
        replacements.append(Replacement(start, length, match.start(), done))
    if replacements:
        result.text = "".join((*pieces, text[done:]))
        result.passes = (*result.passes, tuple(replacements))
