"""A study file as a `Study`, or as every mistake that it has, each with its line and column."""

from __future__ import annotations

import copy
import inspect
import json
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from provecfg import invariants, spelling
from provecfg.catalog.datasets import DATASETS
from provecfg.catalog.models import MODELS
from provecfg.class_weights.weights_file import read_class_weights
from provecfg.errors import ProvecfgError
from provecfg.files import TooLargeError, read_text
from provecfg.findings import Finding, Problem, Span, in_file_order
from provecfg.study.problems import CONFLICT, SYNTAX, UNKNOWN_KEY, VALUE
from provecfg.study.schema import Ohem, Study
from provecfg.study.spec import Spec

Location = tuple[int | str, ...]

_LARGEST_FILE = 1_000_000  # bytes; a study is a page of text
_MOST_NODES = 100_000


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something wrong at a place of a study.

    Args:
        kind: Which of `study.problems`.
        location: Keys and indices from the study's top.
        message: What is wrong, with the value.
        hint: What to do about it.
        at_key: Whether the key is what is wrong, not its value.
    """

    kind: Problem
    location: Location
    message: str
    hint: str | None = None
    at_key: bool = False


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
        root = _composed(text)
        fields = _construct(root) if root is not None else {}
    except (yaml.YAMLError, RecursionError) as error:
        mistake = Mistake(SYNTAX, (), _yaml_message(error))
        return None, [_finding(path, mistake, _yaml_span(error), "")]
    if not isinstance(fields, dict):
        mistake = Mistake(SYNTAX, (), f"a study is a mapping of fields, not {_kind(fields)}")
        return None, [_finding(path, mistake, _span(root), "")]
    study, mistakes = study_from_fields(_with_settings(fields, settings), path.parent)
    mistakes = [*mistakes, *(Mistake(VALUE, loc, message) for loc, message in _repeated_keys(root))]
    findings = [_finding(path, mistake, *_place(root, mistake)) for mistake in mistakes]
    return (None if mistakes else study), in_file_order(findings)


def _text(path: Path) -> str:
    try:
        return read_text(path, max_bytes=_LARGEST_FILE)
    except TooLargeError as error:
        raise ProvecfgError(f"{path}: larger than {_LARGEST_FILE} bytes; a study file is a page of YAML") from error
    except OSError as error:
        raise ProvecfgError(f"cannot read study {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ProvecfgError(f"cannot read study {path}: not UTF-8 at byte {error.start}") from error


def study_from_fields(fields: Mapping[str, Any], folder: Path = Path()) -> tuple[Study | None, list[Mistake]]:
    """A study from plain data, with every mistake at once: a bad value hides no conflict between the good ones.

    Args:
        fields: What the study file holds.
        folder: Where the files that it names are looked for.
    """
    fields, mistakes = _with_class_weights(fields, folder)
    if mistakes:
        return None, mistakes
    try:
        study = _validated(fields)
    except ValidationError as error:
        errors = _own_errors(error.errors(include_url=False))
        mistakes = [_mistake(details) for details in errors]
        repaired = _without(fields, [details["loc"] for details in errors])
        if repaired is None:
            return None, mistakes
        study = repaired
    bad = [mistake.location for mistake in mistakes]
    conflicts = [conflict for conflict in _conflicts(study) if not any(_overlap(conflict.location, loc) for loc in bad)]
    mistakes += conflicts
    return (None if mistakes else study), mistakes


def _with_class_weights(fields: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], list[Mistake]]:
    """The fields with the class weights that a file holds in place of its name."""
    copied: dict[str, Any] = copy.deepcopy(dict(fields))
    losses = copied.get("losses")
    primary = losses.get("primary") if isinstance(losses, dict) else None
    named = primary.get("class_weight") if isinstance(primary, dict) else None
    if not isinstance(primary, dict) or not isinstance(named, str):
        return copied, []
    datasets = copied.get("datasets")
    dataset = datasets[0] if isinstance(datasets, list) and datasets else Study.model_fields["datasets"].default[0]
    classes = DATASETS[dataset].classes if dataset in DATASETS else ()
    try:
        primary["class_weight"] = read_class_weights(folder / named, classes)
    except ProvecfgError as error:
        return copied, [Mistake(VALUE, ("losses", "primary", "class_weight"), error.message, error.hint)]
    return copied, []


def set_field(fields: dict[str, Any], setting: str) -> None:
    """Apply one `FIELD=VALUE` to plain study data, in place.

    Raises:
        ProvecfgError: Not of that form, the value is not YAML, or the path goes through a value.
    """
    path, equals, text = setting.partition("=")
    if not equals or not path.strip():
        raise ProvecfgError(f"--set {setting!r}: expected FIELD=VALUE", hint="e.g. --set schedule.max_iters=200")
    try:
        node = _composed(text)
        value = _construct(node) if node is not None else None
    except yaml.YAMLError as error:
        raise ProvecfgError(f"--set {setting!r}: the value is not YAML: {_yaml_message(error)}") from error
    *parents, last = path.strip().split(".")
    target = fields
    for depth, key in enumerate(parents):
        child = target.setdefault(key, {})
        if not isinstance(child, dict):
            raise ProvecfgError(f"--set {setting!r}: {'.'.join(parents[: depth + 1])} is not a mapping")
        target = child
    target[last] = value


def _with_settings(fields: dict[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    for setting in settings:
        set_field(fields, setting)
    return fields


def _own_errors(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Errors less those that follow from others: a list whose items are all refused is not also too short."""
    return [
        details
        for details in errors
        if details["type"] != "too_short"
        or not any(other["loc"][: len(details["loc"])] == details["loc"] for other in errors if other is not details)
    ]


