"""What the classes of one snapshot accept that those of another do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from provecfg.registry.classes import ClassRecord
from provecfg.registry.release import Snapshot


@dataclass(frozen=True, slots=True)
class SnapshotChanges:
    """What has changed from one snapshot to another. Names are those that a config writes, with their scope.

    Args:
        versions: Distribution -> its version in the old one and in the new one, None where it has none.
        added: Classes that the new one alone has.
        removed: Classes that the old one alone has.
        arguments: Class -> its constructor's arguments that differ: `+name` is new, `-name` is gone, `name` has another
            default.
        are_alike: Whether all that configs are judged by is the same, down to what methods refuse.
    """

    versions: dict[str, tuple[str | None, str | None]]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    arguments: dict[str, tuple[str, ...]]
    are_alike: bool


def changes_between(old: Snapshot, new: Snapshot) -> SnapshotChanges:
    """What has changed from one snapshot to another."""
    before, after = dict(_registered(old)), dict(_registered(new))
    arguments = {name: tuple(_arguments(before[name], after[name])) for name in sorted(before.keys() & after.keys())}
    versions = {
        name: (old.packages.get(name), new.packages.get(name)) for name in sorted({*old.packages, *new.packages})
    }
    return SnapshotChanges(
        {name: pair for name, pair in versions.items() if pair[0] != pair[1]},
        tuple(sorted(after.keys() - before.keys())),
        tuple(sorted(before.keys() - after.keys())),
        {name: changed for name, changed in arguments.items() if changed},
        (old.registered, old.raw, old.excerpts) == (new.registered, new.raw, new.excerpts),
    )


def _registered(snapshot: Snapshot) -> Iterator[tuple[str, ClassRecord | None]]:
    for scopes in snapshot.registered.values():
        for scope, names in scopes.items():
            for name, dotted in names.items():
                yield f"{scope}.{name}", snapshot.record(dotted)


def _arguments(old: ClassRecord | None, new: ClassRecord | None) -> Iterator[str]:
    before = {parameter.name: parameter for parameter in (old.parameters if old is not None else None) or ()}
    after = {parameter.name: parameter for parameter in (new.parameters if new is not None else None) or ()}
    for name, parameter in after.items():
        if name not in before:
            yield f"+{name}"
        elif parameter.default != before[name].default:
            yield name
    for name in before:
        if name not in after:
            yield f"-{name}"
