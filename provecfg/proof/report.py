"""Proofs for people, and as receipts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from provecfg.findings.reporters import report
from provecfg.proof.prover import Proof
from provecfg.proof.receipt import FAILED, PROVED, Receipt, code_of, made_now
from provecfg.proof.section import Section
from provecfg.training.fingerprint import digests_of

_MARGIN = 16
"""Columns of the sections' names."""


def as_text(proof: Proof) -> str:
    """The whole proof: each section with what it saw. What is wrong is not in it; reporters write that."""
    return "\n".join([_headline(proof), *(line for timed in proof.sections for line in _lines(timed.section))])


def _headline(proof: Proof) -> str:
    verdict = PROVED if proof.is_proved else "not proved"
    return f"{proof.path}: {verdict} in {proof.seconds:.1f} s on {proof.device}"


def _lines(section: Section) -> Iterator[str]:
    lines = section.lines
    if section.not_judged is not None:
        lines = (*lines, f"not judged: {section.not_judged}")
    if section.has_errors:
        count = len(section.findings)
        lines = (*lines, f"FAILED: {count} finding{'s' * (count != 1)}, below")
    for index, line in enumerate(lines or ("proved",)):
        yield f"  {section.name if index == 0 else '':{_MARGIN}}{line}".rstrip()


def as_line(proof: Proof) -> str:
    """The verdict on one line, with the total loss where it is known."""
    equation = next(
        (
            line
            for timed in proof.sections
            for line in timed.section.lines
            if timed.section.name == "equation" and line.startswith("total = ")
        ),
        "",
    )
    return f"{_headline(proof)}{f'; {equation}' if equation else ''}"


def receipt_of(proof: Proof) -> Receipt:
    """What the proof leaves behind."""
    config = proof.config or {}
    made, versions = made_now()
    return Receipt(
        name=proof.path.stem,
        config=str(proof.path.absolute()),
        verdict=PROVED if proof.is_proved else FAILED,
        digests=digests_of(config),
        code=code_of(config, proof.path.parent),
        versions=versions,
        device=proof.device,
        made=made,
        seconds=round(proof.seconds, 3),
        sections=[
            {
                "name": timed.section.name,
                "proved": timed.section.is_proved,
                "not_judged": timed.section.not_judged,
                "seconds": round(timed.seconds, 3),
                "lines": list(timed.section.lines),
                "evidence": dict(timed.section.evidence),
            }
            for timed in proof.sections
        ],
        findings=findings_as_data(proof),
    )


def findings_as_data(proof: Proof) -> list[dict[str, Any]]:
    """What is wrong, as `--output-format json` writes it."""
    findings: list[dict[str, Any]] = json.loads(report(proof.findings, format="json"))
    return findings


def receipts_as_text(receipts: Sequence[Receipt]) -> str:
    """One receipt as a JSON object, several as an array."""
    data = [receipt.as_data() for receipt in receipts]
    return json.dumps(data[0] if len(data) == 1 else data, indent=2, allow_nan=False)
