"""`provecfg list`: what a study can name, and the rules."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import click

from provecfg.commands.options import Terminal, is_terminal, terminal_options
from provecfg.errors import ExitCode

Row = dict[str, Any]


def _models() -> list[Row]:
    from provecfg.catalog.models import MODELS

    return [
        {
            "name": model.name,
            "title": model.title,
            "backbone": model.backbone,
            "decode_head": model.decode_head,
            "auxiliary_head": None if model.auxiliary_stage is None else "FCNHead",
            "source": model.source,
        }
        for model in MODELS.values()
    ]


def _configs() -> list[Row]:
    from provecfg.catalog.models import MODELS
    from provecfg.mmconfig.shipped_bases import PACKAGE, whole_configs

    own = [{"name": model.name, "source": f"{PACKAGE}::{model.source}"} for model in MODELS.values()]
    return own + [{"name": name, "source": f"{PACKAGE}::{path}"} for name, path in whole_configs().items()]


def _datasets() -> list[Row]:
    from provecfg.catalog.datasets import DATASETS

    return [
        {
            "name": dataset.name,
            "type": dataset.type,
            "classes": len(dataset.classes),
            "root": dataset.root,
            "variable": dataset.root_variable,
            "source": dataset.source,
        }
        for dataset in DATASETS.values()
    ]


def _losses() -> list[Row]:
    from provecfg.study.losses import AUXILIARY_LOSSES, PRIMARY_LOSSES, AuxiliaryLoss

    return [
        {
            "name": name,
            "role": "auxiliary" if issubclass(spec, AuxiliaryLoss) else "primary",
            "type": spec.registered,
            "purpose": spec.purpose,
        }
        for name, spec in {**PRIMARY_LOSSES, **AUXILIARY_LOSSES}.items()
    ]


def _strategies() -> list[Row]:
    from provecfg.catalog.strategies import STRATEGIES

    return [{"name": s.name, "title": s.title, "source": s.source} for s in STRATEGIES.values()]


def _studies() -> list[Row]:
    from provecfg.catalog.studies import STUDIES
    from provecfg.generate.cells import cells_of
    from provecfg.study.named import studies_of

    return [
        {
            "name": catalog.name,
            "cells": sum(1 for study in studies_of(catalog) for _ in cells_of(study)),
            "title": catalog.title,
        }
        for catalog in STUDIES.values()
    ]


def _rules() -> list[Row]:
    from provecfg.codes import problems

    return [
        {"code": page.code, "name": page.name, "severity": str(page.severity), "summary": page.summary}
        for page in problems().values()
    ]


LISTS: dict[str, Callable[[], list[Row]]] = {
    "models": _models,
    "datasets": _datasets,
    "losses": _losses,
    "strategies": _strategies,
    "studies": _studies,
    "rules": _rules,
}


@click.command()
@click.argument("what", type=click.Choice(list(LISTS)))
@click.option("--all", "everything", is_flag=True, help="Of models: also every config of mmsegmentation, by its name.")
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@terminal_options
def command(what: str, everything: bool, output_format: str, terminal: Terminal) -> int:
    """List models, datasets, losses, strategies or studies that can be named, or the rules."""
    if everything and what != "models":
        raise click.UsageError("--all goes with models")
    rows = _configs() if everything else LISTS[what]()
    width = shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None
    terminal.result(json.dumps(rows, indent=2) if output_format == "json" else as_table(rows, width))
    return ExitCode.CLEAN


def as_table(rows: list[Row], width: int | None = None) -> str:
    """Rows of equal keys as columns under their names; None is a dash.

    Args:
        rows: At least one.
        width: Characters a line may have, for a person: texts are folded between words, and columns that do not fit
            are left out, and named. Without it each row is a line.
    """
    columns = list(rows[0])
    cells = [columns, *([("-" if row[column] is None else str(row[column])) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    if width is not None:
        words = [max(len(word) for line in cells for word in line[index].split()) for index in range(len(columns))]
        while len(words) > 1 and _total(words) > width:
            words.pop()
        widths = widths[: len(words)]
        while _total(widths) > width and widths != words:
            _, widest = max((most, index) for index, most in enumerate(widths) if most > words[index])
            widths[widest] -= 1
    lines = []
    for line in cells:
        folded = [textwrap.wrap(cell, most, break_on_hyphens=False) for cell, most in zip(line, widths, strict=False)]
        for parts in itertools.zip_longest(*folded, fillvalue=""):
            lines.append("  ".join(part.ljust(most) for part, most in zip(parts, widths, strict=True)).rstrip())
    left_out = columns[len(widths) :]
    return "\n".join([*lines, *([f"Not shown: {', '.join(left_out)} (--output-format json)"] if left_out else [])])


def _total(widths: list[int]) -> int:
    return sum(widths) + 2 * (len(widths) - 1)
