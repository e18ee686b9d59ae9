"""What `compare` is given, read: configs, folders of them, and studies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from provecfg.comparison.cells import Compared, compared
from provecfg.errors import ProvecfgError
from provecfg.findings import Finding, Severity
from provecfg.generate.plan import plans_of
from provecfg.generate.render import render
from provecfg.mmconfig import read_config
from provecfg.study.load import read_study
from provecfg.study.named import studies_named
from provecfg.study.schema import Study
from provecfg.targets import files_of, is_study


def read_targets(targets: Sequence[str], here: Path) -> tuple[list[Compared], list[Finding]]:
    """The configs that targets stand for, in the order named.

    Args:
        targets: Configs, folders, studies, or names of `provecfg list studies`; a study stands for all its cells.
        here: The folder that relative targets start from.

    Returns:
        The configs, and what is wrong with those that cannot be read, and with the studies.

    Raises:
        ProvecfgError: A target that does not exist.
    """
    configs: list[Compared] = []
    problems: list[Finding] = []
    for target in targets:
        if named := studies_named(target, here=here):
            for part in named:
                configs += _cells_of(part, Path(target))
            continue
        for file in files_of([target], here):
            if is_study(file):
                study, findings = read_study(file)
                problems += findings
                configs += _cells_of(study, file) if study is not None else ()
                continue
            view = read_config(file)
            problems += [problem for problem in view.problems if problem.severity is Severity.ERROR]
            if view.is_whole:
                configs.append(compared(view, _name(file, here)))
    return configs, problems


def refuse_alone(configs: Sequence[Compared], targets: Sequence[str]) -> None:
    """Say so where there is nothing to compare.

    Args:
        configs: What was read without problems.
        targets: What was named.

    Raises:
        ProvecfgError: There is one config; says what has it.
    """
    if len(configs) > 1:
        return
    named = ", ".join(targets)
    what = "is a study of one cell" if any(config.study_file for config in configs) else "is one config"
    raise ProvecfgError(f"{named} {what}", hint="name another one to compare it with, or a folder, or a study")


def _cells_of(study: Study, file: Path) -> Iterator[Compared]:
    """The configs of a study, read as if they stood beside its file."""
    for plan in plans_of(study):
        view = read_config(file.with_name(f"{plan.name}.py"), text=render(plan))
        yield compared(view, plan.name, file)


def _name(path: Path, here: Path) -> str:
    """A file as reports name it: from here where it is below."""
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.as_posix()
