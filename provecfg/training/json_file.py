"""Small JSON files of ours, each one dataclass: read back with every field looked at, written whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from provecfg.mmconfig.files import UnreadableError, read_text
from provecfg.paths import write_bytes_atomically

T = TypeVar("T")


class BrokenFileError(Exception):
    """A file that is there and is not what it should be; says which field, or why it cannot be read."""


def read_json_file(path: Path, kind: type[T]) -> T | None:
    """The dataclass that a file holds, or None if there is no file.

    Args:
        path: The file.
        kind: A dataclass whose fields are None, bool, int, float, str, mappings from str, tuples or dataclasses.

    Raises:
        BrokenFileError: It cannot be read, is no JSON, lacks a field without a default, or has one that `kind` does not
            have or of another type.
    """
    if not path.exists():
        return None
    try:
        contents = json.loads(read_text(path))
    except UnreadableError as error:
        raise BrokenFileError(error.message) from error
    except (ValueError, RecursionError) as error:
        raise BrokenFileError(f"it is no JSON: {error}") from error
    return cast(T, _checked(contents, kind, ""))


def write_json_file(path: Path, contents: Any) -> None:
    """Write a dataclass.

    Raises:
        OSError: It cannot be written; the file is then as it was.
    """
    write_bytes_atomically(path, f"{json.dumps(dataclasses.asdict(contents), indent=2)}\n".encode())


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _checked(value: Any, kind: Any, key: str) -> Any:
    """The value as its type has it: JSON's lists as tuples, its objects as dataclasses."""
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _checked_fields(value, cast(type, kind), key)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        options = [argument for argument in arguments if argument is not type(None)]
        if len(options) == 1:
            return _checked(value, options[0], key)
        if any(_is_a(value, option) for option in options):
            return value
    elif origin is tuple and isinstance(value, list):
        return tuple(_checked(item, arguments[0], f"{key}[{index}]") for index, item in enumerate(value))
    elif origin is Mapping and isinstance(value, dict):
        return {name: _checked(item, arguments[1], f"{key}.{name}") for name, item in value.items()}
    elif isinstance(kind, type) and _is_a(value, kind):
        return value
    raise BrokenFileError(f"{key or 'it'} is {_shortened(value)}, not {_described(kind)}")


def _is_a(value: Any, kind: type) -> bool:
    if isinstance(value, bool):  # an int to Python
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _checked_fields(value: Any, kind: type, key: str) -> Any:
    if not isinstance(value, dict):
        raise BrokenFileError(f"{key or 'it'} is {_shortened(value)}, not an object")
    prefix = f"{key}." if key else ""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in value:
        if name not in fields:
            raise BrokenFileError(f"{prefix}{name} is no field of it")
    checked = {name: _checked(item, _hints(kind)[name], f"{prefix}{name}") for name, item in value.items()}
    for name, field in fields.items():
        if name not in value and field.default is field.default_factory is dataclasses.MISSING:
            raise BrokenFileError(f"{prefix}{name} is missing")
    return kind(**checked)


def _shortened(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _described(kind: Any) -> str:
    if typing.get_origin(kind) is tuple:
        return "a list"
    if typing.get_origin(kind) is Mapping:
        return "an object"
    return str(getattr(kind, "__name__", kind))
