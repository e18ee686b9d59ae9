"""The curves of one run as a picture of its own: its losses, and what its validations came to."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from provecfg.paths import write_atomically
from provecfg.results.formats import svg
from provecfg.results.runs import Run, read_run

FILENAME: Final = "curves.svg"
"""In the run's work dir."""
_WIDTH, _HEIGHT = 560, 240
_STYLE: Final = "svg{background:#fff}"


def curves(run: Run) -> str | None:
    """The picture, as SVG that a browser shows by itself; None where the run has logged nothing.

    Args:
        run: With its losses by iteration and its validations.
    """
    charts: list[str] = []
    losses = [
        svg.Series(term, points, colour=index)
        for index, (term, points) in enumerate(list(run.losses.items())[: svg.COLOURS])
        if points
    ]
    if losses:
        charts.append(_chart(losses, f"{run.name}: terms of the training loss", "loss"))
    goal = run.goal or "val/mIoU"
    scores = [
        (validation.iteration, validation.metrics[goal]) for validation in run.validations if goal in validation.metrics
    ]
    if scores:
        charts.append(_chart([svg.Series(goal, scores, marks=scores, colour=1)], f"{run.name}: {goal}", goal))
    if not charts:
        return None
    heights = [int(chart.partition('height="')[2].partition('"')[0]) for chart in charts]
    placed, top = [], 0
    for chart, height in zip(charts, heights, strict=True):
        placed.append(chart.replace("<svg ", f'<svg y="{top}" ', 1))
        top += height
    size = f'viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" height="{top}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{_STYLE}{svg.STYLE}</style>{"".join(placed)}</svg>\n'


def _chart(series: list[svg.Series], title: str, y_label: str) -> str:
    return svg.line_chart(series, title, x_label="iteration", y_label=y_label, width=_WIDTH, height=_HEIGHT)


def write_curves(work_dir: Path) -> Path | None:
    """Draw the curves of a run into its work dir; None where it has logged nothing.

    Raises:
        OSError: It cannot be written.
    """
    text = curves(read_run(work_dir))
    if text is None:
        return None
    write_atomically(work_dir / FILENAME, text)
    return work_dir / FILENAME
