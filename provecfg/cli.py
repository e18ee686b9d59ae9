"""The command line: finds the command, and turns what went wrong into words and an exit code."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

import click

from provecfg import __version__
from provecfg.errors import ExitCode, ProvecfgError, missing_package, wants_traceback
from provecfg.spelling import printable_lines

COMMANDS = {
    "init": "Look at a data folder, and write the study that reads it.",
    "generate": "Write the configs of a study.",
    "validate": "Judge configs and studies without running them.",
    "prove": "Prove on the real classes that what is declared trains.",
    "run": "Validate a config, check the data, and train.",
    "rule": "Explain a rule: what, why, bad and good examples.",
    "list": "List models, datasets, losses, strategies, studies or rules.",
    "show": "Print a config with inheritance applied; nothing is executed.",
    "compare": "Say what differs between configs, and why.",
    "replay": "Say where early stopping would have ended a finished run.",
    "class-weights": "Count the training labels, and weigh the classes by it.",
    "schema": "Print the JSON Schema of a study file.",
    "snapshot": "Read what the installed classes accept, to judge by it.",
    "completion": "Print the lines that complete provecfg's words in a shell.",
    "lsp": "Diagnostics in an editor, by the Language Server Protocol.",
    "eval": "Count what a checkpoint predicts, and keep the counts.",
    "report": "Say what a study came to, and how sure that is.",
    "submit": "Hand a study to a cluster.",
    "status": "Say where the cells of a study stand.",
    "logs": "Print what a cell has printed.",
    "resume": "Submit again what is not finished.",
    "cancel": "End what was submitted.",
    "forecast": "Say how long configs train, by what was measured.",
    "cells": "Print one command a cell, for any other engine.",
    "cell": "Train the cells of a submitted task; not for people.",
    "plan": "Say how many seeds a study needs to find a difference.",
}
"""Command -> its line in `--help`. Its module is `provecfg.commands.<command>`, imported when it is asked for."""

_ECHO_SECONDS = 1.0
"""So long after a signal, another is taken for the same one."""


class _Commands(click.Group):
    """Imports a command's module only when that command is run, so that `--help` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"provecfg.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from provecfg import spelling

            ctx.fail(spelling.unknown("command", args[0], COMMANDS))
        return super().resolve_command(ctx, args)

    def get_help(self, ctx: click.Context) -> str:
        # As wide in every terminal of 80 columns or more: see `help_page`.
        formatter = click.HelpFormatter(width=ctx.terminal_width)
        self.format_help(ctx, formatter)
        return formatter.getvalue().rstrip("\n")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="provecfg")
def provecfg() -> None:
    """Segmentation-training configs that say what they train.

    `generate` writes full mmsegmentation configs from a study, `validate` judges any mmsegmentation config without
    running it, `prove` checks on the real classes that what it declares is what trains, and `run` trains it after it
    and the data have been checked.

    \b
      provecfg generate --all
      provecfg validate configs
      provecfg prove generated/pspnet_r50_bdd10k_focal.py
      provecfg run generated/pspnet_r50_bdd10k_focal.py --smoke

    Exit codes: 0 clean; 1 findings, or a run that failed; 2 wrong usage; 75 stopped to be requeued; 130
    interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name may have letters that the terminal's code has not
    code = run(arguments)
    if code == ExitCode.INTERRUPTED:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a further Ctrl-C ends Python's own end, without a traceback
    if "mmengine" not in sys.modules:
        # Python's end looks several times through all objects for cycles to free, a quarter of a short `validate`;
        # nothing of ours waits for that. Others' code may: a writer that is closed when it is freed.
        gc.freeze()
    sys.exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; what is the user's to fix ends as a message on standard error, never as a traceback.

    Args:
        arguments: The words after `provecfg`; those of this process unless given.

    Returns:
        The exit code.
    """
    try:
        with _interrupted_once():
            code = _run(arguments)
    except KeyboardInterrupt:  # one more, while the first was being said
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`provecfg ... | head`): nobody is left to say anything to.
        code = ExitCode.FINDINGS
    except OSError as error:
        _show_traceback_if_asked()
        # A write to a full disk behind standard output has no name.
        _say_error(f"{error.filename or 'cannot write the output'}: {error.strerror or error}")
        code = ExitCode.USAGE
    _let_go_of_what_cannot_be_written()
    return code


@contextlib.contextmanager
def _interrupted_once() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end a command as Ctrl-C does: in good order, nothing half-written left behind.

    What follows within a moment of the first is taken for the same one and not obeyed, since it would end the tidying
    up: a scheduler signals a script and its processes, and people press Ctrl-C twice. A later one ends at once.

    `run` has handlers of its own while it lasts. What is ignored (`nohup`) stays ignored.
    """
    began: float | None = None

    def interrupt(signum: int, frame: FrameType | None) -> None:
        nonlocal began
        if began is None:
            began = time.monotonic()
            raise KeyboardInterrupt
        if time.monotonic() - began > _ECHO_SECONDS:
            os._exit(ExitCode.INTERRUPTED)

    names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has two of them
    before = {number: signal.getsignal(number) for name in names if (number := getattr(signal, name, None)) is not None}
    taken = [number for number, handler in before.items() if handler in (signal.SIG_DFL, signal.default_int_handler)]
    try:
        for number in taken:
            signal.signal(number, interrupt)
    except ValueError:  # Python has handlers in its main thread alone
        taken = []
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code: Any = provecfg.main(
            list(arguments) if arguments is not None else None, prog_name="provecfg", standalone_mode=False
        )
        return int(code or 0)
    except click.ClickException as error:
        _show_traceback_if_asked()
        shown = io.StringIO()
        error.show(shown)
        _say(printable_lines(shown.getvalue().rstrip("\n")))
        return ExitCode.USAGE
    except ProvecfgError as error:
        _show_traceback_if_asked()
        _say_error(str(error))
        return error.exit_code
    except ModuleNotFoundError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        _show_traceback_if_asked()
        _say_error(str(missing))
        return missing.exit_code
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted")
        return ExitCode.INTERRUPTED


def _say_error(message: str) -> None:
    _say(f"{click.style('error', fg='red', bold=True)}: {printable_lines(message)}")


def _say(text: str) -> None:
    # Where standard error cannot be written, the exit code is all that can be said.
    with contextlib.suppress(OSError):
        click.echo(text, err=True)


def _let_go_of_what_cannot_be_written() -> None:
    """Turn a stream that holds text it cannot get rid of to nowhere: Python writes it once more, and fails, at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:  # the language server closes what it speaks through
                stream.flush()
        except OSError:
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _show_traceback_if_asked() -> None:
    if wants_traceback():
        import traceback

        _say(printable_lines(traceback.format_exc()))


if __name__ == "__main__":
    main()
