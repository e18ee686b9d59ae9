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


def _same(before: object, after: object) -> bool:
    # True is no 1: an argument of yes or no is not one that counts.
    are_nan = before != before and after != after
    return isinstance(before, bool) == isinstance(after, bool) and (before == after or are_nan)


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
        first, second = before.get(key), after.get(key)
        if first is not None and second is not None:
            yield from differences(first, second, within)
        elif first is not None or second is not None:
            yield from _alone(first, second, within)


def _alone(before: Value | None, after: Value | None, within: Within) -> Iterator[Difference]:
    """What only one config has; None and an empty list are what a missing argument mostly means."""
    value = after if after is not None else before
    assert value is not None
    empty = isinstance(value, Leaf) and value.value is None
    if not empty and not (isinstance(value, Row) and not value.items):
        yield Difference(value.key, before, after, within, not isinstance(value, Unknown))


def _between_rows(before: Row, after: Row, within: Within) -> Iterator[Difference]:
    if not any(isinstance(item, Table) for item in (*before.items, *after.items)):
        pairs_in_order = zip(before.items, after.items, strict=False)
        inner = [difference for pair in pairs_in_order for difference in differences(*pair, within)]
        if len(before.items) != len(after.items) or any(difference.is_known for difference in inner):
            yield Difference(after.key, before, after, within)
        else:
            yield from inner
        return
    last = after.key.rpartition(".")[2]
    pair_up = _paired if last in _IN_ANY_ORDER else _aligned
    for first, second in pair_up(before.items, after.items):
        if first is not None and second is not None:
            yield from differences(first, second, within)
        else:
            yield from _alone(first, second, within)


Pairs = list[tuple[Value | None, Value | None]]


def _paired(before: Sequence[Value], after: Sequence[Value]) -> Pairs:
    """The items by what they are, in the order of the second; those that only the first has come last."""
    unpaired = list(before)
    partners: dict[int, Value] = {}
    for likeness in (_identity, _kind):
        for index, item in enumerate(after):
            same = next((candidate for candidate in unpaired if likeness(candidate) == likeness(item)), None)
            if same is not None and index not in partners:
                unpaired.remove(same)
                partners[index] = same
    pairs: Pairs = [(partners.get(index), item) for index, item in enumerate(after)]
    return pairs + [(item, None) for item in unpaired]


def _aligned(before: Sequence[Value], after: Sequence[Value]) -> Pairs:
    """The items in order, those that only one has facing None."""
    matcher = difflib.SequenceMatcher(None, [_kind(item) for item in before], [_kind(item) for item in after], False)
    pairs: Pairs = []
    for tag, start, end, after_start, after_end in matcher.get_opcodes():
        if tag == "equal" or (tag == "replace" and end - start == after_end - after_start):
            pairs += list(zip(before[start:end], after[after_start:after_end], strict=True))
        else:
            pairs += [(item, None) for item in before[start:end]]
            pairs += [(None, item) for item in after[after_start:after_end]]
    return pairs


def _kind(value: Value) -> Hashable:
    return value.type if isinstance(value, Table) else type(value).__name__


def _identity(value: Value) -> Hashable:
    """What tells two losses of one class apart, two metrics, and two auxiliary heads."""
    if not isinstance(value, Table):
        return _kind(value)
    names = (value.get(key) for key in ("loss_name", "prefix", "in_index"))
    return (value.type, *(name.value if isinstance(name, Leaf) else None for name in names))
