"""The table of docs/proof.md of what a proof finds in the collection of faulty configs.

`python -m tests.proof.fault_table` proves them all and writes the table; the rules of `validate` have no part in it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from provecfg.findings import Finding, Severity, placed
from provecfg.paths import write_atomically

if TYPE_CHECKING:
    from provecfg.proof.prover import Proof

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests/cases/faults"
FAULTS = sorted(CASES.glob("F*/case.json"))
CLEAN = sorted(CASES.glob("clean/*.py"))
PAGE = ROOT / "templates/docs/proof_faults.md"

UNSEEN = {
    "F164": "no effect on training: `draw=False` is the hook's own switch, and a proof does not draw predictions",
}
"""Silent cases that no check sees, and why."""


def is_silent(case: Path) -> bool:
    """Whether the faulty config raises no error at any time."""
    return bool(json.loads(case.read_text(encoding="utf-8"))["silent"])


def prove(paths: Iterable[Path]) -> dict[Path, Proof]:
    """Every check on each config. A package beside the clean configs is on the path, as where they are trained."""
    from provecfg.proof.prover import ProofOptions, prove_configs

    sys.path.append(str(CASES / "clean"))
    try:
        proofs = prove_configs(sorted(set(paths)), ProofOptions(device="cpu"))
        return {proof.path: proof for proof in proofs}
    finally:
        sys.path.remove(str(CASES / "clean"))


def alarms(proof: Proof) -> list[Finding]:
    """The errors and warnings."""
    return [finding for finding in proof.findings if finding.severity is not Severity.NOTE]


def is_within(key: str, other: str) -> bool:
    """Equal, or one is the other's beginning, cut at a dot or bracket."""
    short, long = sorted((key, other), key=len)
    return bool(short) and long.startswith(short) and long[len(short) :][:1] in ("", ".", "[")


def hits(case: Path, proofs: Mapping[Path, Proof]) -> list[tuple[str, Finding]]:
    """What counts as catching the fault, each with the name of the check: as the collection's README defines it."""
    keys = json.loads(case.read_text(encoding="utf-8"))["keys"]
    of_good = {alarm.code for alarm in alarms(proofs[case.with_name("good.py")])}
    bad = proofs[case.with_name("bad.py")]
    counted = {alarm.code for alarm in alarms(bad)} - of_good
    return [
        (timed.section.name, alarm)
        for timed in bad.sections
        for alarm in (placed(finding, case, None) for finding in timed.section.findings)
        if alarm.code in counted and any(is_within(alarm.key, key) for key in keys)
    ]


def table(cases: Iterable[Path], proofs: Mapping[Path, Proof]) -> str:
    """The cases as a Markdown table: by which check and code each is found, or why not."""
    lines = ["| case | mistake | seen by | as |", "|---|---|---|---|"]
    for case in cases:
        told = json.loads(case.read_text(encoding="utf-8"))
        placed_hits = dict.fromkeys((section, hit.code, hit.name) for section, hit in hits(case, proofs))
        sections = ", ".join(dict.fromkeys(section for section, _, _ in placed_hits)) or "-"
        codes = ", ".join(
            f"{code} {name}" for code, name in dict.fromkeys((code, name) for _, code, name in placed_hits)
        )
        reason = UNSEEN.get(told["id"], "not seen")
        lines.append(f"| {told['id']} | {told['title'].replace('|', '/')} | {sections} | {codes or reason} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Prove every silent case and write the table."""
    silent = [case for case in FAULTS if is_silent(case)]
    proofs = prove(case.with_name(name) for case in silent for name in ("bad.py", "good.py"))
    write_atomically(PAGE, table(silent, proofs))
    caught = sum(bool(hits(case, proofs)) for case in silent)
    print(f"{caught} of {len(silent)} silent cases are seen")
    return 0


if __name__ == "__main__":
    sys.exit(main())
