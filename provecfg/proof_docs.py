"""docs/proof.md: the template's prose around the codes of each check, and the measured tables.

The tables of faults and mutations are written by the scripts that measure them (`python -m tests.proof.fault_table`,
`python -m tests.proof.mutation_table`) and included as they are.
"""

from __future__ import annotations

import jinja2

from provecfg.field_tables import cell
from provecfg.paths import templates_dir
from provecfg.proof import problems


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


def _codes(family: str) -> str:
    """The codes of one check, as a table; nothing where it has none."""
    found = getattr(problems, family).PROBLEMS
    lines = ["| code | severity | finding |", "|---|---|---|"]
    for problem in sorted(found, key=lambda problem: problem.code):
        link = f"[{problem.code}](rules.md#{problem.code.lower()})"
        lines.append(f"| {link} {problem.name} | {problem.severity} | {cell(problem.title)} |")
    return "\n".join(lines)
