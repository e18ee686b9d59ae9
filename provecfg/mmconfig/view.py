"""What a reader of configs holds: `ConfigView`, and `Node`, a cursor into its values."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from provecfg.findings import Finding, Severity, Span
from provecfg.mmconfig.source import Position, SourceFile
from provecfg.mmconfig.values import ConfigDict, DottedName, Opaque, Origin, origin_of

_STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[(-?\d+)\]")


@functools.lru_cache(maxsize=4096)
def _steps(key: str) -> tuple[str | int, ...]:
    """The keys and indices of a dotted path."""
    return tuple(match[1] if match[1] is not None else int(match[2]) for match in _STEP.finditer(key))


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """What one file says by itself, before it is merged with its bases.

    Args:
        source: The file.
        values: Its own top-level variables.
        reads: For each top-level variable that the file reads by name, where it reads it. A base's reads have
            happened before a child redefines the variable. See `spans_of_reads`.
    """

    source: SourceFile
    values: ConfigDict
    reads: Mapping[str, list[Position]] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.source.path

    def spans_of_reads(self, name: str) -> tuple[Span, ...]:
        """Where this file reads its own top-level variable `name`."""
        return tuple(self.source.span(position) for position in self.reads.get(name, ()))

    @property
    def root(self) -> Node:
        """A cursor into this file's own values."""
        return Node(self.values, None, None, self.source)


@dataclass(frozen=True, slots=True, eq=False)
class ConfigView:
    """A config as data: inheritance applied, nothing executed.

    Args:
        path: The file that was asked for, absolute.
        values: The merged config. Shared with other views: read-only.
        problems: What is wrong with the files themselves (codes `CFG...`), in file order.
        layers: The files that were read: the config itself, then its bases, depth first.
    """

    path: Path
    values: ConfigDict
    problems: tuple[Finding, ...]
    layers: tuple[Layer, ...]

    @property
    def root(self) -> Node:
        """The cursor at the top."""
        return Node(self.values, None, None, self.layers[0].source if self.layers else None, self.path)

    @property
    def is_whole(self) -> bool:
        """Whether the config would load. If not, keys may be missing here that the file does set."""
        return all(problem.severity is not Severity.ERROR for problem in self.problems)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that were read, the config first, each once."""
        return tuple(dict.fromkeys(layer.file for layer in self.layers)) or (self.path,)

    def sources(self, file: Path) -> str:
        """The text of one of `files`, newlines made `\\n`; '' for any other."""
        return next((layer.source.text for layer in self.layers if layer.file == file), "")

    def dig(self, key: str) -> Node | None:
        """The node at a dotted path such as `model.decode_head.loss_decode[1].type`, or None."""
        return self.root.dig(key)


class Node:
    """A value of a config and the way that led to it. Cheap: positions are worked out when asked for.

    A node is always true; absent is None, so `if node.get('x')` asks whether it is there.
    """

    __slots__ = ("_path", "_source", "parent", "step", "value")

    def __init__(
        self,
        value: Any,
        parent: Node | None,
        step: Any,
        source: SourceFile | None = None,
        path: Path | None = None,
    ) -> None:
        self.value = value
        self.parent = parent
        self.step = step
        """The last key or index; None at the top."""
        self._source = source
        self._path = path

    # The way here

    @property
    def key(self) -> str:
        """The dotted path from the top: `model.decode_head.loss_decode[1].type`; '' at the top."""
        if self.parent is None:
            return ""
        above = self.parent.key
        if isinstance(self.parent.value, (list, tuple)):
            return f"{above}[{self.step}]"
        return f"{above}.{self.step}" if above else str(self.step)

    @property
    def name(self) -> str:
        """The last step as text: a key, or an index in digits; '' at the top."""
        return "" if self.step is None else str(self.step)

    @property
    def is_dict(self) -> bool:
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """Whether it is a list or a tuple."""
        return isinstance(self.value, (list, tuple))

    @property
    def is_opaque(self) -> bool:
        """Whether the value cannot be known without running the config."""
        return isinstance(self.value, Opaque)

    @property
    def type(self) -> str | None:
        """The class that a dict's `type` names, without registry scope or module; None if it names none."""
        named = self.value.get("type") if isinstance(self.value, dict) else None
        if isinstance(named, DottedName):
            return named.rpartition(".")[2]
        return named.rpartition(".")[2] if isinstance(named, str) else None

    # Steps

    def get(self, step: Any) -> Node | None:
        """The child at a key of a dict or an index of a list, or None."""
        value = self.value
        if isinstance(value, dict):
            try:
                return Node(value[step], self, step) if step in value else None
            except TypeError:  # an unhashable step
                return None
        if isinstance(value, (list, tuple)) and isinstance(step, int) and -len(value) <= step < len(value):
            index = step % len(value)
            return Node(value[index], self, index)
        return None

    __getitem__ = get

    def __contains__(self, step: Any) -> bool:
        return self.get(step) is not None

    def dig(self, key: str) -> Node | None:
        """The node at a dotted path from here, such as `decode_head.loss_decode[1]`, or None."""
        node = self
        for step in _steps(key):
            child = node.get(step)
            if child is None:
                return None
            node = child
        return node

    def __iter__(self) -> Iterator[Node]:
        """The children: of a dict in its order, of a list or tuple by index; none of a leaf."""
        value = self.value
        if isinstance(value, dict):
            for step, child in value.items():
                yield Node(child, self, step)
        elif isinstance(value, (list, tuple)):
            for index, child in enumerate(value):
                yield Node(child, self, index)

    def walk(self) -> Iterator[Node]:
        """This node and everything below it, parents first."""
        yield self
        for child in self:
            yield from child.walk()

    # Where it was written

    @property
    def origin(self) -> Origin | None:
        """Where this item was written; None at the top and for what no file says, as `--cfg-options`."""
        return None if self.parent is None else origin_of(self.parent.value, self.step)

    @property
    def span(self) -> Span | None:
        """The value in `file`; failing that, the nearest parent that was written."""
        origin = self._nearest_origin()
        return origin.span if origin else None

    @property
    def key_span(self) -> Span | None:
        """The key in `file` (of a list's item, the item)."""
        origin = self._nearest_origin()
        return origin.key_span if origin else None

    @property
    def file(self) -> Path:
        """The file that says it, which may be a base."""
        origin = self._nearest_origin()
        if origin:
            return origin.source.path
        top = self
        while top.parent is not None:
            top = top.parent
        if top._path is not None:
            return top._path
        return top._source.path if top._source else Path()

    def _nearest_origin(self) -> Origin | None:
        node: Node | None = self
        while node is not None:
            if origin := node.origin:
                return origin
            node = node.parent
        return None

    def __repr__(self) -> str:
        return f"Node({self.key!r}, {type(self.value).__name__})"
