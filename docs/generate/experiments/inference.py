"""What follows from the values that a class refuses: only what it refuses whatever its other arguments are."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from docs.generate.experiments.variations import Values, paths_of, value_at, variations, with_value, without
from provecfg.registry.domains import ITEMS, Evidence

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
"""Changes of other arguments that a refusal has to outlast."""


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


@dataclass(frozen=True, slots=True)
class Subject:
    """A class and what is known of it before it is tried.

    Args:
        bases: Arguments that it is known to accept, the cheapest first.
        defaults: Plain defaults of its arguments.
        known_kinds: Path -> kinds that documentation, defaults or a config give it, so that they are not refused.
        texts: Texts that its source names.
        is_silent: Whether what is known of the source says nothing of the values.
    """

    bases: Sequence[Values]
    defaults: Mapping[str, Any]
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
    _end: float = 0.0

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
        return {
            path: kinds
            for path, candidates in refused.items()
            if (kinds := {k: e for k, e in candidates.items() if self._outlasts(bases[0], path, k, gentle)})
        }

    def is_refused(self, path: str, kind: str) -> bool:
        """Whether a value of a kind is refused, with arguments that are accepted otherwise."""
        for base in self.subject.bases:
            whole = self._whole(base, path)
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
            evidence = evidence or Evidence(outcome.error, _words(outcome.words), repr(value)[:_MOST_WORDS])
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
            if isinstance(value, bool):
                changes.append(not value)
            elif isinstance(value, (int, float)):
                changes += [1, 0]
            elif isinstance(value, str):
                changes += self.subject.texts
            for changed in [without(whole, path), *(with_value(whole, path, change) for change in changes)]:
                if not self._is_over() and self._outcome(changed).is_accepted:
                    gentle.append((path, changed))
        return gentle

    def _outlasts(self, base: Values, path: str, kind: str, gentle: Sequence[tuple[str, Values]]) -> bool:
        """Whether a kind is refused with each of the other arguments changed, too."""
        argument = path.removesuffix(ITEMS)
        others = [changed for other, changed in gentle if not f"{argument}.".startswith(f"{other}.")]
        step = max(1, len(others) // _MOST_OTHERS)
        for changed in others[::step]:
            whole = self._whole(changed, path)
            if path not in set(paths_of(whole)):
                continue
            for value in variations(value_at(whole, path), path).get(kind, ())[:1]:
                if self._is_over():
                    return False
                outcome = self._outcome(with_value(whole, path, value))
                if outcome.is_accepted or not outcome.error:
                    return False
        return True


def _words(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MOST_WORDS else f"{line[: _MOST_WORDS - 3]}..."
