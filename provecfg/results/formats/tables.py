"""The report's tables, and their text as Markdown, CSV and LaTeX. Names from elsewhere are escaped in each."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from provecfg.results.run_scores import Moment
from provecfg.results.scores import METRIC
from provecfg.results.study import PRIMARY

_LATEX: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "±": r"$\pm$",
    "\N{MINUS SIGN}": "$-$",
}
_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]<>|#&~])")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
_NOT_KNOWN: Final = "–"
_MOST_PAIRS: Final = 15


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        key: Its name in the page.
        caption: What it shows.
        head: Titles of the columns.
        rows: Text of the cells; the first of a row names it.
        bold: (row, column) of the cells that stand out.
    """

    key: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    bold: frozenset[tuple[int, int]] = frozenset()


def tables_of(data: Mapping[str, Any]) -> list[Table]:
    """The tables of a report's data."""
    return [_verdicts(data), _by_loss(data), *(_by_place(data, moment) for moment in Moment)]


def _further_tables(data: Mapping[str, Any]) -> list[Table]:
    """What the page has in sections of their own."""
    single = [table for table in (image_table(data), confusion_table(data)) if table is not None]
    return [*slice_tables(data), *evaluation_tables(data), *single]


def _better(data: Mapping[str, Any], metric: str) -> set[str]:
    """Losses that are better than the reference by a metric."""
    return {
        verdict["loss"]
        for verdict in data["verdicts"]
        if verdict["metric"] == metric and verdict["outcome"] == "better"
    }


def _verdicts(data: Mapping[str, Any]) -> Table:
    rows = []
    for verdict in data["verdicts"]:
        interval, p = verdict["interval"], verdict["p_holm"]
        rows.append(
            [
                verdict["loss"],
                METRIC[verdict["metric"]].title,
                verdict["outcome"],
                number(verdict["effect"], signed=True),
                f"{number(interval[0], signed=True)} to {number(interval[1], signed=True)}" if interval else _NOT_KNOWN,
                "< 0.001" if p is not None and p < 0.001 else _NOT_KNOWN if p is None else f"{p:.3f}",
                number(verdict["smallest_effect"]),
                verdict["design"],
            ]
        )
    reference = data["study"]["reference"]
    return Table(
        "verdicts",
        f"Each loss against {reference}: difference in points, its interval at the level at which Holm's method judges "
        "it, the p-value by that method, and the smallest difference that four studies of five would have found",
        ["loss", "metric", "verdict", "difference", "interval", "p", "smallest found", "test"],
        rows,
    )


def _by_loss(data: Mapping[str, Any]) -> Table:
    table = data["by_loss"]
    head = ["loss", "runs"]
    for column in table["columns"]:
        title = METRIC[column["metric"]].title
        head.append(f"{title}, {column['moment']}" if column["metric"] == PRIMARY else title)
    bold = set()
    rows = []
    for index, row in enumerate(table["rows"]):
        rows.append([row["loss"], str(row["runs"]), *(number(mean) for mean in row["means"])])
        bold |= {
            (index, position + 2)
            for position, column in enumerate(table["columns"])
            if row["loss"] in _better(data, column["metric"]) and column["moment"] == data["method"]["judged_at"]
        }
    return Table(
        "by-loss",
        f"Mean scores in points over {', '.join(table['places']) or 'no model'}, which have all losses; of the last "
        f"{data['method']['validations']} validations where nothing else is said, bold where the verdict is better",
        head,
        rows,
        frozenset(bold),
    )


def place_head(data: Mapping[str, Any]) -> str:
    """The heading of a column of places: the axes that tell them apart."""
    axes = {"dataset": "datasets", "strategy": "strategies"}
    return " ".join(["model", *(axis for axis, values in axes.items() if len(data["study"][values]) > 1)])


def _by_place(data: Mapping[str, Any], moment: Moment) -> Table:
    table = data["by_place"]
    return Table(
        f"by-place-{moment.value.replace(' ', '-')}",
        f"{METRIC[PRIMARY].title} in points, {moment.value}: mean ± standard deviation over seeds (runs)",
        [place_head(data), *table["losses"]],
        [[row["place"], *map(_mean_and_sd, row["cells"][moment.value])] for row in table["rows"]],
    )


def slice_tables(data: Mapping[str, Any]) -> list[Table]:
    """A table of each attribute of the images."""
    return [
        Table(
            f"slice-{index}",
            f"{METRIC[PRIMARY].title} in points on the images of each {part['attribute']}, at the last validation, "
            "means as above; below, how far the best and the worst of a loss are apart",
            [part["attribute"], "images", *part["gaps"]],
            [
                *(
                    [row["value"], str(row["images"]), *(number(row["scores"][loss]) for loss in part["gaps"])]
                    for row in part["rows"]
                ),
                ["best less worst", "", *map(number, part["gaps"].values())],
            ],
        )
        for index, part in enumerate(data["slices"])
    ]


def evaluation_tables(data: Mapping[str, Any]) -> list[Table]:
    """A table of each set that `provecfg eval` evaluated on."""
    tables = []
    for index, part in enumerate(data["evaluations"]):
        others = part["other_images"]
        left_out = f"; {others} runs, evaluated on other images, are left out" if others else ""
        tables.append(
            Table(
                f"evaluation-{index}",
                f"Scores in points of the {part['checkpoint']} checkpoints of {part['runs']} runs on {part['split']}, "
                f"{part['images']} images, means as above{left_out}",
                ["loss", *(METRIC[key].title for key in part["metrics"])],
                [[loss, *map(number, values)] for loss, values in part["losses"].items()],
            )
        )
    return tables


