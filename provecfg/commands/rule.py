"""`provecfg rule`: what a code means."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

import click

from provecfg import spelling
from provecfg.commands import names
from provecfg.commands.options import Terminal, terminal_options
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.findings.problems import RETIRED

if TYPE_CHECKING:
    from provecfg.findings import Problem


@click.command()
@click.argument("code", required=False, shell_complete=names.completing(names.codes))
@click.option("--all", "everything", is_flag=True, help="Explain every code.")
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@terminal_options
def command(code: str | None, everything: bool, output_format: str, terminal: Terminal) -> int:
    """Explain a code: what is wrong, why it matters, a bad and a good example, and the source."""
    from provecfg.codes import problems

    if everything == (code is not None):
        raise click.UsageError("name one code, or --all")
    if code is None:
        chosen = list(problems().values())
    else:
        by_word = {page.name: page for page in problems().values()} | problems()
        page = by_word.get(code.upper()) or by_word.get(code)
        if code.upper() in RETIRED:
            raise ProvecfgError(
                f"{code.upper()} is retired: {RETIRED[code.upper()]} says it now",
                hint=f"provecfg rule {RETIRED[code.upper()]}",
            )
        if page is None:
            near = spelling.nearest_names(code, by_word, limit=1)
            hint = f"did you mean {near[0]}?" if near else "provecfg list rules shows them all"
            raise ProvecfgError(f"unknown code {code!r}", hint=hint)
        chosen = [page]
    if output_format == "json":
        entries = [as_fields(page) for page in chosen]
        terminal.result(json.dumps(entries if everything else entries[0], indent=2))
    else:
        terminal.result("\n\n".join(map(as_text, chosen)))
    return ExitCode.CLEAN


def as_fields(page: Problem) -> dict[str, Any]:
    """A page as JSON holds it."""
    return {
        "code": page.code,
        "name": page.name,
        "severity": str(page.severity),
        "summary": page.summary,
        "why": page.why,
        "bad": page.bad,
        "good": page.good,
        "known_problems": page.known_problems,
        "source": page.source,
    }


def as_text(page: Problem) -> str:
    """A page as a person reads it."""
    parts = [f"{page.code} {page.name} ({page.severity})", textwrap.fill(page.summary, 100)]
    for heading, text in (
        ("Why it matters", textwrap.fill(page.why, 96)),
        ("Bad", page.bad.rstrip()),
        ("Good", page.good.rstrip()),
        ("Known problems", textwrap.fill(page.known_problems, 96)),
        ("Source", textwrap.fill(page.source, 96)),
    ):
        if text:
            parts.append(f"{heading}:\n{textwrap.indent(text, '    ')}")
    return "\n\n".join(parts)


def as_markdown(page: Problem) -> str:
    """A page as an editor shows it."""
    parts = [f"**{page.code}** `{page.name}` ({page.severity})", page.summary]
    for heading, text in (
        ("Why it matters", page.why),
        ("Bad", _code_block(page.bad)),
        ("Good", _code_block(page.good)),
        ("Known problems", page.known_problems),
        ("Source", page.source),
    ):
        if text:
            parts.append(f"*{heading}*\n\n{text}")
    return "\n\n".join(parts)


def _code_block(code: str) -> str:
    return f"```python\n{code.rstrip()}\n```" if code else ""
