"""`provecfg report`: what a study came to, as a page or as data."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from provecfg.commands.findings import show_findings
from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.paths import write_atomically

_FORMATS = ("html", "md", "csv", "latex", "json", "svg")
_SUFFIXES = {
    ".html": "html",
    ".htm": "html",
    ".md": "md",
    ".csv": "csv",
    ".tex": "latex",
    ".json": "json",
    ".svg": "svg",
}
_ENDINGS = {"latex": "tex"}
_WORK_DIRS = Path("work_dirs")
_WATCH_SECONDS = 30.0


@dataclass(frozen=True)
class _Source:
    """Where a study's runs are.

    Args:
        name: Of the study.
        work_dirs: Of its runs.
        planned: Coordinates of the cells that it was to train.
    """

    name: str
    work_dirs: Sequence[Path]
    planned: Sequence[Mapping[str, str]]


@click.command()
@click.argument("targets", metavar="STUDY|DIR|WORK_DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to write (repeatable); its ending is its format.  [default: report.html]",
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(_FORMATS),
    help="Format of the file of the same place (repeatable); without -o, report.FORMAT is written.",
)
@click.option("--reference", metavar="LOSS", help="The loss that the others are compared with.  [default: ce]")
@click.option("--name", metavar="NAME", help="What the report is called.  [default: the study's or the folder's name]")
@click.option(
    "--watch", is_flag=True, help=f"Write again every {_WATCH_SECONDS:.0f} seconds, until all cells are complete."
)
@terminal_options
def command(
    targets: tuple[Path, ...],
    outputs: tuple[Path, ...],
    formats: tuple[str, ...],
    reference: str | None,
    name: str | None,
    watch: bool,
    terminal: Terminal,
) -> int:
    """Say what a study came to, and how sure that is.

    STUDY is a study file, whose cells' work dirs are looked for in work_dirs/<study>; DIR is a folder of work dirs;
    WORK_DIR is one, of provecfg's or of mmseg's own tools. Nothing in them is executed.

    The report begins with which cells may be compared. A verdict on a loss is over models, or over seeds where there
    are few models, and "not decided" where the study cannot tell.
    """
    files = _files(outputs, formats)
    source = _source(targets, name, terminal)
    if source is None:
        return ExitCode.FINDINGS
    while True:
        is_complete = _write(source, files, reference, terminal)
        if not watch or is_complete:
            return ExitCode.CLEAN
        time.sleep(_WATCH_SECONDS)


def _files(outputs: Sequence[Path], formats: Sequence[str]) -> list[tuple[Path, str]]:
    """Each file with its format.

    Raises:
        click.UsageError: More formats than files, or a file whose ending names none.
    """
    if not outputs:
        return [(Path(f"report.{_ENDINGS.get(format, format)}"), format) for format in formats or ("html",)]
    if len(formats) > len(outputs):
        raise click.UsageError(f"{len(formats)} formats for {len(outputs)} files")
    files = []
    for index, path in enumerate(outputs):
        format = formats[index] if index < len(formats) else _SUFFIXES.get(path.suffix.lower())
        if format is None:
            raise click.UsageError(f"{path}: {path.suffix or 'no ending'} names no format; give --format")
        files.append((path, format))
    return files


def _source(targets: Sequence[Path], name: str | None, terminal: Terminal) -> _Source | None:
    """The runs that targets stand for; None if a study among them is faulty.

    Raises:
        ProvecfgError: A target that does not exist, or no run in any of them.
    """
    from provecfg.generate.cells import cells_of
    from provecfg.results.runs import work_dirs_in
    from provecfg.study.load import read_study

    work_dirs: dict[Path, None] = {}
    planned: list[Mapping[str, str]] = []
    names = []
    for target in targets:
        if target.is_dir():
            names.append(target.absolute().name)
            work_dirs.update(dict.fromkeys(work_dirs_in(target)))
        elif target.is_file():
            study, findings = read_study(target)
            if study is None:
                show_findings(findings, terminal)
                return None
            names.append(study.name)
            planned += [
                {axis: str(value) for axis, value in cell.coordinates._asdict().items()} for cell in cells_of(study)
            ]
            folder = _WORK_DIRS / study.name
            work_dirs.update(dict.fromkeys(work_dirs_in(folder) if folder.is_dir() else ()))
        else:
            raise ProvecfgError(f"{target} does not exist", hint="name a study file, or a folder of work dirs")
    if not work_dirs:
        listed = ", ".join(map(str, targets))
        raise ProvecfgError(
            f"no run in {listed}", hint="a work dir holds provecfg.json, or vis_data/scalars.json of mmengine's"
        )
    return _Source(name or " and ".join(names), list(work_dirs), planned)


def _write(source: _Source, files: Sequence[tuple[Path, str]], reference: str | None, terminal: Terminal) -> bool:
    """Read the runs and write the files; whether all cells are complete."""
    try:
        from provecfg.results.page import forest_plots, page
        from provecfg.results.report_data import report_data
        from provecfg.results.study import read_study
        from provecfg.results.svg import standalone
        from provecfg.results.tables import cells_as_csv, report_as_latex, report_as_markdown
    except ModuleNotFoundError as error:
        raise ProvecfgError(f"a report needs {error.name}", hint="pip install 'provecfg[train]'") from error
    results = read_study(source.name, source.work_dirs, source.planned, reference=reference)
    if reference is not None and reference not in results.losses:
        raise ProvecfgError(f"no run has the loss {reference!r}", hint=f"the losses are {', '.join(results.losses)}")
    data = report_data(results)

    def picture(data: Mapping[str, Any]) -> str:
        plots = forest_plots(data)
        if not plots:
            raise ProvecfgError("there are not two losses to compare, so there is no plot of their effects")
        return standalone(plots[0][0])

    writers: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
        "html": page,
        "md": report_as_markdown,
        "csv": cells_as_csv,
        "latex": report_as_latex,
        "json": lambda data: json.dumps(data, indent=1) + "\n",
        "svg": picture,
    }
    for path, format in files:
        write_atomically(path, writers[format](data))
    study = data["study"]
    terminal.note(
        f"{', '.join(str(path) for path, _ in files)}: {study['included']} of {study['cells']} cells enter the means"
    )
    return all(cell.state.is_complete for cell in results.cells)
