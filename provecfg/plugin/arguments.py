"""Refusal of keyword arguments that a parent class would swallow."""

from __future__ import annotations

from collections.abc import Iterable

from provecfg.spelling import unknown


def refuse_unknown(owner: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse an argument that is not known, naming the known one that is nearest to it.

    Raises:
        TypeError: One of `given` is not among `known`.
    """
    known = sorted(known)
    for name in given:
        if name not in known:
            raise TypeError(f"{owner}: {unknown('argument', name, known)}")
