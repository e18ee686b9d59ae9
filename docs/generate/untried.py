"""docs/untried.md: the classes that accepted nothing when they were tried, so that nothing is known of their values."""

from __future__ import annotations

from docs.generate.tables import cell
from provecfg.registry.release import RELEASES, load


def untried_page(made: str) -> str:
    """The page.

    Args:
        made: What says of every page that it is made.
    """
    reasons: dict[tuple[str, str], list[str]] = {}
    for release in RELEASES:
        for dotted, reason in load(release).domains.untried.items():
            reasons.setdefault((dotted, reason), []).append(release)
    lines = [
        "# Classes that were not tried",
        "",
        made,
        "These accepted neither the arguments that a shipped config gives them, nor their defaults, nor either with",
        "one flag or one missing argument changed, where the snapshots were made",
        "([how](preconditions.md#by-experiment)). What they refuse is known from their source alone (REG106 to",
        "REG109); REG110 says nothing of them.",
        "",
        "| class | release | it raises |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{dotted}` | {' and '.join(releases)} | {cell(reason)} |"
        for (dotted, reason), releases in sorted(reasons.items())
    ]
    return "\n".join(lines) + "\n"
