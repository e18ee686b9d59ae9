"""Strings from values: `str()`, f-strings, `.format` and `%`, with widths bounded and no attribute ever looked up."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from provecfg.mmconfig.budget import MAX_FORMAT_WIDTH, Budget, LimitError
from provecfg.mmconfig.sizes import spend_whole
from provecfg.mmconfig.special import NotKnownError

_DIGITS = re.compile(r"\d+")
_SUBSCRIPT = re.compile(r"\[([^\]]*)\]")
_PERCENT = re.compile(r"%(?:\([^)]*\))?[#0\- +]*(\*|\d+)?(?:\.(\*|\d+))?")


def text_of(value: Any, budget: Budget, conversion: str = "s") -> str:
    """`str(value)`, or `repr` and `ascii` for the conversions `r` and `a`.

    Raises:
        LimitError: The value is too large to print.
        NotKnownError: Something in it is not known.
    """
    spend_whole(value, budget)
    made = ascii(value) if conversion == "a" else repr(value) if conversion == "r" else str(value)
    budget.spend_text(len(made))
    return made


def format_value(value: Any, spec: str, budget: Budget) -> str:
    """`format(value, spec)`.

    Raises:
        LimitError: A width or precision is too large.
        ValueError, TypeError: As Python does.
    """
    _check_widths(spec)
    if not spec or not isinstance(value, (str, int, float)):
        text = text_of(value, budget)
        if spec:
            raise TypeError(f"unsupported format string passed to {type(value).__name__}")
        return text
    made = format(value, spec)
    budget.spend_text(len(made))
    return made


def format_percent(template: str, values: Any, budget: Budget) -> str:
    """`template % values`."""
    for match in _PERCENT.finditer(template):
        for number in match.groups():
            if number == "*":
                arguments = values if isinstance(values, tuple) else (values,)
                _check_numbers(value for value in arguments if isinstance(value, int))
            elif number:
                _check_numbers((int(number[:20]),))
    spend_whole(values, budget)
    budget.spend_text(len(template))
    # Each directive can print one of the values, and mappings the same one many times.
    if isinstance(values, dict):
        longest = max((len(str(value)) for value in values.values()), default=0)
        budget.spend_text(longest * template.count("%("))
    made = template % (dict(values) if isinstance(values, dict) else values)
    budget.spend_text(len(made))
    return made


def format_braces(template: str, positional: Sequence[Any], named: Mapping[str, Any], budget: Budget) -> str:
    """`template.format(*positional, **named)`.

    Raises:
        NotKnownError: A field takes an attribute.
        LimitError: A width or precision is too large.
        IndexError, KeyError, ValueError, TypeError: As Python does.
    """
    counter = _Counter()
    return _expand(template, positional, named, budget, counter, levels=2)


class _Counter:
    """Numbers the fields that have no name; Python refuses to mix those with numbered ones."""

    def __init__(self) -> None:
        self.next: int | None = 0

    def number(self, name: str) -> str:
        if name == "":
            if self.next is None:
                raise ValueError("cannot switch from manual field specification to automatic field numbering")
            self.next += 1
            return str(self.next - 1)
        if name.isdigit():
            if self.next:
                raise ValueError("cannot switch from automatic field numbering to manual field specification")
            self.next = None
        return name


def _expand(
    template: str,
    positional: Sequence[Any],
    named: Mapping[str, Any],
    budget: Budget,
    counter: _Counter,
    levels: int,
) -> str:
    import string  # few configs format texts

    if levels == 0:
        raise ValueError("max string recursion exceeded")
    pieces: list[str] = []
    for literal, field, spec, conversion in string.Formatter().parse(template):
        budget.spend_text(len(literal))
        pieces.append(literal)
        if field is None:
            continue
        if "." in field:
            raise NotKnownError("an attribute in a format string")
        first, bracket, rest = field.partition("[")
        first = counter.number(first)
        value = positional[int(first)] if first.isdigit() else named[first]
        for step in _SUBSCRIPT.findall(bracket + rest):
            value = value[int(step) if step.isdigit() else step]
        if conversion:
            value = text_of(value, budget, conversion)
        spec = _expand(spec or "", positional, named, budget, counter, levels - 1) if spec else ""
        pieces.append(format_value(value, spec, budget))
    return "".join(pieces)


def _check_widths(spec: str) -> None:
    _check_numbers(int(digits[:20]) for digits in _DIGITS.findall(spec))


def _check_numbers(numbers: Any) -> None:
    if any(abs(number) > MAX_FORMAT_WIDTH for number in numbers):
        raise LimitError("the width of a format is too large")
