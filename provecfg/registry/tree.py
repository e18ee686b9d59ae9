"""Find a class by the `type` that a config writes, as mmengine's tree of registries would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from provecfg.registry.builders import OPTIONAL
from provecfg.registry.classes import ClassInfo, ClassRecord
from provecfg.registry.release import Snapshot
from provecfg.registry.user_modules import Unread, UserModules
from provecfg.spelling import nearest_names

ROOT_SCOPE = "mmengine"
"""The scope of the root registries; a name that a scope does not have is looked for here."""


@dataclass(frozen=True)
class Registry:
    """All classes that a config can name: a release's, and those of the modules that it imports.

    Args:
        snapshot: The classes of mmengine, mmcv, mmseg and mmdet.
        user: The classes of `custom_imports`.
        default_scope: The config's `default_scope`.
    """

    snapshot: Snapshot
    user: UserModules
    default_scope: str = "mmseg"
    _found: dict[tuple[str, str, str], ClassInfo | None] = field(default_factory=dict, compare=False)

    @property
    def unread(self) -> tuple[Unread, ...]:
        """Modules that `custom_imports` names and that could not be read, so that a name may be missing here."""
        return self.user.unread

    @property
    def registries(self) -> tuple[str, ...]:
        """mmengine's names of all registries: `model`, `hook`, `parameter scheduler`, ..."""
        return tuple(self.snapshot.registered)

    def scopes(self, registry: str) -> tuple[str, ...]:
        """Scopes that have a registry of this name, the root first."""
        return tuple(dict.fromkeys([ROOT_SCOPE, *self._scopes(registry), *self.user.registered.get(registry, ())]))

    def _scopes(self, registry: str) -> dict[str, dict[str, str]]:
        if registry not in self.snapshot.registered:
            raise KeyError(f"{registry!r} is no registry; there are {', '.join(self.registries)}")
        return self.snapshot.registered[registry]

    def knows_scope(self, type_name: str) -> bool:
        """Whether the scope or package before the name (`mmpretrain.` of `mmpretrain.ConvNeXt`) is known."""
        prefix, dot, _ = type_name.partition(".")
        return (
            not dot
            or prefix in self.snapshot.top_packages
            or any(prefix in self.user.registered.get(name, ()) for name in self.registries)
            or self.user.reads_package(prefix)
        )

    def find(self, type_name: str, registry: str, *, scope: str | None = None) -> ClassInfo | None:
        """The class that `dict(type=type_name)` builds, or None.

        Args:
            type_name: `FCNHead`, `mmdet.CrossEntropyLoss`, or a dotted name (`torch.nn.ReLU`).
            registry: mmengine's name of the registry, see `registries`; raises KeyError for another.
            scope: The scope to look in first, where a `_scope_` key says so; else the config's.
        """
        where = (type_name, registry, scope or self.default_scope)
        if where not in self._found:
            self._found[where] = self._find(*where)
        return self._found[where]

    def _find(self, type_name: str, registry: str, scope: str) -> ClassInfo | None:
        prefix, dot, rest = type_name.partition(".")
        known = self.scopes(registry)
        if not dot:
            for place in dict.fromkeys([scope, ROOT_SCOPE]):
                info = self._registered(type_name, registry, place)
                if info is not None:
                    return info
            return None
        if prefix in known:
            info = self._registered(rest, registry, prefix)
            if info is not None:
                return info
        return self.find_dotted(type_name, registry)

    def find_dotted(self, dotted: str, registry: str = "") -> ClassInfo | None:
        """The class of a dotted name, registered or not (`mmseg.models.FCNHead`)."""
        record = self.record(dotted) if "." in dotted else None
        if record is None:
            return None
        scope = record.module.partition(".")[0]
        return ClassInfo(record.name, registry, scope, record, self.record, self._find_again)

    def record(self, dotted: str) -> ClassRecord | None:
        """What the source of a class says, its parents not looked at."""
        return self.user.record(dotted) or self.snapshot.record(self.user.meaning(dotted))

    def _registered(self, name: str, registry: str, scope: str) -> ClassInfo | None:
        mine = self.user.registered.get(registry, {}).get(scope, {}).get(name)
        dotted = mine or self._scopes(registry).get(scope, {}).get(name)
        if dotted is None and scope == ROOT_SCOPE and name in OPTIONAL.get(registry, ()):
            dotted = f"{OPTIONAL[registry][name]}.{name}"
        if dotted is None:
            return None
        record = self.record(dotted)
        if record is None:
            # registered here, and defined in a package that is not read
            module, _, last = dotted.rpartition(".")
            record = ClassRecord(module, last, bases=(dotted,), parameters=None)
        return ClassInfo(name, registry, scope, record, self.record, self._find_again)

    def _find_again(self, type_name: str, registry: str) -> ClassInfo | None:
        return self.find(type_name, registry) if registry in self.snapshot.registered else None

    def names(self, registry: str, *, scope: str | None = None) -> Iterator[str]:
        """The names that can be written without a prefix: those of the scope, then those of the root."""
        for place in dict.fromkeys([scope or self.default_scope, ROOT_SCOPE]):
            yield from self.user.registered.get(registry, {}).get(place, ())
            yield from self._scopes(registry).get(place, ())

    def nearest(self, type_name: str, registry: str, *, scope: str | None = None) -> list[str]:
        """Names that `type_name` may have been meant to be, best first, at most three.

        A name that only another scope has is given with its prefix (`mmdet.FocalLoss`).
        """
        prefix, dot, rest = type_name.rpartition(".")
        if dot and prefix in self.scopes(registry):
            there = [*self.user.registered.get(registry, {}).get(prefix, ()), *self._scopes(registry).get(prefix, ())]
            close = [f"{prefix}.{name}" for name in nearest_names(rest, there)]
            return close or nearest_names(rest, self.names(registry, scope=scope))
        reachable = dict.fromkeys(self.names(registry, scope=scope))
        elsewhere = [
            f"{other}.{rest}"
            for other in self.scopes(registry)
            if rest not in reachable and self._registered(rest, registry, other) is not None
        ]
        return [*elsewhere, *nearest_names(rest, reachable)][:3]

    def registries_with(self, type_name: str) -> list[str]:
        """Registries in which the name can be found, for a name that stands in the wrong place."""
        return [name for name in self.registries if self.find(type_name, name) is not None]
