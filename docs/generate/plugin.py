"""What the plugin's classes say of themselves, read from their source: nothing of torch is imported."""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PLUGIN = Path(__file__).parents[2] / "provecfg" / "plugin"
_SECTION = re.compile(r"^([A-Z][a-z]+):(?: |$)")
_ARGUMENT = re.compile(r"^    (\w+): ")


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a constructor.

    Args:
        name: Its name.
        default: Source text of its default, or None if it has to be given.
        text: What the docstring says of it.
    """

    name: str
    default: str | None
    text: str


@dataclass(frozen=True, slots=True)
class ClassDoc:
    """A class's docstring in its parts.

    Args:
        name: The class.
        summary: First line.
        body: The paragraphs up to the first section.
        arguments: As the docstring lists them.
        sections: The other sections' texts by heading: Shape, Raises, Source, ...
    """

    name: str
    summary: str
    body: str
    arguments: tuple[Argument, ...]
    sections: dict[str, str]


def class_doc(name: str) -> ClassDoc:
    """The documentation of a class of the plugin.

    Raises:
        KeyError: No class of that name in `losses`, `samplers`, `heads` or `hooks`.
    """
    node = _classes()[name]
    parts = _parts(ast.get_docstring(node) or "")
    defaults = _defaults(node)
    summary, _, body = parts.pop("").partition("\n")
    arguments = (Argument(key, defaults.get(key), text) for key, text in _entries(parts.pop("Args", "")))
    sections = {heading: _flowing(text) for heading, text in parts.items()}
    return ClassDoc(name, summary.strip(), body.strip(), tuple(arguments), sections)


@functools.cache
def _classes() -> dict[str, ast.ClassDef]:
    return {
        node.name: node
        for room in ("losses", "samplers", "heads", "hooks")
        for path in sorted((_PLUGIN / room).glob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    }


def _parts(docstring: str) -> dict[str, str]:
    """Heading -> text, "" for what stands before the first heading."""
    parts = {"": ""}
    heading = ""
    for line in inspect.cleandoc(docstring).split("\n"):
        if matched := _SECTION.match(line):
            heading, line = matched.group(1), line[matched.end() :]
            parts[heading] = ""
        parts[heading] += line + "\n"
    return parts


def _entries(arguments: str) -> Iterator[tuple[str, str]]:
    """Name and text of each argument of an `Args:` section."""
    name, lines = "", list[str]()
    for line in arguments.split("\n"):
        if matched := _ARGUMENT.match(line):
            if name:
                yield name, _flowing("\n".join(lines))
            name, lines = matched.group(1), [line[matched.end() :]]
        else:
            lines.append(line)
    if name:
        yield name, _flowing("\n".join(lines))


def _flowing(text: str) -> str:
    return " ".join(text.split())


def _defaults(node: ast.ClassDef) -> dict[str, str]:
    """Source text of the defaults of `__init__`."""
    constructors = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
    if not constructors:
        return {}
    arguments = constructors[0].args
    positional = [*arguments.posonlyargs, *arguments.args]
    pairs = list(zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True))
    pairs += [
        (argument, default)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is not None
    ]
    return {argument.arg: ast.unparse(default) for argument, default in pairs}
