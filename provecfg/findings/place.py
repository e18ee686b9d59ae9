"""Where in a config's files a finding about one of its keys stands."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from provecfg.findings.finding import NOWHERE, Finding, Span


class PlacedNode(Protocol):
    """A value of a config that was read, and where it stands."""

    @property
    def file(self) -> Path: ...
    @property
    def span(self) -> Span | None: ...


class View(Protocol):
    """A config that was read."""

    @property
    def path(self) -> Path: ...
    def dig(self, path: str, /) -> PlacedNode | None:
        """The node at a dotted path, or None."""


def placed(finding: Finding, path: Path, view: View | None) -> Finding:
    """A finding with the file and the span that its key stands at, or the nearest part around it that the config has.

    Args:
        finding: One that names a key, or the config as a whole.
        path: The config.
        view: The same config as data; None where it cannot be read, so that the finding is of the file as a whole.
    """
    if finding.filename != NOWHERE:
        return finding
    asked = view.path if view is not None else Path(os.path.abspath(path))
    node = _nearest(view, finding.key)
    if node is None:
        return replace(finding, filename=asked)
    return replace(finding, filename=node.file, span=node.span, target=asked if node.file != asked else None)


def _nearest(view: View | None, key: str) -> PlacedNode | None:
    while view is not None and key:
        node = view.dig(key)
        if node is not None:
            return node
        key = key.rpartition(".")[0] if "." in key else ""
    return None
