"""A config in one form: whatever way it is written, what trains alike looks alike.

Inheritance is applied already. Here the defaults of every class are filled in, names of classes are made full, and
top-level variables that nothing reads are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from provecfg.comparison.runner_defaults import ALWAYS_LISTS, BY_SLOT, REGISTRIES, TOP, TYPES
from provecfg.facts.typed import typed_nodes
from provecfg.mmconfig import ConfigView, DottedName, Opaque
from provecfg.mmconfig import Node as ConfigNode
from provecfg.registry import REQUIRED, UNKNOWN_DEFAULT, ClassInfo, Registry, registry_for
from provecfg.registry.builders import SUPPLIED, SUPPLIED_TO
from provecfg.registry.layout import TOP_LEVEL

_STRICT_KEYS: Final = frozenset({"scale", "scales"})
"""Arguments of transforms to which a tuple is one size and a list several (mmcv 2.1.0, transforms/processing.py:
RandomChoiceResize takes `scales=(640, 320)` for one scale, and `[640, 320]` for two)."""
_BACKBONES: Final = "mmseg.models.backbones."
_DEEPEST: Final = 60


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value that is neither dict nor list.

    Args:
        key: Dotted path in the config as it was written.
        value: It.
        is_explicit: Whether the config has it; otherwise it is a default.
    """

    key: str
    value: Any
    is_explicit: bool = True


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that reading does not settle.

    Args:
        key: Dotted path in the config.
        reason: Why, as an end of "not compared: ...".
        origin: What two configs that have the same unknown value have in common; None where nothing tells.
        is_explicit: Whether the config says it.
    """

    key: str
    reason: str
    origin: object = None
    is_explicit: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """A list or a tuple.

    Args:
        key: Dotted path in the config.
        items: What it holds.
        kind: `list` or `tuple` where that matters, else "".
        is_explicit: Whether the config says it.
    """

    key: str
    items: tuple[Value, ...]
    kind: str = ""
    is_explicit: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A dict.

    Args:
        key: Dotted path in the config.
        items: What it holds, defaults of its class included.
        type: Full name of the class that it builds, or the text that names it, or "" of a plain dict.
        is_known: Whether the class is known, so that the defaults are all there.
        is_explicit: Whether the config says it.
    """

    key: str
    items: Mapping[Any, Value] = field(default_factory=dict)
    type: str = ""
    is_known: bool = False
    is_explicit: bool = True

    @property
    def class_name(self) -> str:
        """The class without its module."""
        return self.type.rpartition(".")[2]

    def get(self, key: Any) -> Value | None:
        """What stands under a key."""
        return self.items.get(key)

    def dig(self, *keys: str) -> Value | None:
        """What stands under keys of dicts in dicts, or None."""
        value: Value | None = self
        for key in keys:
            value = value.get(key) if isinstance(value, Table) else None
        return value


Value = Leaf | Unknown | Row | Table


def canonical(view: ConfigView) -> Table:
    """The config in one form."""
    return _Canonical(view).top()


