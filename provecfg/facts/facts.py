"""What the rules want to know about a config, worked out once and shared.

Everything is computed when first asked for. A value that the config does not settle (opaque, or the default of a
class that nobody knows) is `UNKNOWN`; it equals nothing and is of no type, so a rule that tests for the type that it
needs skips it by itself.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final, Literal

from provecfg.facts.class_cache import Memory, memory_of
from provecfg.facts.data import Loader, loader
from provecfg.facts.metrics import Evaluator, evaluators_of
from provecfg.facts.model import Head, heads_of
from provecfg.facts.schedule import Schedule, schedule_of
from provecfg.facts.typed import Typed, typed_nodes
from provecfg.facts.unknown import UNKNOWN
from provecfg.mmconfig import ConfigView, DottedName, Node, Opaque
from provecfg.registry import REQUIRED, UNKNOWN_DEFAULT, ClassInfo, Fate, Registry, registry_for
from provecfg.registry.lookup import NO_SCOPE
from provecfg.registry.preconditions import Refusal, has_excerpt, refusal, refusal_by_method
from provecfg.registry.release import installed_release

_CERTAIN: Final = frozenset(
    {
        "hook",
        "loop",
        "transform",
        "dataset",
        "metric",
        "optimizer",
        "parameter scheduler",
        "data sampler",
        "optim_wrapper",
    }
)
"""Registries of which the place in the config leaves no doubt. In a model, parts of all kinds stand side by side."""

_OF_MMENGINE: Final = frozenset({"hook", "loop", "optimizer", "optim_wrapper", "parameter scheduler", "data sampler"})

_OF_MMCV_1: Final = frozenset(
    {
        "checkpoint_config",
        "data",
        "dist_params",
        "evaluation",
        "log_config",
        "lr_config",
        "optimizer",
        "optimizer_config",
        "resume_from",
        "runner",
        "total_epochs",
        "total_iters",
        "workflow",
    }
)
_OF_MMENGINE_ALONE: Final = frozenset(
    {
        "custom_imports",
        "default_hooks",
        "default_scope",
        "env_cfg",
        "optim_wrapper",
        "param_scheduler",
        "test_dataloader",
        "train_cfg",
        "train_dataloader",
        "val_dataloader",
        "val_evaluator",
    }
)
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
_PARTS_OF_MODELS: Final = frozenset({"model", "task util", "weight initializer"})

CHECKPOINT_HOOKS: Final = ("CheckpointHook", "PlainCheckpointHook")
EARLY_STOPPING_HOOKS: Final = ("EarlyStoppingHook", "ResumableEarlyStoppingHook")


class Facts:
    """The facts of one config."""

    def __init__(self, view: ConfigView, registry: Registry | None = None) -> None:
        self.view = view
        self.root = view.root
        self._registry = registry

    @cached_property
    def registry(self) -> Registry:
        """What the classes accept that this config can name."""
        return self._registry if self._registry is not None else registry_for(self.view, release=_installed())

    @cached_property
    def memory(self) -> Memory:
        """What is known about that registry's classes already."""
        return memory_of(self.registry)

    @cached_property
    def is_of_mmcv_1(self) -> bool:
        """Whether the config is written for mmcv 1.x, of which mmengine reads nothing."""
        keys = self.root.value.keys()
        return len(keys & _OF_MMCV_1) >= 2 and not keys & _OF_MMENGINE_ALONE

    # Reading

    def get(self, key: str) -> Node | None:
        """A node by its dotted path."""
        return self.root.dig(key)

    def section(self, key: str) -> Node | None:
        """A dict by its dotted path, or None."""
        node = self.root.dig(key)
        return node if node is not None and node.is_dict else None

    @staticmethod
    def value(node: Node | None, key: str, default: Any = None) -> Any:
        """What a dict says under a key: `default` where it says nothing, UNKNOWN where that is opaque."""
        if node is None or not isinstance(node.value, dict):
            return default
        found = node.value.get(key, default)
        return UNKNOWN if isinstance(found, Opaque) else found

    def class_of(self, node: Node | None, registry: str = "model") -> ClassInfo | None:
        """The class that a dict's `type` names, or None if it names none or an unknown one."""
        named = node.value.get("type") if node is not None and isinstance(node.value, dict) else None
        if not isinstance(named, str):
            return None
        said = node.value.get("_scope_") if node is not None else None
        scope = said if isinstance(said, str) else None
        # a dotted name equals its text and is looked up otherwise
        key = (scope, named, registry if type(named) is str else f"{registry} by path")
        classes = self.memory.classes
        if key not in classes:
            classes[key] = self.registry.find(named, registry, scope=scope)
        return classes[key]

    def argument(self, node: Node | None, name: str, registry: str = "model") -> Any:
        """What a class is given under a name: what the dict says, else the class's own default, else UNKNOWN."""
        if node is None or not isinstance(node.value, dict):
            return UNKNOWN
        if name in node.value:
            found = node.value[name]
            return UNKNOWN if isinstance(found, Opaque) else found
        known = self.class_of(node, registry)
        parameter = known.parameters.get(name) if known is not None else None
        if parameter is None or parameter.default is REQUIRED or parameter.default is UNKNOWN_DEFAULT:
            return UNKNOWN
        return parameter.default

    # The model

    @cached_property
    def is_mmseg(self) -> bool:
        """Whether unscoped names mean mmseg's classes. A fragment that sets no scope counts."""
        scope = self.value(self.root, "default_scope")
        if scope is not None:
            return bool(scope == "mmseg")
        if self.registry.default_scope == NO_SCOPE:
            return False
        named = self.value(self.section("model"), "type")  # the read_base() style names modules, not scopes
        return not isinstance(named, DottedName) or named.partition(".")[0] in ("mmseg", "provecfg")

    @cached_property
    def model(self) -> Node | None:
        return self.section("model") if self.is_mmseg else None

    @cached_property
    def heads(self) -> tuple[Head, ...]:
        """Decode heads, then auxiliary heads."""
        return tuple(heads_of(self))

    @cached_property
    def decode_heads(self) -> tuple[Head, ...]:
        return tuple(head for head in self.heads if head.role == "decode")

    # Data

    @cached_property
    def loaders(self) -> tuple[Loader, ...]:
        """The data loaders that the config sets, training first."""
        found = (loader(self, which) for which in ("train", "val", "test"))
        return tuple(one for one in found if one is not None)

    def loader(self, which: Literal["train", "val", "test"]) -> Loader | None:
        return next((one for one in self.loaders if one.which == which), None)

    @cached_property
    def preprocessor(self) -> Node | None:
        """The data preprocessor: the model's, which goes before the top level's."""
        if not self.is_mmseg:
            return None
        return self.section("model.data_preprocessor") or self.section("data_preprocessor")

    # Evaluation, hooks, schedule

    @cached_property
    def val_evaluators(self) -> tuple[Evaluator, ...]:
        return evaluators_of(self, "val_evaluator")

    @cached_property
    def metric_keys(self) -> frozenset[str] | None:
        """The keys that a validation's result will have, or None where one evaluator's are not known."""
        keys: frozenset[str] = frozenset()
        if not self.val_evaluators:
            return None
        for evaluator in self.val_evaluators:
            if evaluator.keys is None:
                return None
            keys |= frozenset(evaluator.keys)
        return keys

    @cached_property
    def hooks(self) -> tuple[Node, ...]:
        """Every hook's dict: the default ones, then the custom ones."""
        default, custom = self.section("default_hooks"), self.get("custom_hooks")
        found = list(default) if default is not None else []
        if custom is not None and custom.is_list:
            found += list(custom)
        return tuple(hook for hook in found if hook.is_dict)

    def hooks_of(self, names: tuple[str, ...]) -> Iterator[Node]:
        """Hooks of one of these classes, or of one that inherits from it."""
        for hook in self.hooks:
            kind = hook.type
            if kind in names:
                yield hook
            elif kind is not None and kind.endswith("Hook"):
                known = self.class_of(hook, "hook")
                if known is not None and any(known.is_a(name) for name in names):
                    yield hook

    @cached_property
    def early_stopping(self) -> tuple[Node, ...]:
        return tuple(self.hooks_of(EARLY_STOPPING_HOOKS))

    @cached_property
    def checkpoints(self) -> tuple[Node, ...]:
        """Checkpoint hooks. The default one needs no `type`."""
        default = self.section("default_hooks.checkpoint")
        found = list(self.hooks_of(CHECKPOINT_HOOKS))
        if default is not None and default.type is None:
            found.insert(0, default)
        return tuple(found)

    @cached_property
    def schedule(self) -> Schedule:
        return schedule_of(self)

    # Names

    @cached_property
    def typed(self) -> tuple[Typed, ...]:
        """Every dict with a `type`, with the registry that builds it; of another library's models, none."""
        found = typed_nodes(self.root)
        return tuple(found if self.is_mmseg else (one for one in found if one.registry not in _PARTS_OF_MODELS))

    @cached_property
    def unregistered(self) -> tuple[tuple[Typed, Node], ...]:
        """Dicts whose class nobody registers who is known, each with its `type`."""
        return tuple(self._unregistered())

    def _unregistered(self) -> Iterator[tuple[Typed, Node]]:
        registry = self.registry
        for typed in self.typed:
            node = typed.node.get("type")
            name = node.value if node is not None else None
            if node is None or not isinstance(name, str) or isinstance(name, DottedName):
                continue
            if self.class_of(typed.node, typed.registry) is not None or not registry.knows_scope(name):
                continue
            if registry.local.registers(name.rpartition(".")[2]):
                continue  # in another registry or scope, as far as the file tells
            if not (typed.is_direct and typed.registry in _CERTAIN) and registry.registries_with(name):
                continue
            if not self.is_mmseg and typed.registry not in _OF_MMENGINE:
                continue  # the snapshot leaves out what other libraries register only with their optional packages
            yield typed, node

    @cached_property
    def unused_arguments(self) -> tuple[tuple[Typed, ClassInfo, Node, Fate], ...]:
        """Arguments that their class refuses or drops."""
        return tuple(self._unused_arguments())

    def _unused_arguments(self) -> Iterator[tuple[Typed, ClassInfo, Node, Fate]]:
        fates = self.memory.fates
        for typed, known in self.known:
            if not self._is_built_as_it_stands(typed):
                continue
            values, slot = typed.node.value, typed.slot
            of_class = fates.get((id(known), slot))
            if of_class is None:
                of_class = {}
                if not any(one is not None and one.flow and one.flow.delegates for one in known.ancestors):
                    fates[id(known), slot] = of_class  # the memory holds the class, so that its id stays its own
            for key in values:
                fate = of_class.get(key)
                if fate is None:
                    fate = of_class[key] = known.fate(key, values, slot=slot) if isinstance(key, str) else Fate.UNKNOWN
                if fate is Fate.REFUSED or fate is Fate.SWALLOWED:
                    yield typed, known, Node(values[key], typed.node, key), fate

    @cached_property
    def _registry_at(self) -> dict[int, str]:
        """Which registry builds a dict, by the id of the dict; the config holds it, so that the id stays its own."""
        return {id(typed.node.value): typed.registry for typed in self.typed}

    @cached_property
    def refusals(self) -> tuple[tuple[Typed, ClassInfo, Refusal], ...]:
        """Dicts that their class is certain to refuse, with its reason."""
        return tuple(self._refusals())

    def _refusals(self) -> Iterator[tuple[Typed, ClassInfo, Refusal]]:
        refusals = self.memory.refusals
        for typed, known in self.known:
            if not has_excerpt(known) or not self._is_built_as_it_stands(typed):
                continue
            key = (id(known), typed.is_direct, repr(typed.node.value))
            if key not in refusals:
                refusals[key] = refusal(known, typed.node.value, is_whole=typed.is_direct)
            refused = refusals[key]
            if refused is not None:
                yield typed, known, refused

    @cached_property
    def refusals_of_runner(self) -> tuple[tuple[Node, Refusal], ...]:
        """Top-level values that mmengine's Runner is certain to refuse, with its reason."""
        runner = self.registry.find_dotted(_RUNNER)
        return () if runner is None else tuple(self._refusals_of_runner(runner))

    def _refusals_of_runner(self, runner: ClassInfo) -> Iterator[tuple[Node, Refusal]]:
        refusals = self.memory.refusals
        for key, (method, argument) in _METHODS_OF_RUNNER.items():
            node = self.root.get(key)
            if node is None or node.value is None:
                continue
            called = (id(node.value), False, method)
            if called not in refusals:
                refusals[called] = refusal_by_method(runner, method, {argument: node.value})
                self.memory.held.append(node.value)
            refused = refusals[called]
            if refused is not None:
                yield node, refused

    def _is_built_as_it_stands(self, typed: Typed) -> bool:
        """Whether a dict goes to its class as it is: not what a class of the user's may have made of its own keys."""
        if typed.is_direct:
            return True
        around = typed.node.parent
        while around is not None and not (isinstance(around.value, dict) and "type" in around.value):
            around = around.parent
        if around is None:
            return True
        owner = self.class_of(around, self._registry_at.get(id(around.value), typed.registry))
        return owner is not None and not owner.is_of_user

    @cached_property
    def known(self) -> tuple[tuple[Typed, ClassInfo], ...]:
        """Those whose class is known, with it."""
        found = ((typed, self.class_of(typed.node, typed.registry)) for typed in self.typed)
        return tuple((typed, info) for typed, info in found if info is not None)


@functools.cache
def _installed() -> str:
    """The installed release; it does not change while configs are judged, and asking takes as long as a rule."""
    return installed_release()
