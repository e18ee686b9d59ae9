"""Running an engine's own commands."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

from provecfg.errors import ExitCode, ProvecfgError

_SECONDS = 60


class UnansweredError(ProvecfgError):
    """A command of an engine ended without saying whether it has done what it was asked for."""


def has_command(name: str) -> bool:
    """Whether this machine has a command."""
    return shutil.which(name) is not None


def require_command(name: str) -> None:
    """See that this machine has a command.

    Raises:
        ProvecfgError: It has not.
    """
    if not has_command(name):
        raise _missing(name)


def output_of(command: Sequence[str], text: str | None = None) -> str:
    """What a command prints.

    Args:
        command: Its words.
        text: Its standard input.

    Raises:
        ProvecfgError: It is not here, or fails; in its own words. UnansweredError: It takes longer than a minute.
    """
    try:
        done = subprocess.run(
            command, input=text or "", capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise _missing(command[0]) from error
    except subprocess.TimeoutExpired as error:
        raise UnansweredError(f"{command[0]} has not answered in {_SECONDS} s", exit_code=ExitCode.FINDINGS) from error
    if done.returncode != 0:
        message = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise ProvecfgError(f"{command[0]}: {message.removeprefix(f'{command[0]}: ')}", exit_code=ExitCode.FINDINGS)
    return done.stdout


def _missing(name: str) -> ProvecfgError:
    return ProvecfgError(f"{name} is not on this machine", hint="do it where the cluster's commands are")
