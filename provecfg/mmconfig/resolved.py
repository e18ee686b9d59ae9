"""What a file and its bases came to."""

from __future__ import annotations

from dataclasses import dataclass

from provecfg.findings import Finding
from provecfg.mmconfig.values import ConfigDict
from provecfg.mmconfig.view import Layer


@dataclass(frozen=True, slots=True, eq=False)
class Resolved:
    """What a file and its bases came to.

    Args:
        values: Merged.
        layers: The file, then its bases, depth first.
        problems: Of all of them.
        bases: What it was merged from, to tell whether they are still the same.
        cost: The work that this file's own statements took.
        may_be_kept: Not where a limit or a cycle cut it short, or a file was missing.
        hidden: Of the read_base() style: names that were imported, which the config does not keep.
    """

    values: ConfigDict
    layers: tuple[Layer, ...]
    problems: tuple[Finding, ...]
    bases: tuple[Resolved, ...] = ()
    cost: int = 0
    may_be_kept: bool = True
    hidden: frozenset[str] = frozenset()
