"""The kinds of values that an argument's class was seen to refuse, and whether a config's value is of one of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from provecfg.mmconfig.values import DottedName, Opaque

ITEMS: Final = "[]"
"""The end of a path that stands for every item of a list or tuple."""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, DottedName)


KINDS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "None": lambda value: value is None,
    "a text": _is_text,
    "a dict": lambda value: isinstance(value, dict) and "type" not in value,
    "a list": lambda value: isinstance(value, (list, tuple)) and all(map(_is_number, value)),
    "a list of texts": lambda value: isinstance(value, (list, tuple)) and len(value) > 0 and all(map(_is_text, value)),
    "a number": _is_number,
    "a fraction": lambda value: isinstance(value, float) and not value.is_integer(),
    "a whole number as a float": lambda value: isinstance(value, float) and value.is_integer(),
    "negative": lambda value: isinstance(value, int) and value < 0,
    "below 0": lambda value: _is_number(value) and value < 0,
    "zero": lambda value: _is_number(value) and value == 0,
    "above 1": lambda value: _is_number(value) and value > 1.01,
}
"""Name of a kind of values -> whether a value is of it; `negative` is of whole numbers, tried where no fraction is."""


class Evidence(NamedTuple):
    """How a class refused the values of a kind.

    Args:
        error: Name of the exception.
        words: Its text, in one line.
        tried: Source of a value that was tried.
        unless: Flags, each with the value that lifts the refusal; the other one is its default.
    """

    error: str
    words: str
    tried: str
    unless: tuple[tuple[str, bool], ...] = ()


class Breach(NamedTuple):
    """A value that its class is known to refuse, by experiment.

    Args:
        path: Where it stands in the dict of the class (`in_channels[2]`, `train_cfg.num_points`).
        kind: What it is, one of `KINDS`.
        evidence: How other values of the kind were refused.
    """

    path: str
    kind: str
    evidence: Evidence


Domain = Mapping[str, Mapping[str, Evidence]]
"""Path of an argument of a class -> the kinds that it refuses; a path that ends in `[]` stands for every item."""


@dataclass(frozen=True, slots=True)
class Domains:
    """What the classes of a release were seen to refuse.

    Args:
        packages: Version of each distribution that was tried.
        classes: Dotted name -> its domain.
        untried: Dotted name of a class that accepted no arguments -> how it refused those of a config, or its defaults.
    """

    packages: Mapping[str, str]
    classes: Mapping[str, Domain]
    untried: Mapping[str, str] = field(default_factory=dict)

    def breaches(self, dotted: str, values: Mapping[Any, Any]) -> tuple[Breach, ...]:
        """The values of a dict that a class refuses, at most one an argument.

        Args:
            dotted: Name of the class.
            values: What it is given, `type` and all.
        """
        domain = self.classes.get(dotted)
        return () if domain is None else tuple(_breaches(domain, values))


NOTHING: Final = Domains({}, {})


def _breaches(domain: Domain, values: Mapping[Any, Any]) -> Iterator[Breach]:
    for path, kinds in domain.items():
        is_of_items = path.endswith(ITEMS)
        argument = path.removesuffix(ITEMS)
        value = dig(values, argument)
        for where, candidate in _candidates(argument, value, is_of_items):
            kind = next((kind for kind in kinds if KINDS[kind](candidate)), None)
            if kind is not None and not _is_lifted(kinds[kind], values):
                yield Breach(where, kind, kinds[kind])
                break


def _is_lifted(evidence: Evidence, values: Mapping[Any, Any]) -> bool:
    """Whether a flag has another value than the one that the refusal was seen beside."""
    return any(flag in values and values[flag] is not (not value) for flag, value in evidence.unless)


def _candidates(path: str, value: Any, is_of_items: bool) -> Iterator[tuple[str, Any]]:
    if not is_of_items:
        yield path, value
    elif isinstance(value, (list, tuple)):
        yield from ((f"{path}[{index}]", item) for index, item in enumerate(value))


class _Absent:
    """Of no kind."""


ABSENT: Final = _Absent()


def dig(values: Mapping[Any, Any], path: str) -> Any:
    """What stands at a dotted path of dicts without a `type`; `ABSENT` where nothing does."""
    value: Any = values
    for step in path.split("."):
        if not isinstance(value, Mapping) or step not in value or (value is not values and "type" in value):
            return ABSENT
        value = value[step]
    return ABSENT if isinstance(value, Opaque) else value


def domains_file(snapshot: Path) -> Path:
    """Where the domains of a snapshot's classes are."""
    return snapshot.with_name(f"{snapshot.stem}_domains.json")


def read_domains(snapshot: Path) -> Domains:
    """The domains beside a snapshot; none where they were not made, or cannot be read."""
    try:
        data = json.loads(domains_file(snapshot).read_text(encoding="utf-8"))
        classes = {
            dotted: {
                path: {kind: _evidence(*evidence) for kind, evidence in kinds.items() if kind in KINDS}
                for path, kinds in domain.items()
            }
            for dotted, domain in data["classes"].items()
        }
        return Domains(data["packages"], classes, data["untried"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return NOTHING


def _evidence(error: str, words: str, tried: str, unless: Mapping[str, bool] | None = None) -> Evidence:
    return Evidence(error, words, tried, tuple((unless or {}).items()))


def domains_text(domains: Domains) -> str:
    """The content of the file: a class a line, in a fixed order; those that were not tried after the others."""
    rows = []
    for dotted, domain in sorted(domains.classes.items()):
        row = {
            path: {kind: [*evidence[:3], *_conditions(evidence)] for kind, evidence in sorted(kinds.items())}
            for path, kinds in sorted(domain.items())
        }
        rows.append(f"{_compact(dotted)}:{_compact(row)}")
    untried = [f"{_compact(dotted)}:{_compact(reason)}" for dotted, reason in sorted(domains.untried.items())]
    return f'{{"packages":{_compact(domains.packages)},\n"classes":{_object(rows)},\n"untried":{_object(untried)}}}\n'


def _conditions(evidence: Evidence) -> list[dict[str, bool]]:
    return [dict(evidence.unless)] if evidence.unless else []


def _object(rows: list[str]) -> str:
    return "\n".join(["{", ",\n".join(rows), "}"])


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
