"""What a notebook imports: read, judge, mend and compare configs, write and prove a study, report on its runs.

    from provecfg import api

    config = api.read("configs/mine.py")       # inheritance applied, nothing executed
    config["model.decode_head.num_classes"]
    api.judge("configs/mine.py")                # what is wrong with it; a table in a notebook
    study = api.study(name="mine", models=["pspnet_r50"], seeds=[1, 2, 3])
    study.write("generated")
    api.prove("generated/pspnet_r50_bdd10k_ce_s1.py")   # this executes it
    api.report("work_dirs/mine").frame()        # one row a run, as a pandas DataFrame

Everything that is the user's to fix raises `provecfg.errors.ProvecfgError`, which says what to do.
"""

from __future__ import annotations

import html
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provecfg.errors import ProvecfgError, missing_package
from provecfg.findings import Finding, Severity, is_failure
from provecfg.findings.edits import FixResult
from provecfg.findings.pipeline import screened
from provecfg.findings.reporters import report as findings_report
from provecfg.findings.settings import settings_for
from provecfg.mmconfig import ConfigView, Opaque, read_config
from provecfg.targets import files_of

if TYPE_CHECKING:
    import pandas

    from provecfg.comparison import Comparison
    from provecfg.generate.write import ConfigFile
    from provecfg.proof.prover import Proof
    from provecfg.study.schema import Study

AnyPath = str | os.PathLike[str]


