"""The names that arguments of several commands can have, looked up when a shell completes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def completing(names: Callable[[], Iterable[str]], *, files: bool = False) -> Complete:
    """A completion, for `shell_complete=` of a parameter, by names that are looked up when a shell asks.

    Args:
        names: Gives them.
        files: Whether a file can stand there, too.
    """

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        import glob

        from click.shell_completion import CompletionItem

        items = [CompletionItem(name) for name in names() if name.startswith(incomplete)]
        if not files:
            return items
        # click's lines for bash drop the names where files are asked for, too
        if items and not glob.glob(f"{glob.escape(incomplete)}*"):
            return items
        return [*items, CompletionItem(incomplete, type="file")]

    return complete


def models() -> Iterable[str]:
    """Of the catalog."""
    from provecfg.catalog.models import MODELS

    return MODELS


def datasets() -> Iterable[str]:
    """Of the catalog."""
    from provecfg.catalog.datasets import DATASETS

    return DATASETS


def strategies() -> Iterable[str]:
    """Of the catalog."""
    from provecfg.catalog.strategies import STRATEGIES

    return STRATEGIES


def studies() -> Iterable[str]:
    """Of the catalog."""
    from provecfg.catalog.studies import STUDIES

    return STUDIES


def auxiliary_losses() -> Iterable[str]:
    """What a study can name as an auxiliary loss."""
    from provecfg.study.losses import AUXILIARY_LOSSES, NO_AUXILIARY

    return (NO_AUXILIARY, *AUXILIARY_LOSSES)


def codes() -> Iterable[str]:
    """Every code."""
    from provecfg.codes import problems

    return problems()
