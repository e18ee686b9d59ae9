"""The values of a config: plain Python that remembers where each item was written.

Leaves are `str`, `int`, `float`, `bool`, `None` and the like, as they are. Containers are subclasses of `dict`,
`list` and `tuple` that compare equal to the plain ones. They are shared between configs that have a base in
common: treat them as read-only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from provecfg.findings import Span
from provecfg.mmconfig.source import Position, SourceFile


class Origin(NamedTuple):
    """Where an item was written.

    Args:
        source: The file.
        key: The key's position; None for an item of a list.
        value: The position of the expression that gave the value.
    """

    source: SourceFile
    key: Position | None
    value: Position

    @property
    def key_span(self) -> Span:
        """The key in the file on disk; the value, for an item of a list."""
        return self.source.span(self.value if self.key is None else self.key)

    @property
    def span(self) -> Span:
        """The value in the file on disk."""
        return self.source.span(self.value)


class ConfigDict(dict[Any, Any]):
    """A dict with an `Origin` per key, where one is known.

    `by_attribute` marks mmengine's own ConfigDict, as what comes from a base is: `_base_.model.backbone` works
    on it, and its `update` merges.
    """

    __slots__ = ("by_attribute", "origins")

    origins: dict[Any, Origin]
    by_attribute: bool

    def __init__(
        self,
        items: dict[Any, Any] | Iterable[tuple[Any, Any]] = (),
        origins: dict[Any, Origin] | None = None,
        by_attribute: bool = False,
    ) -> None:
        super().__init__(items)
        self.origins = {} if origins is None else origins
        self.by_attribute = by_attribute

    def put(self, key: Any, value: Any, origin: Origin | None) -> None:
        """Set an item together with its origin."""
        self[key] = value
        if origin is None:
            self.origins.pop(key, None)
        else:
            self.origins[key] = origin

    def copy(self) -> ConfigDict:
        """A shallow copy that keeps the origins."""
        return ConfigDict(self, dict(self.origins), self.by_attribute)


class ConfigList(list[Any]):
    """A list with an `Origin` per item, where one is known (else None)."""

    __slots__ = ("origins",)

    origins: list[Origin | None]

    def __init__(self, items: Iterable[Any] = (), origins: list[Origin | None] | None = None) -> None:
        super().__init__(items)
        self.origins = [None] * len(self) if origins is None else origins

    def copy(self) -> ConfigList:
        """A shallow copy that keeps the origins."""
        return ConfigList(self, list(self.origins))


class ConfigTuple(tuple[Any, ...]):
    """A tuple with an `Origin` per item, where one is known (else None)."""

    origins: tuple[Origin | None, ...]

    def __new__(cls, items: Iterable[Any] = (), origins: Iterable[Origin | None] | None = None) -> ConfigTuple:
        made = super().__new__(cls, items)
        made.origins = (None,) * len(made) if origins is None else tuple(origins)
        return made


class DottedName(str):
    """A class or object that a config imports or names, as its dotted path: `mmseg.models.FCNHead`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"DottedName({str(self)!r})"


class Opaque:
    """A value that cannot be known without running the config.

    Args:
        reason: Why, as an end of the sentence "not judged: ...".
    """

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __repr__(self) -> str:
        return f"Opaque({self.reason!r})"


def origin_of(container: Any, step: Any) -> Origin | None:
    """The origin of one item of a container, or None where it is not known."""
    if isinstance(container, ConfigDict):
        return container.origins.get(step)
    if isinstance(container, (ConfigList, ConfigTuple)):
        origins: Sequence[Origin | None] = container.origins
        return origins[step] if step < len(origins) else None
    return None
