"""Options that several commands share, and the one place that writes to the terminal for them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, TextIO, TypeVar

import click

from provecfg.spelling import printable_lines

Function = TypeVar("Function", bound=Callable[..., Any])


class Terminal(NamedTuple):
    """Where a command writes: its result on standard output, progress and notes on standard error.

    Control characters, which names and values of other people's files may hold, are written as escapes.

    Args:
        color: Whether to colour, or None to ask each stream.
        quiet: Leave notes out.
        verbose: Say more.
    """

    color: bool | None
    quiet: bool
    verbose: bool

    def result(self, text: str, *, styled: bool = False) -> None:
        """The command's result, on standard output.

        Args:
            text: Of any number of lines.
            styled: The text may be coloured, and what stands in it has been made printable.
        """
        click.echo(text if styled else printable_lines(text), color=self.color)

    def note(self, text: str) -> None:
        """A note for a person, on standard error."""
        if not self.quiet:
            click.echo(printable_lines(text), err=True, color=self.color)

    def detail(self, text: str) -> None:
        """A note that only -v shows."""
        if self.verbose:
            click.echo(printable_lines(text), err=True, color=self.color)

    def failure(self, text: str, *, styled: bool = False) -> None:
        """What went wrong, on standard error, also where notes are left out; see `result`."""
        click.echo(text if styled else printable_lines(text), err=True, color=self.color)

    @property
    def colors_errors(self) -> bool:
        """Whether text for standard error is to be coloured."""
        return self.color if self.color is not None else is_terminal(sys.stderr)

    @property
    def colors_output(self) -> bool:
        """Whether text for standard output is to be coloured."""
        return self.color if self.color is not None else is_terminal(sys.stdout)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person reads a stream of this process; None is how Python has one that was closed before."""
    return stream is not None and stream.isatty()


def terminal_options(function: Function) -> Function:
    """Add -q, -v and --color, handed to the command as `terminal`."""

    @click.option("-q", "--quiet", is_flag=True, help="Leave notes and progress out.")
    @click.option("-v", "--verbose", is_flag=True, help="Say more.")
    @click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        help="When to colour; `auto` asks the terminal, NO_COLOR and FORCE_COLOR.",
    )
    def command(*args: Any, quiet: bool, verbose: bool, color: str, **kwargs: Any) -> Any:
        wanted = {"always": True, "never": False}.get(color)
        if wanted is None and os.environ.get("NO_COLOR"):
            wanted = False
        elif wanted is None and os.environ.get("FORCE_COLOR"):
            wanted = True
        return function(*args, terminal=Terminal(wanted, quiet, verbose), **kwargs)

    command.__name__, command.__doc__ = function.__name__, function.__doc__
    command.__click_params__ = [*getattr(function, "__click_params__", []), *command.__click_params__]  # type: ignore[attr-defined]
    return command  # type: ignore[return-value]
