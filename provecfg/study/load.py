"""A study file as a `Study`, or as every mistake that it has, each with its line and column."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from provecfg.class_weights.weights_file import read_class_weights
from provecfg.errors import ProvecfgError
from provecfg.files import TooLargeError, read_text
from provecfg.findings import Finding, in_file_order
from provecfg.mmconfig.budget import MAX_NESTING
from provecfg.mmconfig.data_files import DataError, PlainYaml
from provecfg.mmconfig.source import SourceFile
from provecfg.spelling import shown
from provecfg.study.conflicts import conflicts
from provecfg.study.datasets import classes_of_fields
from provecfg.study.positions import (
    TOP,
    LocatedFinding,
    Location,
    key_of,
    plain,
    position_of,
    read_study_yaml,
    repeated_keys,
)
from provecfg.study.problems import SYNTAX, UNKNOWN_KEY, VALUE
from provecfg.study.schema import Study
from provecfg.study.validation_errors import finding_of, own_errors

_LARGEST_FILE = 1_000_000  # bytes; a study is a page of text
_MOST_PROBLEMS = 100
"""Of one file; those after are not said."""


def read_study(
    path: Path, settings: Sequence[str] = (), *, text: str | None = None
) -> tuple[Study | None, list[Finding]]:
    """Read a study file.

    Args:
        path: The file.
        settings: `FIELD=VALUE` pairs, dotted path and YAML value, that replace what the file says.
        text: Read as if it stood at `path`, instead of what is there.

    Returns:
        The study (None if it has an error) and the findings in file order.

    Raises:
        ProvecfgError: The file cannot be read, or a setting is not of the form FIELD=VALUE.
    """
    if text is None:
        text = _text(path)
    try:
        data = read_study_yaml(text, path)
    except DataError as error:
        span = SourceFile(path, text, text).span(error.position)
        return None, [Finding(SYNTAX, f"not YAML: {error.message}", filename=path, span=span)]
    fields = {} if data.value is None else plain(data.value)
    if not isinstance(fields, dict):
        message = f"a study is a mapping of fields, not {_kind(fields)}"
        return None, [Finding(SYNTAX, message, filename=path, span=TOP)]
    for setting in settings:
        set_field(fields, setting)
    study, problems = _checked(fields, path.parent)
    problems += [LocatedFinding(loc, Finding(VALUE, message)) for loc, message in repeated_keys(data)]
    findings = [_placed(problem, path, data, settings) for problem in problems[:_MOST_PROBLEMS]]
    return (None if findings else study), in_file_order(findings)


def _text(path: Path) -> str:
    try:
        return read_text(path, max_bytes=_LARGEST_FILE)
    except TooLargeError as error:
        raise ProvecfgError(f"{path}: larger than {_LARGEST_FILE} bytes; a study file is a page of YAML") from error
    except OSError as error:
        raise ProvecfgError(f"cannot read study {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ProvecfgError(f"cannot read study {path}: not UTF-8 at byte {error.start}") from error


def study_from_fields(fields: Mapping[str, Any], folder: Path = Path()) -> tuple[Study | None, list[Finding]]:
    """A study from plain data, or everything that is wrong with it.

    Args:
        fields: What a study file would hold.
        folder: Where the files that it names are looked for.

    Returns:
        The study (None if it has an error) and the findings, with keys and no file.
    """
    study, problems = _checked(fields, folder)
    return study, [replace(finding, key=key_of(location)) for location, finding in problems]


def checked_study(fields: Mapping[str, Any], kind: str = "study", folder: Path = Path()) -> Study:
    """The study of plain data.

    Args:
        fields: What a study file would hold.
        kind: What the user asked for, for the refusal.
        folder: Where the files that it names are looked for.

    Raises:
        ProvecfgError: It is none; says all that is wrong.
    """
    study, findings = study_from_fields(fields, folder)
    if study is None:
        listed = "\n".join(f"  {finding.key or 'study'}: {finding.message}" for finding in findings)
        hints = [finding.hint for finding in findings if finding.hint]
        raise ProvecfgError(f"this is no {kind}:\n{listed}", hint="; ".join(hints) or None)
    return study


def _placed(problem: LocatedFinding, path: Path, data: PlainYaml, settings: Sequence[str]) -> Finding:
    location, finding = problem
    for setting in reversed(settings):
        field = setting.partition("=")[0].strip()
        if location and _overlap(tuple(map(str, location)), tuple(field.split("."))):  # whatever the file says there
            message = f"--set {shown(setting)}: {finding.message}"
            return replace(finding, message=message, key=field, filename=path, span=TOP)
    span, written = position_of(data, location, of_key=finding.problem is UNKNOWN_KEY)
    return replace(finding, key=key_of(written), filename=path, span=span)


def _checked(fields: Mapping[str, Any], folder: Path) -> tuple[Study | None, list[LocatedFinding]]:
    """The study, or all problems at once: a bad value hides no conflict between the good ones."""
    fields, problems = _with_class_lists(fields, folder)
    problems += _put_class_weights(fields, folder)
    unread = [location[:2] for location, _ in problems if location[0] == "datasets"]
    try:
        study = _validated(fields, folder)
    except ValidationError as error:
        errors = own_errors(error)
        # of an entry whose classes are not known nothing else can be said
        problems += [finding_of(details) for details in errors[:_MOST_PROBLEMS] if details["loc"][:2] not in unread]
        repaired = _without(fields, [details["loc"] for details in errors], folder)
        if repaired is None:
            return None, problems
        study = repaired
    refused = [problem.location for problem in problems]
    for location, finding, between in conflicts(study):
        if not any(_overlap(place, wrong) for place in (location, *between) for wrong in refused):
            problems.append(LocatedFinding(location, finding))
    return (None if problems else study), problems


def _with_class_lists(fields: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], list[LocatedFinding]]:
    """The fields with the class names that a file holds in place of the file's name."""
    copied: dict[str, Any] = copy.deepcopy(dict(fields))
    problems: list[LocatedFinding] = []
    datasets = copied.get("datasets")
    for index, entry in enumerate(datasets if isinstance(datasets, list) else []):
        if not (isinstance(entry, dict) and isinstance(entry.get("classes"), str)):
            continue
        path = folder / entry["classes"]
        try:
            names = [line.strip() for line in read_text(path).splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            message = f"list of classes {str(path)!r} cannot be read: {reason}"
            hint = "a list of names in brackets, or a file with one name a line"
            problems.append(LocatedFinding(("datasets", index, "classes"), Finding(VALUE, message, hint=hint)))
            del entry["classes"]
        else:
            entry["classes"] = [name for name in names if name]
    return copied, problems


def _put_class_weights(fields: dict[str, Any], folder: Path) -> list[LocatedFinding]:
    """Put the class weights that a file holds in the place of its name; without them where that cannot be done."""
    losses = fields.get("losses")
    primary = losses.get("primary") if isinstance(losses, dict) else None
    filename = primary.get("class_weight") if isinstance(primary, dict) else None
    if not isinstance(primary, dict) or not isinstance(filename, str):
        return []
    del primary["class_weight"]
    datasets = fields.get("datasets", Study.model_fields["datasets"].default)
    classes = classes_of_fields(datasets[0]) if isinstance(datasets, Sequence) and datasets else ()
    if not classes:
        return []  # the dataset has a mistake of its own
    try:
        primary["class_weight"] = read_class_weights(folder / filename, classes)
    except ProvecfgError as error:
        finding = Finding(VALUE, error.message, hint=error.hint)
        return [LocatedFinding(("losses", "primary", "class_weight"), finding)]
    return []


def set_field(fields: dict[str, Any], setting: str) -> None:
    """Apply one `FIELD=VALUE` to plain study data, in place.

    Raises:
        ProvecfgError: Not of that form, the value is not YAML, or the path goes through a value.
    """
    path, equals, text = setting.partition("=")
    if not equals or not path.strip():
        raise ProvecfgError(f"--set {shown(setting)}: expected FIELD=VALUE", hint="e.g. --set schedule.max_iters=200")
    try:
        value = plain(read_study_yaml(text, Path("--set")).value)
    except DataError as error:
        raise ProvecfgError(f"--set {shown(setting)}: the value is not YAML: {error.message}") from error
    *parents, last = path.strip().split(".")
    if len(parents) > MAX_NESTING:
        raise ProvecfgError(f"--set {shown(setting)}: no study has a field of {len(parents) + 1} steps")
    target = fields
    for depth, key in enumerate(parents):
        child = target.setdefault(key, {})
        if not isinstance(child, dict):
            raise ProvecfgError(f"--set {shown(setting)}: {'.'.join(parents[: depth + 1])} is not a mapping")
        target = child
    target[last] = value


def _validated(fields: Mapping[str, Any], folder: Path) -> Study:
    # By way of JSON: there strict means what a YAML author expects (a list is a tuple, a whole number is a float).
    study = Study.model_validate_json(json.dumps(fields, default=str), context={"folder": folder})
    study._folder = folder
    return study


def _without(fields: Mapping[str, Any], locations: Sequence[Location], folder: Path) -> Study | None:
    """The study with its bad values left to their defaults, or None where that is no study either."""
    repaired: dict[str, Any] = json.loads(json.dumps(fields, default=str))
    for location in locations:
        _drop(repaired, location)
    try:
        return _validated({"name": "unnamed", **repaired}, folder)
    except ValidationError:
        return None


def _drop(fields: dict[str, Any], location: Location) -> None:
    """Delete the mapping entry nearest to the end of the location."""
    target: Any = fields
    last: tuple[dict[str, Any], str] | None = None
    for step in location:
        if isinstance(target, dict) and isinstance(step, str) and step in target:
            last = (target, step)
            target = target[step]
        else:
            break
    if last is not None:
        del last[0][last[1]]


def _overlap(location: Location, other: Location) -> bool:
    shared = min(len(location), len(other))
    return location[:shared] == other[:shared]


def _kind(value: object) -> str:
    return {list: "a list", str: "text", type(None): "nothing"}.get(type(value), type(value).__name__)
