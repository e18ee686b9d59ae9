"""`provecfg generate`: write the configs of a study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from provecfg import spelling
from provecfg.catalog.studies import LOSS_STUDY, STUDIES
from provecfg.commands import names
from provecfg.commands.findings import settings_reader, show_findings
from provecfg.commands.options import Function, Terminal, terminal_options
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.findings import Severity, is_failure
from provecfg.findings.pipeline import Judgement, screened
from provecfg.findings.reporters.report import text_of_file
from provecfg.generate.cells import Selection
from provecfg.generate.origins import StudyOrigins
from provecfg.generate.write import Change, ConfigFile, refuse_clashes, targets_of
from provecfg.mmconfig import read_config
from provecfg.study.load import checked_study, read_study
from provecfg.study.named import studies_named, studies_of
from provecfg.study.schema import Study
from provecfg.validate import judgement_of_view


def _axis(
    option: str, parameter: str, known: Callable[[], Iterable[str]], metavar: str, text: str
) -> Callable[[Function], Function]:
    """An option for the names on an axis whose cells are kept."""
    return click.option(
        option, parameter, multiple=True, shell_complete=names.completing(known), metavar=metavar, help=text
    )


@click.command()
@click.argument(
    "studies",
    metavar="[STUDY ...]",
    nargs=-1,
    type=click.Path(path_type=Path),
    shell_complete=names.completing(names.studies, files=True),
)
@click.option("--all", "everything", is_flag=True, help=f"The study that comes with provecfg: {LOSS_STUDY.title}.")
@_axis("--model", "models", names.models, "M", "Only this model (repeatable).")
@_axis("--dataset", "datasets", names.datasets, "D", "Only this dataset (repeatable).")
@_axis(
    "--aux-loss",
    "auxiliary",
    names.auxiliary_losses,
    "L",
    "Only this auxiliary loss; `none` for cross-entropy alone, `focal-lovasz` for both at once (repeatable).",
)
@_axis("--strategy", "strategies", names.strategies, "S", "Only this strategy (repeatable).")
@click.option("--seed", "seeds", multiple=True, type=click.IntRange(min=0), metavar="N", help="Only this seed.")
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Replace any field of the study.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("generated"),
    metavar="DIR",
    show_default=True,
    help="Folder to write to.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 where a file would change.")
@click.option("--diff", is_flag=True, help="Write nothing; print what would change, and exit 1 if anything would.")
@click.option("--force", is_flag=True, help="Also replace files that were edited by hand or are another study's.")
@terminal_options
def command(
    studies: tuple[Path, ...],
    everything: bool,
    models: tuple[str, ...],
    datasets: tuple[str, ...],
    auxiliary: tuple[str, ...],
    strategies: tuple[str, ...],
    seeds: tuple[int, ...],
    settings: tuple[str, ...],
    output: Path,
    check: bool,
    diff: bool,
    force: bool,
    terminal: Terminal,
) -> int:
    """Write the configs of a study: one full mmsegmentation config for each of its cells.

    STUDY is a study file, or the name of a study of `provecfg list studies`. Without one, --all or any of the
    selecting options stand for the loss study. A selecting option keeps the cells that match; where a study does not
    have the value, it replaces that axis. What is found in a config without running it is said, once for all seeds.
    """
    selection = Selection(models, datasets, strategies, auxiliary, seeds)
    if not studies and not everything and selection == Selection() and not settings:
        raise click.UsageError("name a study file, or --all for the study that comes with provecfg")
    read: list[Study | None] = []
    files: dict[str, Path] = {}
    for path in studies:
        if named := studies_named(str(path), settings):
            read += named
        elif not path.suffix and not path.exists():
            raise ProvecfgError(spelling.unknown("study", str(path), STUDIES), hint="or name a study file, x.yaml")
        else:
            study = _read(path, settings, terminal)
            read.append(study)
            if study is not None:
                files[study.name] = path
    if everything or not studies:
        read += studies_of(LOSS_STUDY, settings)
    if None in read:
        return ExitCode.FINDINGS
    whole: list[Study] = []
    for study in read:
        if study is not None and study not in whole:  # --all beside the loss study's own name
            whole.append(study)
    selection.check(
        [label for study in whole for label in study.bases],
        [name for study in whole for name in study.resolved_datasets],
        [choice.name for study in whole for choice in study.strategies],
    )
    selected = [_with_axes(study, selection) for study in whole]
    refuse_clashes([(study, selection) for study in selected])

    dry = check or diff
    counts: Counter[Change] = Counter()
    refused: list[tuple[Path, Change]] = []
    judged: list[Judgement] = []
    for study in selected:
        for target in targets_of(study, selection, output):
            counts[target.change] += 1
            if not dry and target.is_first_seed:  # the other seeds of a cell are judged alike
                judged += _judgements(target)
            if target.change is Change.UNCHANGED:
                continue
            if diff:
                terminal.result(target.diff().rstrip("\n"))
            elif check:
                terminal.result(f"{target.path}: {_would_be(target.change)}")
            elif target.change.is_refused and not force:
                refused.append((target.path, target.change))
            else:
                target.write()
                terminal.detail(f"wrote {target.path}")
    total = sum(counts.values())
    changed = total - counts[Change.UNCHANGED] - len(refused)
    terminal.note(
        f"{total} config{'s' * (total != 1)}: {changed} {'would change' if dry else 'written'}, "
        f"{counts[Change.UNCHANGED]} unchanged in {output}"
    )
    findings = screened(judged, settings_reader())
    texts = {file: text for judgement in judged for file, text in judgement.texts.items()}
    origins = [_origins(study, files.get(study.name), settings) for study in selected] if findings else []
    show_findings(findings, terminal, files=list(texts), texts=texts, on_stderr=True, says_none=False, studies=origins)
    if refused:
        listed = "\n".join(f"  {path}: {change.value}" for path, change in refused)
        raise ProvecfgError(
            f"{len(refused)} not overwritten:\n{listed}",
            hint="see what would change with --diff; --force replaces them, -o DIR writes elsewhere",
            exit_code=ExitCode.FINDINGS,
        )
    return ExitCode.FINDINGS if (dry and changed) or is_failure(findings) else ExitCode.CLEAN


def _judgements(target: ConfigFile) -> list[Judgement]:
    """What is found in a config before anybody trains it; nothing where that is notes alone."""
    path = target.path.absolute()
    judgement = judgement_of_view(read_config(path, text=target.text))
    return [judgement] if any(finding.severity > Severity.NOTE for finding in judgement.findings) else []


def _origins(study: Study, path: Path | None, settings: tuple[str, ...]) -> StudyOrigins:
    if path is None:
        return StudyOrigins(study)
    return StudyOrigins(study, path, text_of_file(path), [setting.partition("=")[0].strip() for setting in settings])


def _would_be(change: Change) -> str:
    return {Change.NEW: "missing", Change.CHANGED: "out of date"}.get(change, change.value)


def _read(path: Path, settings: tuple[str, ...], terminal: Terminal) -> Study | None:
    study, findings = read_study(path, settings)
    if findings:
        texts = {path: text_of_file(path)}
        judgement = Judgement(path, tuple(findings), texts)
        show_findings(screened([judgement], settings_reader()), terminal, files=[path], texts=texts)
    return study


def _with_axes(study: Study, selection: Selection) -> Study:
    axes = selection.settings(study)
    if not axes:
        return study
    fields = study.fields()
    losses = axes.pop("losses", {})
    return checked_study({**fields, **axes, "losses": {**fields["losses"], **losses}}, folder=study.folder)
