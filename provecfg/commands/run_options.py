"""`--run-options TEXT`: options of `provecfg run` that every cell of a study gets."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from click.core import ParameterSource

from provecfg.errors import ProvecfgError

OF_ALL_CELLS: Final = frozenset(
    {"work_dir", "parallel", "gpus_per_run", "devices", "retries", "fail_fast", "dry_run", "resume"}
)
"""Options that say something of several cells, or would keep one from going on where it was."""

_CONFIG: Final = "CONFIG"
"""In place of the configs, which `run` asks for."""


def parse_run_options(text: str, refused: Collection[str] = OF_ALL_CELLS) -> tuple[list[str], dict[str, Any]]:
    """The words of an option's text, and the parameters that `run` makes of them.

    Args:
        text: As a shell would split it.
        refused: Names of `run`'s parameters that may not be given.

    Raises:
        ProvecfgError: It cannot be split, names a config, or gives what is refused.
        click.UsageError: `run` does not take it.
    """
    from provecfg.commands.run import command

    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ProvecfgError(f"--run-options {text!r}: {str(error).lower()}") from error
    context = command.make_context("run", [*words, _CONFIG])
    if context.params["configs"] != (Path(_CONFIG),):
        raise ProvecfgError(f"--run-options {text!r}: it names a config; the study's cells are those that it has")
    for option in command.params:
        name = option.name or ""
        if name in refused and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            names = "/".join((*option.opts, *option.secondary_opts))
            raise ProvecfgError(
                f"--run-options {text!r}: {names} is not for the cells of a study",
                hint="the study's folder says where, the profile on what, and a cell goes on where it was",
            )
    return words, context.params
