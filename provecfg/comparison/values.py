"""Values of a config in few words."""

from __future__ import annotations

from typing import Any, Final

from provecfg.comparison.canonical import Leaf, Row, Table, Unknown, Value
from provecfg.comparison.differences import Difference

_WIDEST: Final = 72
"""Characters of a value that are shown."""


def change_in_words(difference: Difference) -> str:
    """`key: 0.01 -> 0.02`, or what was added or taken away."""
    before, after = difference.before, difference.after
    if before is None:
        return f"{difference.key}: {in_words(after)} added"
    if after is None:
        return f"{difference.key}: {in_words(before)} taken away"
    texts = _text(before), _text(after)
    if isinstance(before, Table) and isinstance(after, Table) and max(map(len, texts)) > _WIDEST:
        return f"{difference.key}: {before.class_name or 'dict'} -> {after.class_name or 'dict'}"
    return f"{difference.key}: {in_words(before)} -> {in_words(after)}"


def in_words(value: Value | None) -> str:
    """A value, cut where it is long; a default is marked as one."""
    text = _text(value)
    if len(text) > _WIDEST:
        text = f"{text[: _WIDEST - 3]}..."
    return text if value is None or value.is_explicit else f"{text} (default)"


def _text(value: Value | None) -> str:
    if isinstance(value, Leaf):
        return repr(value.value)
    if isinstance(value, Unknown):
        return f"<{value.reason}>"
    if isinstance(value, Row):
        return f"[{', '.join(_text(item) for item in value.items)}]"
    if isinstance(value, Table):
        arguments = [f"{name}={_text(item)}" for name, item in value.items.items() if item.is_explicit]
        return f"{value.class_name or 'dict'}({', '.join(arguments)})"
    return "nothing"


def plain(value: Value | None) -> Any:
    """A value as JSON can hold it: what the config says of it, defaults of classes left out."""
    if isinstance(value, Leaf):
        return value.value if value.value is None or isinstance(value.value, (bool, int, float, str)) else str(value)
    if isinstance(value, Unknown):
        return f"<not known without running: {value.reason}>"
    if isinstance(value, Row):
        return [plain(item) for item in value.items]
    if isinstance(value, Table):
        items = {
            str(name): plain(item) for name, item in value.items.items() if item.is_explicit or not value.is_explicit
        }
        return {"type": value.type, **items} if value.type else items
    return None
