"""Refusal of keyword arguments that a parent class would swallow."""

from __future__ import annotations

from collections.abc import Iterable

from provecfg.spelling import unknown


def refuse_unknown(owner: str, arguments: Iterable[str], accepted: Iterable[str]) -> None:
    """Refuse an argument that is not accepted, naming the accepted one that is nearest to it.

    Raises:
        TypeError: One of `arguments` is not among `accepted`.
    """
    accepted = sorted(accepted)
    for name in arguments:
        if name not in accepted:
            raise TypeError(f"{owner}: {unknown('argument', name, accepted)}")
