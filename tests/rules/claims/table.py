"""docs/claims.md: what the rules' texts claim, and what the real classes do: `python -m tests.rules.claims.table`.

Every rule's bad and good example is made a whole config and run. What was seen is kept beside, by the rule's examples
and the versions of the stack, so that a run that was stopped goes on, and a changed rule alone is tried again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from docs.generate.tables import cell
from docs.generate.zoo import installed_configs
from provecfg.digest import digest_of
from provecfg.findings import Problem, Severity
from provecfg.paths import write_atomically
from provecfg.rules import RULES
from tests.rules.claims.completion import whole_examples
from tests.rules.claims.statements import claim_of
from tests.rules.claims.trial import ITERATIONS, Moment, Outcome, Trial, last_of, outcomes
from tests.rules.examples import NEED_RELEASE

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = ROOT / "docs/claims.md"
SEEN: Final = ROOT / "build/claims.json"

_INTRODUCTION: Final = f"""\
Many rules say that something fails: that a part cannot be built, that the first iteration ends with a KeyError. `make
claims` makes a whole config of each such rule's bad and good example: the rest is a config of mmsegmentation's own,
with images an eighth of their size, drawn so that each shows every class. The real classes run it on a CPU: they are
built, trained for {ITERATIONS} iterations and validated, and a checkpoint is saved; no further than the text goes.
*Claimed* is read from the text's own words: what is raised, and when. Where a text says both that it fails and that it
runs, either is right, since it speaks of more than its example. The good example has to go through.
"""
_WIDEST: Final = 90
"""Characters of an error's text that are shown."""

NOT_TRIED: Final = {
    "DATA044": "needs albumentations, which is not installed",
    "REG101": "of classes in files beside the config",
    "RUN014": "needs mlflow, which is not installed",
    **{code: f"in the {release} release alone, which is not installed" for code, release in NEED_RELEASE.items()},
}
"""Rules whose claim is not tried, and why."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of the examples of a rule.

    Args:
        bad, good: None where neither could be run.
    """

    bad: Outcome | None = None
    good: Outcome | None = None


def tried_problems() -> list[Problem]:
    """Errors and warnings that say that something fails, in order."""
    return [rule.problem for rule in RULES if rule.severity is not Severity.NOTE and claim_of(rule.problem).fails]


def verdict(problem: Problem, seen: Seen) -> str:
    """Whether what a text claims is what was seen."""
    if seen.bad is None or seen.good is None:
        return "cannot be tried"
    if seen.good.moment is not None:
        return "wrong: the good example fails"
    return "right" if claim_of(problem).is_seen_in(seen.bad) else "wrong"


def row(problem: Problem, seen: Seen) -> str:
    """A line of the table."""
    what = NOT_TRIED.get(problem.code, "the rule finds nothing in a whole config made of its example")
    if seen.bad is not None:
        what = _in_words(seen.bad)
    claim = claim_of(problem)
    link = f"[{problem.code}](rules.md#{problem.code.lower()})"
    return f"| {link} {problem.name} | {claim} | {cell(what)} | {verdict(problem, seen)} |"


def _in_words(outcome: Outcome) -> str:
    if outcome.moment is None:
        return "runs"
    words = " ".join(outcome.words.replace("`", "").split())
    words = words if len(words) <= _WIDEST else f"{words[: _WIDEST - 3]}..."
    return f"{outcome.error} {outcome.moment.value}" + (f": `{words}`" if words else "")


def page(seen: Mapping[str, Seen]) -> str:
    """The page, of what was seen of each rule by its code."""
    problems = [problem for problem in tried_problems() if problem.code in seen]
    counts = Counter(verdict(problem, seen[problem.code]).partition(":")[0] for problem in problems)
    figures = ", ".join(f"{counts[kind]} {kind}" for kind in ("right", "wrong", "cannot be tried") if counts[kind])
    made = f"<!-- Written by `make claims`, with {installed_configs()[0]}. -->"
    total = f"{len(problems)} of {len(RULES)} rules say that something fails: {figures}."
    rows = [row(problem, seen[problem.code]) for problem in problems]
    return "\n".join(
        ["# What the rules claim, and what happens", "", made, "", _INTRODUCTION, total, "", *_HEAD, *rows, ""]
    )


_HEAD: Final = ("| rule | claimed | seen | |", "|---|---|---|---|")


def seen_of(problem: Problem) -> Seen:
    """Make a rule's examples whole and run them."""
    if problem.code in NOT_TRIED:
        return Seen()
    with tempfile.TemporaryDirectory(prefix="claims-") as folder:
        whole = whole_examples(problem, Path(folder))
        if whole is None:
            return Seen()
        last = last_of(claim_of(problem).moments)
        trials = [Trial(text, whole.good, last) for text in (whole.bad, whole.good)]
        return Seen(*outcomes(trials, Path(folder)))


def digest(problem: Problem) -> str:
    """Of all that an outcome comes from, but the trials' own code."""
    return digest_of([problem.code, problem.bad, problem.good, installed_configs()[0]])


def read_seen(path: Path) -> dict[str, dict[str, Any]]:
    """What an earlier run has seen, by code; with `digest`."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _as_json(seen: Seen, of: str) -> dict[str, Any]:
    kept: dict[str, Any] = {"digest": of}
    for name, outcome in (("bad", seen.bad), ("good", seen.good)):
        if outcome is not None:
            moment = None if outcome.moment is None else outcome.moment.name
            kept[name] = {**dataclasses.asdict(outcome), "moment": moment}
    return kept


def _from_json(kept: Mapping[str, Any]) -> Seen:
    return Seen(*(_outcome(kept[name]) if name in kept else None for name in ("bad", "good")))


def _outcome(kept: Mapping[str, Any]) -> Outcome:
    moment = None if kept["moment"] is None else Moment[kept["moment"]]
    return Outcome(moment, kept["error"], kept["words"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Try what was not tried yet, say what is wrong, and write the page once every rule was tried."""
    parser = argparse.ArgumentParser(prog="python -m tests.rules.claims.table", description=__doc__)
    parser.add_argument("codes", nargs="*", help="beginnings of the codes to try again; all, but those seen, without")
    options = parser.parse_args(arguments)
    kept = read_seen(SEEN)
    for problem in tried_problems():
        chosen = problem.code.startswith(tuple(options.codes)) if options.codes else True
        is_fresh = kept.get(problem.code, {}).get("digest") == digest(problem)
        if not chosen or (is_fresh and not options.codes):
            continue
        seen = seen_of(problem)
        kept[problem.code] = _as_json(seen, digest(problem))
        write_atomically(SEEN, json.dumps(kept, indent=1))
        print(row(problem, seen), flush=True)
    seen_by_code = {code: _from_json(of) for code, of in kept.items()}
    wrong = [
        problem.code
        for problem in tried_problems()
        if problem.code in seen_by_code and verdict(problem, seen_by_code[problem.code]).startswith("wrong")
    ]
    if {problem.code for problem in tried_problems()} <= set(seen_by_code):
        write_atomically(PAGE, page(seen_by_code))
    print(f"{len(seen_by_code)} tried; wrong: {', '.join(wrong) or 'none'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
