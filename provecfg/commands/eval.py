"""`provecfg eval`: the counts of a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from provecfg.catalog.datasets import DATASETS
from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.spelling import unknown
from provecfg.targets import refuse_study


@click.command()
@click.argument(
    "targets", metavar="CONFIG|WORK_DIR...", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True)
)
@click.option(
    "--checkpoint", default="best", show_default=True, metavar="best|last|FILE", help="The weights to evaluate."
)
@click.option(
    "--split", type=click.Choice(["val", "test"]), default="val", show_default=True, help="Of the config's dataset."
)
@click.option("--dataset", metavar="D", help="Another dataset of the same classes, its validation split.")
@click.option(
    "--data-root",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Read the dataset from here.",
)
@click.option(
    "--save-predictions",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the predicted label maps as mmseg does, for a test server and for `report --predictions`; of several "
    "targets into a folder of each.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="What to predict on.",
)
@click.option("--trust-checkpoint", is_flag=True, help="Load a checkpoint that holds more than data and can run code.")
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@terminal_options
def command(
    targets: tuple[Path, ...],
    checkpoint: str,
    split: str,
    dataset: str | None,
    data_root: Path | None,
    save_predictions: Path | None,
    device: str,
    trust_checkpoint: bool,
    output_format: str,
    terminal: Terminal,
) -> int:
    """Count what a checkpoint predicts, and keep the counts in the work dir. This executes the config.

    CONFIG is any mmseg config, whose work dir is looked in; WORK_DIR is a run's. The counts are those that
    `SegCountsMetric` makes while training, for each image, in counts/eval_<split>[_<dataset>]_<checkpoint>.npz; what
    was counted of the same weights on the same data before is not counted again.
    """
    if dataset is not None and dataset not in DATASETS:
        raise ProvecfgError(unknown("dataset", dataset, DATASETS))
    rows = []
    for target in targets:
        predictions = save_predictions
        if predictions is not None and len(targets) > 1:
            predictions /= target.absolute().stem if target.is_file() else target.absolute().name
        outcome, name = _evaluated(
            target, checkpoint, split, dataset, data_root, predictions, device, trust_checkpoint, terminal
        )
        rows.append(
            {
                "target": str(target),
                "checkpoint": name,
                "counts": None if outcome.path is None else str(outcome.path),
                "is_new": outcome.is_new,
                "metrics": dict(outcome.metrics),
            }
        )
        if output_format == "text":
            told = ", ".join(f"{metric} {value:.2f}" for metric, value in outcome.metrics.items())
            terminal.result(f"{target}: {name}{'' if outcome.is_new else ', counted before'}: {told or 'predictions'}")
    if output_format == "json":
        terminal.result(json.dumps(rows, indent=2))
    return ExitCode.CLEAN


def _evaluated(
    target: Path,
    checkpoint: str,
    split: str,
    dataset: str | None,
    data_root: Path | None,
    save_predictions: Path | None,
    device: str,
    trust_checkpoint: bool,
    terminal: Terminal,
) -> tuple[Any, str]:
    """What came of one target, and the name of its checkpoint."""
    from provecfg.results.runs import read_run
    from provecfg.training.preflight import choose_device, import_stack, read_by_mmengine, require_stack
    from provecfg.training.work_dir import work_dir_of

    refuse_study(target, "evaluate")
    require_stack()
    choose_device(device)
    best = None
    if target.is_dir():
        run = read_run(target)
        if run.config is None:
            raise ProvecfgError(f"{target} has no config", hint="name the config, with --checkpoint FILE")
        path, work_dir, best = run.config, target, run.best_checkpoint
        config = read_by_mmengine(path)
    else:
        path = target
        config = read_by_mmengine(path)
        work_dir = work_dir_of(path, config)
    import_stack(config, path.parent)
    from provecfg.training.evaluation import Evaluation, checkpoint_of, classes_of, evaluate
    from provecfg.training.progress import display_for

    if dataset is not None:
        classes = classes_of(config)
        if classes != DATASETS[dataset].classes:
            raise ProvecfgError(
                f"{target} tells {len(classes or ())} classes apart, which are not the "
                f"{len(DATASETS[dataset].classes)} of {dataset}: its predictions cannot be counted there"
            )
    weights = checkpoint_of(work_dir, checkpoint, best)
    evaluation = Evaluation(config, work_dir, weights, split, dataset, data_root, save_predictions, trust_checkpoint)
    return evaluate(evaluation, display_for(quiet=terminal.quiet)), weights.name
