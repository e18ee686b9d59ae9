"""The YAML of a study file: its data, and where each value of it is written."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from provecfg.findings import Finding, Span
from provecfg.mmconfig.data_files import PlainYaml, read_plain_yaml
from provecfg.mmconfig.values import origin_of

Location = tuple[int | str, ...]
"""Keys and indices from the study's top."""

TOP = Span(1, 1, 1, 2)
"""Where a file as a whole is pointed at."""
_MOST_WORK = 250_000
"""What reading a study may cost, in units of `mmconfig.budget`: a list of 60,000 seeds, say."""


class LocatedFinding(NamedTuple):
    """A finding, and where in a study it is: its key and its place in a file are looked up last."""

    location: Location
    finding: Finding


def key_of(location: Location) -> str:
    """A location as a dotted path: `losses.auxiliary[2].weight`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).lstrip(".")


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


def read_study_yaml(text: str, path: Path) -> PlainYaml:
    """A study's YAML as data with positions.

    Raises:
        DataError: It is not YAML, or more than a study can be.
    """
    return read_plain_yaml(text, path, _StudyLoader, work=_MOST_WORK)


def plain(value: Any) -> Any:
    """Dicts and lists that know no positions."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def repeated_keys(data: PlainYaml) -> Iterator[tuple[Location, str]]:
    """Keys that stand twice in one mapping; YAML would keep the last without a word."""
    locations: dict[int, Location] = {}
    pending: list[tuple[Any, Location]] = [(data.value, ())] if isinstance(data.value, (dict, list)) else []
    while pending:
        value, location = pending.pop()
        if id(value) not in locations:
            locations[id(value)] = location
            if isinstance(value, dict) and len({_step(key) for key in value}) < len(value):  # 0 and '0'
                steps = Counter(map(_step, value))
                yield from (
                    ((*location, step), f"key {step!r} stands more than once")
                    for step, count in steps.items()
                    if count > 1
                )
            items = enumerate(value) if isinstance(value, list) else ((_step(key), item) for key, item in value.items())
            pending += [(item, (*location, step)) for step, item in items if isinstance(item, (dict, list))]
    for mapping, key in data.repeated:
        yield (*locations.get(id(mapping), ()), _step(key)), f"key {_step(key)!r} stands more than once"


def _step(key: Any) -> str:
    """A key as JSON, and so a location, has it."""
    return key if isinstance(key, str) else json.dumps(key)


def position_of(data: PlainYaml, location: Location, *, of_key: bool = False) -> tuple[Span, Location]:
    """Where a value is written, or the nearest thing around it, and its location without what no file holds.

    Args:
        data: What the file holds.
        location: Steps to the value. Some are in no file: the tag of a union, the index in a list that a single value
            stands for.
        of_key: Where its key is written, not the value.
    """
    value, origin = data.value, None
    written: list[int | str] = []
    for step in location:
        if isinstance(value, dict):
            key = step if step in value else next((key for key in value if _step(key) == step), None)
        else:
            key = step if isinstance(value, list) and isinstance(step, int) and step < len(value) else None
        if key is None or (isinstance(value, dict) and key not in value):
            continue
        value, origin = value[key], origin_of(value, key)
        written.append(step)
    if origin is None:
        return TOP, ()
    return origin.key_span if of_key else origin.span, tuple(written)