def _validated(fields: Mapping[str, Any]) -> Study:
    # By way of JSON: there strict means what a YAML author expects (a list is a tuple, a whole number is a float).
    return Study.model_validate_json(json.dumps(fields, default=str))


def _without(fields: Mapping[str, Any], locations: Sequence[Location]) -> Study | None:
    """The study with its bad values left to their defaults, or None where that is no study either."""
    repaired: dict[str, Any] = json.loads(json.dumps(fields, default=str))
    repaired.setdefault("name", "unnamed")
    for location in locations:
        _drop(repaired, location)
    try:
        return _validated({"name": "unnamed", **repaired})
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


def _conflicts(study: Study) -> Iterator[Mistake]:
    """What single values cannot show."""
    schedule, data = study.schedule, study.data
    if schedule.val_interval is not None:
        message = invariants.validation_within_run(schedule.val_interval, schedule.max_iters)
        if message:
            hint = f"at most {schedule.max_iters}, or leave it out"
            yield Mistake(CONFLICT, ("schedule", "val_interval"), message, hint)
    if schedule.warmup_iters is not None:
        message = invariants.warmup_within_run(schedule.warmup_iters, schedule.max_iters)
        if message:
            yield Mistake(CONFLICT, ("schedule", "warmup_iters"), message)
        elif schedule.warmup_iters == 1:
            text = "mmengine's warmup of a single iteration never ends"
            yield Mistake(CONFLICT, ("schedule", "warmup_iters"), text, "0 for none, or 2 and more")
    message = invariants.images_for_pooled_batch_norm(data.batch_size)
    pooled = [name for name in study.models if MODELS[name].normalises_pooled_features]
    if message and pooled:
        hint = f"batch_size: 2, or leave out {', '.join(pooled)}"
        yield Mistake(CONFLICT, ("data", "batch_size"), f"{pooled[0]} with {message}", hint)
    if isinstance(data.root, str) and len(study.datasets) > 1:
        example = ", ".join(f"{name}: DIR" for name in study.datasets)
        yield Mistake(
            CONFLICT,
            ("data", "root"),
            f"one data root {data.root!r} for {len(study.datasets)} datasets",
            f"root: {{{example}}}",
        )
    for axis in ("models", "datasets", "strategies", "seeds"):
        message = invariants.distinct([str(value) for value in getattr(study, axis)])
        if message:
            yield Mistake(CONFLICT, (axis,), message)
    yield from _loss_conflicts(study)


