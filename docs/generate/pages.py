"""Write the files that are made from the definitions: `python -m docs.generate [--check]`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from docs.generate.losses import losses_page
from docs.generate.proof import proof_page
from docs.generate.tables import cell, field_table
from docs.generate.untried import untried_page
from provecfg.cli import provecfg
from provecfg.codes import FAMILIES, problems
from provecfg.findings import Problem, family_of
from provecfg.help_page import HELP_FILE, WIDTH, source_digest
from provecfg.paths import write_atomically
from provecfg.study.json_schema import SHIPPED_SCHEMA, study_schema
from provecfg.study.schema import Study

PROJECT = Path(__file__).parents[2]
_MADE = "<!-- Made by `python -m docs.generate` from the definitions; do not edit. -->\n"


def rules_page() -> str:
    """docs/rules.md: every code."""
    lines = [
        "# Rules",
        "",
        _MADE,
        "`error`: the config fails, or does something other than it declares. `warning`: it runs, and is probably not",
        "what was meant. `note`: worth knowing; never changes the exit code. `# provecfg: ignore[CODE] reason` on a",
        "line silences a code there.",
        "",
    ]
    for family, title in FAMILIES.items():
        of_family = [page for page in problems().values() if family_of(page.code) == family]
        lines += [f"## {family}: {title}", "", "| code | name | severity | |", "|---|---|---|---|"]
        lines += [
            f"| [{page.code}](#{page.code.lower()}) | {page.name} | {page.severity} | {cell(page.summary)} |"
            for page in of_family
        ]
        lines.append("")
        for page in of_family:
            lines += _rule(page)
    return "\n".join(lines).rstrip("\n") + "\n"


def _rule(page: Problem) -> Iterator[str]:
    yield f"### {page.code}"
    yield ""
    yield f"**{page.name}** ({page.severity}). {page.summary}"
    yield ""
    if page.why:
        yield from (f"*Why it matters.* {page.why}", "")
    language = "yaml" if page.code.startswith("CFG1") else "python"
    for heading, example in (("Bad", page.bad), ("Good", page.good)):
        if example:
            yield from (f"{heading}:", "", f"```{language}", example.rstrip("\n"), "```", "")
    if page.known_problems:
        yield from (f"*Known problems.* {page.known_problems}", "")
    if page.source:
        yield from (f"*Source.* {page.source}", "")


def study_page() -> str:
    """docs/study.md: every field of a study file."""
    schema = Study.model_json_schema()
    lines = [
        "# The study file",
        "",
        _MADE,
        "YAML. Every field but `name` has a default, so that `name` alone is the loss study. `provecfg generate --set",
        "FIELD=VALUE` replaces any field by its dotted path; `provecfg schema` prints the JSON Schema, for editors.",
        "",
        str(Study.__doc__),
        "",
    ]
    lines += field_table(schema["properties"])
    for name in _in_order(schema):
        definition = schema["$defs"][name]
        lines += [f"## {name}", "", definition.get("description", ""), ""]
        lines += field_table(definition["properties"])
    return "\n".join(lines).rstrip("\n") + "\n"


def _in_order(schema: dict[str, Any]) -> list[str]:
    """The definitions in the order in which the study's fields lead to them."""
    definitions: dict[str, None] = {}
    pending = [schema["properties"]]
    while pending:
        part = pending.pop(0)
        if isinstance(part, dict):
            if "$ref" in part and (name := part["$ref"].rsplit("/", 1)[1]) not in definitions:
                definitions[name] = None
                pending.append(schema["$defs"][name]["properties"])
            pending += part.values()
        elif isinstance(part, list):
            pending += part
    return list(definitions)


def shipped_schema() -> str:
    """The JSON Schema of a study, a file of the package."""
    return json.dumps(study_schema(), indent=2) + "\n"


def help_text() -> str:
    """What `provecfg --help` prints, behind what it was made of: a file of the package."""
    context = provecfg.make_context("provecfg", [], resilient_parsing=True, terminal_width=WIDTH - 2)
    return f"{source_digest()}\n{provecfg.get_help(context)}\n"


PAGES: dict[str, Callable[[], str]] = {
    "docs/losses.md": losses_page,
    "docs/proof.md": proof_page,
    "docs/rules.md": rules_page,
    "docs/study.md": study_page,
    "docs/untried.md": lambda: untried_page(_MADE),
    f"provecfg/{Path(HELP_FILE).name}": help_text,
    f"provecfg/study/{SHIPPED_SCHEMA.name}": shipped_schema,
}
"""Path from the project's folder to what writes the file."""


def main(arguments: list[str]) -> int:
    """Write the files, or with --check say which are out of date."""
    stale = []
    for name, write in PAGES.items():
        path, text = PROJECT / name, write()
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            write_atomically(path, text)
    for name in stale:
        print(f"{name}: {'out of date' if '--check' in arguments else 'written'}")
    return 1 if stale and "--check" in arguments else 0
