"""What the classes of a config are certain to refuse of the values that it gives them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from provecfg.facts.arguments import Owners, is_for_the_runner
from provecfg.facts.lookup import Lookup
from provecfg.facts.parts import Part
from provecfg.facts.typed import Typed
from provecfg.mmconfig import Node
from provecfg.registry import ClassInfo
from provecfg.registry.accepted import accepted, digest
from provecfg.registry.domains import Breach
from provecfg.registry.layout import RUNNER_METHODS

if TYPE_CHECKING:
    from provecfg.registry.preconditions import Refusal

RUNNER_NAME: Final = "mmengine"
"""What is said to refuse a section of the top level."""


class Refused(NamedTuple):
    """A part of the config that a class refuses.

    Args:
        node: The dict that the class is built from, or the top-level value that mmengine's Runner is given.
        name: Who refuses it.
        refusal: What is refused, and why.
        arguments: What its condition is about, as far as it stands in the config; those first that it names itself.
    """

    node: Node
    name: str
    refusal: Refusal
    arguments: tuple[Node, ...]


def refused_values_of(
    config: Lookup, owners: Owners, parts: Iterable[tuple[Typed, Part]], *, is_whole_run: bool
) -> Iterator[Refused]:
    """Dicts that their class is certain to refuse.

    Args:
        config: The config.
        owners: The classes around its dicts.
        parts: Those dicts that are built as they stand.
        is_whole_run: Whether what the config does not say is said nowhere else.
    """
    for typed, part in parts:
        if typed.is_direct not in part.refusals:
            part.refusals[typed.is_direct] = _refusal_of(config, part, is_whole=typed.is_direct)
        refused = part.refusals[typed.is_direct]
        if refused is None or _is_passed_over(config, typed.node):
            continue
        if any(owners.may_set(typed, _argument(key)) for key in refused.keys if key != "type"):
            continue
        arguments = _nodes_at(typed.node, refused.keys)
        if is_whole_run or not _is_about_absence(refused, arguments):
            yield Refused(typed.node, part.info.type_name, refused, arguments)


def _refusal_of(config: Lookup, part: Part, *, is_whole: bool) -> Refusal | None:
    info, value = part.info, part.value

    def follow() -> Refusal | None:
        from provecfg.registry.preconditions import refusal  # most configs' parts are known to be accepted

        return refusal(info, value, is_whole=is_whole)

    return _known(config, _asked(info, is_whole=is_whole), value, follow)


def _asked(info: ClassInfo, *, is_whole: bool) -> str:
    return f"{info.dotted} {'whole' if is_whole else 'part'}"


def is_shipped(config: Lookup, info: ClassInfo, value: dict[Any, Any]) -> bool:
    """Whether a part, just as it is, stands in a config of mmsegmentation's or of the loss study's.

    Args:
        config: The config.
        info: The part's class.
        value: The part.
    """
    shipped, text = accepted(config.registry.snapshot.release).parts, config.class_cache.text_of(value)
    return any(digest(f"{_asked(info, is_whole=is_whole)} {text}") in shipped for is_whole in (True, False))


def refused_by_runner(config: Lookup, *, is_whole_run: bool) -> Iterator[Refused]:
    """What mmengine's Runner is certain to refuse of the top level as a whole; see `refused_values_of`."""
    runner = config.class_cache.runner
    if runner is None or not is_whole_run:
        return
    values = config.root.value
    whole = {key: values[key] for key in runner.parameters if key in values}

    def follow() -> Refusal | None:
        from provecfg.registry.preconditions import refusal

        return refusal(runner, whole)

    refused = _known(config, "Runner", whole, follow)
    if refused is not None:
        yield Refused(config.root, RUNNER_NAME, refused, _nodes_at(config.root, refused.keys))


def refused_section_of(config: Lookup, key: str, *, is_whole_run: bool) -> Iterator[Refused]:
    """A top-level value that mmengine's Runner is certain to refuse; see `refused_values_of`.

    Args:
        config: The config.
        key: One of `RUNNER_METHODS`.
        is_whole_run: See `refused_values_of`.
    """
    method, argument = RUNNER_METHODS[key]
    runner, node = config.class_cache.runner, config.get(key)
    if runner is None or node is None or node.value is None or not is_for_the_runner(config, key):
        return

    def follow() -> Refusal | None:
        from provecfg.registry.preconditions import refusal_by_method

        return refusal_by_method(runner, method, {argument: node.value})

    refused = _known(config, method, node.value, follow)
    if refused is None:
        return
    arguments = _nodes_at(node, [path.partition(".")[2] for path in refused.keys])
    if is_whole_run or not _is_about_absence(refused, arguments if node.is_dict else (node,)):
        yield Refused(node, RUNNER_NAME, refused, arguments)