def confusion_table(data: Mapping[str, Any]) -> Table | None:
    """The pairs of classes that are confused most by some loss."""
    confusion = data["confusion"]
    if confusion is None:
        return None
    names, losses = confusion["classes"], confusion["losses"]
    pairs = sorted(
        (
            (max(matrix[label][predicted] or 0.0 for matrix in losses.values()), label, predicted)
            for label in range(len(names))
            for predicted in range(len(names))
            if label != predicted
        ),
        key=lambda pair: (-pair[0], *pair[1:]),
    )[:_MOST_PAIRS]
    return Table(
        "confused",
        "The most frequent confusions: which part of the pixels with the first label is predicted as the second, in %, "
        "at the last validation, pixels of all runs of a loss together",
        ["label, prediction", *losses],
        [
            [f"{names[label]}, {names[predicted]}", *(number(matrix[label][predicted]) for matrix in losses.values())]
            for share, label, predicted in pairs
            if share > 0
        ],
    )


def image_table(data: Mapping[str, Any]) -> Table | None:
    """The images on which losses differ most."""
    if not data["images"]:
        return None
    return Table(
        "images-table",
        "The images of the greatest difference of each loss: mean IoU of the image over its labelled classes, in "
        "points, at the last validation, means as above",
        ["image", "loss", data["study"]["reference"], "the loss", "difference"],
        [
            [
                image["image"],
                image["loss"],
                number(image["reference"]),
                number(image["score"]),
                number(image["difference"], signed=True),
            ]
            for image in data["images"]
        ],
    )


def _mean_and_sd(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return _NOT_KNOWN
    sd = f" ± {number(cell['sd'])}" if cell["sd"] is not None else ""
    return f"{number(cell['mean'])}{sd} ({cell['runs']})"


def number(value: float | None, *, signed: bool = False) -> str:
    """Points with two decimals; a dash for what is not known."""
    if value is None:
        return _NOT_KNOWN
    value = round(value, 2) + 0.0  # no minus before 0.00
    return f"{value:+.2f}" if signed else f"{value:.2f}"


def as_markdown(table: Table) -> str:
    """A table of GitHub's Markdown, its caption above it."""
    lines = [
        _markdown_row(map(markdown_text, table.head)),
        _markdown_row(["---", *["---:"] * (len(table.head) - 1)]),
    ]
    for index, row in enumerate(table.rows):
        cells = [markdown_text(cell) for cell in row]
        lines.append(
            _markdown_row(f"**{cell}**" if (index, at) in table.bold else cell for at, cell in enumerate(cells))
        )
    return f"{markdown_text(table.caption)}.\n\n" + "\n".join(lines) + "\n"


def _markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def markdown_text(text: str) -> str:
    """Text in which nothing is Markdown or HTML."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def as_latex(table: Table) -> str:
    """A table environment with booktabs' rules."""
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_text(table.caption)}.}}",
        rf"\begin{{tabular}}{{l{'r' * (len(table.head) - 1)}}}",
        r"\toprule",
        _latex_row(map(latex_text, table.head)),
        r"\midrule",
    ]
    for index, row in enumerate(table.rows):
        cells = [latex_text(cell) for cell in row]
        lines.append(
            _latex_row(rf"\textbf{{{cell}}}" if (index, at) in table.bold else cell for at, cell in enumerate(cells))
        )
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def _latex_row(cells: Iterable[str]) -> str:
    return rf"{' & '.join(cells)} \\"


def latex_text(text: str) -> str:
    """Text in which nothing is LaTeX."""
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))


def as_csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Comma-separated values, of which no spreadsheet takes a text for a formula."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(map(_csv_text, head))
    writer.writerows(map(_csv_text, row) for row in rows)
    return stream.getvalue()


def _csv_text(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def cells_as_csv(data: Mapping[str, Any]) -> str:
    """One row for each cell, moment and metric, and one for each cell that has no scores."""
    axes = ["model", "dataset", "strategy", "loss", "seed"]
    rows = []
    for cell in data["cells"]:
        about = [cell["name"], *(cell.get(axis) for axis in axes), cell["state"], cell["excluded"]]
        scores = [(moment, metric, value) for moment, own in cell["scores"].items() for metric, value in own.items()]
        rows += [[*about, *score] for score in scores or [(None, None, None)]]
    return as_csv(["name", *axes, "state", "excluded", "moment", "metric", "value"], rows)


def report_as_markdown(data: Mapping[str, Any]) -> str:
    """The report without its pictures."""
    study = data["study"]
    parts = [
        f"# {markdown_text(study['name'])}\n",
        f"{study['included']} of {study['cells']} cells enter the means; the others do not:\n"
        if study["included"] < study["cells"]
        else f"All {study['cells']} cells are comparable and complete.\n",
    ]
    excluded = [cell for cell in data["cells"] if cell["excluded"]]
    parts += [f"- {markdown_text(cell['name'])}: {markdown_text(cell['excluded'])}" for cell in excluded]
    parts += ["\n## Verdicts\n"]
    parts += [
        f"- {markdown_text(METRIC[entry['metric']].title)}: {markdown_text(entry['sentence'])}"
        for entry in data["verdicts"]
    ]
    parts += ["\n## What this study cannot say\n", *(f"- {markdown_text(line)}" for line in data["limits"])]
    parts += ["\n## Tables\n", *map(as_markdown, [*tables_of(data), *_further_tables(data)])]
    parts += ["## Definitions\n"]
    parts += [f"- {markdown_text(entry['title'])}: {markdown_text(entry['definition'])}" for entry in data["metrics"]]
    return "\n".join(parts) + "\n"


def report_as_latex(data: Mapping[str, Any]) -> str:
    """The report's tables."""
    tables = [*tables_of(data), *_further_tables(data)]
    return "% needs \\usepackage{booktabs}\n" + "\n".join(map(as_latex, tables))
