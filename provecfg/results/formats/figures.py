"""Figures of a paper: the forest plots, the curves and the boundaries of a report as pages of a PDF, by matplotlib."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any, Final

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from provecfg.results.scores import METRIC
from provecfg.results.study import PRIMARY

_COLOURS: Final = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, which those who see colours differently tell apart; black is the reference."""
_WIDTH: Final = 5.5
"""Inches: of a column of text in most journals' one-column layout."""


def report_as_pdf(data: Mapping[str, Any]) -> bytes:
    """One figure a page; equal data give equal bytes.

    Raises:
        ValueError: The report has nothing to draw.
    """
    stream = io.BytesIO()
    pages = list(_figures(data))
    if not pages:
        raise ValueError("there are neither two losses to compare nor curves, so there is nothing to draw")
    with PdfPages(stream, metadata={"CreationDate": None, "Title": data["study"]["name"]}) as pdf:
        for figure in pages:
            pdf.savefig(figure, bbox_inches="tight")
    return stream.getvalue()


def _figures(data: Mapping[str, Any]) -> Iterator[Figure]:
    for plot in data["forest"]:
        if any(row["blocks"] for row in plot["rows"]):
            yield _forest(data, plot)
    for place in data["curves"]:
        yield _curves(data, place)
    if data["widths"] is not None:
        yield _widths(data)


def _colour(data: Mapping[str, Any], loss: str) -> str:
    return _COLOURS[data["study"]["losses"].index(loss) % len(_COLOURS)]


def _text(text: str) -> str:
    """Text in which nothing is mathematics."""
    return text.replace("$", r"\$")


def _forest(data: Mapping[str, Any], plot: Mapping[str, Any]) -> Figure:
    labels: list[str] = []
    figure = Figure(figsize=(_WIDTH, 0.9 + 0.2 * sum(len(row["blocks"]) + 1 for row in plot["rows"])))
    axes = figure.add_subplot()
    for row in plot["rows"]:
        colour = _colour(data, row["loss"])
        rows = [
            (f"{row['loss']}, {block['block']}", block["difference"], block["low"], block["high"])
            for block in row["blocks"]
        ]
        if row["effect"] is not None:
            rows.append((f"{row['loss']}, all", row["effect"], row["low"], row["high"]))
        for label, value, low, high in rows:
            at = len(labels)
            if low is not None and high is not None:
                axes.plot([low, high], [at, at], color=colour, linewidth=1.2)
            axes.plot([value], [at], "D" if label.endswith(", all") else "o", color=colour, markersize=5)
            labels.append(_text(label))
    axes.axvline(0, color="0.4", linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(_text(f"{METRIC[plot['metric']].title}: points more than {data['study']['reference']}"), fontsize=9)
    axes.tick_params(axis="x", labelsize=8)
    return figure


def _curves(data: Mapping[str, Any], place: Mapping[str, Any]) -> Figure:
    figure = Figure(figsize=(_WIDTH, 3.2))
    axes = figure.add_subplot()
    for line in place["lines"]:
        steps, means, lows, highs = zip(*line["points"], strict=True)
        colour = _colour(data, line["loss"])
        axes.plot(steps, means, color=colour, label=_text(line["loss"]))
        if line["runs"] > 1:
            axes.fill_between(steps, lows, highs, color=colour, alpha=0.15, linewidth=0)
        for step, value in line["ends"]:
            axes.plot([step], [value], "s", color=colour, markersize=4)
    axes.set_title(_text(place["place"]), fontsize=9)
    axes.set_xlabel("iteration", fontsize=9)
    axes.set_ylabel(f"{METRIC[PRIMARY].title}, points", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=8)
    return figure


def _widths(data: Mapping[str, Any]) -> Figure:
    figure = Figure(figsize=(_WIDTH, 3.2))
    axes = figure.add_subplot()
    for loss, values in data["widths"]["losses"].items():
        points = [(100 * x, y) for x, y in zip(data["widths"]["fractions"], values, strict=True) if y is not None]
        if points:
            axes.plot(*zip(*points, strict=True), "o-", color=_colour(data, loss), label=_text(loss), markersize=3)
    axes.set_xscale("log")
    axes.set_xlabel("width of the band, % of the image's diagonal", fontsize=9)
    axes.set_ylabel("Boundary mIoU, points", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=8)
    return figure
