"""What pydantic refuses in a study, as findings."""

from __future__ import annotations

import inspect
import typing
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from provecfg import spelling
from provecfg.findings import Finding
from provecfg.study.positions import LocatedFinding, Location
from provecfg.study.problems import SYNTAX, UNKNOWN_KEY, VALUE
from provecfg.study.schema import Study
from provecfg.study.spec import Spec

_TYPES: Final = ("int", "str", "float", "bool", "dict", "list", "tuple")
"""What pydantic adds to the place of a value that may be of several types: `int`, `dict[str,str]`."""


def own_errors(error: ValidationError) -> list[ErrorDetails]:
    """The errors less those that follow from others: a list whose items are all refused is not also too short."""
    errors = _of_any_type(error.errors(include_url=False))
    around = Counter(details["loc"][:length] for details in errors for length in range(len(details["loc"]) + 1))
    return [details for details in errors if details["type"] != "too_short" or around[details["loc"]] == 1]


def _of_any_type(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """The errors with one for each value that may be of several types, and is of none of them or wrong in one."""
    of_value: dict[Location, list[ErrorDetails]] = {}
    for details in errors:
        at = next((index for index, step in enumerate(details["loc"]) if _is_type(step)), None)
        of_value.setdefault(details["loc"][:at], []).append(details)
    merged: list[ErrorDetails] = []
    for location, same in of_value.items():
        own = [details for details in same if details["loc"][len(location) + 1 :] == ()]
        refused = [details for details in own if details["type"] in _EXPECTED]
        inside = [details for details in same if details not in refused]
        if len(same) == 1:
            merged += same
        elif inside:  # of the right type, and wrong all the same
            merged += inside
        else:
            expected = " or ".join(_EXPECTED[details["type"]] for details in refused)
            merged.append({**refused[0], "type": "type_of_none", "loc": location, "msg": f"should be {expected}"})
    return merged


def _is_type(step: int | str) -> bool:
    return isinstance(step, str) and step.partition("[")[0].removeprefix("constrained-") in _TYPES


def finding_of(details: ErrorDetails) -> LocatedFinding:
    """An error as a finding."""
    location, kind = details["loc"], details["type"]
    if kind == "extra_forbidden":
        message = spelling.unknown("key", str(location[-1]), list(_fields_at(location[:-1])))
        return LocatedFinding(location, Finding(UNKNOWN_KEY, message))
    if kind == "missing" and isinstance(location[-1], int):
        return _value(location[:-1], f"has {_items(location[-1])}, which is too few", _hint(location[:-1]))
    if kind == "missing":
        return _value(location[:-1], f"{location[-1]!r} is missing", _hint(location))
    if kind in ("json_invalid", "json_type"):
        return LocatedFinding(location, Finding(SYNTAX, details["msg"]))
    if kind == "union_tag_not_found":
        return _value(location, "has no `type`, which says what it is", _hint(location))
    value = details["input"]
    is_said = kind.startswith(_SELF_EXPLAINING) or kind in ("too_long", "too_short", "string_too_short")
    shown = "" if is_said or isinstance(value, dict | list) else f", not {_in_yaml(value)}"
    hint = _hint(location)
    if kind in _NO_MAPPING and (fields := ", ".join(_fields_at(location))):
        hint = f"{hint} Its fields: {fields}." if hint else f"its fields: {fields}"
    return _value(location, f"{_message(details)}{shown}", hint)


def _message(details: ErrorDetails) -> str:
    """What is expected, in the words of someone who writes YAML."""
    kind = details["type"]
    if kind in _EXPECTED:
        return f"should be {_EXPECTED[kind]}"
    if kind == "too_short":
        return f"should have at least {_items(int(details.get('ctx', {}).get('min_length', 1)))}"
    if kind == "too_long":
        lengths = details.get("ctx", {})
        return f"should have at most {_items(int(lengths['max_length']))}, not {lengths['actual_length']}"
    if kind == "string_too_short":
        return "should not be empty"
    return details["msg"].replace("Input should", "should").replace("String should", "should")


def _items(count: int) -> str:
    return f"{count} item{'s' * (count != 1)}"


_EXPECTED: Final = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_attributes_type": "a mapping of fields",
    "model_type": "a mapping of fields",
    "string_type": "text",
    "tuple_type": "a list",
}
"""Kind of pydantic's error -> what it expected: its own messages speak of Python's types."""

_NO_MAPPING: Final = ("model_attributes_type", "model_type")
"""Kinds for a value in the place of fields."""


def _in_yaml(value: object) -> str:
    """A value as the author of a study writes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return spelling.shown(value)


_SELF_EXPLAINING = ("unknown_", "unreadable_", "set_")
"""Kinds of our own errors whose text names the value."""


def _value(location: Location, message: str, hint: str | None) -> LocatedFinding:
    return LocatedFinding(location, Finding(VALUE, message, hint=hint))


def _hint(location: Location) -> str | None:
    """What the schema says of the field at a location."""
    names = [step for step in location if isinstance(step, str)]
    for spec in _specs_at(tuple(names[:-1])) if names else ():
        if names[-1] in spec.model_fields:
            description = spec.model_fields[names[-1]].description
            return f"{names[-1]}: {description}" if description else None
    return None


def _fields_at(location: Location) -> Iterator[str]:
    """The field names that a mapping at a location may have."""
    yield from dict.fromkeys(name for spec in _specs_at(location) for name in spec.model_fields)


def _specs_at(location: Location) -> list[type[Spec]]:
    """The schema classes that a mapping at a location may be; union tags and indices are passed over."""
    specs: list[type[Spec]] = [Study]
    for step in location:
        if isinstance(step, int):
            continue
        tagged = [spec for spec in specs if "type" in spec.model_fields and spec.model_fields["type"].default == step]
        inner = [
            part
            for spec in specs
            if step in spec.model_fields
            for part in _specs_in(spec.model_fields[step].annotation)
        ]
        specs = tagged or inner or specs
    return specs


def _specs_in(annotation: Any) -> Iterator[type[Spec]]:
    if inspect.isclass(annotation) and issubclass(annotation, Spec):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _specs_in(argument)
