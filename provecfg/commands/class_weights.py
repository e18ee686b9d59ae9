"""`provecfg class-weights`: count the training labels, and weigh the classes by it."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import click

from provecfg.catalog.datasets import DATASETS
from provecfg.class_weights.formulas import METHODS, LabelCounts, class_weights, parameters_of
from provecfg.class_weights.weights_file import WeightsFile
from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.paths import write_atomically


@click.command("class-weights")
@click.option(
    "--data-root",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="Folder of the dataset, as `run` takes it.",
)
@click.option(
    "--dataset",
    "dataset_name",
    type=click.Choice(list(DATASETS)),
    metavar="NAME",
    default=next(iter(DATASETS)),
    show_default=True,
    help="Its layout and its classes, by a name of `provecfg list datasets`.",
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
    data_root: Path,
    dataset_name: str,
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

    dataset = DATASETS[dataset_name]
    files = find_label_files(data_root, dataset)
    for unpaired, what in (
        (files.without_image, "label maps have no image"),
        (files.without_labels, "images have no label map"),
    ):
        if unpaired:
            terminal.note(f"{len(unpaired)} {what}, {unpaired[0]} for one: not counted")
    shows_progress = not terminal.quiet and sys.stderr.isatty()
    counts = count_labels(files, dataset, processes=jobs, shows_progress=shows_progress)
    weights = class_weights(counts, method, parameters)
    text = WeightsFile(dataset.name, method, parameters, dataset.classes, counts, weights).text()
    if output is None:
        terminal.result(text.removesuffix("\n"))
    else:
        write_atomically(output, text)
    terminal.note(_summary(counts, dataset.classes, output))
    return ExitCode.CLEAN


def _summary(counts: LabelCounts, classes: tuple[str, ...], output: Path | None) -> str:
    absent = [name for name, count in zip(classes, counts.classes, strict=True) if not count.pixels]
    said = f"{counts.files} label maps, {len(classes) - len(absent)} of {len(classes)} classes occur"
    if absent:
        said += f" (not {', '.join(absent)})"
    return said if output is None else f"{said}; wrote {output}"


def _require(*packages: str) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise ProvecfgError(f"counting labels needs {', '.join(missing)}", hint="pip install 'provecfg[train]'")
