"""The end of reading one file: what is no config value goes, and what is left is known to be finite."""

from __future__ import annotations

from typing import Any

from provecfg.mmconfig.assignment import IN_DOUBT
from provecfg.mmconfig.budget import LimitError
from provecfg.mmconfig.problems import TOO_LARGE
from provecfg.mmconfig.sizes import SCALARS, size_of
from provecfg.mmconfig.special import Builtin, Imported, Iterated, LocalFunction, Method, Module
from provecfg.mmconfig.statements import Statements
from provecfg.mmconfig.values import ConfigDict, ConfigList, ConfigTuple, DottedName, Opaque


def settled(reader: Statements) -> ConfigDict:
    """The config's own variables, after `reader` has run: functions, modules and names with `__` left out.

    A variable that contains itself or is too large becomes opaque, with a problem.

    Raises:
        LimitError: All together are too large.
    """
    own = reader.variables
    for name in [name for name, value in own.items() if name.startswith("__") or _is_dropped(value)]:
        del own[name]
        own.origins.pop(name, None)
    try:
        size = size_of(own)
    except LimitError:
        for name, value in own.items():
            try:
                size_of(value)
            except LimitError as limit:
                origin = own.origins.get(name)
                reader.report(TOO_LARGE, f"{name}: {limit.what}", origin.value if origin else None, key=name)
                own[name] = Opaque(limit.what)
        size = size_of(own)
    reader.budget.spend(size.items)
    if size.special or reader.doubtful:
        done: dict[int, Any] = dict.fromkeys(reader.doubtful, Opaque(IN_DOUBT))
        for name, value in own.items():
            own[name] = _plain(value, done)
    return own


def _is_dropped(value: Any) -> bool:
    return isinstance(value, (LocalFunction, Module, Imported))


def _plain(value: Any, done: dict[int, Any]) -> Any:
    """`value` with what is no config value replaced; shared containers stay shared."""
    if isinstance(value, SCALARS):
        return value
    identity = id(value)
    if identity in done:
        return done[identity]
    made = value
    if isinstance(value, Iterated):
        made = Opaque("an iterator")
    elif isinstance(value, ConfigDict):
        done[identity] = value
        for key, item in value.items():
            value[key] = _plain(item, done)
    elif isinstance(value, ConfigList):
        done[identity] = value
        value[:] = [_plain(item, done) for item in value]
    elif isinstance(value, ConfigTuple):
        items = [_plain(item, done) for item in value]
        if any(new is not old for new, old in zip(items, value, strict=True)):
            made = ConfigTuple(items, value.origins)
    elif isinstance(value, Builtin):
        made = DottedName(value.name)
    elif isinstance(value, (LocalFunction, Method)):
        made = Opaque("a function")
    elif isinstance(value, (Module, Imported)):
        made = Opaque(f"{value.name} of Python's standard library")
    done[identity] = made
    return made
