"""What the classes of a config are certain to refuse of the values that it gives them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from provecfg.facts.arguments import is_built_as_it_stands
from provecfg.facts.lookup import Lookup
from provecfg.facts.typed import Typed
from provecfg.mmconfig import Node
from provecfg.registry import ClassInfo
from provecfg.registry.preconditions import Refusal, has_excerpt, refusal, refusal_by_method

_RUNNER: Final = "mmengine.runner.runner.Runner"
_METHODS_OF_RUNNER: Final = {
    # mmengine 0.10.7, runner/runner.py: what is done with each top-level key, and as which argument
    "train_dataloader": ("build_dataloader", "dataloader"),
    "val_dataloader": ("build_dataloader", "dataloader"),
    "test_dataloader": ("build_dataloader", "dataloader"),
    "train_cfg": ("build_train_loop", "loop"),
    "val_cfg": ("build_val_loop", "loop"),
    "test_cfg": ("build_test_loop", "loop"),
    "val_evaluator": ("build_evaluator", "evaluator"),
    "test_evaluator": ("build_evaluator", "evaluator"),
    "optim_wrapper": ("build_optim_wrapper", "optim_wrapper"),
    "param_scheduler": ("_check_scheduler_cfg", "param_scheduler"),
    "default_hooks": ("register_default_hooks", "hooks"),
    "custom_hooks": ("register_custom_hooks", "hooks"),
    "log_processor": ("build_log_processor", "log_processor"),
    "visualizer": ("build_visualizer", "visualizer"),
    "model": ("build_model", "model"),
}


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
    config: Lookup, parts: Iterable[Typed], classes: Iterable[tuple[Typed, ClassInfo]], *, is_whole_run: bool
) -> Iterator[Refused]:
    """Dicts that their class is certain to refuse.

    Args:
        config: The config.
        parts: Its dicts with a `type`.
        classes: Those whose class is known.
        is_whole_run: Whether what the config does not say is said nowhere else.
    """
    refusals = config.class_cache.refusals
    registry_at = {id(typed.node.value): typed.registry for typed in parts}
    for typed, info in classes:
        if not has_excerpt(info) or not is_built_as_it_stands(config, typed, registry_at):
            continue
        key = (id(info), typed.is_direct, repr(typed.node.value))
        if key not in refusals:
            refusals[key] = refusal(info, typed.node.value, is_whole=typed.is_direct)
        refused = refusals[key]
        if refused is None:
            continue
        arguments = _nodes_at(typed.node, refused.keys)
        if is_whole_run or not _is_about_absence(refused, arguments):
            yield Refused(typed.node, info.type_name, refused, arguments)


def refused_sections_of(config: Lookup, *, is_whole_run: bool) -> Iterator[Refused]:
    """Top-level values that mmengine's Runner is certain to refuse; see `refused_values_of`."""
    runner = config.registry.find_dotted(_RUNNER)
    if runner is None:
        return
    refusals = config.class_cache.refusals
    for key, (method, argument) in _METHODS_OF_RUNNER.items():
        node = config.root.get(key)
        if node is None or node.value is None:
            continue
        call = (id(runner), False, f"{method} {node.value!r}")
        if call not in refusals:
            refusals[call] = refusal_by_method(runner, method, {argument: node.value})
        refused = refusals[call]
        if refused is None:
            continue
        arguments = _nodes_at(node, [path.partition(".")[2] for path in refused.keys])
        if is_whole_run or not _is_about_absence(refused, arguments or (node,)):
            yield Refused(node, "mmengine", refused, arguments)


def _is_about_absence(refused: Refusal, arguments: tuple[Node, ...]) -> bool:
    """Whether something is refused because a key is missing, which a config that inherits from this one may add."""
    return not arguments or refused.error == "KeyError"


def _nodes_at(node: Node, paths: Iterable[str]) -> tuple[Node, ...]:
    return tuple(argument for path in paths if path and (argument := node.dig(path)) is not None)
