"""`provecfg submit`: hand a study to a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from provecfg.commands.cfg_options import parse_cfg_options
from provecfg.commands.findings import settings_reader, show_findings
from provecfg.commands.options import Terminal, terminal_options
from provecfg.commands.run_options import OF_ALL_CELLS, parse_run_options
from provecfg.commands.study_configs import configs_of, generated_option, refuse_without_training, targets_argument
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.findings import is_failure
from provecfg.findings.pipeline import screened

_OF_THE_PROFILE: Final = frozenset({"gpus", "nodes", "launcher"})
"""Options of `run` that a submission's profile says."""


@click.command()
@targets_argument
@click.option(
    "--study-dir",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The study's folder: configs, records, checkpoints and logs of all of its cells.",
)
@click.option("--engine", type=click.Choice(["slurm", "lsf", "kubernetes"]), help="The profile's, or slurm.")
@click.option("--profile", "profile_file", type=click.Path(path_type=Path), metavar="FILE", help="Of the cluster.")
@click.option("--print", "print_only", is_flag=True, help="Print the script; write and submit nothing.")
@click.option("--max-parallel", type=click.IntRange(min=1), metavar="N", help="Tasks that run at once.")
@click.option("--cells-per-task", type=click.IntRange(min=1), metavar="N", help="Cells that a task trains in turn.")
@click.option("--after", metavar="JOB", help="Begin when this job has ended.")
@click.option("--run-options", default="", metavar="TEXT", help="Options of `run` for every cell, as one text.")
@generated_option
@click.option("--no-proof", is_flag=True, help="Submit also what has no fresh proof.")
@terminal_options
def command(
    targets: tuple[str, ...],
    study_dir: Path,
    engine: str | None,
    profile_file: Path | None,
    print_only: bool,
    max_parallel: int | None,
    cells_per_task: int | None,
    after: str | None,
    run_options: str,
    generated: Path,
    no_proof: bool,
    terminal: Terminal,
) -> int:
    """Submit the cells of a study to a cluster, after all of them were judged, and proved. A proof executes configs.

    A fresh receipt of `provecfg prove` counts; else one cell of each model, loss and strategy is proved here, without
    a GPU. Each config is copied into the study's folder: what is changed later is not trained, and `provecfg status`
    says so.
    """
    from provecfg.engines.engine import engine_named
    from provecfg.engines.profile import read_profile
    from provecfg.engines.submission_checks import copy_configs, examined, kinds_without_proof
    from provecfg.engines.submitting import submission_of, submit
    from provecfg.ledger.cell import refuse_equal_cells
    from provecfg.ledger.study_folder import read_study, write_study

    profile = read_profile(profile_file, engine=engine, array_parallelism=max_parallel, cells_per_task=cells_per_task)
    words, asked = parse_run_options(run_options, _OF_THE_PROFILE | OF_ALL_CELLS)
    configs = configs_of(targets, generated)
    options = _options_of_training(asked)
    cfg_options = parse_cfg_options(asked["cfg_options"])
    examinations = examined(configs, study_dir, options, cfg_options)
    refuse_without_training({examination.path: examination.absent for examination in examinations})
    judgements = [examination.judgement for examination in examinations]
    shown = screened(judgements, settings_reader(), says_unused=True)
    texts = {file: text for judgement in judgements for file, text in judgement.texts.items()}
    if shown:
        show_findings(shown, terminal, files=configs, texts=texts, on_stderr=True, says_none=False)
    if is_failure(shown):
        raise ProvecfgError("nothing was submitted, see above", exit_code=ExitCode.FINDINGS)
    cells = tuple(examination.cell for examination in examinations)
    refuse_equal_cells(cells)
    study = _study(cells, study_dir, words, options)
    if print_only:
        terminal.result(
            engine_named(profile.engine)
            .script(study_dir, submission_of(study, [cell.id for cell in cells], profile), after=after)
            .rstrip("\n")
        )
        return ExitCode.CLEAN
    engine_named(profile.engine).require_here()
    earlier = read_study(study_dir)
    if earlier is not None and [cell.id for cell in earlier.cells] != [cell.id for cell in cells]:
        raise ProvecfgError(
            f"{study_dir} holds another study, {earlier.name}",
            hint="choose another --study-dir; `provecfg resume` submits again what of that one is not finished",
        )
    if earlier is not None:
        raise ProvecfgError(
            f"{study_dir} holds this study already", hint=f"provecfg resume {study_dir} submits what is not finished"
        )
    unproved = [] if no_proof else kinds_without_proof(examinations, cfg_options)
    if unproved and not _proved(unproved, asked, terminal):
        raise ProvecfgError("nothing was submitted: not all of it is proved, see above", exit_code=ExitCode.FINDINGS)
    copy_configs(examinations, study_dir)
    write_study(study_dir, study)
    submission, jobs = submit(study_dir, study, [cell.id for cell in cells], profile, after=after)
    named = ", ".join(job.id for job in jobs.jobs)
    counted = f"{len(cells)} cell{'s' * (len(cells) != 1)}"
    terminal.result(f"submission {submission.number} to {profile.engine}: {counted}, job {named}")
    terminal.note(f"where they stand: provecfg status {study_dir}")
    return ExitCode.CLEAN


def _proved(configs: Sequence[Path], run_options: Mapping[str, Any], terminal: Terminal) -> bool:
    """Prove configs, each for all cells of its kind; whether all are. This executes them."""
    from provecfg.commands.prove import command as prove_command

    words = [str(path) for path in configs]
    if run_options["data_root"] is not None:
        words += ["--data-root", str(run_options["data_root"])]
    for option in run_options["cfg_options"]:
        words += ["--cfg-options", option]
    terminal.note(f"{len(configs)} kinds of cells have no fresh proof: one of each is proved now")
    return int(prove_command.main([*words, "--device", "cpu"], standalone_mode=False) or 0) == 0


def _study(cells: Sequence[Any], study_dir: Path, words: Sequence[str], options: dict[str, Any]) -> Any:
    from provecfg.ledger.study_folder import Study
    from provecfg.training.record import now, versions

    return Study(study_dir.absolute().name, now(), tuple(cells), tuple(words), options, versions())


def _options_of_training(asked: dict[str, Any]) -> dict[str, Any]:
    """What of the run's options changes what is trained, and not merely where."""
    named = {
        "smoke": asked["smoke"] or None,
        "max_iters": asked["max_iters"],
        "pretrained": False if asked["no_pretrained"] else None,
        "cfg_options": sorted(asked["cfg_options"]) or None,
    }
    return {name: value for name, value in named.items() if value is not None}
