"""`provecfg cells`: one command a cell, for any engine that runs commands."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from provecfg.commands.cfg_options import parse_cfg_options
from provecfg.commands.options import Terminal, terminal_options
from provecfg.commands.run_options import parse_run_options
from provecfg.commands.study_configs import configs_of, generated_option, refuse_without_training, targets_argument
from provecfg.errors import ExitCode


@click.command()
@targets_argument
@click.option("--format", "output_format", type=click.Choice(["lines", "json"]), default="lines", show_default=True)
@generated_option
@click.option("--run-options", default="", metavar="TEXT", help="Options of `run` for every cell, as one text.")
@terminal_options
def command(targets: tuple[str, ...], output_format: str, generated: Path, run_options: str, terminal: Terminal) -> int:
    """Print a command for each cell, for engines that run commands: GNU parallel, Snakemake, Ray.

    Each may be run any number of times, and on any machine that has the folder: it trains what is left, and leaves
    alone what another process trains.
    """
    from provecfg.ledger.cell import absent_for_training
    from provecfg.mmconfig import read_config
    from provecfg.training.work_dir import work_dir_of

    cells = []
    words, asked = parse_run_options(run_options)
    cfg_options = parse_cfg_options(asked["cfg_options"])
    views = [read_config(path, cfg_options=cfg_options) for path in configs_of(targets, generated)]
    refuse_without_training({view.path: absent_for_training(view) for view in views})
    for view in views:
        config = view.path.relative_to(Path.cwd()) if view.path.is_relative_to(Path.cwd()) else view.path
        work_dir = work_dir_of(config, view.values, cfg_options=asked["cfg_options"], smoke=asked["smoke"])
        argv = ["provecfg", "run", str(config), "--work-dir", str(work_dir), *words]
        cells.append({"name": config.stem, "config": str(config), "work_dir": str(work_dir), "command": argv})
    if output_format == "json":
        terminal.result(json.dumps(cells, indent=2))
    else:
        terminal.result("\n".join(shlex.join(cell["command"]) for cell in cells))
    return ExitCode.CLEAN