def _loss_conflicts(study: Study) -> Iterator[Mistake]:
    losses = study.losses
    weights = losses.primary.class_weight
    if weights is not None:
        yield from _class_weight_conflicts(study, weights)
    on_masks = [name for name in study.models if not MODELS[name].takes_pixel_losses]
    if on_masks and not losses.primary.is_plain:
        what = "class_weight" if weights is not None else "label_smoothing"
        message = f"{on_masks[0]} is trained on sets of masks: it has no cross-entropy over pixels for {what}"
        yield Mistake(CONFLICT, ("losses", "primary", what), message, f"leave out {', '.join(on_masks)}")
    if losses.ohem is not None:
        yield from _ohem_conflicts(study, losses.ohem)
    stages = [head.stage for head in losses.deep_supervision]
    twice = invariants.distinct([str(stage) for stage in stages])
    if twice:
        yield Mistake(CONFLICT, ("losses", "deep_supervision"), f"two heads on one stage: {twice}")
    for name in study.models:
        if MODELS[name].auxiliary_stage in stages:
            message = f"{name} has its auxiliary head on stage {MODELS[name].auxiliary_stage} already"
            yield Mistake(CONFLICT, ("losses", "deep_supervision"), message, "another stage, or leave out the model")
    for index, selection in enumerate(losses.auxiliary):
        location = ("losses", "auxiliary", index)
        same = invariants.distinct([loss.registered for loss in selection])
        if same:
            yield Mistake(CONFLICT, location, f"two losses of one kind in a head: {same}")
        if losses.auxiliary_weights and any(loss.schedule is not None for loss in selection):
            message = "a loss with a schedule takes its weight from there, so `auxiliary_weights` cannot vary it"
            yield Mistake(CONFLICT, location, message, "leave out the schedule, or `auxiliary_weights`")
        if selection in losses.auxiliary[:index]:
            yield Mistake(CONFLICT, location, "this cell stands twice on the axis")


def _class_weight_conflicts(study: Study, weights: tuple[float, ...]) -> Iterator[Mistake]:
    location = ("losses", "primary", "class_weight")
    for dataset in dict.fromkeys(study.datasets):
        classes = DATASETS[dataset].classes
        if len(weights) != len(classes):
            message = f"{len(weights)} class weights for the {len(classes)} classes of {dataset}"
            yield Mistake(CONFLICT, location, message)
    if not any(weights):
        yield Mistake(CONFLICT, location, "every class weight is 0: nothing is trained")


def _ohem_conflicts(study: Study, ohem: Ohem) -> Iterator[Mistake]:
    height, width = study.data.crop_size
    message = invariants.ohem_leaves_pixels_out(ohem.min_kept, height, width)
    if message:
        hint = f"min_kept: {height * width // 16}, a sixteenth of the crop, say"
        yield Mistake(CONFLICT, ("losses", "ohem", "min_kept"), message, hint)
    on_masks = [name for name in study.models if not MODELS[name].takes_pixel_losses]
    if on_masks:
        message = f"{on_masks[0]} is trained on sets of masks: it has no pixels to sample"
        yield Mistake(CONFLICT, ("losses", "ohem"), message, f"leave out {', '.join(on_masks)}")
    for index, selection in enumerate(study.losses.auxiliary):
        for loss in selection:
            if not loss.takes_pixel_weights:
                message = f"{loss.title} is no sum over pixels, so OHEM cannot choose its pixels"
                yield Mistake(CONFLICT, ("losses", "auxiliary", index), message, "leave out `ohem` or this loss")


def _mistake(details: ErrorDetails) -> Mistake:
    location, kind = details["loc"], details["type"]
    if kind == "extra_forbidden":
        known = list(_fields_at(location[:-1]))
        return Mistake(UNKNOWN_KEY, location, spelling.unknown("key", str(location[-1]), known), at_key=True)
    if kind == "missing" and isinstance(location[-1], int):
        return Mistake(VALUE, location[:-1], f"has {location[-1]} items, which is too few", _hint(location[:-1]))
    if kind == "missing":
        return Mistake(VALUE, location[:-1], f"{location[-1]!r} is missing", _hint(location))
    if kind in ("json_invalid", "json_type"):
        return Mistake(SYNTAX, location, details["msg"])
    value = details["input"]
    shown = "" if kind.startswith("unknown_") or isinstance(value, dict | list) else f", not {value!r}"
    message = details["msg"].replace("Input should", "should").replace("String should", "should")
    return Mistake(VALUE, location, f"{message}{shown}", _hint(location))


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
            found
            for spec in specs
            if step in spec.model_fields
            for found in _specs_in(spec.model_fields[step].annotation)
        ]
        specs = tagged or inner or specs
    return specs


