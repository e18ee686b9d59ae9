"""`provecfg report`: what a study came to, as a page or as data."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from provecfg.attributes import read_attributes
from provecfg.commands import names
from provecfg.commands.findings import show_findings
from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.paths import write_atomically, write_bytes_atomically

_FORMATS = ("html", "md", "csv", "latex", "json", "svg", "pdf")
_SUFFIXES = {
    ".html": "html",
    ".htm": "html",
    ".md": "md",
    ".csv": "csv",
    ".tex": "latex",
    ".json": "json",
    ".svg": "svg",
    ".pdf": "pdf",
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


@dataclass(frozen=True)
class _Asked:
    """What a report is asked of.

    Args:
        targets: Study files, folders of work dirs, work dirs.
        name: Of the report, or None for the targets'.
        reference: The loss that the others are compared with, or None.
        slices: Table of the images' attributes, or None.
        predictions: Folder of predicted label maps, or None.
    """

    targets: Sequence[Path]
    name: str | None
    reference: str | None
    slices: Path | None
    predictions: Path | None


@click.command()
@click.argument(
    "targets",
    metavar="STUDY|DIR|WORK_DIR...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
    shell_complete=names.completing(names.studies, files=True),
)
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
    "--slices",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="CSV",
    help="What is known of the images: a column `image`, and one for each attribute (weather, say) to slice them by.",
)
@click.option(
    "--predictions",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Where `provecfg eval --save-predictions` wrote label maps, a folder a run: pictures of where losses differ.",
)
@click.option("--serve", is_flag=True, help="Show the page on this machine alone, anew while the study runs.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="PORT", help="Of --serve.  [default: any free one]"
)
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
    slices: Path | None,
    predictions: Path | None,
    serve: bool,
    port: int,
    watch: bool,
    terminal: Terminal,
) -> int:
    """Say what a study came to, and how sure that is.

    STUDY is a study file or a name of `provecfg list studies`, whose cells' work dirs are looked for in
    work_dirs/<study>; DIR is a folder of work dirs; WORK_DIR is one, of provecfg's or of mmseg's own tools. Nothing in
    them is executed.

    The report begins with which cells may be compared. A verdict on a loss is over models, or over seeds where there
    are few models, and "not decided" where the study cannot tell.
    """
    if serve and (outputs or formats or watch):
        raise click.UsageError("--serve shows the page and writes no file: leave -o, --format and --watch out")
    files = _files(outputs, formats)
    asked = _Asked(targets, name, reference, slices, predictions)
    if _source(asked, terminal) is None:
        return ExitCode.FINDINGS
    if serve:
        return _serve(asked, port, terminal)
    while True:
        is_complete = _write(asked, files, terminal)
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


def _source(asked: _Asked, terminal: Terminal) -> _Source | None:
    """The runs that the targets stand for, those that have begun since included; None if a study is faulty.

    Raises:
        ProvecfgError: A target that does not exist, or no run in any of them.
    """
    from provecfg.generate.cells import cells_of
    from provecfg.results.runs import work_dirs_in
    from provecfg.study.load import read_study
    from provecfg.study.named import studies_named

    work_dirs: dict[Path, None] = {}
    planned: list[Mapping[str, str]] = []
    names = []
    folders: list[Path] = []
    for target in asked.targets:
        if target.is_dir():
            names.append(target.absolute().name)
            folders.append(target)
            work_dirs.update(dict.fromkeys(work_dirs_in(target)))
            continue
        studies = studies_named(str(target))
        if target.is_file():
            study, findings = read_study(target)
            if study is None:
                show_findings(findings, terminal)
                return None
            studies = [study]
        elif not studies:
            raise ProvecfgError(f"{target} does not exist", hint="name a study, or a folder of work dirs")
        for study in studies:
            names.append(study.name)
            planned += [
                {axis: str(value) for axis, value in cell.coordinates._asdict().items()} for cell in cells_of(study)
            ]
            folder = _WORK_DIRS / study.name
            folders.append(folder)
            work_dirs.update(dict.fromkeys(work_dirs_in(folder) if folder.is_dir() else ()))
    if not work_dirs:
        hint = "a work dir holds provecfg.json, or vis_data/scalars.json of mmengine's"
        if planned:
            hint = "the runs of a study stand there, unless they were given other work dirs: name their folder instead"
        raise ProvecfgError(f"no run in {', '.join(map(str, dict.fromkeys(folders)))}", hint=hint)
    return _Source(asked.name or " and ".join(names), list(work_dirs), planned)


def _results(asked: _Asked, terminal: Terminal) -> tuple[Mapping[str, Any], bool]:
    """The report's data as of now, and whether all cells are complete.

    Raises:
        ProvecfgError: No run has the reference's loss.
    """
    from provecfg.results.report.data import report_data
    from provecfg.results.study import read_study

    source = _source(asked, terminal)
    if source is None:
        raise ProvecfgError("the study has become faulty", hint="provecfg validate says what is wrong with it")
    reference = asked.reference
    results = read_study(source.name, source.work_dirs, source.planned, reference=reference)
    if reference is not None and reference not in results.losses:
        raise ProvecfgError(f"no run has the loss {reference!r}", hint=f"the losses are {', '.join(results.losses)}")
    attributes = read_attributes(asked.slices) if asked.slices is not None else None
    data = report_data(results, attributes=attributes, predictions=asked.predictions)
    return data, all(cell.state.is_complete for cell in results.cells)


def _write(asked: _Asked, files: Sequence[tuple[Path, str]], terminal: Terminal) -> bool:
    """Read the runs and write the files; whether all cells are complete."""
    data, is_complete = _results(asked, terminal)
    for path, content in [(path, _written(data, format)) for path, format in files]:
        if isinstance(content, str):
            write_atomically(path, content)
            continue
        try:
            write_bytes_atomically(path, content)
        except OSError as error:
            raise ProvecfgError(f"cannot write {path}: {error.strerror or error}") from error
    study = data["study"]
    terminal.note(
        f"{', '.join(str(path) for path, _ in files)}: {study['included']} of {study['cells']} cells enter the means"
    )
    return is_complete


def _written(data: Mapping[str, Any], format: str) -> str | bytes:
    """The report in a format.

    Raises:
        ProvecfgError: There is nothing to draw.
    """
    from provecfg.results.formats.page import forest_plots, page
    from provecfg.results.formats.svg import standalone
    from provecfg.results.formats.tables import cells_as_csv, report_as_latex, report_as_markdown

    if format == "pdf":
        from provecfg.results.formats.figures import report_as_pdf

        try:
            return report_as_pdf(data)
        except ValueError as error:
            raise ProvecfgError(str(error)) from error
    if format == "svg":
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
    }
    return writers[format](data)


def _serve(asked: _Asked, port: int, terminal: Terminal) -> int:
    """Show the page until it is interrupted."""
    from provecfg.results.formats.page import page
    from provecfg.results.formats.server import PageServer

    try:
        server = PageServer(lambda: page(_results(asked, terminal)[0]), port, _WATCH_SECONDS)
    except OSError as error:
        raise ProvecfgError(f"port {port} cannot be had: {error.strerror or error}", hint="choose another") from error
    server.page()  # what is wrong is said here, and not to the browser first
    terminal.note(f"{server.address} (Ctrl-C ends it)")
    server.serve()
    return ExitCode.CLEAN
