"""What follows of a dict of a config and of the class that it names, wherever the dict stands."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from provecfg.registry import ClassInfo, Fate
from provecfg.registry.domains import Breach, Domains
from provecfg.registry.stated_types import StatedType, misfit

if TYPE_CHECKING:
    from provecfg.registry.preconditions import Refusal


class Part:
    """A dict and the class that it names; worked out when first asked for.

    Args:
        value: The dict; read-only.
        info: The class.
    """

    def __init__(self, value: dict[Any, Any], info: ClassInfo) -> None:
        self.value = value
        self.info = info
        self.refusals: dict[bool, Refusal | None] = {}
        """What the class is certain to refuse of it, by whether it is built from the dict alone, where it was asked."""
        self._breaches: tuple[Breach, ...] | None = None
        self._unused: dict[str, tuple[tuple[Any, Fate], ...]] = {}

    def unused(self, slot: str) -> tuple[tuple[Any, Fate], ...]:
        """The arguments that the class refuses or drops, in order, each with which of the two.

        Args:
            slot: The key that the dict stands under.
        """
        unused = self._unused.get(slot)
        if unused is None:
            fates = [(key, self.info.fate(key, self.value, slot=slot)) for key in self.value if isinstance(key, str)]
            unused = tuple((key, fate) for key, fate in fates if fate in (Fate.REFUSED, Fate.SWALLOWED))
            self._unused[slot] = unused
        return unused

    def breaches(self, domains: Domains) -> tuple[Breach, ...]:
        """The values of a kind that the class refused when it was tried.

        Args:
            domains: What the classes of the release that is judged by refused.
        """
        if self._breaches is None:
            is_known = not (self.info.is_of_user or self.value.get("convert_to_iter_based"))
            self._breaches = domains.breaches(self.info.dotted, self.value) if is_known else ()
        return self._breaches

    @cached_property
    def misfits(self) -> tuple[tuple[str, str, StatedType], ...]:
        """The arguments of a kind that the class does not state: each with the path to what does not fit, and the type
        that is stated of this part.
        """
        unfit = (
            (key, misfit(value, stated))
            for key, value in self.value.items()
            if (stated := self.info.stated_type(key)) is not None
        )
        return tuple((key, *path_and_type) for key, path_and_type in unfit if path_and_type is not None)

    @cached_property
    def texts(self) -> tuple[Any, ...]:
        """The keys of what is a text, but for `type`, or a list with a text in it."""
        return tuple(
            key
            for key, value in self.value.items()
            if (isinstance(value, str) and key != "type")
            or (isinstance(value, (list, tuple)) and any(isinstance(item, str) for item in value))
        )
