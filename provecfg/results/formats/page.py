"""The report as one HTML file: no network, text from elsewhere escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import jinja2
from markupsafe import Markup

from provecfg.paths import templates_dir
from provecfg.results.formats import svg
from provecfg.results.formats.tables import (
    Table,
    as_csv,
    as_latex,
    as_markdown,
    confusion_table,
    evaluation_tables,
    image_table,
    number,
    place_head,
    slice_tables,
    tables_of,
)
from provecfg.results.scores import METRIC
from provecfg.results.study import PRIMARY

_SECTIONS: Final = {
    "fairness": "Which cells count",
    "verdict": "Verdict",
    "coverage": "Coverage",
    "effect": "Effects",
    "tables": "Tables",
    "classes": "Classes",
    "slices": "Slices of the images",
    "evaluations": "Other data and checkpoints",
    "curves": "Curves",
    "edges": "Edges",
    "images": "Images on which losses differ most",
    "confusion": "Confusion",
    "calibration": "Calibration",
    "cost": "Cost",
    "method": "Method",
}
_SIGNS: Final = {
    "finished": "✓",
    "early-stopped": "■",
    "running": "▶",
    "interrupted": "✗",
    "failed": "✗",
    "lost": "✗",
    "not started": "○",
    "unknown": "?",
}
_STRONGEST: Final = 5.0
"""Points of difference at which the colour of a heatmap is fullest."""

MOST_DATA: Final = 220_000
"""Characters of JSON that a page carries, enough for 72 cells; of more it carries what its slider needs."""


def page(data: Mapping[str, Any]) -> str:
    """The page of a report's data."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_dir() / "report"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pictures = {
        "classes": _classes(data),
        "slices": [_copied(table) for table in slice_tables(data)],
        "evaluations": [_copied(table) for table in evaluation_tables(data)],
        "images": data["images"],
        "confusion": _confusion(data),
        "curves": _curves(data),
        "edges": _widths(data),
        "calibration": _calibration(data),
    }
    without_pictures = {**data, "images": [{**image, "pictures": {}} for image in data["images"]]}
    whole = _json_for_script(without_pictures)
    is_whole = len(whole) <= MOST_DATA
    return environment.get_template("page.html.j2").render(
        data=data,
        sections={key: title for key, title in _SECTIONS.items() if pictures.get(key, True)},
        style=Markup(_own_file("style.css") + svg.STYLE),
        script=Markup(_own_file("script.js")),
        problems=[cell for cell in data["cells"] if cell["problems"]],
        verdicts=_verdicts(data),
        coverage=_coverage(data),
        forest=[{"svg": Markup(picture), "caption": caption} for picture, caption in forest_plots(data)],
        tables=[_copied(table) for table in tables_of(data)],
        classes=pictures["classes"],
        slices=pictures["slices"],
        evaluations=pictures["evaluations"],
        images=_copied(table) if (table := image_table(data)) is not None else None,
        confusion=pictures["confusion"],
        curves=pictures["curves"],
        terms=_terms(data),
        widths=pictures["edges"],
        calibration=pictures["calibration"],
        cost=_copied(_cost(data)),
        primary=METRIC[PRIMARY].title,
        json=Markup(whole if is_whole else _json_for_script({"replay": data["replay"]})),
        is_whole=is_whole,
    )


def _own_file(name: str) -> str:
    return (templates_dir() / "report" / name).read_text(encoding="utf-8")


