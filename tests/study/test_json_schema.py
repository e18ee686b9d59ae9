"""The JSON Schema by which editors check a study says what the tool says."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from provecfg.study.json_schema import study_schema
from provecfg.study.load import study_from_fields
from provecfg.study.problems import CONFLICT

Path = tuple[str | int, ...]

WRONG: tuple[Any, ...] = (None, "x", -1, 0, 1.5, True, [], {}, ["x"], {"x": 1})
GOOD: tuple[dict[str, Any], ...] = (
    {},
    {"models": ["mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py", {"base": "pspnet_r50", "name": "mine"}]},
    {"datasets": ["cityscapes"], "seeds": [1, 2, 3]},
    {"losses": {"auxiliary": ["none", ["focal", "lovasz"], {"type": "boundary", "per_class": True}]}},
    {"schedule": {"decay": "cosine"}},
    {"schedule": {"decay": {"type": "step", "milestones": [0.5, 0.75]}}},
    {"early_stopping": None},
)


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    Draft202012Validator.check_schema(study_schema())
    return Draft202012Validator(study_schema())


def paths_in(value: Any, path: Path = ()) -> Iterator[Path]:
    """The way to every value of plain data, the whole left out."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        yield (*path, step)
        yield from paths_in(item, (*path, step))


def with_value(fields: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(fields)
    target: Any = changed
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return changed


def accepted(fields: dict[str, Any]) -> bool:
    """Whether the tool takes every value by itself; between values a schema cannot judge."""
    _, findings = study_from_fields(fields)
    return all(finding.problem is CONFLICT for finding in findings)


@pytest.mark.parametrize("fields", GOOD, ids=str)
def test_what_the_tool_takes_the_schema_takes(schema: Draft202012Validator, fields: dict[str, Any]) -> None:
    study = {"name": "mine", **fields}
    assert accepted(study)
    assert schema.is_valid(study)


def test_of_any_value_in_any_place_the_schema_and_the_tool_say_the_same(schema: Draft202012Validator) -> None:
    study, _ = study_from_fields({"name": "mine"})
    assert study is not None
    fields = study.fields()
    changed = [with_value(fields, path, value) for path in paths_in(fields) for value in WRONG][::3]
    assert len(changed) > 300
    differently = [fields for fields in changed if schema.is_valid(fields) is not accepted(fields)]
    assert differently == []


def test_a_misspelt_name_of_every_axis_is_refused(schema: Draft202012Validator) -> None:
    for axis, name in (("models", "pspnet"), ("datasets", "bdd"), ("strategies", "cutmx")):
        assert not schema.is_valid({"name": "mine", axis: [name]})
