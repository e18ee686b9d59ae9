"""What happens to the bad example of each rule that calls it an error: is what the rule claims what is seen?

`python -m tests.rules.claims_table` completes each example to a whole config, has the rules judge it and the real
classes prove it, and writes the table of docs/proof.md. An example whose mistake is an absence (a missing key, a
missing part) may be healed by completing it: then its rule is silent, and the table says so.
"""

from __future__ import annotations

import copy
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provecfg.findings import Finding, Severity
from provecfg.mmconfig import read_config
from provecfg.paths import write_atomically
from provecfg.registry import registry_for
from provecfg.rules import RULES, Rule, judge

if TYPE_CHECKING:
    from provecfg.proof.prover import Proof

ROOT = Path(__file__).parents[2]
BASE = ROOT / "tests/cases/field/_common/base.py"
PAGE = ROOT / "templates/docs/proof_claims.md"
ERRORS = [rule for rule in RULES if rule.severity is Severity.ERROR]


def write_example(rule: Rule, folder: Path) -> Path:
    """The files of a rule's bad example; lines `name.py:` start further ones."""
    parts = re.split(r"^([\w/]+\.(?:py|yaml|json)):\n", rule.problem.bad + "\n", flags=re.MULTILINE)
    for name, text in zip(["config.py", *parts[1::2]], parts[0::2], strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / "config.py"


def completed(example: Any, base: Any) -> Any:
    """An example with what a base has beside it. A dict that names its class is whole; a list is, too."""
    if not isinstance(example, Mapping) or not isinstance(base, Mapping) or "type" in example:
        return copy.deepcopy(example)
    missing = {key: copy.deepcopy(value) for key, value in base.items() if key not in example}
    return {**{key: completed(value, base.get(key)) for key, value in example.items()}, **missing}


def write_whole(rule: Rule, folder: Path) -> Path:
    """The example as a config that could train but for its mistake; itself, where mmengine does not load it."""
    from mmengine.config import Config

    path = write_example(rule, folder)
    try:
        example = Config.fromfile(str(path), import_custom_modules=False).to_dict()
    except Exception:  # that is what the rule is about
        return path
    whole = folder / f"{rule.code.lower()}.py"
    Config(completed(example, Config.fromfile(str(BASE)).to_dict())).dump(str(whole))
    return whole


def is_claimed(rule: Rule, path: Path) -> bool:
    """Whether the rule finds its mistake in the whole config, still."""
    view = read_config(path)
    found = [*view.problems, *judge(view, registry=registry_for(view))]
    return rule.code in {finding.code for finding in found}


def seen(proof: Proof) -> list[Finding]:
    """The errors of a proof, but for files that are nowhere."""
    return [
        finding for finding in proof.findings if finding.severity is Severity.ERROR and finding.code.startswith("PROOF")
    ]


def row(rule: Rule, claimed: bool, proof: Proof) -> str:
    """A rule's line of the table."""
    errors = seen(proof)
    if not claimed:
        told = "completed, the example is right"
    elif errors:
        told = f"{errors[0].code} {errors[0].name}"
    else:
        told = "nothing"
    return f"| {rule.code} | {rule.problem.summary.replace('|', '/')} | {told} |"


def main() -> int:
    """Prove every example and write the table."""
    from provecfg.proof.prover import ProofOptions, prove_configs

    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for rule in ERRORS:
            (place := Path(folder, rule.code)).mkdir()
            paths[rule.code] = write_whole(rule, place)
        claimed = {rule.code: is_claimed(rule, paths[rule.code]) for rule in ERRORS}
        proofs = list(prove_configs(list(paths.values()), ProofOptions(device="cpu")))
    lines = [row(rule, claimed[rule.code], proof) for rule, proof in zip(ERRORS, proofs, strict=True)]
    write_atomically(PAGE, "\n".join(["| rule | mistake | seen |", "|---|---|---|", *lines]) + "\n")
    hit = sum(claimed[rule.code] and bool(seen(proof)) for rule, proof in zip(ERRORS, proofs, strict=True))
    print(
        f"{hit} of {sum(claimed.values())} examples that stay wrong when they are completed fail; {len(ERRORS)} rules"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
