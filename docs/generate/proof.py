"""docs/proof.md: the template's prose around the codes of each check, and the measured tables.

The tables of faults and mutations are written by the scripts that measure them (`python -m tests.proof.fault_table`,
`python -m tests.proof.mutation_table`) and included as they are.
"""

from __future__ import annotations

import importlib

import jinja2

from docs.generate.tables import cell
from provecfg.findings import Problem
from provecfg.paths import templates_dir


def proof_page() -> str:
    """docs/proof.md: what is proved, and what a proof has been seen to find and to miss."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_dir() / "docs"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown
    )
    text = environment.get_template("proof.md.j2").render(codes=_codes)
    return text.rstrip("\n") + "\n"


def _codes(room: str) -> str:
    """The codes of a room, as a table."""
    module = importlib.import_module(f"provecfg.{room}.problems")
    problems = [value for value in vars(module).values() if isinstance(value, Problem)]
    lines = ["| code | severity | finding |", "|---|---|---|"]
    for problem in sorted(problems, key=lambda problem: problem.code):
        link = f"[{problem.code}](rules.md#{problem.code.lower()})"
        lines.append(f"| {link} {problem.name} | {problem.severity} | {cell(problem.summary)} |")
    return "\n".join(lines)
