"""Find a class by the `type` that a config writes, as mmengine's tree of registries would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from provecfg.registry.builders import OPTIONAL
from provecfg.registry.classes import ClassInfo, ClassRecord
from provecfg.registry.kwargs_flow import OPEN
from provecfg.registry.local_classes import NONE, LocalClasses
from provecfg.registry.release import Snapshot
from provecfg.registry.user_modules import Unread, UserModules
from provecfg.spelling import nearest_names

ROOT_SCOPE = "mmengine"
"""The scope of the root registries; a name that a scope does not have is looked for here."""


@dataclass(frozen=True)
class Registry:
    """All classes that a config can name: a release's, those of the modules that it imports, and its repository's.

    Args:
        snapshot: The classes of mmengine, mmcv, mmseg and mmdet.
        user: The classes of `custom_imports`.
        default_scope: The config's `default_scope`.
        local: The classes of the config's repository, of which some module that is run may import any.
    """

    snapshot: Snapshot
    user: UserModules
    default_scope: str = "mmseg"
    local: LocalClasses = NONE
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
            or self.local.has_package(prefix)
        )

    @cached_property
    def _scopes_of_release(self) -> frozenset[str]:
        return frozenset(scope for scopes in self.snapshot.registered.values() for scope in scopes)

    def judges_scope(self, scope: str) -> bool:
        """Whether everything that is registered in a scope is known: the release's, or the repository's own."""
        return scope in self._scopes_of_release or (self.local.is_complete and self.local.has_package(scope))

    @property
    def knows_all_names(self) -> bool:
        """Whether every name that the config's scope, its imports and its repository register was read."""
        return not self.unread and self.local.is_complete and self.judges_scope(self.default_scope)

    @property
    def is_of_release(self) -> bool:
        """Whether the config's scope is one of the release's own."""
        return self.default_scope in self._scopes_of_release

    @property
    def is_closed(self) -> bool:
        """Whether a name that is not here is registered by nobody: there is no code that may register more."""
        return self.knows_all_names and self.is_of_release and not self.local.names

    def find(self, type_name: str, registry: str, *, scope: str | None = None) -> ClassInfo | None:
        """The class that `dict(type=type_name)` builds, or None.

        Args:
            type_name: `FCNHead`, `mmdet.CrossEntropyLoss`, or a dotted name (`torch.nn.ReLU`).
            registry: mmengine's name of the registry, see `registries`; raises KeyError for another.
            scope: The scope to look in first, where a `_scope_` key says so; else the config's.
        """
        where = (type_name, registry, self.default_scope if scope is None else scope)
        if where not in self._found:
            self._found[where] = self._find(*where)
        return self._found[where]

    def _find(self, type_name: str, registry: str, scope: str) -> ClassInfo | None:
        prefix, dot, rest = type_name.partition(".")
        known = self.scopes(registry)
        if not dot:
            for place in self._lineage(registry, scope):
                info = self._registered(type_name, registry, place)
                if info is not None:
                    # a scope that nobody has described may have a class of its own by this name, and so may no scope
                    is_certain = (place == scope and scope != "") or self.judges_scope(scope)
                    return info if is_certain else self._opened(info)
            return None
        if prefix in known or self.local.has_package(prefix):
            info = self._registered(rest, registry, prefix)
            if info is not None:
                return info
        return self.find_dotted(type_name, registry)

    def _lineage(self, registry: str, scope: str) -> Iterable[str]:
        """The scopes in which a name without one is looked for, in turn."""
        return dict.fromkeys([scope, *self.local.scopes_above(registry, scope), ROOT_SCOPE])

    def find_dotted(self, dotted: str, registry: str = "") -> ClassInfo | None:
        """The class of a dotted name, registered or not (`mmseg.models.FCNHead`)."""
        record = self.record(dotted) if "." in dotted else None
        if record is None:
            return None
        scope = record.module.partition(".")[0]
        return ClassInfo(record.name, registry, scope, record, self.record, self._find_again)

    def record(self, dotted: str) -> ClassRecord | None:
        """What the source of a class says, its parents not looked at."""
        dotted = self.local.meaning(self.user.meaning(dotted))
        return self.user.record(dotted) or self.local.record(dotted) or self.snapshot.record(dotted)

    def _registered(self, name: str, registry: str, scope: str) -> ClassInfo | None:
        mine = self.user.registered.get(registry, {}).get(scope, {}).get(name)
        dotted = mine or self._scopes(registry).get(scope, {}).get(name)
        if mine is None and self.local.registers(name):
            info = self._local(name, registry, scope, dotted)
            if info is not None:
                return info
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

    def _local(self, name: str, registry: str, scope: str, shipped: str | None) -> ClassInfo | None:
        """A class of the repository; where several may be meant, one that is what they have in common and is open."""
        places = self.local.classes(name, registry, scope)
        if not places:
            return None
        dotted = places[0].dotted
        if len(places) == 1 and dotted is not None and (shipped is None or places[0].takes_the_place):
            record = self.record(dotted)
            if record is not None:
                return ClassInfo(name, registry, scope, record, self.record, self._find_again)
        base = shipped or dotted or f"?{name}"
        # where the release has none of its name, it is certain to be the user's, whichever of them it is
        record = _open(name, base, None if shipped is not None else places[0].file)
        return self._opened(ClassInfo(name, registry, scope, record, self.record, self._find_again))

    def _opened(self, info: ClassInfo) -> ClassInfo:
        return replace(info, record=_open(info.type_name, info.dotted, info.record.file), _fates={})

    def _find_again(self, type_name: str, registry: str) -> ClassInfo | None:
        return self.find(type_name, registry) if registry in self.snapshot.registered else None

    def names(self, registry: str, *, scope: str | None = None) -> Iterator[str]:
        """The names that can be written without a prefix: those of the scope, then those of the root."""
        for place in self._lineage(registry, self.default_scope if scope is None else scope):
            yield from self.user.registered.get(registry, {}).get(place, ())
            yield from self._scopes(registry).get(place, ())
        yield from self.local.names_of(registry)

    def nearest(self, type_name: str, registry: str, *, scope: str | None = None) -> list[str]:
        """Names that `type_name` may have been meant to be, best first, at most three.

        A name that only another scope has is given with its prefix (`mmdet.FocalLoss`).
        """
        prefix, dot, rest = type_name.rpartition(".")
        if dot and prefix in self.scopes(registry):
            there = [*self.user.registered.get(registry, {}).get(prefix, ()), *self._scopes(registry).get(prefix, ())]
            close = [f"{prefix}.{name}" for name in nearest_names(rest, there)]
            return close or nearest_names(rest, self.names(registry, scope=scope))
        reachable = {name: None for name in self.names(registry, scope=scope) if name != type_name}
        elsewhere = [
            f"{other}.{rest}"
            for other in self.scopes(registry)
            if rest not in reachable and self._registered(rest, registry, other) is not None
        ]
        return [*elsewhere, *nearest_names(rest, reachable)][:3]

    def registries_with(self, type_name: str) -> list[str]:
        """Registries in which the name can be found, for a name that stands in the wrong place."""
        return [name for name in self.registries if self.find(type_name, name) is not None]


def _open(name: str, base: str, file: Path | None) -> ClassRecord:
    """A class that is, or inherits from, another, and may take anything."""
    return ClassRecord(base.rpartition(".")[0], name, bases=(base,), parameters=(), flow=OPEN, file=file)
