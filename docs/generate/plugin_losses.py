"""What the plugin's losses say of themselves, read from their source: the text of `catalog/losses.json`."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from typing import Any, Final

from provecfg.errors import ProvecfgError
from provecfg.registry.signatures import parameters_of
from provecfg.registry.syntax import method
from provecfg.registry.user_modules import UserModules

CONTRACT: Final = "SegLoss"
"""The class that every loss of the plugin inherits from."""

_FIELDS: Final = ("title", "loss_name", "takes_pixel_weight", "has_pixel_map", "wraps_loss")
"""Those of `catalog.losses.PluginLoss`, which cannot be imported while its data are made."""


def losses_as_text(modules: UserModules) -> str:
    """What each registered loss says of itself in its class body, or its nearest parent does.

    Args:
        modules: The plugin's, as read.

    Raises:
        ProvecfgError: A loss lacks what every loss has; names both.
    """
    losses = {}
    for name, dotted in modules.registered["model"]["mmseg"].items():
        parents = list(_definitions(modules, dotted))
        if all(parent.name != CONTRACT for parent in parents):
            continue
        values: dict[str, Any] = {}
        for parent in reversed(parents):
            values |= _class_values(parent) | _constructor_values(parent)
        lacking = [field for field in _FIELDS if field not in values]
        if lacking:
            raise ProvecfgError(f"{dotted} has no {' and no '.join(lacking)}", hint=f"{CONTRACT} says what it is for")
        losses[name] = {field: values[field] for field in _FIELDS}
    return json.dumps(losses, indent=1, sort_keys=True) + "\n"


def _definitions(modules: UserModules, dotted: str) -> Iterator[ast.ClassDef]:
    """A class and those that it inherits from, as far as the plugin defines them, nearest first."""
    definition, record = modules.definition(dotted), modules.record(dotted)
    if definition is not None and isinstance(definition[1], ast.ClassDef) and record is not None:
        yield definition[1]
        for base in record.bases or ():
            yield from _definitions(modules, base)


def _class_values(owner: ast.ClassDef) -> dict[str, Any]:
    """The class attributes that are literals."""
    values = {}
    for statement in owner.body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and isinstance(statement.value, ast.Constant):
            for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
                if isinstance(target, ast.Name):
                    values[target.id] = statement.value.value
    return values


def _constructor_values(owner: ast.ClassDef) -> dict[str, Any]:
    """The default `loss_name` of its constructor, and whether that takes another loss to wrap."""
    constructor = method(owner, "__init__")
    if constructor is None:
        return {}
    parameters = {
        parameter.name: parameter for parameter in parameters_of(constructor.args, origin="", skip_first=True)
    }
    values: dict[str, Any] = {"wraps_loss": "loss" in parameters}
    if "loss_name" in parameters and isinstance(parameters["loss_name"].default, str):
        values["loss_name"] = parameters["loss_name"].default
    return values
