"""The YAML of a study file: its data, and where each value of it is written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from provecfg.findings import Finding, Span

Location = tuple[int | str, ...]
"""Keys and indices from the study's top."""

_MOST_NODES = 100_000


class LocatedFinding(NamedTuple):
    """A finding, and where in a study it is: its key and its place in a file are looked up last."""

    location: Location
    finding: Finding


def key_of(location: Location) -> str:
    """A location as a dotted path: `losses.auxiliary[2].weight`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).lstrip(".")


class _StudyLoader(yaml.SafeLoader):
    """YAML with two of YAML 1.1's surprises taken out: `1e-3` is a number, and dates stay text."""


_StudyLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_StudyLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def composed(text: str) -> yaml.Node | None:
    """The syntax tree of a YAML text, small enough to be built even where aliases repeat its parts.

    Raises:
        yaml.YAMLError: Not YAML, an alias within itself, or aliases that would make it huge.
    """
    root: yaml.Node | None = yaml.compose(text, Loader=_StudyLoader)
    if root is not None and _expanded_size(root, {}) > _MOST_NODES:
        raise yaml.YAMLError("its aliases make it too large")
    return root


def _expanded_size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """How many nodes there are when every alias is written out."""
    if id(node) not in sizes:
        sizes[id(node)] = _MOST_NODES + 1  # an alias within itself never ends
        children: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            children = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            children = node.value
        sizes[id(node)] = min(1 + sum(_expanded_size(child, sizes) for child in children), _MOST_NODES + 1)
    return sizes[id(node)]


def constructed(node: yaml.Node) -> Any:
    """The plain data of a syntax tree."""
    loader = _StudyLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def repeated_keys(root: yaml.Node | None) -> Iterator[tuple[Location, str]]:
    """Keys that stand twice in one mapping; YAML would keep the last without a word."""
    pending: list[tuple[yaml.Node | None, Location]] = [(root, ())]
    seen_nodes: set[int] = set()
    while pending:
        node, location = pending.pop()
        if node is None or id(node) in seen_nodes:
            continue
        seen_nodes.add(id(node))
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                step = str(key.value)
                if step in seen:
                    yield (*location, step), f"key {step!r} stands more than once"
                seen.add(step)
                pending.append((value, (*location, step)))
        elif isinstance(node, yaml.SequenceNode):
            pending += [(value, (*location, index)) for index, value in enumerate(node.value)]


def position_of(root: yaml.Node | None, location: Location, *, of_key: bool = False) -> tuple[Span | None, Location]:
    """Where a value is written, or the nearest thing around it, and its location without what no file holds.

    Args:
        root: The syntax tree.
        location: Steps to the value. Some are in no file: the tag of a union, the index in a list that a single value
            stands for.
        of_key: Where its key is written, not the value.
    """
    node, key_node = root, None
    written: list[int | str] = []
    for step in location:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if str(key.value) == step]
            if not pairs:
                continue
            key_node, node = pairs[-1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            key_node, node = None, node.value[step]
        else:
            continue
        written.append(step)
    return span_of(key_node if of_key and key_node is not None else node), tuple(written)


def span_of(node: yaml.Node | None) -> Span | None:
    """Where a part of the syntax tree is written."""
    if node is None:
        return None
    start, end = node.start_mark, node.end_mark
    return Span(start.line + 1, start.column + 1, end.line + 1, end.column + 1)


def error_span(error: Exception) -> Span | None:
    """Where a text stops being YAML, where the error tells."""
    mark = getattr(error, "problem_mark", None)
    return Span(mark.line + 1, mark.column + 1, mark.line + 1, mark.column + 2) if mark else None


def error_message(error: Exception) -> str:
    """Why a text is not YAML, on one line."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    parts = [getattr(error, name, None) for name in ("context", "problem")]
    return "not YAML: " + (", ".join(part for part in parts if part) or str(error))