def _json_for_script(value: Any) -> str:
    """JSON that ends no script element, whatever names are in it."""
    return (
        json.dumps(value, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    )


def _copied(table: Table) -> dict[str, Any]:
    texts = {"LaTeX": as_latex(table), "Markdown": as_markdown(table), "CSV": as_csv(table.head, table.rows)}
    return {"table": table, "texts": texts}


def _verdicts(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    metrics = dict.fromkeys(verdict["metric"] for verdict in data["verdicts"])
    return [
        {
            "title": METRIC[key].title,
            "is_primary": key == PRIMARY,
            "verdicts": [verdict for verdict in data["verdicts"] if verdict["metric"] == key],
        }
        for key in metrics
    ]


def _coverage(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each model, dataset and strategy, with a cell or None for each loss and seed."""
    study = data["study"]
    rows: dict[tuple[str, ...], dict[tuple[str, str], Any]] = {}
    for cell in data["cells"]:
        if "model" in cell:
            shown = {**cell, "sign": "–" if cell["excluded"] and cell["state"] == "finished" else _SIGNS[cell["state"]]}
            place = tuple(cell[axis] for axis in ("model", "dataset", "strategy"))
            rows.setdefault(place, {})[cell["loss"], cell["seed"]] = shown
    several = [len(study[axis]) > 1 for axis in ("models", "datasets", "strategies")]
    return [
        {
            "place": " ".join(part for part, shown in zip(place, [True, *several[1:]], strict=True) if shown),
            "cells": [cells.get((loss, seed)) for loss in study["losses"] for seed in study["seeds"]],
        }
        for place, cells in rows.items()
    ]


def forest_plots(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A forest plot for each metric that has verdicts, with its caption."""
    plots = []
    for plot in data["forest"]:
        metric, rows = METRIC[plot["metric"]], []
        for row in plot["rows"]:
            colour = _colour(data, row["loss"])
            rows += [
                svg.Interval(
                    f"{row['loss']}  {block['block']}", block["difference"], block["low"], block["high"], colour=colour
                )
                for block in row["blocks"]
            ]
            if row["effect"] is not None:
                label = f"{row['loss']}, {100 * row['level']:.1f} %" if row["level"] else f"{row['loss']}, no test"
                rows.append(svg.Interval(label, row["effect"], row["low"], row["high"], is_summary=True, colour=colour))
        if rows:
            direction = "more is better" if metric.higher_is_better else "less is better"
            title = f"{metric.title}: difference of each loss to {data['study']['reference']}"
            plots.append((svg.forest_plot(rows, title, x_label=f"points of {metric.title}, {direction}"), metric.title))
    return plots


def _colour(data: Mapping[str, Any], loss: str) -> int:
    return int(data["study"]["losses"].index(loss))


def _classes(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Heatmaps of the differences to the reference, of IoU and of Boundary IoU."""
    classes, reference = data["classes"], data["study"]["reference"]
    if classes is None or not reference:
        return []
    heatmaps = []
    for key, title in (("iou", "IoU"), ("boundary_iou", "Boundary IoU in the band of 0.5 %")):
        by_loss = classes[key]
        if reference not in by_loss or all(value is None for value in by_loss[reference]):
            continue
        losses = [loss for loss in data["study"]["losses"] if loss in by_loss and loss != reference]
        rows = []
        for index, (name, share) in enumerate(zip(classes["names"], classes["share"], strict=True)):
            base = by_loss[reference][index]
            rows.append(
                {
                    "name": name,
                    "labelled": share > 0,
                    "share": f"{share:.2f}",
                    "reference": number(base),
                    "cells": [_heat(by_loss[loss][index], base) for loss in losses],
                }
            )
        caption = f"{title} of each class: the reference's in points, and how far each loss is from it"
        heatmaps.append({"caption": caption, "losses": losses, "rows": rows})
    return heatmaps


def _heat(value: float | None, base: float | None) -> dict[str, Any]:
    if value is None or base is None:
        return {"text": number(None), "strength": None, "is_plus": False}
    difference = value - base
    strength = min(1.0, abs(difference) / _STRONGEST)
    return {"text": number(difference, signed=True), "strength": f"{strength:.2f}", "is_plus": difference > 0}


def _confusion(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """The most frequent confusions as a table, and each loss's matrix."""
    confusion = data["confusion"]
    if confusion is None:
        return None
    names = confusion["classes"]
    matrices = [
        {
            "loss": loss,
            "rows": [
                {
                    "name": names[row],
                    "cells": [
                        {"text": "" if share is None else f"{share:.0f}", "strength": f"{(share or 0) / 100:.2f}"}
                        for share in shares
                    ],
                }
                for row, shares in enumerate(matrix)
                if any(share is not None for share in shares)
            ],
        }
        for loss, matrix in confusion["losses"].items()
    ]
    table = confusion_table(data)
    return {"table": _copied(table) if table is not None else None, "names": names, "matrices": matrices}


def _curves(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    charts = []
    for place in data["curves"]:
        series = [
            svg.Series(
                f"{line['loss']} ({line['runs']})",
                [(x, mean) for x, mean, _, _ in line["points"]],
                [(x, low, high) for x, _, low, high in line["points"]] if line["runs"] > 1 else (),
                [(x, y) for x, y in line["ends"]],
                _colour(data, line["loss"]),
            )
            for line in place["lines"]
        ]
        title = f"Score of {place['place']} over the run, by loss"
        chart = svg.line_chart(series, title, x_label="iteration", y_label="points")
        charts.append({"svg": Markup(chart), "caption": place["place"]})
    return charts


def _terms(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    charts = []
    for panel in data["terms"]:
        series = [
            svg.Series(term, [(x, y) for x, y in points], colour=index)
            for index, (term, points) in enumerate(panel["terms"].items())
        ]
        caption = f"{panel['place']}, {panel['loss']}"
        chart = svg.line_chart(series, f"Terms of the training loss of {caption}", x_label="iteration", width=300)
        charts.append({"svg": Markup(chart), "caption": caption})
    return charts


def _widths(data: Mapping[str, Any]) -> Markup | None:
    widths = data["widths"]
    if widths is None:
        return None
    series = [
        svg.Series(
            loss,
            [(100 * x, y) for x, y in zip(widths["fractions"], values, strict=True) if y is not None],
            colour=_colour(data, loss),
        )
        for loss, values in widths["losses"].items()
    ]
    title = "Boundary mIoU over the width of the band, by loss"
    return Markup(
        svg.line_chart(series, title, x_label="width, % of the diagonal", y_label="points", width=480, height=280)
    )


def _calibration(data: Mapping[str, Any]) -> Markup | None:
    by_loss = data["calibration"]
    if by_loss is None:
        return None
    least = min(bin["confidence"] for bins in by_loss.values() for bin in bins)
    series = [
        svg.Series(loss, [(bin["confidence"], bin["right"]) for bin in bins], colour=_colour(data, loss))
        for loss, bins in by_loss.items()
    ]
    series.append(svg.Series("calibrated", [(least, least), (100.0, 100.0)], colour=svg.COLOURS - 1))
    title = "Share of right predictions by confidence, by loss"
    return Markup(svg.line_chart(series, title, x_label="confidence, %", y_label="right, %", width=480, height=280))


def _cost(data: Mapping[str, Any]) -> Table:
    rows: Sequence[Sequence[str]] = [
        [
            row["place"],
            row["loss"],
            str(row["runs"]),
            _scaled(row["parameters"], 1e6, 2),
            _scaled(row["operations"], 1e9, 2),
            _scaled(row["seconds"], 1, 3),
            _scaled(row["images_per_second"], 1, 1),
            number(row["hours"]),
            _scaled(row["memory_mb"], 1, 0),
            _scaled(row["nearly_final"], 1, 0),
        ]
        for row in data["cost"]
    ]
    head = [place_head(data), "loss", "runs", "parameters, M", "operations, G", "s an iteration", "images a second"]
    head += ["hours of training", "memory, MB", "iterations to 95 %"]
    caption = (
        "Parameters of the model; floating-point operations of it on an image, where provecfg eval counted them; "
        "median time of an iteration, and images that one process trains on in a second; time of all iterations, "
        "greatest memory and the iteration at which 95 % of the final mIoU was reached, as logged"
    )
    return Table("costs", caption, head, rows)


def _scaled(value: float | None, unit: float, decimals: int) -> str:
    return number(None) if value is None else f"{value / unit:.{decimals}f}"
