"""What follows from the values that a class refuses: only what it refuses whatever its other arguments are."""

from __future__ import annotations

import copy
import math
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from docs.generate.experiments.variations import Values, paths_of, value_at, variations, with_value, without
from provecfg.registry.domains import ITEMS, Evidence, dig

_ABOUT_TYPES: Final = frozenset({"TypeError", "AttributeError"})
"""What is raised of a value of another type. Another text or number may be the one that a ValueError asks for."""
_ABOUT_NONE_WHEN_BUILT: Final = _ABOUT_TYPES | {"RuntimeError"}
"""torch raises RuntimeError of a None among numbers, and of a text or a number that another one may stand in for; when
a class is used, of sizes that do not fit, which another input may.
"""
_ABOUT_VALUES: Final = frozenset({"ValueError", "AssertionError", "ZeroDivisionError", "OverflowError"})
_OF_VALUE: Final = frozenset({"zero", "negative", "below 0", "above 1"})
"""Kinds of numbers that an operation can do with as well as with others: what is raised in use is the input's, too."""
_MOST_WORDS: Final = 90
_MOST_TRIED: Final = 16
_MOST_ASKED: Final = 3
"""Values of a kind of which the source is asked, which takes as long as to try them."""
_MOST_OTHERS: Final = 12
"""Changes of other arguments that a refusal has to outlast, beside those of every flag; the rest as time allows."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one trial.

    Args:
        is_accepted: Nothing was raised.
        is_built: The object was made, whatever came after.
        error: Name of the exception; of a process that ended or went on for too long, ''.
        words: Its text.
    """

    is_accepted: bool
    is_built: bool = True
    error: str = ""
    words: str = ""

    def refuses(self, kind: str) -> bool:
        """Whether that is a refusal of a value of a kind."""
        if self.is_accepted:
            return False
        if kind in _OF_VALUE:
            return not self.is_built and self.error in _ABOUT_VALUES
        is_of_none = kind == "None" and not self.is_built
        return self.error in (_ABOUT_NONE_WHEN_BUILT if is_of_none else _ABOUT_TYPES)


class Switch(NamedTuple):
    """A flag that is changed, beside the other argument that it demands where it does.

    Args:
        path: The flag.
        value: What it is changed to.
        values: All of the arguments, which are accepted.
    """

    path: str
    value: bool
    values: Values


@dataclass(frozen=True, slots=True)
class Subject:
    """A class and what is known of it before it is tried.

    Args:
        bases: Arguments that it is known to accept, the cheapest first.
        defaults: Plain defaults of its arguments.
        values_of: Argument -> values that a config gives it, or that are of a type which it states.
        known_kinds: Path -> kinds that documentation, defaults or a config give it, so that they are not refused.
        texts: Texts that its source names.
        is_silent: Whether what is known of the source says nothing of the values.
    """

    bases: Sequence[Values]
    defaults: Mapping[str, Any]
    values_of: Callable[[str], Sequence[Any]]
    known_kinds: Callable[[str], Collection[str]]
    texts: Sequence[str]
    is_silent: Callable[[Values, str], bool]


