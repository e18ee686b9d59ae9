"""`provecfg forecast`: how long a study takes."""

from __future__ import annotations

from pathlib import Path

import click

from provecfg.commands.options import Terminal, terminal_options
from provecfg.commands.study_configs import configs_of, generated_option, targets_argument
from provecfg.errors import ExitCode


@click.command()
@targets_argument
@click.option("--profile", "profile_file", type=click.Path(path_type=Path), metavar="FILE", help="Of the cluster.")
@click.option(
    "--measured",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="DIR",
    help="Runs of the same models on the same GPUs: a study's folder, or a folder of work dirs.",
)
@generated_option
@click.option("--max-parallel", type=click.IntRange(min=1), metavar="N", help="Cells at once; the profile's, or 1.")
@terminal_options
def command(
    targets: tuple[str, ...],
    generated: Path,
    profile_file: Path | None,
    measured: Path | None,
    max_parallel: int | None,
    terminal: Terminal,
) -> int:
    """Say how long configs train: hours of each, GPU hours, and time to the end of all.

    Each is a range, from the earliest stop to the last iteration.

    What was not measured is unknown. A few hundred iterations of one cell of each model are a measurement. Nothing is
    executed.
    """
    from provecfg.engines.profile import read_profile
    from provecfg.ledger.forecast import forecast, length_of, measured_speeds
    from provecfg.mmconfig import read_config

    profile = read_profile(profile_file)
    files = configs_of(targets, generated)
    slots = max_parallel or profile.array_parallelism or 1
    lengths = [length_of(read_config(file)) for file in files]
    told = forecast(
        lengths,
        measured_speeds(measured) if measured is not None else {},
        slots=slots,
        gpus_per_cell=max(1, profile.gpus_per_node) * profile.nodes,
        timeout_hours=profile.timeout_min / 60 if profile.timeout_min else None,
    )
    width = max(len(length.name) for length in lengths)
    for length, hours in zip(lengths, told.hours, strict=True):
        terminal.result(f"{length.name:<{width}}  {'unknown' if hours is None else in_words(hours) + ' h'}")
    unknown = told.hours.count(None)
    if unknown < len(told.hours):
        restarts = f", restarted {told.restarts} times at most" if told.restarts else ""
        terminal.result(
            f"\n{in_words(told.gpu_hours)} GPU hours; {in_words(told.makespan)} h with {slots} at once{restarts}"
        )
    if unknown:
        terminal.note(f"{unknown} of {len(told.hours)} unknown: no run of their models was measured (--measured DIR)")
    return ExitCode.CLEAN


def in_words(hours: tuple[float, float]) -> str:
    """From and to, or one number where both are the same."""
    least, most = (f"{each:.1f}" for each in hours)
    return least if least == most else f"{least} to {most}"
