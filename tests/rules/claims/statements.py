"""What a rule's text claims about its bad example: read from its words, so that each fact is written once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from provecfg.findings import Problem
from tests.rules.claims.trial import Moment, Outcome

_MOMENTS: Final = {
    Moment.LOAD: r"config is loaded|to load the config",
    Moment.BUILD: (
        r"when (the \w+|it|they|she|a part|schedulers|the schedulers) (is|are) built|before the first iteration"
        r"|when (training|the run) starts|when it builds"
    ),
    Moment.ITERATION: r"first (training )?(iteration|batch|forward|image|step)|data loader's workers",
    Moment.VALIDATION: r"first validation",
    Moment.CHECKPOINT: r"first saves",
}
_FAILS: Final = re.compile(
    r"\b(fails?|raises?(?! it\b)|refuses?|refused|asserts?|assertion|\w+Error|an error|cannot be (built|loaded))\b"
    r"(?! until)"
)
_NOTHING_FAILS: Final = re.compile(r"\b[Nn]othing (fails|refuses)\b")
_ALSO_RUNS: Final = re.compile(
    r"\b(trains|is trained as|nothing is trained|without a word|no effect|changes nothing|climbs|imports nothing)\b"
    r"|\b(if no|if it does not fail)\b",
    re.IGNORECASE,
)
_ERROR: Final = re.compile(r"\b([A-Z]\w*Error)\b")
_QUOTED: Final = re.compile(r'(?<!\w)"(\w[^"]* [^"]+ [^"]*\w)"')
"""What an error says: three words at least, since a text quotes names, too."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What is said to come of a bad example.

    Args:
        fails: Whether it says that something fails.
        runs: Whether it says that something is wrong and nothing fails. Of both, either may be seen: a text speaks of
            more than its example.
        moments: When it fails; any, where none is said.
        errors: The classes of what is raised; any, where none is said.
        words: What is in the error's text.
    """

    fails: bool
    runs: bool
    moments: frozenset[Moment] = frozenset()
    errors: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()

    def is_seen_in(self, outcome: Outcome) -> bool:
        """Whether it is what was seen."""
        if outcome.moment is None:
            return self.runs
        return (
            self.fails
            and (not self.moments or outcome.moment in self.moments)
            and (not self.errors or outcome.error in self.errors)
            and all(words in outcome.words for words in self.words)
        )

    def __str__(self) -> str:
        if not self.fails:
            return "runs"
        what = " or ".join(sorted(self.errors)) or "fails"
        when = " or ".join(moment.value for moment in Moment if moment in self.moments)
        return f"{what} {when}".rstrip() + (", or runs" if self.runs else "")


def claim_of(problem: Problem) -> Claim:
    """What the text of a rule claims."""
    text = f"{problem.summary} {problem.why}"
    without_nothing = _NOTHING_FAILS.sub("", text)
    words = tuple(_QUOTED.findall(text))
    if _FAILS.search(without_nothing) is None and not words:
        return Claim(fails=False, runs=True)
    errors = set(_ERROR.findall(text))
    if re.search(r"\basser(ts|tion)\b", text):
        errors.add("AssertionError")
    return Claim(
        fails=True,
        runs=_ALSO_RUNS.search(text) is not None or without_nothing != text,
        moments=frozenset(moment for moment, words in _MOMENTS.items() if re.search(words, text)),
        errors=frozenset(errors),
        words=words,
    )
