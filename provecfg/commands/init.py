"""`provecfg init`: look at a data folder, and write what a study needs to know of it."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml

from provecfg.commands.options import Terminal, is_terminal, terminal_options
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.findings import Severity
from provecfg.paths import write_atomically
from provecfg.study.datasets import dataset_of
from provecfg.study.json_schema import SHIPPED_SCHEMA
from provecfg.study.load import checked_study, read_study

if TYPE_CHECKING:
    from provecfg.catalog.datasets import Dataset
    from provecfg.data.fingerprint import Survey
    from provecfg.data.observations import Observation
    from provecfg.data.recognition import Recognised

_CROP = 512  # the schema's own
_SMALLEST_CROP = 32
_OTHER_SCALE = 2  # images so many times wider or narrower than the catalog's scale are scaled by their own


@click.command("init")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("study.yaml"),
    show_default=True,
    metavar="FILE",
    help="Study to write; the fingerprint, the contact sheet and the schema are written beside it.",
)
@click.option("--check", is_flag=True, help="Write nothing; say what is different in the data since, and exit 1 then.")
@terminal_options
def command(folder: Path, output: Path, check: bool, terminal: Terminal) -> int:
    """Look at every image and label map in DIR, and write a study that reads them.

    The study says by comments what each line was recognised by: which label map belongs to which image, splits, how
    label maps hold classes, and what is strange. Beside it lie a fingerprint of the data, and a contact sheet of
    training crops under their labels: look at it first. Its JSON Schema, which the first line names, is for editors.
    Nothing is asked, and nothing in DIR is changed.
    """
    missing = [name for name in ("numpy", "PIL", "rich") if find_spec(name) is None]
    if missing:
        raise ProvecfgError(f"looking at data needs {', '.join(missing)}", hint="pip install 'provecfg[train]'")
    shows_progress = not terminal.quiet and is_terminal(sys.stderr)
    if check:
        return _check(folder, output, terminal, shows_progress)
    from provecfg.data.contact_sheet import write_contact_sheet
    from provecfg.data.fingerprint import fingerprint_of, survey_of, write_fingerprint
    from provecfg.data.observations import observations_of
    from provecfg.data.recognition import recognised
    from provecfg.data.recorded_fingerprint import SUFFIX

    name = _name_of(folder)
    fingerprint_path, sheet_path = output.with_name(name + SUFFIX), output.with_name(f"{name}.contact-sheet.jpg")
    for path in (output, fingerprint_path, sheet_path):
        if path.exists():
            raise ProvecfgError(
                f"{path} is there already, and nothing is overwritten",
                hint="write elsewhere with -o FILE; hold the data against it with --check",
            )
    recognition = recognised(folder, name, shows_progress=shows_progress)
    survey = survey_of(_dataset(recognition.entry), folder, shows_progress=shows_progress)
    settings = _settings(recognition, survey)
    observations = observations_of(survey)
    text = study_text(folder, recognition, settings, observations, sheet_path.name)
    study, findings = read_study(output, text=text)
    if study is None:
        raise ProvecfgError("the study of this folder has mistakes: " + "; ".join(f.message for f in findings))
    write_atomically(output, text)
    write_fingerprint(fingerprint_path, fingerprint_of(survey))
    written = [output, fingerprint_path]
    schema_path = output.with_name(SHIPPED_SCHEMA.name)
    if not schema_path.exists():  # other studies may stand beside it
        write_atomically(schema_path, SHIPPED_SCHEMA.read_text(encoding="utf-8"))
        written.append(schema_path)
    if any(split.pairs for split in survey.splits.values()):
        try:
            write_contact_sheet(sheet_path, survey)
            written.append(sheet_path)
        except ProvecfgError as error:
            terminal.note(f"no contact sheet: {error.message}")
    for observation in observations:
        terminal.result(str(observation))
    terminal.note(f"wrote {', '.join(map(str, written))}; look at the contact sheet first")
    return ExitCode.FINDINGS if any(o.severity is Severity.ERROR for o in observations) else ExitCode.CLEAN


def _check(folder: Path, output: Path, terminal: Terminal, shows_progress: bool) -> int:
    from provecfg.data.fingerprint import changes_between, fingerprint_of, survey_of
    from provecfg.data.recorded_fingerprint import SUFFIX, read_fingerprint

    study, findings = read_study(output)
    if study is None:
        raise ProvecfgError(f"{output} has mistakes: " + "; ".join(finding.message for finding in findings))
    known = {
        name: dataset for name, dataset in study.resolved_datasets.items() if output.with_name(name + SUFFIX).is_file()
    }
    if len(known) > 1:
        known = {name: dataset for name, dataset in known.items() if Path(dataset.root).resolve() == folder.resolve()}
    if not known:
        raise ProvecfgError(
            f"no fingerprint of {folder} lies beside {output}", hint="write it: provecfg init DIR -o another.yaml"
        )
    (name, dataset), *_ = known.items()
    before = read_fingerprint(output.with_name(name + SUFFIX))
    changes = changes_between(before, fingerprint_of(survey_of(dataset, folder, shows_progress=shows_progress)))
    for change in changes:
        terminal.result(change)
    terminal.note(f"{name}: {'the data has changed' if changes else 'the data is what it was'}")
    return ExitCode.FINDINGS if changes else ExitCode.CLEAN


def _name_of(folder: Path) -> str:
    from provecfg.catalog.datasets import DATASETS

    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-._") or "data"
    return f"my-{name}" if name in DATASETS else name


def _dataset(entry: dict[str, Any]) -> Dataset:
    study = checked_study({"name": "data", "datasets": [entry]}, "dataset")
    return dataset_of(study.datasets[0])


def _settings(recognition: Recognised, survey: Survey) -> dict[str, Any]:
    """What the sizes of the images decide; their evidence goes to `recognition`."""
    from collections import Counter

    sizes = Counter(
        record.size for split in survey.splits.values() for record in split.images.values() if not record.problem
    )
    if not sizes:
        return {}
    (width, height), count = sizes.most_common(1)[0]
    settings: dict[str, Any] = {}
    own = survey.dataset.resize_scale[0]
    if not recognition.catalog or not own / _OTHER_SCALE <= width <= own * _OTHER_SCALE:
        recognition.entry["resize_scale"] = [max(width, _SMALLEST_CROP), max(height, _SMALLEST_CROP)]
        recognition.because(
            "resize_scale", f"{count} of {sum(sizes.values())} images are {width}x{height}, width first"
        )
    smallest = min(min(size) for size in sizes)
    if smallest < _CROP:
        side = max(_SMALLEST_CROP, smallest // _SMALLEST_CROP * _SMALLEST_CROP)
        settings["crop_size"] = [side, side]
        recognition.because("crop_size", f"the smallest image has a side of {smallest} pixels")
    return settings


def _block(key: str, value: Any) -> list[str]:
    """A key and its value as lines of YAML: the innermost lists and mappings on a line each."""
    is_nested = isinstance(value, dict) and any(isinstance(part, list | dict) for part in value.values())
    if isinstance(value, list | dict) and not is_nested:
        flow = yaml.safe_dump(value, sort_keys=False, default_flow_style=True, width=10_000, allow_unicode=True)
        return [f"{key}: {flow.strip()}"]
    style = None if is_nested else False
    text = yaml.safe_dump({key: value}, sort_keys=False, default_flow_style=style, width=110, allow_unicode=True)
    return text.rstrip("\n").split("\n")


def study_text(
    folder: Path,
    recognition: Recognised,
    settings: dict[str, Any],
    observations: list[Observation],
    sheet: str,
) -> str:
    """The study, with its evidence as comments.

    Args:
        folder: What was looked at.
        recognition: What it was recognised as.
        settings: Of the study's `data`.
        observations: What is strange.
        sheet: File name of the contact sheet.
    """
    lines = [
        f"# yaml-language-server: $schema={SHIPPED_SCHEMA.name}",
        f"# What provecfg init made of {folder}. Look at {sheet} first: are the labels on what they name?",
        "# Comments say what a line was recognised by; change what is wrong, and leave the rest.",
        f"name: {recognition.entry['name']}-study",
        "datasets:",
    ]
    for index, (key, value) in enumerate(recognition.entry.items()):
        lines += [f"    # {reason}" for reason in recognition.evidence.get(key, ())]
        first, *rest = _block(key, value)
        lines.append(f"  {'- ' if index == 0 else '  '}{first}")
        lines += [f"    {line}" for line in rest]
    if settings:
        lines += [f"# {reason}" for key in settings for reason in recognition.evidence.get(key, ())]
        lines += _block("data", settings)
    if observations:
        lines += ["", "# What is strange:", *(f"# {line}" for o in observations for line in str(o).split("\n"))]
    return "\n".join(lines) + "\n"
