"""`provecfg lsp`: diagnostics in an editor."""

from __future__ import annotations

import click

from provecfg.commands.findings import settings_reader
from provecfg.commands.options import Terminal, terminal_options
from provecfg.commands.rule import as_markdown
from provecfg.errors import ExitCode, ProvecfgError


@click.command()
@terminal_options
def command(terminal: Terminal) -> int:
    """Speak the Language Server Protocol on standard input and output, for an editor.

    Configs and studies are judged as they are typed, by the rules of `validate`; nothing is executed. An editor starts
    this command by itself: docs/editors.md has the lines for each.
    """
    try:
        from provecfg.editor.server import language_server
    except ImportError as error:  # of an older release parts are missing
        if (error.name or "").partition(".")[0] not in ("pygls", "lsprotocol"):
            raise
        raise ProvecfgError(
            "the language server needs pygls 2, which is not installed", hint="pip install 'provecfg[lsp]'"
        ) from error

    from provecfg.codes import problems
    from provecfg.study.json_schema import study_schema

    language_server(settings_reader, study_schema, lambda code: as_markdown(problems()[code])).start_io()
    return ExitCode.CLEAN
