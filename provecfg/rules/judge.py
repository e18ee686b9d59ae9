"""Run every rule on a config."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import Final

from provecfg.errors import wants_traceback
from provecfg.facts.facts import Facts
from provecfg.findings import Finding, Severity, in_file_order
from provecfg.mmconfig import ConfigView
from provecfg.mmconfig.problems import KEYS_LOST, MISSING_BASE
from provecfg.registry import Registry
from provecfg.registry.layout import PHASES
from provecfg.rules.names.mined import ABOUT_MMCV_1, MINED
from provecfg.rules.rule import Rule
from provecfg.rules.table import RULES

MOST_FINDINGS: Final = 200
"""Of one rule in one config: more than any real one has, and little enough to work out for a hostile one."""


def judge(view: ConfigView, *, rules: Iterable[Rule] = RULES, registry: Registry | None = None) -> list[Finding]:
    """What every rule finds in a config, in file order. The reader's own findings are in `view.problems`.

    Args:
        view: The config.
        rules: Others than all of them.
        registry: What the classes accept; that of the installed release unless given.
    """
    if any(finding.problem is MISSING_BASE for finding in view.problems):
        return []  # whatever is found without it may be its absence
    facts = Facts(view, registry)
    if facts.is_of_mmcv_1:
        rules = [rule for rule in rules if rule.code in ABOUT_MMCV_1]
    is_whole = not any(finding.problem in KEYS_LOST for finding in view.problems)
    findings: list[Finding] = []
    silent = facts.silent
    for rule in rules:
        if rule.check in silent or (rule.needs_whole and not is_whole):
            continue
        facts.reads = set()
        try:
            of_rule = list(islice(rule(facts), MOST_FINDINGS))
        except Exception as error:
            if wants_traceback():
                raise
            of_rule = [_bug(rule, view, error)]
        findings += of_rule
        if not of_rule:
            facts.class_cache.silences.learn(rule.check, facts)
    return in_file_order(_once(_without_echoes(findings)))


def _bug(rule: Rule, view: ConfigView, error: Exception) -> Finding:
    return Finding(
        replace(rule.problem, severity=Severity.WARNING),
        f"this rule failed on this config, which is a mistake in provecfg: {type(error).__name__}: {error}",
        filename=view.path,
        hint="the other rules were judged; PROVECFG_FULL_ERROR=1 shows where it failed",
    )


def _without_echoes(findings: list[Finding]) -> list[Finding]:
    """The findings without mined ones about a value of which a rule of its own says what is wrong."""
    own = [finding for finding in findings if finding.code not in MINED and finding.severity is not Severity.NOTE]
    return [
        finding
        for finding in findings
        if finding.code not in MINED or not any(_is_about_the_same(finding, other) for other in own)
    ]


def _is_about_the_same(mined: Finding, own: Finding) -> bool:
    """Whether both are about one value: the keys are equal, or one leads into the other, or both are of one phase.

    A warning is only where it names the very key, or one of the dict's that the mined finding is about.
    """
    if own.severity is Severity.ERROR and any(mined.key in phase and own.key in phase for phase in PHASES.values()):
        return True
    short, long = sorted((mined.key, own.key), key=len)
    if not short or not long.startswith(short) or long[len(short) :][:1] not in ("", ".", "["):
        return False
    rest = own.key.removeprefix(mined.key)
    return own.severity is Severity.ERROR or (own.key.startswith(mined.key) and rest.count(".") <= 1)


def _once(findings: list[Finding]) -> list[Finding]:
    """Each finding once: a value that is used at several places is mentioned where it is used first."""
    firsts: dict[tuple[object, ...], Finding] = {}
    for finding in findings:
        where = (finding.filename, finding.span) if finding.span else (finding.key,)
        firsts.setdefault((finding.code, finding.message, *where), finding)
    return list(firsts.values())
