"""What a class, or a method of it, is certain to refuse of the values that a config gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from provecfg.registry.builders import ALWAYS_TAKEN, FILLED_IN, SUPPLIED, SUPPLIED_TO, TAKEN
from provecfg.registry.classes import ClassInfo, Fate
from provecfg.registry.preconditions.execution import Execution
from provecfg.registry.preconditions.outcomes import LimitError, Refusal, RefusedError
from provecfg.registry.preconditions.values import MOST_ITEMS, UNKNOWN, UndecidedError, plain


def refusal(info: ClassInfo, values: Mapping[Any, Any], *, is_whole: bool = True) -> Refusal | None:
    """What a class is certain to refuse when it is built from a config's dict and first used, or None.

    Args:
        info: The class.
        values: The dict, `type` and all.
        is_whole: Whether it is built from the dict alone, so that what the dict does not say is the class's default.
    """
    if not _has_excerpt(info) or values.get("convert_to_iter_based"):
        return None
    keywords = _keywords_of(info, values, is_whole)
    return _certain(info, lambda run: run.build(keywords()))


def refusal_by_method(info: ClassInfo, method: str, values: Mapping[str, Any]) -> Refusal | None:
    """What a method is certain to refuse when it is called on an object of which nothing is known, or None.

    Args:
        info: The object's class.
        method: The method's name.
        values: Its arguments; a config's values.
    """

    def call(run: Execution) -> None:
        budget = [MOST_ITEMS]
        keywords = {name: plain(value, budget, of_config=True) for name, value in values.items()}
        run.call_own(method, [], keywords, {name: frozenset({name}) for name in keywords})

    return _certain(info, call)


def _has_excerpt(info: ClassInfo) -> bool:
    """Whether anything is known that the class refuses."""
    return any(record is not None and record.excerpts for record in info.ancestors)


def _keywords_of(info: ClassInfo, values: Mapping[Any, Any], is_whole: bool) -> Callable[[], dict[str, Any]]:
    """Makes the arguments that the class gets: new ones each time, since it may change them."""
    taken = ALWAYS_TAKEN | TAKEN.get(info.registry, frozenset())
    kept = {
        key: value
        for key, value in values.items()
        if isinstance(key, str) and key not in taken and info.fate(key, values) is not Fate.REFUSED
    }
    supplied = SUPPLIED.get(info.registry, frozenset())
    for name, arguments in SUPPLIED_TO.items():
        supplied |= arguments if info.is_a(name) else frozenset()
    if not is_whole:
        supplied |= info.parameters.keys() - kept.keys()

    def keywords() -> dict[str, Any]:
        budget = [MOST_ITEMS]
        made = {key: plain(value, budget, of_config=True) for key, value in kept.items()}
        left = supplied - (FILLED_IN & made.keys())
        return made | {key: UNKNOWN for key in left if key in info.parameters or key in made}

    return keywords


def _certain(info: ClassInfo, act: Callable[[Execution], None]) -> Refusal | None:
    """The refusal that something ends in; it is done again to see of which arguments that speaks."""
    certain = None
    for traces in (False, True):
        try:
            act(Execution(info, traces))
        except RefusedError as refused:
            certain = refused.refusal
        except (UndecidedError, LimitError, RecursionError):
            return None
        else:
            return None
    return certain
