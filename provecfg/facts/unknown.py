"""What a value that reading does not settle looks like, and how a class is named."""

from __future__ import annotations

import enum
from typing import Final

from provecfg.mmconfig import DottedName

OWN_SCOPES: Final = frozenset({"", "mmseg", "provecfg"})
"""Scopes whose names are used without scope here: mmseg's and the plugin's."""


class _Unknown(enum.Enum):
    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __bool__(self) -> bool:
        return False


UNKNOWN: Final = _Unknown.UNKNOWN
"""A value that reading the config does not settle. It equals nothing and is of no type that a rule asks for."""


def scope_and_name(named: object) -> tuple[str, str]:
    """The registry scope (or top package) and the class's name out of a `type`; ('', '') for what is no text."""
    if not isinstance(named, str):
        return "", ""
    scope, _, name = named.rpartition(".")
    return (scope.partition(".")[0] if isinstance(named, DottedName) else scope), name


def kind_of(named: object) -> str:
    """A `type` without mmseg's scope: `DiceLoss`, but `mmdet.DiceLoss`; '' for what is no text."""
    scope, name = scope_and_name(named)
    return name if scope in OWN_SCOPES else f"{scope}.{name}"
