"""The values that an excerpt is followed with: a config's plain ones, and what is not known."""

from __future__ import annotations

import ast
import enum
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from provecfg.mmconfig import DottedName, Opaque


class _Unknown(enum.Enum):
    UNKNOWN = "..."

    def __repr__(self) -> str:
        return self.value


UNKNOWN: Final = _Unknown.UNKNOWN
"""A value that is not known. Nothing that is done with it is refused."""

SCALARS: Final = (bool, int, float, str, type(None))
PLAIN: Final = (*SCALARS, list, tuple, dict, set, frozenset, range, bytes)


@dataclass(frozen=True, slots=True)
class Name:
    """A module, class or function, by its dotted name; a builtin by its own."""

    dotted: str


@dataclass(slots=True, eq=False)
class Instance:
    """An object of which some attributes are known.

    Args:
        attributes: Those that were set, by name.
    """

    attributes: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return "..."


class Uncertain(Instance):
    """In a dict, what may have been taken out."""


class ConfigDict(dict[Any, Any]):
    """A dict as mmengine's configs hold it: what it is asked to pop and does not have is None."""


class UndecidedError(Exception):
    """Whether the rest of a function is reached is not known."""


MOST_ITEMS: Final = 3000
"""Of a config's values that are followed for one class; a whole dataset's list of files is no argument."""


def plain(value: Any, budget: list[int], *, of_config: bool) -> Any:
    """A copy of a value that an excerpt may change.

    Args:
        value: Plain, or opaque, or the name of a class.
        budget: How many items may still be copied, counted down; UNKNOWN for those that are too many.
        of_config: Whether it stands in the config, whose dicts are mmengine's; a default's are Python's.
    """
    budget[0] -= 1
    if type(value) in SCALARS and budget[0] >= 0:
        return value
    if budget[0] < 0 or isinstance(value, (Opaque, DottedName)):
        return UNKNOWN
    if isinstance(value, Mapping):
        items = {key: plain(item, budget, of_config=of_config) for key, item in value.items()}
        return ConfigDict(items) if of_config else items
    if isinstance(value, list):
        return [plain(item, budget, of_config=of_config) for item in value]
    if isinstance(value, tuple):
        return tuple(plain(item, budget, of_config=of_config) for item in value)
    return value if isinstance(value, (*PLAIN, Name)) else UNKNOWN


@functools.lru_cache(maxsize=1024)
def _literal(text: str) -> Any:
    return _literal_value(ast.parse(text, mode="eval").body)


def literal(text: str) -> Any:
    """The value of a literal's source, in which `...` is what is not known."""
    return plain(_literal(text), [MOST_ITEMS], of_config=False)


def _literal_value(node: ast.expr | None) -> Any:
    if isinstance(node, ast.Dict):
        keys = map(_literal_value, node.keys)
        return dict(zip(keys, map(_literal_value, node.values), strict=True))
    if isinstance(node, ast.List):
        return list(map(_literal_value, node.elts))
    if isinstance(node, ast.Tuple):
        return tuple(map(_literal_value, node.elts))
    if isinstance(node, ast.Set):
        return set(map(_literal_value, node.elts))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_literal_value(node.operand)
    if isinstance(node, ast.Attribute):
        return Name(ast.unparse(node).partition(".")[2])  # less the `__` that it begins with
    return node.value if isinstance(node, ast.Constant) and node.value is not ... else UNKNOWN


def is_known(value: Any) -> bool:
    """Whether a value is plain all through."""
    if isinstance(value, SCALARS):
        return True
    if isinstance(value, dict):
        return all(is_known(key) and is_known(item) for key, item in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(is_known, value))
    return isinstance(value, (range, bytes))


def truth(value: Any) -> bool | None:
    """Whether a value counts as true; None where that is not known."""
    if value is UNKNOWN or isinstance(value, Instance):
        return None
    return True if isinstance(value, Name) else bool(value)
