"""File patterns: which files a text with wildcards and fields names, and which file belongs to another.

`images/{split}/*.jpg` names images; `masks/{split}/*_mask.png`, filled with what was matched there, the label map of
each. `*` stands for any part of a name, `**/` for any folders, `?` for one sign, `{name}` for a part of a name that is
referred to by it, and `{jpg,png}` for either.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from provecfg.errors import ProvecfgError

STEM: Final = "stem"
"""The field of a label pattern that takes what the last `*` of an image pattern without that field matched."""

_TOKEN: Final = re.compile(
    r"(?P<folders>\*\*/)|(?P<any>\*)|(?P<one>\?)|\{(?P<field>[A-Za-z_]\w*)\}|\{(?P<either>[^{}]*,[^{}]*)\}"
)


@dataclass(frozen=True, slots=True)
class Match:
    """What the wildcards of a pattern matched in a path.

    Args:
        fields: Of `{name}`, by name.
        wildcards: Of `**/`, `*` and `?`, in order.
    """

    fields: Mapping[str, str]
    wildcards: tuple[str, ...]

    @property
    def key(self) -> str:
        """What tells a file from others of its pattern: the field `stem`, or the last wildcard, or the last field."""
        if STEM in self.fields:
            return self.fields[STEM]
        return self.wildcards[-1] if self.wildcards else next(reversed([*self.fields.values()]), "")


@dataclass(frozen=True)
class Pattern:
    """A file pattern, relative to a root, with "/".

    Raises:
        ProvecfgError: A brace without its other half, or a name between braces that is none.
    """

    text: str

    def __post_init__(self) -> None:
        rest = _TOKEN.sub("", self.text)
        if "{" in rest or "}" in rest:
            raise ProvecfgError(
                f"{self.text!r} is no file pattern: what stands between braces is a name, or several endings",
                hint="write {scene} for a field, {jpg,png} for either, * for the rest",
            )

    @cached_property
    def folder(self) -> str:
        """The folder that all its files are below, "" for the root."""
        first = _TOKEN.search(self.text)
        fixed = self.text if first is None else self.text[: first.start()]
        return fixed.rpartition("/")[0]

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The names between braces, each once."""
        return tuple(dict.fromkeys(token["field"] for token in _TOKEN.finditer(self.text) if token["field"]))

    @cached_property
    def wildcards(self) -> int:
        """How many `**/`, `*` and `?` it has."""
        return sum(1 for token in _TOKEN.finditer(self.text) if token["folders"] or token["any"] or token["one"])

    @cached_property
    def has_choice(self) -> bool:
        """Whether it has a part such as `{jpg,png}`, so that it cannot be filled."""
        return any(token["either"] is not None for token in _TOKEN.finditer(self.text))

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        parts, end, fields = [], 0, set()
        for number, token in enumerate(_TOKEN.finditer(self.text)):
            parts.append(re.escape(self.text[end : token.start()]))
            end = token.end()
            if token["folders"]:
                parts.append(f"(?P<_{number}>(?:[^/]+/)*)")
            elif token["any"]:
                parts.append(f"(?P<_{number}>[^/]*)")
            elif token["one"]:
                parts.append(f"(?P<_{number}>[^/])")
            elif token["either"] is not None:
                parts.append(f"(?:{'|'.join(re.escape(choice.strip()) for choice in token['either'].split(','))})")
            elif token["field"] in fields:
                parts.append(f"(?P={token['field']})")
            else:
                fields.add(token["field"])
                parts.append(f"(?P<{token['field']}>[^/]+)")
        parts.append(re.escape(self.text[end:]))
        return re.compile("".join(parts))

    def match(self, path: str) -> Match | None:
        """What its wildcards match in a path, or None where the path is none of its files."""
        matched = self._expression.fullmatch(path)
        if matched is None:
            return None
        groups = matched.groupdict()
        fields = {name: value for name, value in groups.items() if not name.startswith("_")}
        return Match(fields, tuple(value for name, value in groups.items() if name.startswith("_")))

    def match_name(self, path: str) -> Match | None:
        """The same of the file's name alone where the pattern has no folder."""
        return self.match(path if "/" in self.text else path.rpartition("/")[2])

    def fill(self, match: Match) -> str:
        """The path that it names where its wildcards stand for what was matched elsewhere; see `filling_problem`.

        Where it has fewer wildcards than were matched, they are the last.
        """
        wildcards = iter(match.wildcards[len(match.wildcards) - self.wildcards :])

        def value(token: re.Match[str]) -> str:
            name = token["field"]
            if name is None:
                return next(wildcards)
            return match.fields[name] if name in match.fields else match.wildcards[-1]

        return _TOKEN.sub(value, self.text)

    def made(self, number: int) -> str:
        """A path that it matches, another one for each number: for files that are drawn, not found."""
        last = [token.start() for token in _TOKEN.finditer(self.text) if token["any"] or token["field"]][-1:]

        def value(token: re.Match[str]) -> str:
            if token["folders"]:
                return ""
            if token["one"]:
                return "0"
            if token["either"] is not None:
                return token["either"].split(",")[0].strip()
            is_last = token.start() in last or token["field"] == STEM
            return f"drawn-{number:04d}" if is_last else token["field"] or "drawn"

        return _TOKEN.sub(value, self.text)

    def files(self, root: Path) -> Iterator[tuple[str, Match]]:
        """Its files below a root, sorted, each with what was matched; hidden ones are left out, as mmseg leaves them.

        Links to folders are followed, once.
        """
        start = root / self.folder
        depth = None if "**/" in self.text else self.text.count("/")
        paths = sorted(_walk(str(start), f"{self.folder}/" if self.folder else "", depth))
        for path in paths:
            matched = self.match(path)
            if matched is not None:
                yield path, matched


def _walk(folder: str, prefix: str, depth: int | None, above: frozenset[str] = frozenset()) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in above or not os.path.isdir(folder):
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = prefix + entry.name
            if entry.is_dir():
                if depth is None or path.count("/") < depth:
                    yield from _walk(entry.path, f"{path}/", depth, above | {real})
            elif depth is None or path.count("/") == depth:
                yield path


def filling_problem(images: Pattern, labels: Pattern) -> str | None:
    """Why the label map of an image cannot be named: a label pattern has to be filled by what the images' matched."""
    if labels.has_choice:
        return f"{labels.text!r} leaves open which of several names a label map has"
    unknown = [name for name in labels.fields if name not in images.fields and not (name == STEM and images.wildcards)]
    if unknown:
        return f"{labels.text!r} has a field {{{unknown[0]}}} that {images.text!r} has not"
    if labels.wildcards > images.wildcards:
        return (
            f"{labels.text!r} has {labels.wildcards} wildcards and {images.text!r} {images.wildcards}: a label map is "
            "named by what was matched in the name of its image"
        )
    if not labels.wildcards and not labels.fields and (images.wildcards or images.fields):
        return f"{labels.text!r} is one file, and {images.text!r} are many"
    return None
