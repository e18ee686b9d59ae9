"""How large a value is, measured without being caught by shared or cyclic parts."""

from __future__ import annotations

from typing import Any

from provecfg.mmconfig.budget import MAX_NESTING, MAX_WORK, Budget, LimitError
from provecfg.mmconfig.special import Iterated, NotKnownError

SCALARS = (str, int, float, bool, type(None))
_PLAIN_LEAVES = frozenset({str, int, float, bool, type(None)})


class Size:
    """How large a value is when every shared part is written out."""

    __slots__ = ("depth", "items", "special")

    def __init__(self, items: int, depth: int, special: bool) -> None:
        self.items = items
        self.depth = depth
        self.special = special
        """Whether something in it is neither plain data nor a container."""


def size_of(value: Any) -> Size:
    """The size of a value, in time that does not grow with sharing.

    Raises:
        LimitError: The value contains itself, is deeper than `MAX_NESTING`, or larger than `MAX_WORK` items.
    """
    return _size_of(value, {}, set(), MAX_NESTING)


def _size_of(value: Any, sizes: dict[int, Size], open_ids: set[int], levels: int) -> Size:
    if type(value) in _PLAIN_LEAVES:
        return Size(1, 0, False)
    if not isinstance(value, (dict, list, tuple, set, frozenset)) or isinstance(value, Iterated):
        return Size(1, 0, True)
    identity = id(value)
    if identity in sizes:
        return sizes[identity]
    if identity in open_ids:
        raise LimitError("a value contains itself")
    if levels == 0:
        raise LimitError("its values are nested too deeply")
    open_ids.add(identity)
    items, depth, special = 1, 0, False
    for item in value.values() if isinstance(value, dict) else value:
        if type(item) in _PLAIN_LEAVES:
            items += 1
            continue
        inner = _size_of(item, sizes, open_ids, levels - 1)
        items += inner.items
        depth = max(depth, inner.depth)
        special = special or inner.special
    if items > MAX_WORK:
        raise LimitError("its values are too large")
    open_ids.discard(identity)
    size = Size(items, depth + 1, special)
    sizes[identity] = size
    return size


def spend_whole(value: Any, budget: Budget) -> None:
    """Take what looking at all of `value` costs, as comparing, hashing or printing it does.

    Raises:
        LimitError: That is too much.
        NotKnownError: Something in it is not known.
    """
    if isinstance(value, SCALARS):
        if isinstance(value, str):
            budget.spend_text(len(value))
        return
    if isinstance(value, range):
        return
    size = size_of(value)
    if size.special:
        raise NotKnownError("a value in it is not known")
    budget.spend(size.items)
