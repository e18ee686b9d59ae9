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
from provecfg.registry.layout import CHECKPOINT_HOOKS, EARLY_STOPPING_HOOKS
from provecfg.registry.release import installed_release

_PARTS_OF_MODELS: Final = frozenset({"model", "task util", "weight initializer"})


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
    def unused_arguments(self) -> tuple[tuple[Typed, ClassInfo, Node, Fate], ...]:
        """Arguments that their class refuses or drops."""
        return tuple(self._unused_arguments())

    def _unused_arguments(self) -> Iterator[tuple[Typed, ClassInfo, Node, Fate]]:
        fates = self.memory.fates
        for typed, known in self.known:
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
    def known(self) -> tuple[tuple[Typed, ClassInfo], ...]:
        """Those whose class is known, with it."""
        found = ((typed, self.class_of(typed.node, typed.registry)) for typed in self.typed)
        return tuple((typed, info) for typed, info in found if info is not None)


@functools.cache
def _installed() -> str:
    """The installed release; it does not change while configs are judged, and asking takes as long as a rule."""
    return installed_release()