class Findings(Sequence[Finding]):
    """What was found, in file order; shows itself as a table in a notebook and as text elsewhere."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self._findings = tuple(findings)

    def __len__(self) -> int:
        return len(self._findings)

    def __getitem__(self, index: Any) -> Any:
        return Findings(self._findings[index]) if isinstance(index, slice) else self._findings[index]

    @property
    def errors(self) -> Findings:
        """Those of severity error: a config with one fails, or does something other than it declares."""
        return Findings([finding for finding in self if finding.severity is Severity.ERROR])

    @property
    def is_clean(self) -> bool:
        """Whether none is an error."""
        return not is_failure(self._findings)

    def rows(self) -> list[dict[str, Any]]:
        """A dict a finding, for a table."""
        return [
            {
                "code": finding.code,
                "severity": str(finding.severity),
                "file": str(finding.filename),
                "row": finding.span.row if finding.span else None,
                "key": finding.key,
                "message": finding.message,
                "hint": finding.hint or "",
            }
            for finding in self
        ]

    def frame(self) -> pandas.DataFrame:
        """The same as a pandas DataFrame."""
        return _frame(self.rows(), ("code", "severity", "file", "row", "key", "message", "hint"))

    def __repr__(self) -> str:
        return str(findings_report(self._findings, format="text"))

    def _repr_html_(self) -> str:
        return _table(self.rows()) if self._findings else "<p>nothing is wrong</p>"


class Config(Mapping[str, Any]):
    """A config as data: inheritance applied, nothing executed.

    Keys are dotted paths (`model.decode_head.loss_decode[1]`); iterating gives the top-level ones. What cannot be
    known without running is an `Opaque`, with the reason.
    """

    def __init__(self, view: ConfigView) -> None:
        self.view = view

    def __getitem__(self, key: str) -> Any:
        node = self.view.dig(key)
        if node is None:
            raise KeyError(key)
        return node.value

    def __iter__(self) -> Iterator[str]:
        return iter(self.view.values)

    def __len__(self) -> int:
        return len(self.view.values)

    @property
    def path(self) -> Path:
        """Its file, absolute."""
        return self.view.path

    @property
    def files(self) -> tuple[Path, ...]:
        """Its file and those of its bases."""
        return self.view.files

    def where(self, key: str) -> tuple[Path, int] | None:
        """The file and the line, from 1, that set a value; None where no file does."""
        node = self.view.dig(key)
        if node is None or node.span is None or node.file is None:
            return None
        return node.file, node.span.row

    def __repr__(self) -> str:
        return f"Config({str(self.path)!r}, {len(self)} top-level keys)"

    def _repr_html_(self) -> str:
        rows = [{"key": key, "value": _short(value)} for key, value in self.view.values.items()]
        return _table(rows)


@dataclass(frozen=True)
class Comparisons:
    """What configs differ in; see `provecfg compare`."""

    comparisons: tuple[Comparison, ...]
    text: str

    @property
    def findings(self) -> Findings:
        """Differences that nothing explains."""
        return Findings([finding for comparison in self.comparisons for finding in comparison.findings])

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text)}</pre>"


@dataclass(frozen=True)
class StudyFiles:
    """A study, and the configs that it stands for."""

    study: Study

    @property
    def cells(self) -> tuple[str, ...]:
        """The names of its configs."""
        from provecfg.generate.cells import cells_of

        several = len(self.study.seeds) > 1
        return tuple(cell.name(several_seeds=several) for cell in cells_of(self.study))

    def files(self, folder: AnyPath = "generated") -> list[ConfigFile]:
        """Its configs as they would be written to a folder, each with what that would change."""
        from provecfg.generate.cells import Selection
        from provecfg.generate.write import targets_of

        return list(targets_of(self.study, Selection(), Path(folder)))

    def write(self, folder: AnyPath = "generated", *, force: bool = False) -> list[Path]:
        """Write its configs, each whole or not at all.

        Args:
            folder: Where to.
            force: Also replace files that were edited by hand or are another study's.

        Returns:
            The files, those that needed no change included.

        Raises:
            ProvecfgError: A file was edited by hand, or is another study's; nothing is written then.
        """
        from provecfg.generate.write import Change

        files = self.files(folder)
        refused = [file for file in files if file.change.is_refused]
        if refused and not force:
            listed = "\n".join(f"  {file.path}: {file.change.value}" for file in refused)
            raise ProvecfgError(f"not overwritten:\n{listed}", hint="force=True replaces them")
        for file in files:
            if file.change is not Change.UNCHANGED:
                file.write()
        return [file.path for file in files]

    def __repr__(self) -> str:
        return f"StudyFiles({self.study.name!r}, {len(self.cells)} cells)"

    def _repr_html_(self) -> str:
        return _table([{"cell": name} for name in self.cells])


@dataclass(frozen=True)
class Report:
    """What a study came to; see docs/results.md for what stands in `data`."""

    data: Mapping[str, Any]

    def rows(self) -> list[dict[str, Any]]:
        """A dict a cell: where it is on the study's axes, how far it is, why it enters no mean, its scores.

        The scores are those that verdicts go by, the mean of the last validations; `data` has the others.
        """
        judged_at = self.data["method"]["judged_at"]
        told = ("model", "dataset", "strategy", "loss", "seed", "state", "excluded", "iterations")
        return [
            {"cell": cell["name"], **{key: cell.get(key) for key in told}, **cell["scores"].get(judged_at, {})}
            for cell in self.data["cells"]
        ]

    def frame(self) -> pandas.DataFrame:
        """The same as a pandas DataFrame."""
        return _frame(self.rows())

    def html(self) -> str:
        """The page, one file that needs no network."""
        from provecfg.results.formats.page import page

        return page(self.data)

    def __repr__(self) -> str:
        from provecfg.results.formats.tables import report_as_markdown

        return report_as_markdown(self.data)

    def _repr_html_(self) -> str:
        return _table(self.rows())


def read(path: AnyPath, cfg_options: Mapping[str, Any] | None = None) -> Config:
    """Read a config; nothing is executed.

    Args:
        path: The file.
        cfg_options: Dotted paths and values to merge into it, as `--cfg-options` does.

    Raises:
        ProvecfgError: There is no such file, or it would not load; says every reason.
    """
    file = _file(path)
    view = read_config(file, cfg_options=tuple((cfg_options or {}).items()))
    if not view.is_whole:
        raise ProvecfgError(f"{path} would not load:\n{findings_report(view.problems, format='text')}")
    return Config(view)


def judge(*targets: AnyPath) -> Findings:
    """What `provecfg validate` finds in configs, studies and folders of them; nothing is executed.

    Args:
        targets: Files, folders, and names of `provecfg list studies`.

    Raises:
        ProvecfgError: A target does not exist or stands for nothing.
    """
    from provecfg.validate import files_and_studies, judgement_of, judgement_of_studies

    here = Path.cwd()
    files, named = files_and_studies([os.fspath(target) for target in targets], here)
    judgements = [judgement_of(file) for file in files]
    judgements += [judgement_of_studies(here / name, studies) for name, studies in named.items()]
    return Findings(screened(judgements, settings_for, says_unused=True))


def fix(*targets: AnyPath, unsafe: bool = False, write: bool = False) -> FixResult:
    """The fixes that hold, as `provecfg validate --fix` makes them.

    Args:
        targets: Configs, studies and folders of them.
        unsafe: Also those that change what is trained.
        write: Write the files. Without it `diff()` of the result shows what would change.

    Raises:
        ProvecfgError: A target does not exist, or a file cannot be written.
    """
    from provecfg.findings.fixes import apply_fixes
    from provecfg.validate import judge_for_fixes

    files = files_of([os.fspath(target) for target in targets], Path.cwd())
    result = apply_fixes(files, judge_for_fixes(settings_for), unsafe=unsafe)
    if write:
        result.write()
    return result


def compare(*targets: AnyPath, factors: Sequence[str] = ()) -> Comparisons:
    """What configs differ in, declared, derived or neither; nothing is executed.

    Args:
        targets: Configs, folders of them, or studies; at least two configs in all.
        factors: What is meant to differ (`loss`, `model`, `seed`, ...).

    Raises:
        ProvecfgError: A target does not exist or cannot be read, or there is one config alone.
    """
    from provecfg import comparison

    configs, problems = comparison.read_targets([os.fspath(target) for target in targets], Path.cwd())
    if problems:
        raise ProvecfgError(f"not compared:\n{findings_report(problems, format='text')}")
    comparison.refuse_alone(configs, list(map(str, targets)))
    comparisons = comparison.compare(configs, list(factors))
    return Comparisons(tuple(comparisons), comparison.as_text(configs, comparisons))


def study(path: AnyPath | None = None, /, **fields: Any) -> StudyFiles:
    """A study, from its file or from its fields.

    Args:
        path: A study file.
        fields: Instead of it, what it would hold: `study(name="mine", models=["pspnet_r50"])`.

    Raises:
        ProvecfgError: It is none; says every reason.
        TypeError: Neither a path nor fields, or both.
    """
    from provecfg.study.load import checked_study, read_study

    if (path is None) == (not fields):
        raise TypeError("study() takes a path, or a study's fields")
    if path is None:
        return StudyFiles(checked_study(fields))
    loaded, findings = read_study(_file(path))
    if loaded is None:
        raise ProvecfgError(f"{path} is no study:\n{findings_report(findings, format='text')}")
    return StudyFiles(loaded)


def prove(
    *configs: AnyPath, data_root: AnyPath | None = None, device: str = "auto", processes: int | None = None
) -> list[Proof]:
    """Prove on the real classes that what configs declare is what trains. This executes them.

    Args:
        configs: Files of configs.
        data_root: Where the datasets are; without it the data is not looked at.
        device: `auto`, `cpu` or `cuda`.
        processes: Configs at a time; as many as there are processors unless given.

    Returns:
        Of each its proof: `is_proved`, `findings`, `sections`.

    Raises:
        ProvecfgError: No such file, or the packages that train are not installed.
    """
    from provecfg.proof.prover import ProofOptions, prove_configs

    options = ProofOptions(
        device=device, data_root=None if data_root is None else Path(data_root).absolute(), processes=processes
    )
    return list(prove_configs([_file(config) for config in configs], options))


def report(*work_dirs: AnyPath, reference: str | None = None, name: str | None = None) -> Report:
    """What the runs in work dirs came to; nothing in them is executed.

    Args:
        work_dirs: Work dirs, or folders of them.
        reference: The loss that others are compared with; `ce` unless given.
        name: What the report is called; the folders' name unless given.

    Raises:
        ProvecfgError: NumPy is missing, a folder does not exist, or no run is in any of them.
    """
    try:
        from provecfg.results.report.data import report_data
        from provecfg.results.runs import work_dirs_in
        from provecfg.results.study import read_study
    except ModuleNotFoundError as error:
        if (missing := missing_package(error)) is None:
            raise
        raise missing from error

    folders = [Path(folder) for folder in work_dirs]
    for folder in folders:
        if not folder.is_dir():
            raise ProvecfgError(f"{folder} is no folder", hint="name a work dir, or a folder of work dirs")
    runs = [work_dir for folder in folders for work_dir in work_dirs_in(folder)]
    if not runs:
        raise ProvecfgError(f"no run in {', '.join(map(str, folders))}")
    title = name or " and ".join(folder.absolute().name for folder in folders)
    return Report(report_data(read_study(title, runs, (), reference=reference)))


def _file(path: AnyPath) -> Path:
    file = Path(path)
    if not file.is_file():
        raise ProvecfgError(f"no such file: {path}")
    return file.absolute()


def _short(value: Any, most: int = 120) -> str:
    text = f"<{value.reason}>" if isinstance(value, Opaque) else repr(value)
    return text if len(text) <= most else f"{text[:most]}..."


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as an HTML table; every text in it is escaped."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_cell(row.get(column)))}</td>" for column in columns) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> pandas.DataFrame:
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise ProvecfgError(
            "a DataFrame needs pandas, which is not installed", hint="pip install pandas, or take rows()"
        ) from error
    return pandas.DataFrame(list(rows), columns=None if columns is None else list(columns))
