"""`provecfg completion`: what a shell needs to complete commands, options and names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode

SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_PROVECFG_COMPLETE"  # what click looks for under the name of the program


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@terminal_options
def command(shell: str, terminal: Terminal) -> int:
    """Print the lines that complete provecfg's commands, options, models, losses, studies and codes in a shell.

    \b
      eval "$(provecfg completion bash)"      in ~/.bashrc
      eval "$(provecfg completion zsh)"       in ~/.zshrc
      provecfg completion fish > ~/.config/fish/completions/provecfg.fish
    """
    whole = click.get_current_context().find_root().command
    shell_completion = get_completion_class(shell)
    assert shell_completion is not None  # click has these three
    terminal.result(shell_completion(whole, {}, "provecfg", _VARIABLE).source().rstrip("\n"))
    return ExitCode.CLEAN
