"""The fields of a JSON schema as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def field_table(properties: Mapping[str, Any], page: str = "") -> Iterator[str]:
    """The lines of a table of fields, with types, defaults and descriptions.

    Args:
        properties: Name -> JSON schema, as pydantic makes them.
        page: Where the headings are that types link to; "" for the page itself.
    """
    yield "| field | type | default | |"
    yield "|---|---|---|---|"
    for name, field in properties.items():
        yield f"| `{name}` | {_type(field, page)} | {_default(field)} | {cell(field.get('description', ''))} |"
    yield ""


def cell(text: str) -> str:
    """Text that can stand in a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def _default(field: dict[str, Any]) -> str:
    if "default" not in field:
        return ""
    return f"`{_yaml(field['default'])}`"


def _yaml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _type(field: dict[str, Any], page: str) -> str:
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[1]
        return f"[{name}]({page}#{name.lower()})"
    for union in ("anyOf", "oneOf"):
        if union in field:
            return " or ".join(dict.fromkeys(_type(option, page) for option in field[union]))
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        inner = field.get("items") or {}
        if "prefixItems" in field:
            return f"list of {len(field['prefixItems'])} {_type(field['prefixItems'][0], page)}s"
        of = _type(inner, page)
        return f"list of ({of})" if " " in of else f"list of {of}"
    if field.get("type") == "object":
        return "mapping"
    if "pattern" in field:
        return "text"
    kind = str(field.get("type", ""))
    return {"string": "text", "boolean": "true or false"}.get(kind, kind)
