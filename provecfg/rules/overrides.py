"""Fixes of what a base says that is not the user's to change: the value as an override in the config that inherits."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from provecfg.findings import Edit, Finding, Fix, Span
from provecfg.mmconfig import ConfigView, Node
from provecfg.mmconfig.shipped_bases import is_shipped
from provecfg.rules.edits import text_under

_ADDED = re.compile(r", (?:(?P<name>\w+)=|(?P<quote>['\"])(?P<quoted>\w+)(?P=quote): )(?P<value>.*)", re.DOTALL)
"""What `edits.added` writes behind an item."""
_STEP = re.compile(r"[A-Za-z_]\w*")
_PACKAGES = frozenset({"site-packages", "dist-packages"})


def is_users(path: Path) -> bool:
    """Whether a file is the user's to change, and no installed package's."""
    return not is_shipped(path) and _PACKAGES.isdisjoint(path.parts)


def with_override(finding: Finding, view: ConfigView) -> Finding:
    """A finding whose fix changes the config itself, where it would have changed a file that is not the user's.

    A dict of a base is overridden by the same keys in the config; what stands in a list is not, and a key that the base
    misspells cannot be taken out, so that there the finding is left without a fix.

    Args:
        finding: Of the config or of one of its bases.
        view: The config.
    """
    fix = finding.fix
    if fix is None or all(is_users(edit.filename) for edit in fix.edits) or not is_users(view.path):
        return finding
    edits = [_override(edit, view) for edit in fix.edits]
    made = tuple(edit for edit in edits if edit is not None)
    if len(made) < len(edits) or len({edit.span for edit in made}) < len(made):
        return replace(finding, fix=None)
    message = f"{fix.message}, as an override in {view.path.name}"
    return replace(finding, fix=Fix(message, fix.applicability, made))


def _override(edit: Edit, view: ConfigView) -> Edit | None:
    if is_users(edit.filename):
        return edit
    value = _value(edit)
    if value is None or len(edit.keys) != 1 or view.path.suffix != ".py" or "_base_" not in view.sources(view.path):
        return None
    (key,) = edit.keys
    steps = key.split(".")
    if not all(_STEP.fullmatch(step) for step in steps):
        return None
    for depth in range(len(steps) - 1, 0, -1):
        holder = view.dig(".".join(steps[:depth]))
        own = _last_own(holder, view.path) if holder is not None else None
        if own is not None:
            return _behind(own, steps[depth:], value, key)
    return _at_the_end(steps, value, key, view)


def _value(edit: Edit) -> str | None:
    """The text of the value that an edit writes; None for a renaming or a removal."""
    if edit.span.row == edit.span.end_row and edit.span.column == edit.span.end_column:
        matched = _ADDED.fullmatch(edit.text)
        return matched["value"] if matched else None
    return edit.text or None


def _last_own(holder: Node, path: Path) -> Node | None:
    """The last item of a dict that the config itself says, in a dict that it says."""
    if not holder.is_dict or holder.origin is None or holder.file != path:
        return None
    own = [
        child for child in holder if child.origin is not None and child.origin.key is not None and child.file == path
    ]
    return own[-1] if own else None


def _behind(own: Node, steps: list[str], value: str, key: str) -> Edit | None:
    origin = own.origin
    if origin is None or origin.key is None:
        return None
    span, quote = origin.span, text_under(origin.source, origin.key_span)[:1]
    place = Span(span.end_row, span.end_column, span.end_row, span.end_column)
    name, item = steps[0], _nested(steps[1:], value)
    written = f", {quote}{name}{quote}: {item}" if quote in "'\"" else f", {name}={item}"
    return Edit(origin.source.path, place, written, (key,))


def _at_the_end(steps: list[str], value: str, key: str, view: ConfigView) -> Edit:
    text = view.sources(view.path)
    lines = text.split("\n")
    place = Span(len(lines), len(lines[-1]) + 1, len(lines), len(lines[-1]) + 1)
    before = "" if text.endswith("\n") or not text else "\n"
    return Edit(view.path, place, f"{before}{steps[0]} = {_nested(steps[1:], value)}\n", (key,))


def _nested(steps: list[str], value: str) -> str:
    for step in reversed(steps):
        value = f"dict({step}={value})"
    return value