class RefusedInTrial(NamedTuple):
    """A value of a kind that its class refused when it was tried.

    Args:
        node: The value.
        argument: Its path in the dict that the class is built from.
        name: The class.
        breach: What was tried, and how it was refused.
    """

    node: Node
    argument: str
    name: str
    breach: Breach


def refused_in_trials_of(
    config: Lookup, owners: Owners, parts: Iterable[tuple[Typed, Part]]
) -> Iterator[RefusedInTrial]:
    """Values of kinds that their class refused when it was tried, whatever its other arguments.

    Args:
        config: The config.
        owners: The classes around its dicts.
        parts: Those dicts that are built as they stand.
    """
    domains = config.registry.snapshot.domains
    for place, part in parts:
        if not place.is_direct or _is_passed_over(config, place.node):
            continue
        for breach in part.breaches(domains):
            node = place.node.dig(breach.path)
            if node is None or ("." in breach.path and _has_an_own_part(config, place.node)):
                continue
            if not any(owners.may_set(place, name) for name in _arguments(breach)):
                yield RefusedInTrial(node, breach.path, part.info.type_name, breach)


def _arguments(breach: Breach) -> set[str]:
    """The arguments that a refusal depends on."""
    return {_argument(path) for path in (breach.path, *(flag for flag, _ in breach.evidence.unless))}


def _has_an_own_part(config: Lookup, node: Node) -> bool:
    """Whether a class of the user's, or one that nobody knows, stands in a dict and may read what else does."""
    parts = [item for child in node for item in (child if child.is_list else (child,)) if item.type is not None]
    return any(_is_own(config, part) for part in parts)


def _is_own(config: Lookup, part: Node) -> bool:
    infos = [config.class_of(part, registry) for registry in config.registry.registries]
    known = [info for info in infos if info is not None]
    return not known or any(info.is_of_user for info in known)


def innermost(refusals: Iterable[Refused]) -> list[Refused]:
    """Those that no part inside of them refuses, too: a class that hands a value on is not the one to ask about it."""
    refusals = list(refusals)
    keys = [refused.node.key for refused in refusals]
    return [
        refused
        for refused in refusals
        if not any(
            key != refused.node.key and _is_within(argument.key, key)
            for argument in refused.arguments
            for key in keys
            if _is_within(key, refused.node.key)
        )
    ]


def _is_within(key: str, outer: str) -> bool:
    """Whether a dotted path is another, or leads into it."""
    return key == outer or key.startswith((f"{outer}.", f"{outer}[")) or not outer


def _known(config: Lookup, asked: str, value: Any, follow: Callable[[], Refusal | None]) -> Refusal | None:
    """What is refused of a value, if that was found out before; else it is now."""
    cache = config.class_cache

    def refused() -> Refusal | None:
        key = digest(f"{asked} {cache.text_of(value)}")
        if key not in cache.refusals:
            is_accepted = key in accepted(config.registry.snapshot.release).parts
            cache.refusals[key] = None if is_accepted else follow()
        return cache.refusals[key]

    return cache.known((asked, cache.contents.number(value)), refused)


def _is_passed_over(config: Lookup, node: Node) -> bool:
    """Whether it is the top level's data preprocessor, and the model has its own, which goes before."""
    return node.key == "data_preprocessor" and config.get("model.data_preprocessor") is not None


def _is_about_absence(refused: Refusal, arguments: tuple[Node, ...]) -> bool:
    """Whether something is refused because a key is missing, which a config that inherits from this one may add."""
    return not arguments or refused.is_missing


def _argument(path: str) -> str:
    """The argument of a class that a dotted path leads into."""
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def _nodes_at(node: Node, paths: Iterable[str]) -> tuple[Node, ...]:
    return tuple(argument for path in paths if path and (argument := node.dig(path)) is not None)