class _Canonical:
    """Fills in one config."""

    def __init__(self, view: ConfigView) -> None:
        self._view = view
        self._registry: Registry = registry_for(view)
        self._registries = {id(typed.node.value): typed.registry for typed in typed_nodes(view.root)}

    def top(self) -> Table:
        values = dict(self._view.values)
        preprocessor = values.pop("data_preprocessor", None)
        for name, default in TOP.items():
            if values.get(name) is None:
                values[name] = default
            elif name == "default_hooks" and isinstance(values[name], dict):
                # mmengine 0.10.7, Runner.register_default_hooks: an absent name keeps its hook, None drops it
                hooks = {**default, **values[name]}
                values[name] = {key: hook for key, hook in hooks.items() if hook is not None}
        items: dict[Any, Value] = {}
        for name, value in values.items():
            if name in TOP_LEVEL:
                origin = self._view.values.origins.get(name)
                registry, is_explicit = REGISTRIES.get(name, ""), name in self._view.values
                items[name] = self._value(value, name, name, registry, origin, is_explicit, 0)
        model = items.get("model")
        if preprocessor is not None and isinstance(model, Table):
            own = model.get("data_preprocessor")
            if own is None or (isinstance(own, Leaf) and own.value is None):
                # mmengine 0.10.7, Runner.__init__: the top level's goes into a model that has none
                moved = self._value(preprocessor, "data_preprocessor", "data_preprocessor", "model", None, True, 0)
                model = items["model"] = Table(model.key, {**model.items, "data_preprocessor": moved}, model.type, True)
        if isinstance(model, Table):
            items["model"] = self._with_weights_in_place(model)
        return Table("", items)

    def _with_weights_in_place(self, model: Table) -> Table:
        """A segmentor with `pretrained` where mmseg's constructors bring it: as `init_cfg` of the backbone.

        mmseg 1.2.2, EncoderDecoder.__init__ and each class in models/backbones that takes `pretrained`.
        """
        backbone = model.get("backbone")
        if not isinstance(backbone, Table) or not backbone.type.startswith(_BACKBONES):
            return model
        named = [leaf for part in (model, backbone) if isinstance(leaf := part.get("pretrained"), Leaf)]
        files = [leaf for leaf in named if isinstance(leaf.value, str)]
        init = backbone.get("init_cfg")
        if len(files) != 1 or not isinstance(init, Leaf) or init.value is not None:
            return model  # none, or what mmseg refuses
        (file,) = files
        pretrained = {"type": "Pretrained", "checkpoint": file.value}
        moved = {
            "init_cfg": self._value(pretrained, file.key, "init_cfg", "weight initializer", None, True, 0),
            "pretrained": Leaf(f"{backbone.key}.pretrained", None, is_explicit=False),
        }
        unsaid = Leaf(f"{model.key}.pretrained", None, is_explicit=False)
        changed = replace(backbone, items={**backbone.items, **moved})
        return replace(model, items={**model.items, "backbone": changed, "pretrained": unsaid})

    def _value(
        self, value: Any, key: str, slot: str, registry: str, origin: object, is_explicit: bool, depth: int
    ) -> Value:
        """
        Args:
            slot: The key that it stands under; with `[]` at its end, under which the list stands that it is in.
            registry: mmengine's registry that builds what stands around it.
            origin: Where the file writes it.
        """
        if isinstance(value, Opaque):
            return Unknown(key, value.reason, origin, is_explicit)
        if value is UNKNOWN_DEFAULT or depth > _DEEPEST:
            return Unknown(key, "the class's own default, which is not a plain value", UNKNOWN_DEFAULT, is_explicit)
        if slot in ALWAYS_LISTS and isinstance(value, dict) and not key.startswith("default_hooks"):
            only_item = self._value(value, key, f"{slot}[]", registry, origin, is_explicit, depth + 1)
            return Row(key, (only_item,), is_explicit=is_explicit)
        if isinstance(value, dict):
            return self._table(value, key, slot.removesuffix("[]"), registry, is_explicit, depth)
        if isinstance(value, (list, tuple)):
            origins = getattr(value, "origins", None) or [None] * len(value)
            items = tuple(
                self._value(
                    item, f"{key}[{index}]", f"{slot.removesuffix('[]')}[]", registry, where, is_explicit, depth + 1
                )
                for index, (item, where) in enumerate(zip(value, origins, strict=False))
            )
            strict = registry == "transform" and slot.removesuffix("[]") in _STRICT_KEYS
            return Row(key, items, ("list" if isinstance(value, list) else "tuple") if strict else "", is_explicit)
        if isinstance(value, (set, frozenset)):
            return Leaf(key, frozenset(map(repr, value)), is_explicit)
        return Leaf(key, value, is_explicit)

    def _table(
        self, value: Mapping[Any, Any], key: str, slot: str, registry: str, is_explicit: bool, depth: int
    ) -> Table:
        registry = self._registries.get(id(value), registry)
        class_name = value.get("type") or _default_type(key, value)
        info = self._class_of(class_name, registry, value.get("_scope_"))
        origins = getattr(value, "origins", {})
        items: dict[Any, Value] = {}
        for name, item in value.items():
            if name in ("type", "_scope_"):
                continue
            below = f"{key}.{name}" if key else str(name)
            items[name] = self._value(item, below, str(name), registry, origins.get(name), is_explicit, depth + 1)
        defaults = dict(_defaults(info))
        for ending, of_builder in BY_SLOT.items():
            if slot.endswith(ending):
                defaults = {**of_builder, **defaults}
        for name, default in defaults.items():
            if name not in items:
                items[name] = self._value(default, f"{key}.{name}", name, registry, None, False, depth + 1)
        text = str(class_name) if isinstance(class_name, str) else ""
        return Table(key, items, info.record.dotted if info else text, info is not None, is_explicit)

    def _class_of(self, name: Any, registry: str, scope: Any) -> ClassInfo | None:
        if not isinstance(name, str):
            return None
        if isinstance(name, DottedName) or not registry:
            return self._registry.find_dotted(str(name), registry)
        return self._registry.find(str(name), registry, scope=scope if isinstance(scope, str) else None)


def _default_type(key: str, value: Mapping[Any, Any]) -> str | None:
    """The class that mmengine builds where a dict names none."""
    if key == "train_cfg" and ("by_epoch" in value or "max_iters" in value or "max_epochs" in value):
        by_epoch = value.get("by_epoch", "max_epochs" in value)
        return "EpochBasedTrainLoop" if by_epoch else "IterBasedTrainLoop"
    return TYPES.get(key)


def _defaults(info: ClassInfo | None) -> Iterator[tuple[str, Any]]:
    if info is None:
        return
    supplied = SUPPLIED.get(info.registry, frozenset())
    for ancestor, names in SUPPLIED_TO.items():
        supplied |= names if info.is_a(ancestor) else frozenset()
    for name, parameter in info.parameters.items():
        if parameter.default is not REQUIRED and name not in supplied:
            yield name, parameter.default


def node_at(view: ConfigView, key: str) -> ConfigNode | None:
    """The node of the config at a key of its canonical form, or the nearest above it that is written."""
    while key:
        node = view.dig(key)
        if node is not None:
            return node
        key = key[: max(key.rfind("."), key.rfind("["), 0)]
    return None
