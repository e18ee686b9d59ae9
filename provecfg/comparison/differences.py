"""What two configs differ in, once both are in one form."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from provecfg.comparison.canonical import Leaf, Row, Table, Unknown, Value

_IN_ANY_ORDER: Final = frozenset({"loss_decode", "auxiliary_head", "val_evaluator", "test_evaluator", "vis_backends"})
"""Lists whose order changes nothing: their items are paired by what they are."""
_OF_OTHER_FACTORS: Final = (
    *("backbone", "data_preprocessor", "auxiliary_head", "test_cfg"),  # of a segmentor
    *("loss_decode", "sampler", "num_classes", "ignore_index", "align_corners"),  # of a head
    *("mean", "std", "size", "seg_pad_val"),  # of a data preprocessor
    *("pipeline", "data_root", "data_prefix"),  # of a dataset
    *("optimizer", "paramwise_cfg", "clip_grad", "accumulative_counts"),  # of an optimizer wrapper
)
"""Arguments that are compared although the classes around them differ: they are no part of that difference."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two configs do not share.

    Args:
        key: Dotted path, in the second config where that has it, else in the first.
        before: What the first has, or None.
        after: What the second has, or None.
        within: Names of the classes that it is an argument of, outermost first.
        is_known: Whether both values are known, so that they are different for certain.
    """

    key: str
    before: Value | None
    after: Value | None
    within: tuple[str, ...] = ()
    is_known: bool = True

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that stand there, or else the one that it is an argument of."""
        own = tuple(value.class_name for value in self.values if isinstance(value, Table) and value.type)
        return own or self.within[-1:]

    @property
    def values(self) -> tuple[Value, ...]:
        """What is there on either side."""
        return tuple(value for value in (self.before, self.after) if value is not None)

    @property
    def type_names(self) -> tuple[str, ...]:
        """Full names of the classes that stand there."""
        return tuple(value.type for value in self.values if isinstance(value, Table) and value.type)


Within = tuple[str, ...]


def differences(before: Value, after: Value, within: Within = ()) -> Iterator[Difference]:
    """All of them, in the order of the second config.

    Where the classes differ, that is one difference, and only arguments of other factors are looked at beside it.
    """
    if isinstance(before, Unknown) or isinstance(after, Unknown):
        if not _same_unknown(before, after):
            yield Difference(after.key, before, after, within, is_known=False)
    elif isinstance(before, Table) and isinstance(after, Table):
        yield from _between_tables(before, after, within)
    elif isinstance(before, Row) and isinstance(after, Row):
        if before.kind != after.kind:
            yield Difference(after.key, before, after, within)
        else:
            yield from _between_rows(before, after, within)
    elif not (isinstance(before, Leaf) and isinstance(after, Leaf) and _same(before.value, after.value)):
        yield Difference(after.key, before, after, within)


def _same_unknown(before: Value, after: Value) -> bool:
    return (
        isinstance(before, Unknown)
        and isinstance(after, Unknown)
        and before.origin is not None
        and before.origin == after.origin
    )


def _same(one: object, other: object) -> bool:
    # True is no 1: an argument of yes or no is not one that counts.
    return isinstance(one, bool) == isinstance(other, bool) and (one == other or (one != one and other != other))


def _between_tables(before: Table, after: Table, within: Within) -> Iterator[Difference]:
    if before.type != after.type:
        yield Difference(after.key, before, after, within)
        shared = [key for key in _OF_OTHER_FACTORS if key in before.items or key in after.items]
        yield from _between_items(before, after, shared, (*within, after.class_name))
        return
    inside = (*within, after.class_name) if after.type else within
    yield from _between_items(before, after, list(dict.fromkeys([*after.items, *before.items])), inside)


def _between_items(before: Table, after: Table, keys: Sequence[object], within: Within) -> Iterator[Difference]:
    for key in keys:
        one, other = before.get(key), after.get(key)
        if one is not None and other is not None:
            yield from differences(one, other, within)
        elif other is not None:
            yield from _alone(None, other, within)
        elif one is not None:
            yield from _alone(one, None, within)


def _alone(before: Value | None, after: Value | None, within: Within) -> Iterator[Difference]:
    """What only one config has; None and an empty list are what a missing argument mostly means."""
    value = after if after is not None else before
    assert value is not None
    empty = isinstance(value, Leaf) and value.value is None
    if not empty and not (isinstance(value, Row) and not value.items):
        yield Difference(value.key, before, after, within, not isinstance(value, Unknown))


def _between_rows(before: Row, after: Row, within: Within) -> Iterator[Difference]:
    one, other = before.items, after.items
    if not any(isinstance(item, Table) for item in (*one, *other)):
        inner = [found for pair in zip(one, other, strict=False) for found in differences(*pair, within)]
        if len(one) != len(other) or any(found.is_known for found in inner):
            yield Difference(after.key, before, after, within)
        else:
            yield from inner
        return
    last = after.key.rpartition(".")[2]
    pairs = _paired(one, other) if last in _IN_ANY_ORDER else _aligned(one, other)
    for first, second in pairs:
        if first is not None and second is not None:
            yield from differences(first, second, within)
        else:
            yield from _alone(first, second, within)


Pairs = list[tuple[Value | None, Value | None]]


def _paired(one: Sequence[Value], other: Sequence[Value]) -> Pairs:
    """The items by what they are, in the order of the second; those that only the first has come last."""
    left = list(one)
    found: dict[int, Value] = {}
    for what in (_identity, _kind):
        for index, item in enumerate(other):
            same = next((candidate for candidate in left if what(candidate) == what(item)), None)
            if same is not None and index not in found:
                left.remove(same)
                found[index] = same
    pairs: Pairs = [(found.get(index), item) for index, item in enumerate(other)]
    return pairs + [(item, None) for item in left]


def _aligned(one: Sequence[Value], other: Sequence[Value]) -> Pairs:
    """The items in order, those that only one has facing None."""
    matcher = difflib.SequenceMatcher(None, [_kind(item) for item in one], [_kind(item) for item in other], False)
    pairs: Pairs = []
    for tag, start, end, other_start, other_end in matcher.get_opcodes():
        if tag == "equal" or (tag == "replace" and end - start == other_end - other_start):
            pairs += list(zip(one[start:end], other[other_start:other_end], strict=True))
        else:
            pairs += [(item, None) for item in one[start:end]]
            pairs += [(None, item) for item in other[other_start:other_end]]
    return pairs


def _kind(value: Value) -> Hashable:
    return value.type if isinstance(value, Table) else type(value).__name__


def _identity(value: Value) -> Hashable:
    """What tells two losses of one class apart, two metrics, and two auxiliary heads."""
    if not isinstance(value, Table):
        return _kind(value)
    names = (value.get(key) for key in ("loss_name", "prefix", "in_index"))
    return (value.type, *(name.value if isinstance(name, Leaf) else None for name in names))
