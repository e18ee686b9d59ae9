"""`provecfg class-weights`: count the training labels, and weigh the classes by it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import click

from provecfg import spelling
from provecfg.catalog.datasets import DATASETS, Dataset
from provecfg.class_weights.formulas import METHODS, LabelCounts, class_weights, parameters_of
from provecfg.class_weights.weights_file import WeightsFile
from provecfg.commands import names
from provecfg.commands.options import Terminal, is_terminal, terminal_options
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.paths import write_atomically
from provecfg.study.load import read_study


@click.command("class-weights")
@click.option(
    "--data-root",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of the dataset, as `run` takes it. With --study, its own unless said.",
)
@click.option(
    "--study",
    "study_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The study whose dataset it is.",
)
@click.option(
    "--dataset",
    "dataset_name",
    metavar="NAME",
    shell_complete=names.completing(names.datasets),
    help=f"Its layout and its classes; a name of `provecfg list datasets`, or of --study's datasets. "
    f"[default: {next(iter(DATASETS))}, or the study's first]",
)
@click.option(
    "--method",
    type=click.Choice(list(METHODS)),
    default="log",
    show_default=True,
    help="How rarity becomes a weight. `log` is bounded; the others give very rare classes very large weights.",
)
@click.option(
    "--beta",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="B",
    help=f"Of `effective-number`: 0 weighs all alike, near 1 as `inverse`. "
    f"[default: {parameters_of('effective-number')['beta']}]",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write the weights here."
)
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Processes; as many as there are cores.")
@terminal_options
def command(
    data_root: Path | None,
    study_path: Path | None,
    dataset_name: str | None,
    method: str,
    beta: float | None,
    output: Path | None,
    jobs: int | None,
    terminal: Terminal,
) -> int:
    """Count the training labels of a dataset, and write a weight for each class: the rarer, the larger.

    Every label map of the training split is counted. The YAML that comes of it holds the counts, the weights with a
    mean of 1, and a digest of the labels; a study names it as `losses.primary.class_weight`. A class that does not
    occur has the largest weight of the others, which moves nothing as long as it does not.
    """
    parameters = dict(parameters_of(method))
    if beta is not None:
        if "beta" not in parameters:
            raise click.UsageError(f"--beta is of the method effective-number, not of {method}")
        parameters["beta"] = beta
    _require("numpy", "PIL", "rich")
    from provecfg.data.label_counts import count_labels, find_label_files

    dataset, root = _dataset_of(study_path, dataset_name, data_root)
    files = find_label_files(root, dataset)
    for unpaired, what in (
        (files.without_image, "label maps have no image"),
        (files.without_labels, "images have no label map"),
    ):
        if unpaired:
            terminal.note(f"{len(unpaired)} {what}, {unpaired[0]} for one: not counted")
    shows_progress = not terminal.quiet and is_terminal(sys.stderr)
    counts = count_labels(files, dataset, processes=jobs, shows_progress=shows_progress)
    weights = class_weights(counts, method, parameters)
    text = WeightsFile(dataset.name, method, parameters, dataset.classes, counts, weights).text()
    if output is None:
        terminal.result(text.removesuffix("\n"))
    else:
        write_atomically(output, text)
    terminal.note(_summary(counts, dataset.classes, output))
    return ExitCode.CLEAN


def _dataset_of(study_path: Path | None, name: str | None, data_root: Path | None) -> tuple[Dataset, Path]:
    """The dataset that is asked for, and where it is.

    Raises:
        ProvecfgError: There is no such dataset, or the study cannot be read.
        click.UsageError: Its root is not said.
    """
    known: Mapping[str, Dataset] = DATASETS
    root = data_root
    if study_path is not None:
        study, findings = read_study(study_path, ("losses.primary.class_weight=null",))  # they may be yet to be written
        if study is None:
            raise ProvecfgError(f"{study_path}: {findings[0].message}", hint=f"provecfg validate {study_path}")
        known = study.resolved_datasets
        # a weight is counted where a cell reads
        roots = study.data.root if isinstance(study.data.root, dict) else dict.fromkeys(known, study.data.root)
    name = next(iter(known)) if name is None else name
    if name not in known:
        raise ProvecfgError(spelling.unknown("dataset", name, known))
    dataset = known[name]
    if dataset.joined:
        parts = ", ".join(part.name for part in dataset.parts)
        raise ProvecfgError(f"{name} is joined of several datasets", hint=f"count one of them: {parts}")
    if root is None and study_path is not None:
        root = Path(os.environ.get(dataset.root_variable) or roots.get(name) or dataset.root)
    if root is None:
        raise click.UsageError("say where the dataset is: --data-root DIR")
    return dataset, root


def _summary(counts: LabelCounts, classes: tuple[str, ...], output: Path | None) -> str:
    absent = [name for name, count in zip(classes, counts.classes, strict=True) if not count.pixels]
    summary = f"{counts.files} label maps, {len(classes) - len(absent)} of {len(classes)} classes occur"
    if absent:
        summary += f" (not {', '.join(absent)})"
    return summary if output is None else f"{summary}; wrote {output}"


def _require(*packages: str) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise ProvecfgError(f"counting labels needs {', '.join(missing)}", hint="pip install 'provecfg[train]'")
