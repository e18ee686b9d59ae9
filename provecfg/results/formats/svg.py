"""Charts as SVG text: a few kB each, no library, no script. Text from elsewhere is escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

STYLE: Final = """
.axis{stroke:var(--line,#888);stroke-width:1;fill:none}.grid{stroke:var(--faint,#ddd);stroke-width:1}
text{fill:var(--text,#222);font:11px system-ui,sans-serif}.zero{stroke:var(--text,#222);stroke-dasharray:2 3}
.l{fill:none;stroke-width:2}.b{opacity:.18;stroke:none}.d{stroke:none}.i{stroke-width:2}
.c0{--c:#555}.c1{--c:#0072b2}.c2{--c:#d55e00}.c3{--c:#009e73}.c4{--c:#cc79a7}.c5{--c:#b58900}.c6{--c:#56b4e9}.c7{--c:#7a5195}
.l,.i{stroke:var(--c)}.b,.d{fill:var(--c)}
"""
"""How charts look; `--text`, `--line` and `--faint` are the page's, so that they follow dark and light. The colours can
be told apart by the colour-blind (Okabe and Ito 2008)."""
COLOURS: Final = 8
_DASHES: Final = ("", "6 3", "2 2", "8 3 2 3", "1 3", "10 2", "4 1", "3 5")


@dataclass(frozen=True, slots=True)
class Series:
    """A line.

    Args:
        label: What it is.
        points: (x, y).
        band: (x, low, high) around it, or none.
        marks: Points that are marked.
        colour: Number of its colour and dashes.
    """

    label: str
    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float, float]] = ()
    marks: Sequence[tuple[float, float]] = ()
    colour: int = 0


@dataclass(frozen=True, slots=True)
class Interval:
    """A row of a forest plot.

    Args:
        label: What it is.
        value: Where its dot is.
        low, high: Ends of its interval, or None.
        is_summary: Drawn as a diamond, over all rows of its kind.
        colour: Number of its colour.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    is_summary: bool = False
    colour: int = 0


@dataclass(frozen=True, slots=True)
class _Scale:
    """A range of values on a range of pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, most: int) -> list[float]:
        """Round values within the range, at most about so many."""
        span = self.high - self.low
        step = 10.0 ** math.floor(math.log10(span / most))
        step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= most)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [index * step for index in range(first, last + 1)]


@dataclass
class _Drawing:
    """An SVG being written."""

    width: int
    height: int
    title: str
    parts: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        self.parts.append(f'<line class="{kind}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>')

    def text(self, x: float, y: float, text: str, anchor: str = "start") -> None:
        self.parts.append(f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>')

    def path(self, points: Iterable[tuple[float, float]], kind: str, dashes: str = "", close: bool = False) -> None:
        steps = "L".join(f"{x} {y}" for x, y in points)
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.parts.append(f'<path class="{kind}"{dashed} d="M{steps}{"Z" if close else ""}"/>')

    def __str__(self) -> str:
        size = f'viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>{escape(self.title)}</title>'
        return f"{head}{''.join(self.parts)}</svg>"


def standalone(svg: str) -> str:
    """A chart as a file of its own, with its style."""
    head, _, rest = svg.partition("</title>")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}</title><style>{STYLE}</style>{rest}\n'


def line_chart(
    series: Sequence[Series], title: str, *, x_label: str = "", y_label: str = "", width: int = 360, height: int = 220
) -> str:
    """Lines with their bands and marks, and a legend below where there are several.

    Args:
        series: At least one point in all.
        title: For those who do not see it.
        x_label, y_label: What the axes are.
        width, height: In pixels.
    """
    legend = 16 * math.ceil(len(series) / 2) if len(series) > 1 else 0
    drawing = _Drawing(width, height + legend, title)
    xs = [x for curve in series for x, _ in curve.points]
    ys = [
        y
        for curve in series
        for y in (*(y for _, y in curve.points), *(end for _, *ends in curve.band for end in ends))
    ]
    x_scale = _Scale(*_range(xs, 0.0), 46, width - 8)
    y_scale = _Scale(*_range(ys, 0.05), height - 34, 10)
    for tick in y_scale.ticks(5):
        drawing.line(46, y_scale(tick), width - 8, y_scale(tick), "grid")
        drawing.text(42, y_scale(tick) + 4, _number(tick), "end")
    for tick in x_scale.ticks(4):
        drawing.text(min(x_scale(tick), width - 14), height - 20, _thousands(tick), "middle")
    drawing.path([(46, 10), (46, height - 34), (width - 8, height - 34)], "axis")
    drawing.text((width + 46) / 2, height - 6, x_label, "middle")
    drawing.text(4, 9, y_label)
    for index, curve in enumerate(series):
        colour = f"c{curve.colour % COLOURS}"
        if len(curve.band) > 1:
            low = [(x_scale(x), y_scale(low)) for x, low, _ in curve.band]
            high = [(x_scale(x), y_scale(high)) for x, _, high in reversed(curve.band)]
            drawing.path([*low, *high], f"b {colour}", close=True)
        if curve.points:
            points = [(x_scale(x), y_scale(y)) for x, y in curve.points]
            drawing.path(points, f"l {colour}", _DASHES[curve.colour % COLOURS])
        for x, y in curve.marks:
            drawing.parts.append(f'<circle class="d {colour}" cx="{x_scale(x)}" cy="{y_scale(y)}" r="3.5"/>')
        if legend:
            left, top = 46 + (index % 2) * (width - 54) // 2, height + 12 + 16 * (index // 2)
            drawing.path([(left, top - 4), (left + 22, top - 4)], f"l {colour}", _DASHES[curve.colour % COLOURS])
            drawing.text(left + 28, top, curve.label)
    return str(drawing)


def forest_plot(rows: Sequence[Interval], title: str, *, x_label: str = "", width: int = 560) -> str:
    """A dot and an interval a row, a diamond for each summary, around a line at 0."""
    label_width, row_height = 190, 18
    height = 14 + row_height * len(rows) + 34
    drawing = _Drawing(width, height, title)
    ends = [end for row in rows for end in (row.value, row.low, row.high) if end is not None]
    scale = _Scale(*_range([*ends, 0.0], 0.05), label_width, width - 62)
    bottom = height - 34
    for tick in scale.ticks(6):
        drawing.line(scale(tick), 6, scale(tick), bottom, "grid")
        drawing.text(scale(tick), bottom + 14, _number(tick), "middle")
    drawing.line(scale(0), 6, scale(0), bottom, "zero")
    drawing.text((label_width + width - 62) / 2, height - 4, x_label, "middle")
    for index, row in enumerate(rows):
        y = 14 + row_height * index + 6
        colour = f"c{row.colour % COLOURS}"
        drawing.text(label_width - 10, y + 4, row.label, "end")
        drawing.text(width - 4, y + 4, f"{row.value:+.2f}", "end")
        low, high = row.low if row.low is not None else row.value, row.high if row.high is not None else row.value
        if row.is_summary:
            corners = [(scale(low), y), (scale(row.value), y - 6), (scale(high), y), (scale(row.value), y + 6)]
            drawing.path(corners, f"d {colour}", close=True)
        else:
            drawing.line(scale(low), y, scale(high), y, f"i {colour}")
            drawing.parts.append(f'<circle class="d {colour}" cx="{scale(row.value)}" cy="{y}" r="4"/>')
    return str(drawing)


def _range(values: Sequence[float], margin: float) -> tuple[float, float]:
    """Least and greatest, a little apart also where they are the same."""
    low, high = min(values), max(values)
    if high - low < 1e-9 * max(1.0, abs(low), abs(high)):
        return low - 1, high + 1
    return low - margin * (high - low), high + margin * (high - low)


def _number(value: float) -> str:
    return f"{round(value, 6):g}"


def _thousands(value: float) -> str:
    return f"{value / 1000:g}k" if abs(value) >= 10_000 else _number(value)
