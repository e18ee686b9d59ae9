"""`provecfg plan`: how many seeds a question needs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provecfg.commands import names
from provecfg.commands.findings import show_findings
from provecfg.commands.forecast import in_words
from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode, ProvecfgError

if TYPE_CHECKING:
    from provecfg.results.planning import Answer
    from provecfg.study.schema import Study

Hours = tuple[float, float] | None
"""From the earliest stop to the last iteration; None where that is unknown."""

_USUAL_SDS = (0.3, 0.6, 1.0)
"""Points. What users report of mIoU is 0.1 to 2."""


@click.command()
@click.argument(
    "study",
    metavar="STUDY",
    type=click.Path(path_type=Path),
    shell_complete=names.completing(names.studies, files=True),
)
@click.option(
    "--detect",
    required=True,
    type=click.FloatRange(min=0, min_open=True),
    metavar="POINTS",
    help="The smallest difference to the reference that the study is to find, in points of mIoU.",
)
@click.option(
    "--seed-sd",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SD",
    help="Standard deviation of a training's score from seed to seed, in points.",
)
@click.option(
    "--measured",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="A folder of work dirs to take the standard deviation and the hours of training from.",
)
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@terminal_options
def command(
    study: Path,
    detect: float,
    seed_sd: float | None,
    folder: Path | None,
    output_format: str,
    terminal: Terminal,
) -> int:
    """Say how many seeds a study needs to find a difference between losses, before it is trained.

    STUDY is a study file, or a name of `provecfg list studies`. Nothing is executed.

    Found means by the test that `report` makes, in four studies of five, with all losses corrected for. It is planned
    as if a loss did the same to every model: where it does not, more models help and more seeds do not.
    """
    from provecfg.results.planning import Question, answer, measured
    from provecfg.results.runs import read_runs, work_dirs_in

    parts = _studies(study, terminal)
    if parts is None:
        return ExitCode.FINDINGS
    models = list(dict.fromkeys(model for part in parts for model in part.bases))
    losses = {part.losses.label(auxiliary) for part in parts for auxiliary in part.losses.cells()}
    contexts = {
        (dataset, strategy) for part in parts for dataset in part.datasets for strategy in part.resolved_strategies
    }
    if len(losses) < 2:
        raise ProvecfgError(f"{study} has one loss, so it has no difference to find")
    known = measured(read_runs(list(work_dirs_in(folder)))) if folder is not None else None
    if seed_sd is None and known is not None and known.run_sd is None:
        raise ProvecfgError(
            f"no cell in {folder} has two complete seeds, so nothing there tells how trainings vary",
            hint="give --seed-sd, or train a second seed of one cell",
        )
    if seed_sd is not None:
        sds: Sequence[float] = [seed_sd]
    else:
        sds = [known.run_sd] if known is not None and known.run_sd is not None else _USUAL_SDS
    question = Question(detect, len(models), len(losses) - 1, len(contexts))
    answers = [answer(question, sd) for sd in sds]
    cells = len(models) * len(losses) * len(contexts)
    of_one_seed = _hours_of_one_seed(parts, folder)
    hours = [_hours(of_one_seed, each.seeds) for each in answers]
    if output_format == "json":
        terminal.result(json.dumps(_as_data(question, answers, hours, cells), indent=2))
    else:
        source = "given" if seed_sd is not None else f"measured in {known.cells} cells" if known is not None else ""
        terminal.result(_as_text(study, question, answers, hours, cells, source))
    return ExitCode.CLEAN


def _studies(path: Path, terminal: Terminal) -> Sequence[Study] | None:
    """The studies that a target stands for; None if it is faulty.

    Raises:
        ProvecfgError: There is no such file and no study of that name.
    """
    from provecfg.study.load import read_study
    from provecfg.study.named import studies_named

    if named := studies_named(str(path)):
        return named
    if not path.is_file():
        raise ProvecfgError(f"{path} does not exist", hint="name a study file, or one of `provecfg list studies`")
    study, findings = read_study(path)
    if study is None:
        show_findings(findings, terminal)
        return None
    return [study]


def _hours(of_one_seed: Hours, seeds: int | None) -> Hours:
    return None if of_one_seed is None or seeds is None else (of_one_seed[0] * seeds, of_one_seed[1] * seeds)


def _hours_of_one_seed(studies: Sequence[Study], folder: Path | None) -> Hours:
    """Hours of training of all cells of a seed, as `provecfg forecast` tells them; None where a model's are unknown."""
    from provecfg.generate.plan import plans_of
    from provecfg.generate.render import render
    from provecfg.ledger.forecast import forecast, length_of, measured_speeds
    from provecfg.mmconfig import read_config

    speeds = measured_speeds(folder) if folder is not None else {}
    if not speeds:
        return None
    plans = [plan for study in studies for plan in plans_of(study.model_copy(update={"seeds": study.seeds[:1]}))]
    told = forecast([length_of(read_config(f"{plan.name}.py", text=render(plan))) for plan in plans], speeds, slots=1)
    return None if None in told.hours else told.gpu_hours


def _as_data(question: Any, answers: Sequence[Answer], hours: Sequence[Hours], cells: int) -> dict[str, Any]:
    return {
        "detect": question.effect,
        "models": question.models,
        "losses": question.losses + 1,
        "contexts": question.contexts,
        "plans": [
            {
                "seed_sd": answer.run_sd,
                "seeds": answer.seeds,
                "cells": None if answer.seeds is None else cells * answer.seeds,
                "hours": time,
                "smallest_effects": {str(seeds): effect for seeds, effect in answer.smallest.items()},
            }
            for answer, time in zip(answers, hours, strict=True)
        ],
    }


def _as_text(
    study: Path,
    question: Any,
    answers: Sequence[Answer],
    hours: Sequence[Hours],
    cells: int,
    source: str,
) -> str:
    models = f"{question.models} model{'s' * (question.models != 1)}"
    lines = [
        f"{study}: {models}, {question.losses} loss{'es' * (question.losses != 1)} against the reference"
        + (f", {question.contexts} datasets and strategies" if question.contexts > 1 else ""),
        f"to find {question.effect:g} points of mIoU in four studies of five:",
    ]
    for answer, time in zip(answers, hours, strict=True):
        origin = f" ({source})" if source else ""
        lines.append("")
        lines.append(f"sd of a training {answer.run_sd:.2f} points{origin}")
        if answer.seeds is None:
            lines.append("  no number of seeds that anybody trains would do")
        else:
            lines.append(f"  {answer.seeds} seed{'s' * (answer.seeds != 1)} a cell, {cells * answer.seeds} runs")
            told = "unknown until runs of each model were measured (--measured)" if time is None else in_words(time)
            lines.append(f"  hours of training, from the earliest stop to the last iteration: {told}")
        lines.append(f"  {_smallest(answer.smallest)}")
    if not source:
        lines.append("")
        lines.append("How much trainings vary is not known: give --seed-sd, or --measured with some runs.")
    return "\n".join(lines)


def _smallest(smallest: Mapping[int, float | None]) -> str:
    told = [f"{seeds}: {'no test' if effect is None else f'{effect:.2f}'}" for seeds, effect in smallest.items()]
    return f"smallest difference found by so many seeds: {', '.join(told)}"
