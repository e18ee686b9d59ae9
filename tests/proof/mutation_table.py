"""The tables of docs/proof.md of what `validate` and `prove` make of mutated configs.

`python -m tests.proof.mutation_table` judges every mutant, proves those that the rules leave alive and a sample of the
others, and writes the tables.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from provecfg.findings import Finding, Severity
from provecfg.mmconfig import read_config
from provecfg.parallel import map_in_processes
from provecfg.paths import write_atomically
from provecfg.rules import judge
from tests.proof.mutation_operators import OPERATORS
from tests.proof.mutations import SEED, Mutant, mutants

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "templates/docs/proof_mutations.md"
SAMPLE = 48
"""Mutants that the rules kill, and that are proved all the same, to see what the proof knows by itself."""

DEFENDED = {
    ("checkpoints never", "5000 -> -1"): "`interval=-1` is the hook's own way to say that only the best and the last "
    "checkpoint are kept, and `save_best` names the metric.",
    ("batch of one under batch norm", "2 -> 1"): "SyncBN has the images of all processes, and no config says how many "
    "there are: right on two and more. `run`, which starts them, refuses it on one.",
}
"""Mutants that both judges leave alive: operator and what it did -> why that is right."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant.

    Args:
        mutant: It.
        rules: Codes of the rules that found an error or a warning.
        proof: Codes that the proof found, or None where it was not proved.
    """

    mutant: Mutant
    rules: tuple[str, ...]
    proof: tuple[str, ...] | None = None


def all_mutants() -> list[Mutant]:
    """Those that the tables are of."""
    return mutants((ROOT / "generated").glob("*.py"), OPERATORS)


def judged(mutants: Sequence[Mutant]) -> list[Verdict]:
    """What the rules say of each."""
    with tempfile.TemporaryDirectory(prefix="provecfg-mutants-") as folder:

        def judge_one(mutant: Mutant) -> Verdict:
            path = written(mutant, Path(folder))
            view = read_config(path)
            return Verdict(mutant, _codes((*view.problems, *judge(view))))

        return map_in_processes(judge_one, mutants)


def sample_of(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Some of those that the rules kill, of different operators; the same ones each time, in the same order."""
    killed = [verdict for verdict in verdicts if verdict.rules]
    random.Random(SEED).shuffle(killed)
    of_operator = {verdict.mutant.operator: verdict for verdict in reversed(killed)}
    chosen = {id(verdict) for verdict in of_operator.values()}
    return [verdict for verdict in killed if id(verdict) in chosen][:SAMPLE]


def proved(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The same with what a proof finds."""
    from provecfg.proof.prover import ProofOptions, prove_configs

    with tempfile.TemporaryDirectory(prefix="provecfg-mutants-") as folder:
        paths = [written(verdict.mutant, Path(folder)) for verdict in verdicts]
        proofs = list(prove_configs(paths, ProofOptions(device="cpu")))
    return [
        Verdict(verdict.mutant, verdict.rules, _codes(proof.findings))
        for verdict, proof in zip(verdicts, proofs, strict=True)
    ]


def written(mutant: Mutant, folder: Path) -> Path:
    """The mutant as a file."""
    path = folder / f"{mutant.name}.py"
    path.write_text(mutant.text, encoding="utf-8")
    return path


def _codes(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(sorted({finding.code for finding in findings if finding.severity is not Severity.NOTE}))


def tables(verdicts: Sequence[Verdict], alive: Sequence[Verdict], sample: Sequence[Verdict]) -> str:
    """The Markdown: a table of operators, the survivors with their defence, and the sample.

    Args:
        verdicts: Of all mutants, by the rules.
        alive: Those of them that the rules leave alive, proved.
        sample: Some of the others, proved.
    """
    by_proof = {verdict.mutant.name: verdict for verdict in alive}
    made = Counter(verdict.mutant.operator for verdict in verdicts)
    by_rules = Counter(verdict.mutant.operator for verdict in verdicts if verdict.rules)
    only_proof = Counter(verdict.mutant.operator for verdict in alive if verdict.proof)
    survivors = [verdict for verdict in alive if not verdict.proof]
    left = Counter(verdict.mutant.operator for verdict in survivors)
    lines = [
        f"{len(verdicts)} mutants by {len(made)} operators: {sum(by_rules.values())} killed by `validate`, "
        f"{sum(only_proof.values())} by `prove` alone, {len(survivors)} alive.",
        "",
        *_survivors(survivors),
        f"Of {len(sample)} mutants that the rules kill, each of another operator, the proof by itself kills "
        f"{sum(bool(verdict.proof) for verdict in sample)}; those that it does not are",
        "",
        *(f"- {_named(verdict.mutant)} ({', '.join(verdict.rules)})" for verdict in sample if not verdict.proof),
        "",
        "| mistake | what a run does | mutants | by `validate` | by `prove` alone | alive | codes |",
        "|---|---|---|---|---|---|---|",
    ]
    codes = _codes_of_operators(verdicts, by_proof)
    lines += [
        f"| {operator.name} | {operator.truth} | {made[operator.name]} | {by_rules[operator.name]} | "
        f"{only_proof[operator.name] or ''} | {left[operator.name] or ''} | {', '.join(codes[operator.name])} |"
        for operator in OPERATORS
    ]
    return "\n".join(lines) + "\n"


def _codes_of_operators(verdicts: Iterable[Verdict], by_proof: Mapping[str, Verdict]) -> dict[str, list[str]]:
    """The codes that an operator's mutants were killed with, the most frequent first, three at most."""
    counts: dict[str, Counter[str]] = {operator.name: Counter() for operator in OPERATORS}
    for verdict in verdicts:
        proof = by_proof.get(verdict.mutant.name)
        counts[verdict.mutant.operator].update(verdict.rules or (proof.proof if proof and proof.proof else ()))
    return {
        name: [code for code, _ in sorted(count.items(), key=lambda item: (-item[1], item[0]))[:3]]
        for name, count in counts.items()
    }


def _survivors(survivors: Sequence[Verdict]) -> Iterable[str]:
    if not survivors:
        return
    yield from ("| alive | why that is right |", "|---|---|")
    for verdict in survivors:
        mutant = verdict.mutant
        yield f"| {_named(mutant)} | {DEFENDED.get((mutant.operator, mutant.what), 'not defended')} |"
    yield ""


def _named(mutant: Mutant) -> str:
    what = mutant.what if len(mutant.what) < 60 else f"{mutant.what[:57]}..."
    return f"{mutant.operator}: `{mutant.key}` {' '.join(what.split())} in {mutant.config}"


def main() -> int:
    """Judge and prove, and write the tables."""
    verdicts = judged(all_mutants())
    alive = [verdict for verdict in verdicts if not verdict.rules]
    sample = sample_of(verdicts)
    both = proved([*alive, *sample])
    write_atomically(PAGE, tables(verdicts, both[: len(alive)], both[len(alive) :]))
    print(PAGE.read_text(encoding="utf-8").split("\n")[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
