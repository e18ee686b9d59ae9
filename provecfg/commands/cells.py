"""`provecfg cells`: one command a cell, for any engine that runs commands."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode, ProvecfgError


@click.command()
@click.argument("targets", metavar="STUDY|CONFIG...", nargs=-1, required=True)
@click.option("--format", "output_format", type=click.Choice(["lines", "json"]), default="lines", show_default=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("generated"),
    metavar="DIR",
    show_default=True,
    help="Where `provecfg generate` has written the configs of a study.",
)
@click.option("--run-options", default="", metavar="TEXT", help="Options of `run` for every cell, as one text.")
@terminal_options
def command(targets: tuple[str, ...], output_format: str, output: Path, run_options: str, terminal: Terminal) -> int:
    """Print a command for each cell, for engines that run commands: GNU parallel, Snakemake, Ray.

    Each may be run any number of times, and on any machine that has the folder: it trains what is left, and leaves
    alone what another process trains.
    """
    from provecfg.mmconfig import read_config
    from provecfg.training.work_dir import work_dir_of

    cells = []
    words = shlex.split(run_options)
    for config in _configs(targets, output):
        work_dir = work_dir_of(config, read_config(config).values, smoke="--smoke" in words)
        argv = ["provecfg", "run", str(config), "--work-dir", str(work_dir), *words]
        cells.append({"name": config.stem, "config": str(config), "work_dir": str(work_dir), "command": argv})
    if output_format == "json":
        terminal.result(json.dumps(cells, indent=2))
    else:
        terminal.result("\n".join(shlex.join(cell["command"]) for cell in cells))
    return ExitCode.CLEAN


def _configs(targets: tuple[str, ...], output: Path) -> list[Path]:
    from provecfg.generate.cells import Selection
    from provecfg.generate.write import targets_of
    from provecfg.study.load import read_study
    from provecfg.targets import files_of, is_study

    here, configs = Path.cwd(), []
    for path in files_of(targets, here):
        if not is_study(path):
            configs.append(path.relative_to(here) if path.is_relative_to(here) else path)
            continue
        study, findings = read_study(path)
        if study is None or findings:
            raise ProvecfgError(f"{path} is not right", hint=f"provecfg validate {path}", exit_code=ExitCode.FINDINGS)
        for target in targets_of(study, Selection(), output):
            if not target.path.is_file():
                raise ProvecfgError(f"{target.path} does not exist", hint=f"provecfg generate {path} -o {output}")
            configs.append(target.path)
    return configs
