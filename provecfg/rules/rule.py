"""What a rule is: one small function whose docstring is its documentation.

```python
@rule("STOP004", Severity.ERROR)
def negative_min_delta(facts: Facts) -> Iterator[Mark]:
    \"\"\"...\"\"\"
```

The code is written once, here; the name is the function's.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provecfg.findings import Finding, Fix, Problem, Severity
from provecfg.mmconfig import Node

if TYPE_CHECKING:
    from provecfg.facts.facts import Facts

_SECTION = re.compile(r"^(Why it matters|Bad|Good|Known problems|Source):[ \t]*(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a rule points, and what it says there; the rule makes it a `Finding`.

    Args:
        node: The most specific node that says it.
        message: What is wrong, with the value.
        hint: What to do about it.
        fix: The edit that does it.
        at_key: Point at the key instead of the value.
        missing: Name of a key that should stand in `node` and does not; it ends the dotted path.
    """

    node: Node
    message: str
    hint: str | None = None
    fix: Fix | None = None
    at_key: bool = False
    missing: str = ""


Check = Callable[["Facts"], Iterable[Mark]]


@dataclass(frozen=True)
class Rule:
    """One rule.

    Args:
        code: Family and three digits; never reused.
        severity: Of all its findings.
        check: Yields the findings for the facts of a config.
        needs_whole: It takes the absence of a key for a fact, so that a config of which something could not be read
            is not judged by it.
    """

    code: str
    severity: Severity
    check: Check
    needs_whole: bool = True

    @functools.cached_property
    def name(self) -> str:
        """The code in words: the function's name with hyphens."""
        return self.check.__name__.replace("_", "-")

    @functools.cached_property
    def problem(self) -> Problem:
        """Its docstring, taken apart."""
        text = inspect.cleandoc(self.check.__doc__ or "")
        marks = list(_SECTION.finditer(text))
        ends = [*(mark.start() for mark in marks), len(text)]
        sections = {
            mark[1]: inspect.cleandoc(f"{mark[2]}\n{text[mark.end() : end]}").strip()
            for mark, end in zip(marks, ends[1:], strict=True)
        }
        return Problem(
            code=self.code,
            name=self.name,
            severity=self.severity,
            summary=text[: ends[0]].strip(),
            why=_flowing(sections.get("Why it matters", "")),
            bad=sections.get("Bad", ""),
            good=sections.get("Good", ""),
            known_problems=_flowing(sections.get("Known problems", "")),
            source=_flowing(sections.get("Source", "")),
        )

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        for found in self.check(facts):
            node = found.node
            key = node.key
            if found.missing:
                key = f"{key}.{found.missing}" if key else found.missing
            at_key = found.at_key or bool(found.missing) or node.is_dict or node.is_list
            file = node.file
            yield Finding(
                problem=self.problem,
                message=found.message,
                filename=file,
                span=node.key_span if at_key else node.span,
                key=key,
                hint=found.hint,
                fix=found.fix,
                target=None if file == facts.view.path else facts.view.path,
            )


def rule(code: str, severity: Severity, *, needs_whole: bool = True) -> Callable[[Check], Rule]:
    """Make a function that yields findings a rule; see `Rule`."""

    def made(check: Check) -> Rule:
        return Rule(code, severity, check, needs_whole)

    return made


def _flowing(text: str) -> str:
    """A paragraph's lines joined."""
    return " ".join(text.split())
