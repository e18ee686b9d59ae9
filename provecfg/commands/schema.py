"""`provecfg schema`: the JSON Schema of a study file."""

from __future__ import annotations

import json

import click

from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode


@click.command()
@terminal_options
def command(terminal: Terminal) -> int:
    """Print the JSON Schema of a study file, for editors that complete and check YAML by it."""
    from provecfg.study.json_schema import study_schema

    terminal.result(json.dumps(study_schema(), indent=2))
    return ExitCode.CLEAN
