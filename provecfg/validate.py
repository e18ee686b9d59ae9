"""Everything that is found in one file without running it: by the schema, the reader and the rules."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provecfg.errors import ProvecfgError, wants_traceback
from provecfg.findings import Finding
from provecfg.findings.pipeline import Judgement, screened
from provecfg.findings.problems import NOT_JUDGED
from provecfg.findings.reporters.report import text_of_file
from provecfg.findings.settings import Settings
from provecfg.mmconfig import ConfigView, read_config
from provecfg.mmconfig.problems import STYLES_OF_MMENGINE
from provecfg.rules import judge
from provecfg.rules.names.mined import OF_AN_OLD_REPOSITORY
from provecfg.rules.overrides import with_override
from provecfg.targets import CONFIGS, files_of, is_study

if TYPE_CHECKING:
    from provecfg.findings.fixes import JudgedTarget
    from provecfg.study.schema import Study


def judgement_of(
    path: Path, cfg_options: Sequence[tuple[str, Any]] = (), unsaved: Mapping[Path, str] | None = None
) -> Judgement:
    """Judge a config or a study, before any selection.

    Args:
        path: The file, absolute.
        cfg_options: Dotted paths and values to merge into a config first.
        unsaved: Texts of files that are read instead of what is on disk.
    """
    try:
        text = (unsaved or {}).get(path)
        if is_study(path, text):
            shown = text_of_file(path) if text is None else text
            return Judgement(path, tuple(_findings_in_study(path, text)), {path: shown})
        return judgement_of_view(read_config(path, unsaved=unsaved, cfg_options=cfg_options))
    except ProvecfgError:
        raise
    except Exception as error:
        if wants_traceback():
            raise
        message = f"provecfg could not judge this file: {type(error).__name__}: {error}"
        hint = "the other files were judged; please report this one"
        return Judgement(path, (Finding(NOT_JUDGED, message, hint=hint, filename=path),))


def judgement_of_view(view: ConfigView) -> Judgement:
    """Judge a config that was read."""
    judged = judge(view)
    problems = view.problems
    if any(finding.code == OF_AN_OLD_REPOSITORY for finding in judged):
        problems = tuple(finding for finding in problems if finding.problem not in STYLES_OF_MMENGINE)
    findings = [with_override(finding, view) for finding in (*problems, *judged)]
    return Judgement(view.path, tuple(findings), {file: view.sources(file) for file in view.files})


def judge_for_fixes(
    settings_at: Callable[[Path], Settings], cfg_options: Sequence[tuple[str, Any]] = ()
) -> Callable[[Path, Mapping[Path, str]], JudgedTarget]:
    """What `findings.fixes.apply_fixes` judges with.

    Args:
        settings_at: The settings that hold in a folder.
        cfg_options: See `judgement_of`.
    """

    from provecfg.findings.fixes import (
        JudgedTarget,  # fixes are asked for now and then, configs are judged all the time
    )

    def judge(target: Path, unsaved: Mapping[Path, str]) -> JudgedTarget:
        judgement = judgement_of(target, cfg_options, unsaved)
        findings = screened([judgement], settings_at, says_unused=True)
        return JudgedTarget(tuple(findings), frozenset(judgement.texts), _values_of(target, unsaved))

    return judge


def _values_of(path: Path, unsaved: Mapping[Path, str]) -> dict[str, Any]:
    """Every value of a config that holds no others, by its dotted path, inheritance applied; nothing for a study."""
    if is_study(path, unsaved.get(path)):
        return {}
    nodes = read_config(path, unsaved=unsaved).root.walk()
    return {
        node.key: f"<{node.value.reason}>" if node.is_opaque else node.value
        for node in nodes
        if not ((node.is_dict or node.is_list) and node.value)
    }


def files_and_studies(targets: Sequence[str], here: Path) -> tuple[list[Path], dict[str, list[Study]]]:
    """What there is to judge: the files that targets stand for, and the studies that others name.

    Args:
        targets: What the user has written: files, folders and names of `provecfg list studies`.
        here: The folder that relative targets start from.

    Returns:
        The files, each once, and name -> what it stands for.

    Raises:
        ProvecfgError: A target does not exist, is close to the name of a study, or stands for nothing.
    """
    named = _studies_among(targets, here)
    return files_of([target for target in targets if target not in named], here), named


def _studies_among(targets: Sequence[str], here: Path) -> dict[str, list[Study]]:
    """Those of the targets that are names of studies."""
    words = [target for target in targets if target not in ("", CONFIGS) and Path(target).name == target]
    absent = [word for word in words if not Path(word).suffix and not os.path.lexists(here / word)]
    if not absent:
        return {}
    from provecfg.study.named import studies_named  # a tenth of a second

    return {word: studies for word in absent if (studies := studies_named(word, here=here))}


def judgement_of_studies(path: Path, studies: Iterable[Study]) -> Judgement:
    """Judge the studies that a name of the catalog stands for, before any selection.

    Args:
        path: What is found is said of it: where a file of that name would stand.
        studies: The studies.
    """
    return Judgement(path, tuple(finding for study in studies for finding in _findings_in_cells(study, path)))


def _findings_in_study(path: Path, text: str | None) -> list[Finding]:
    """What is wrong with a study, and with the configs that it stands for."""
    from provecfg.study.load import read_study

    study, findings = read_study(path, text=text)
    if study is None:
        return findings
    return findings + _findings_in_cells(study, path, text_of_file(path) if text is None else text)


def _findings_in_cells(study: Study, path: Path, text: str | None = None) -> list[Finding]:
    """What is wrong with the configs of a study, as findings in its file; the text is None where it has none."""
    from provecfg.generate.origins import StudyOrigins
    from provecfg.generate.plan import plans_of
    from provecfg.generate.render import render

    # One seed shows what all of them would.
    one_seed = study.model_copy(update={"seeds": study.seeds[:1]})
    origins: StudyOrigins | None = None
    of_cells: dict[tuple[str, str, str], tuple[Finding, list[str]]] = {}
    for plan in plans_of(one_seed):
        view = read_config(path.with_name(f"{plan.name}.py"), text=render(plan))
        for finding in judgement_of_view(view).findings:
            key = (finding.code, finding.key, finding.message)
            if key not in of_cells:
                if origins is None:
                    origins = StudyOrigins(one_seed) if text is None else StudyOrigins(one_seed, path, text)
                made = origins.of(finding.key, plan.header.cell, view) if finding.key else None
                of_cells[key] = (replace(finding, origin=made), [])
            of_cells[key][1].append(plan.name)
    return [_of_study(path, finding, cells) for finding, cells in of_cells.values()]


def _of_study(path: Path, finding: Finding, cells: list[str]) -> Finding:
    """A finding in a study's configs as one of the study, since that is what a user would change."""
    others = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
    message = f"{finding.message} (in {cells[0]}{others})"
    origin = finding.origin
    span = origin.span if origin is not None and origin.filename == path else None
    return replace(finding, filename=path, span=span, fix=None, target=None, message=message)
