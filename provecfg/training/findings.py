"""Findings of the checks before training, and how they become diagnostics of the config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from provecfg.diagnostics import Diagnostic
from provecfg.mmconfig.view import ConfigView, Node
from provecfg.training.problems import Problem


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem, before it is known where the config says the thing.

    Args:
        problem: Which kind.
        message: What, with the value.
        key: Dotted path in the config that it comes from, or ''.
        hint: What to do about it.
    """

    problem: Problem
    message: str
    key: str = ""
    hint: str | None = None

    def diagnostic(self, path: Path, view: ConfigView | None) -> Diagnostic:
        """The finding as a diagnostic of the config at `path`, where `view` shows the place of its key."""
        problem, file, span = self.problem, path, None
        node = _nearest(view, self.key)
        if node is not None:
            file, span = node.file, node.span
        return Diagnostic(
            problem.code,
            problem.name,
            problem.severity,
            self.message,
            file,
            span,
            self.key,
            self.hint,
            target=path if file != path else None,
        )


def _nearest(view: ConfigView | None, key: str) -> Node | None:
    """The node of the key, or of the nearest part around it that the config has."""
    while view is not None and key:
        node = view.dig(key)
        if node is not None:
            return node
        key = key.rpartition(".")[0] if "." in key else ""
    return None


def some(names: list[str], most: int = 3) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
