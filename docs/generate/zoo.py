"""What the rules say about the configs that mmseg ships: `python -m docs.generate.zoo docs/zoo.md`.

The configs are mmsegmentation's own, so a warning has to be one that their authors would thank for.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from provecfg.errors import ProvecfgError
from provecfg.findings import Finding, Severity
from provecfg.generate.plan import plans_of
from provecfg.generate.render import render
from provecfg.mmconfig import read_config
from provecfg.mmconfig.shipped_bases import whole_configs
from provecfg.paths import templates_dir
from provecfg.rules.judge import judge
from provecfg.rules.table import RULES
from provecfg.study.load import study_from_fields
from provecfg.study.schema import Study
from provecfg.validate import judgement_of_view

REPOSITORIES = templates_dir() / "docs" / "zoo_repositories.md"
"""What was found in the configs of others, which are not here."""
DISTRIBUTIONS = ("onedl-mmsegmentation", "mmsegmentation")


def installed_configs() -> tuple[str, Path]:
    """Name and version of the installed mmsegmentation, and the folder of its configs. Nothing of it is imported.

    Raises:
        ProvecfgError: It is not installed.
    """
    for name in DISTRIBUTIONS:
        try:
            installed = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        folder = Path(str(installed.locate_file("mmseg/.mim/configs")))
        if folder.is_dir():
            return f"{name} {installed.version}", folder
    raise ProvecfgError("mmsegmentation is not installed", hint="pip install 'provecfg[train]'")


def leaf_configs(folder: Path) -> list[Path]:
    """The configs that are no bases, in order."""
    return sorted(path for path in folder.glob("*/*.py") if path.parent.name != "_base_")


def findings(configs: Sequence[Path]) -> dict[Path, list[Finding]]:
    """What is found in each config, notes left out."""
    by_config = {}
    for path in configs:
        view = read_config(path)
        by_config[path] = [
            finding for finding in (*view.problems, *judge(view)) if finding.severity is not Severity.NOTE
        ]
    return by_config


def report(release: str, folder: Path) -> str:
    """The findings as a Markdown page, by code."""
    configs = leaf_configs(folder)
    by_code: dict[str, dict[tuple[str, str], list[str]]] = defaultdict(lambda: defaultdict(list))
    clean = 0
    for path, of_config in findings(configs).items():
        clean += not of_config
        for finding in of_config:
            by_code[finding.code][finding.key, finding.message].append(path.relative_to(folder).as_posix())
    lines = [
        "# What provecfg says about mmsegmentation's own configs",
        "",
        f"<!-- Written by `python -m docs.generate.zoo`, from {release}. -->",
        "",
        f"{release} ships {len(configs)} configs that are no bases. {clean} of them have no finding; what the others "
        "have is listed below, each with what it does in training. Paths are below mmsegmentation's `configs/`.",
        "",
        "| code | severity | name | configs |",
        "|---|---|---|---|",
    ]
    pages = {rule.code: rule.problem for rule in RULES}
    for code in sorted(by_code):
        page = pages.get(code)
        files = {file for where in by_code[code].values() for file in where}
        if page is not None:
            lines.append(f"| {code} | {page.severity} | {page.name} | {len(files)} |")
    for code in sorted(by_code):
        page = pages.get(code)
        if page is None:
            continue
        lines += ["", f"## {code} {page.name}", "", f"{page.summary} {page.why[:1].upper()}{page.why[1:]}", ""]
        for (key, message), where in sorted(by_code[code].items()):
            lines.append(f"- `{key}`: {message}")
            lines += [f"  - {file}" for file in dict.fromkeys(where)]
    return "\n".join(lines) + "\n"


LOSSES = ("none", "focal")
"""The auxiliary losses that each config is tried with: none, and one of the plugin's."""


@dataclass
class Cells:
    """What becomes of mmsegmentation's configs as models of a study.

    Args:
        clean: Those whose every cell has no error, with the losses that they were tried with.
        refused: Those that no study takes, by the reason.
        without_auxiliary: Those that take no auxiliary loss, by the reason.
        found: Warnings and errors in cells, by code, key and message.
    """

    clean: int = 0
    refused: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    without_auxiliary: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    found: dict[tuple[str, str, str], dict[str, None]] = field(default_factory=lambda: defaultdict(dict))


def cells() -> Cells:
    """Make cells of every shipped config, on BDD10k, and judge them."""
    result = Cells()
    for name, path in whole_configs().items():
        study, findings = _study(name, LOSSES)
        if study is None:
            study, still = _study(name, LOSSES[:1])
            reasons = result.refused if study is None else result.without_auxiliary
            reasons[(still or findings)[0].message.partition(": ")[2]].append(path)
        if study is None:
            continue
        errors = 0
        for plan in plans_of(study):
            view = read_config(Path("/cells") / f"{plan.name}.py", text=render(plan))
            for finding in judgement_of_view(view).findings:
                if finding.severity > Severity.NOTE:
                    result.found[finding.code, finding.key, finding.message][path] = None
                errors += finding.severity is Severity.ERROR
        result.clean += not errors
    return result


def _study(name: str, auxiliary: Sequence[str]) -> tuple[Study | None, list[Finding]]:
    return study_from_fields({"name": "zoo", "models": [name], "losses": {"auxiliary": list(auxiliary)}})


def cells_report() -> str:
    """The second part of the page."""
    result = cells()
    lines = [
        "",
        "# The same configs as models of a study",
        "",
        f"Each is the base of two cells on BDD10k, cross-entropy alone and with 0.3 focal beside it. {result.clean} of "
        f"{len(whole_configs())} give cells without an error; {sum(map(len, result.refused.values()))} are refused.",
        "",
        "| what | reason | configs |",
        "|---|---|---|",
    ]
    for what, reasons in (("refused", result.refused), ("no auxiliary loss", result.without_auxiliary)):
        lines += [f"| {what} | {reason} | {', '.join(paths)} |" for reason, paths in sorted(reasons.items())]
    lines += ["", "What is found in cells is their bases' own:", ""]
    for (code, key, message), paths in sorted(result.found.items()):
        lines.append(f"- {code} `{key}`: {message} ({', '.join(paths)})")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, or with `--check` say whether it is fresh."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate.zoo", description=__doc__)
    parser.add_argument("page", type=Path, help="the file to write, docs/zoo.md")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 where the page would change")
    options = parser.parse_args(arguments)
    try:
        text = report(*installed_configs()) + cells_report() + REPOSITORIES.read_text(encoding="utf-8")
    except ProvecfgError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    if options.check:
        fresh = options.page.is_file() and options.page.read_text(encoding="utf-8") == text
        if not fresh:
            print(f"{options.page} is not what the rules say now; write it with {parser.prog} {options.page}")
        return 0 if fresh else 1
    options.page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