@dataclass(slots=True)
class Inference:
    """Trials of one class, and what follows of them.

    Args:
        subject: The class.
        attempt: Makes a trial; the same one again costs nothing.
        seconds: Of processor time, after which no further one is made.
    """

    subject: Subject
    attempt: Callable[[Values], Outcome]
    seconds: float
    trials: int = 0
    _end: float = math.inf

    def domain(self) -> dict[str, dict[str, Evidence]]:
        """The kinds of values that the class refuses, by path, of which its source tells nothing."""
        start = time.process_time()
        self._end = start + self.seconds / 2
        bases = [base for base in self.subject.bases if self._outcome(base).is_accepted]
        if not bases:
            return {}
        refused = dict(self._refused(bases))
        if not refused:
            return {}
        self._end = start + self.seconds
        gentle = self._gentle(bases[0])
        switches = list(self._switches(bases[0]))
        return self._outlasting(refused, gentle, switches)

    def completed(self, values: Values, path: str = "") -> Values | None:
        """The arguments as they are accepted: as they are, or with one that is a flag or None changed; else None.

        Args:
            values: The arguments.
            path: One of them that stays.
        """
        outcome = self._outcome(values)
        if outcome.is_accepted or not outcome.error:
            return values if outcome.is_accepted else None
        for name, value in self._whole(values).items():
            others = [not value] if isinstance(value, bool) else self.subject.values_of(name) if value is None else ()
            for other in others if name != path else ():
                changed = {**values, name: other}
                if self._is_over() or self._outcome(changed).is_accepted:
                    return None if self._is_over() else changed
        return None

    def is_refused(self, path: str, kind: str, unless: Collection[tuple[str, bool]] = ()) -> bool:
        """Whether a value of a kind is refused, with arguments that are accepted otherwise.

        Args:
            path: Where.
            kind: Which.
            unless: Flags with a value that it is accepted beside.
        """
        for base in self.subject.bases:
            whole = self._whole(base, path)
            if any(dig(whole, flag) is value for flag, value in unless):
                continue
            if path in set(paths_of(whole)) and self._outcome(whole).is_accepted:
                values = variations(value_at(whole, path), path).get(kind, ())[:1]
                return all(self._outcome(with_value(whole, path, value)).refuses(kind) for value in values)
        return False

    def _is_over(self) -> bool:
        return time.process_time() > self._end

    def _outcome(self, values: Values) -> Outcome:
        self.trials += 1
        return self.attempt(values)

    def _refused(self, bases: Sequence[Values]) -> Iterator[tuple[str, dict[str, Evidence]]]:
        """Kinds of which every value is refused, whichever base it is tried with."""
        paths = dict.fromkeys(path for base in bases for path in paths_of(self._whole(base)))
        for path in paths:
            with_path = [whole for base in bases if path in set(paths_of(whole := self._whole(base, path)))]
            if not with_path or not all(self._outcome(base).is_accepted for base in with_path):
                continue
            of_bases = [variations(value_at(base, path), path, self.subject.texts) for base in with_path]
            excluded = set(self.subject.known_kinds(path))
            if "." in path:
                excluded.add("None")  # another key, of which no base tells, may stand in for this one
            candidates = {}
            for kind in of_bases[0]:
                if self._is_over():
                    return
                if kind in excluded or not all(kind in by_kind for by_kind in of_bases):
                    continue
                evidence = self._evidence(path, kind, list(zip(with_path, of_bases, strict=True)))
                if evidence is not None:
                    candidates[kind] = evidence
            if candidates:
                yield path, candidates

    def _evidence(
        self, path: str, kind: str, bases: Sequence[tuple[Values, Mapping[str, Sequence[Any]]]]
    ) -> Evidence | None:
        """How the values of a kind are refused; None where one is not, or where the source tells of all of them."""
        changes = [
            (value, with_value(base, path, value)) for base, by_kind in bases for value in by_kind[kind][:_MOST_TRIED]
        ]
        if not any(self.subject.is_silent(changed, path) for _, changed in changes[:_MOST_ASKED]):
            return None
        evidence = None
        for value, changed in changes:
            outcome = self._outcome(changed)
            if not outcome.refuses(kind):
                return None
            evidence = evidence or Evidence(outcome.error, shortened(outcome.words), repr(value)[:_MOST_WORDS])
        return evidence

    def _whole(self, base: Values, path: str = "") -> Values:
        """A base with the default of an argument that it leaves out; of all of them, where none is named."""
        name = path.removesuffix(ITEMS).split(".")[0]
        defaults = self.subject.defaults
        missing = {key: value for key, value in defaults.items() if key not in base and name in ("", key)}
        return {**base, **copy.deepcopy(missing)}

    def _gentle(self, base: Values) -> list[tuple[str, Values]]:
        """Accepted changes of one argument each, or of a key of a dict, and the base without it."""
        gentle: list[tuple[str, Values]] = []
        for path in [path for path in paths_of(self._whole(base)) if not path.endswith(ITEMS)]:
            whole = self._whole(base, path)
            value = value_at(whole, path)
            changes: list[Any] = [None]
            if value is None and "." not in path:
                changes = [*self.subject.values_of(path)]
            elif isinstance(value, (int, float)) and not isinstance(value, bool):
                changes += [1, 0]
            elif isinstance(value, str):
                changes += self.subject.texts
            for changed in [without(whole, path), *(with_value(whole, path, change) for change in changes)]:
                if not self._is_over() and self._outcome(changed).is_accepted:
                    gentle.append((path, changed))
        return gentle

    def _switches(self, base: Values) -> Iterator[Switch]:
        """Each flag of a base changed, where that is accepted, alone or beside one other argument changed, too."""
        for path in list(paths_of(self._whole(base))):
            whole = self._whole(base, path)
            value = value_at(whole, path)
            if isinstance(value, bool):
                completed = self.completed(with_value(whole, path, not value), path)
                if completed is not None:
                    yield Switch(path, not value, completed)

    def _outlasting(
        self,
        refused: Mapping[str, Mapping[str, Evidence]],
        gentle: Sequence[tuple[str, Values]],
        switches: Sequence[Switch],
    ) -> dict[str, dict[str, Evidence]]:
        """The refusals that stay whatever other argument is changed; where a flag lifts one, it is kept with the flag.

        Args:
            refused: Path -> kind -> how it is refused with the first of the bases.
            gentle: See `_gentle`.
            switches: See `_switches`.
        """
        outlasting: dict[str, dict[str, Evidence]] = defaultdict(dict)
        for path, candidates in refused.items():
            others = self._beside(path, gentle)
            flags = [switch for switch in switches if _is_another(switch.path, path)]
            for kind, evidence in candidates.items():
                if not all(self._is_still_refused(changed, path, kind) for changed in others[:_MOST_OTHERS]):
                    continue
                lifting = [switch for switch in flags if not self._is_still_refused(switch.values, path, kind)]
                if not self._is_over() and all(self._is_off_by_default(switch) for switch in lifting):
                    unless = tuple((switch.path, switch.value) for switch in lifting)
                    outlasting[path][kind] = evidence._replace(unless=unless)
        for path, kinds in outlasting.items():
            for kind in list(kinds):
                if any(self._is_seen_to_lift(changed, path, kind) for changed in self._beside(path, gentle)):
                    del kinds[kind]
        return {path: kinds for path, kinds in outlasting.items() if kinds}

    def _is_seen_to_lift(self, changed: Values, path: str, kind: str) -> bool:
        return not self._is_still_refused(changed, path, kind) and not self._is_over()

    @staticmethod
    def _beside(path: str, gentle: Sequence[tuple[str, Values]]) -> list[Values]:
        """Changes of other arguments, first some that are spread over all of them."""
        others = [changed for other, changed in gentle if _is_another(other, path)]
        step = max(1, len(others) // _MOST_OTHERS)
        return [changed for start in range(step) for changed in others[start::step]]

    def _is_still_refused(self, changed: Values, path: str, kind: str) -> bool:
        """Whether a value of a kind is refused, in whichever way, with other arguments changed; not if time is over."""
        whole = self._whole(changed, path)
        if path not in set(paths_of(whole)):
            return True
        for value in variations(value_at(whole, path), path).get(kind, ())[:1]:
            if self._is_over():
                return False
            outcome = self._outcome(with_value(whole, path, value))
            if outcome.is_accepted or not outcome.error:
                return False
        return True

    def _is_off_by_default(self, switch: Switch) -> bool:
        """Whether a config that does not name the flag has the value that the switch changes."""
        return self.subject.defaults.get(switch.path) is (not switch.value)


def _is_another(other: str, path: str) -> bool:
    """Whether what stands at a path stays where the value at another one is changed."""
    return not f"{path.removesuffix(ITEMS)}.".startswith(f"{other}.")


def shortened(text: str) -> str:
    """The text of an exception in one line, as much of it as is kept."""
    line = " ".join(text.split())
    return line if len(line) <= _MOST_WORDS else f"{line[: _MOST_WORDS - 3]}..."
