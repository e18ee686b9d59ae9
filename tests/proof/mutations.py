"""Generated configs with one mistake each: what `validate` and `prove` are held against.

An operator is a kind of mistake; it finds the places of a config where it can be made, and makes it in the text of the
file, so that a mutant is a file as somebody might have written it. `mutants` draws from all places of all configs, by a
fixed seed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from provecfg.findings import Span
from provecfg.mmconfig import ConfigView, Node, read_config

SEED = 20261124
PER_OPERATOR = 4
"""Mutants of one operator; the configs with the fewest mutants so far are taken first."""

Edit = tuple[int, int, str]
"""Replace the characters [start, end) of the file."""


@dataclass(frozen=True, slots=True)
class Change:
    """One mistake at one place: the dotted key that it is made at, what is done, and the edits that do it."""

    key: str
    what: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Operator:
    """A kind of mistake.

    Args:
        name: In the table of docs/proof.md.
        truth: What a run with the mistake does.
        changes: The places of a config where it can be made.
    """

    name: str
    truth: str
    changes: Callable[[Original], Iterable[Change]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A config with one mistake.

    Args:
        config: Stem of the generated config.
        operator: Name of the kind of mistake.
        key: Where it is made.
        what: What is done.
        text: The whole file.
    """

    config: str
    operator: str
    key: str
    what: str
    text: str

    @property
    def name(self) -> str:
        """A file name of its own."""
        return re.sub(r"\W+", "_", f"{self.config}__{self.operator}__{self.key}")[:150]


class Original:
    """A generated config, and the edits that mistakes are made of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.view: ConfigView = read_config(path)
        self.text = path.read_text(encoding="utf-8")
        self._starts = [0]
        for line in self.text.split("\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)

    def matching(self, pattern: str) -> Iterator[Node]:
        """Nodes by their dotted key. In the pattern, `*` is one step or index, `**` any number of steps."""
        steps = re.escape(pattern).replace(r"\*\*", r".*").replace(r"\*", r"[^.\[\]]+")
        whole = re.compile(steps)
        for node in self.view.root.walk():
            if node.parent is not None and whole.fullmatch(node.key):
                yield node

    def written(self, node: Node) -> str:
        """The source text of a node's value."""
        start, end = self._extent(node.span)
        return self.text[start:end]

    # Edits

    def set(self, node: Node, source: str) -> tuple[Edit, ...]:
        """Write another value."""
        return ((*self._extent(node.span), source),)

    def rename(self, node: Node, name: str) -> tuple[Edit, ...]:
        """Give a key another name."""
        start, end = self._extent(node.key_span)
        quote = self.text[start] if self.text[start] in "'\"" else ""
        return ((start, end, f"{quote}{name}{quote}"),)

    def drop(self, node: Node) -> tuple[Edit, ...]:
        """Take an item out of its dict or list, or a variable out of the file."""
        start, end = self._item(node)
        if comma := re.compile(r"\s*,[ \t]*").match(self.text, end):
            end = comma.end()
        elif before := re.search(r",\s*$", self.text[:start]):
            start = before.start()
        line = self.text.rfind("\n", 0, start) + 1
        if not self.text[line:start].strip() and self.text[end : end + 1] == "\n":
            start, end = line, end + 1
        return ((start, end, ""),)

    def add(self, holder: Node, item: str) -> tuple[Edit, ...]:
        """Write a further item into a dict or list, first."""
        start, _ = self._extent(holder.span)
        opening = re.compile(r"dict\(|[\[({]").match(self.text, start)
        assert opening, self.written(holder)
        separator = ", " if len(list(holder)) else ""
        return ((opening.end(), opening.end(), f"{item}{separator}"),)

    def append(self, statement: str) -> tuple[Edit, ...]:
        """Write a further variable at the end of the file."""
        return ((len(self.text), len(self.text), f"{statement}\n"),)

    def swap(self, left: Node, right: Node) -> tuple[Edit, ...]:
        """Exchange the values of two nodes, the first of which stands before the second."""
        return self.set(left, self.written(right)) + self.set(right, self.written(left))

    def mutated(self, edits: tuple[Edit, ...]) -> str:
        """The text after the edits."""
        text = self.text
        for start, end, new in sorted(edits, reverse=True):
            text = text[:start] + new + text[end:]
        return text

    def _item(self, node: Node) -> tuple[int, int]:
        _, end = self._extent(node.span)
        start, _ = self._extent(node.key_span)
        return start, end

    def _extent(self, span: Span | None) -> tuple[int, int]:
        assert span is not None
        start = self._starts[span.row - 1] + span.column - 1
        return start, self._starts[span.end_row - 1] + span.end_column - 1


def mutants(paths: Iterable[Path], operators: Iterable[Operator]) -> list[Mutant]:
    """Mutants of every operator, spread over the configs; the same ones each time.

    Raises:
        ValueError: A mutant is no Python, or an operator finds no place: the operator is wrong.
    """
    originals = [Original(path) for path in sorted(paths)]
    taken = dict.fromkeys((original.path.stem for original in originals), 0)
    made = []
    for operator in operators:
        drawn = _drawn(operator, originals, taken)
        if not drawn:
            raise ValueError(f"no config has a place for {operator.name!r}")
        for original, change in drawn:
            text = original.mutated(change.edits)
            compile(text, f"{operator.name}: {change.key}", "exec")
            if text == original.text:
                raise ValueError(f"{operator.name!r} changes nothing at {change.key}")
            made.append(Mutant(original.path.stem, operator.name, change.key, change.what, text))
    return made


def _drawn(operator: Operator, originals: list[Original], taken: dict[str, int]) -> list[tuple[Original, Change]]:
    """Places of one operator: configs that were mutated least first, places and ways that were not taken yet first."""
    order = random.Random(f"{SEED} {operator.name}")
    places = [(original, change) for original in originals for change in operator.changes(original)]
    order.shuffle(places)
    drawn: list[tuple[Original, Change]] = []
    while places and len(drawn) < PER_OPERATOR:
        ways = [(change.key, change.what) for _, change in drawn]
        keys = [key for key, _ in ways]
        best = min(
            places,
            key=lambda place: (
                (place[1].key, place[1].what) in ways,
                keys.count(place[1].key),
                [what for _, what in ways].count(place[1].what),
                taken[place[0].path.stem],
            ),
        )
        places.remove(best)
        taken[best[0].path.stem] += 1
        drawn.append(best)
    return drawn