def _specs_in(annotation: Any) -> Iterator[type[Spec]]:
    if inspect.isclass(annotation) and issubclass(annotation, Spec):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _specs_in(argument)


def _overlap(one: Location, other: Location) -> bool:
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]


def key_of(location: Location) -> str:
    """A location as a dotted path: `losses.auxiliary[2].weight`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).lstrip(".")


# --- YAML ---------------------------------------------------------------------------------------------------------


class _StudyLoader(yaml.SafeLoader):
    """YAML with two of YAML 1.1's surprises taken out: `1e-3` is a number, and dates stay text."""


_StudyLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_StudyLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def _composed(text: str) -> yaml.Node | None:
    """The syntax tree of a YAML text, small enough to be built even where aliases repeat its parts.

    Raises:
        yaml.YAMLError: Not YAML, an alias within itself, or aliases that would make it huge.
    """
    root: yaml.Node | None = yaml.compose(text, Loader=_StudyLoader)
    if root is not None and _expanded_size(root, {}) > _MOST_NODES:
        raise yaml.YAMLError("its aliases make it too large")
    return root


def _expanded_size(node: yaml.Node, known: dict[int, int]) -> int:
    """How many nodes there are when every alias is written out."""
    if id(node) not in known:
        known[id(node)] = _MOST_NODES + 1  # an alias within itself never ends
        children: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            children = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            children = node.value
        known[id(node)] = min(1 + sum(_expanded_size(child, known) for child in children), _MOST_NODES + 1)
    return known[id(node)]


def _construct(node: yaml.Node) -> Any:
    loader = _StudyLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _repeated_keys(root: yaml.Node | None) -> Iterator[tuple[Location, str]]:
    """Keys that stand twice in one mapping; YAML would keep the last without a word."""
    pending: list[tuple[yaml.Node | None, Location]] = [(root, ())]
    seen_nodes: set[int] = set()
    while pending:
        node, location = pending.pop()
        if node is None or id(node) in seen_nodes:
            continue
        seen_nodes.add(id(node))
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                step = str(key.value)
                if step in seen:
                    yield (*location, step), f"key {step!r} stands more than once"
                seen.add(step)
                pending.append((value, (*location, step)))
        elif isinstance(node, yaml.SequenceNode):
            pending += [(value, (*location, index)) for index, value in enumerate(node.value)]


def _place(root: yaml.Node | None, mistake: Mistake) -> tuple[Span | None, str]:
    """Where the value (or key) that a location names is written, or the nearest thing around it, and its key.

    A location also has steps that no file holds: the tag of a union, the index in a list that a single value stands
    for.
    """
    node, key_node = root, None
    written: list[int | str] = []
    for step in mistake.location:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if str(key.value) == step]
            if not found:
                continue
            key_node, node = found[-1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            key_node, node = None, node.value[step]
        else:
            continue
        written.append(step)
    span = _span(key_node if mistake.at_key and key_node is not None else node)
    return span, key_of(tuple(written))


def _span(node: yaml.Node | None) -> Span | None:
    if node is None:
        return None
    start, end = node.start_mark, node.end_mark
    return Span(start.line + 1, start.column + 1, end.line + 1, end.column + 1)


def _yaml_span(error: Exception) -> Span | None:
    mark = getattr(error, "problem_mark", None)
    return Span(mark.line + 1, mark.column + 1, mark.line + 1, mark.column + 2) if mark else None


def _yaml_message(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    said = [getattr(error, part, None) for part in ("context", "problem")]
    return "not YAML: " + (", ".join(part for part in said if part) or str(error))


def _kind(value: object) -> str:
    return {list: "a list", str: "text", type(None): "nothing"}.get(type(value), type(value).__name__)


def _finding(path: Path, mistake: Mistake, span: Span | None, key: str) -> Finding:
    return Finding(mistake.kind, mistake.message, key, mistake.hint, path, span)
