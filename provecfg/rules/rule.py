"""What a rule is: one small function whose docstring is its documentation.

```python
@rule("STOP004", Severity.ERROR)
def negative_min_delta(facts: Facts) -> Iterator[Mark]:
    \"\"\"...\"\"\"
```

The code is written once, here, and in no other table; the name is the function's.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from provecfg.findings import Finding, Fix, Problem, Severity
from provecfg.mmconfig import Node

if TYPE_CHECKING:
    from provecfg.facts.facts import Facts

_SECTION = re.compile(r"^(Why it matters|Bad|Good|Known problems|Source):[ \t]*(.*)$", re.MULTILINE)


class Mark(NamedTuple):
    """Where a rule points, and what it says there; the rule makes it a `Finding`.

    Args:
        node: The most specific node that says it.
        message: What is wrong, with the value.
        hint: What to do about it.
        fix: The edit that does it.
        at_key: Point at the key instead of the value.
        missing: Name of a key that should stand in `node` and does not; it ends the dotted path.
        covers: The part of the config that means nothing while this stands; see `Finding.covers`.
    """

    node: Node
    message: str
    hint: str | None = None
    fix: Fix | None = None
    at_key: bool = False
    missing: str = ""
    covers: Node | None = None


Check = Callable[["Facts"], Iterable[Mark]]


@dataclass(frozen=True)
class Rule:
    """One rule.

    Args:
        code: Family and three digits; never reused.
        severity: Of all its findings.
        check: Yields the marks for the facts of a config.
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
        headings = list(_SECTION.finditer(text))
        ends = [*(heading.start() for heading in headings), len(text)]
        sections = {
            heading[1]: inspect.cleandoc(f"{heading[2]}\n{text[heading.end() : end]}").strip()
            for heading, end in zip(headings, ends[1:], strict=True)
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
        for mark in self.check(facts):
            node = mark.node
            key = node.key
            if mark.missing:
                key = f"{key}.{mark.missing}" if key else mark.missing
            at_key = mark.at_key or bool(mark.missing) or node.is_dict or node.is_list
            file = node.file
            yield Finding(
                problem=self.problem,
                message=mark.message,
                filename=file,
                span=node.key_span if at_key else node.span,
                key=key,
                hint=mark.hint,
                fix=mark.fix,
                covers=mark.covers.key if mark.covers is not None else None,
                target=None if file == facts.view.path else facts.view.path,
            )


_registered: Final[dict[str, Rule]] = {}


def rule(code: str, severity: Severity, *, needs_whole: bool = True) -> Callable[[Check], Rule]:
    """Make a function that yields marks a rule, and register it; see `Rule`.

    Raises:
        ValueError: Another rule has the code.
    """

    def register(check: Check) -> Rule:
        if code in _registered:
            other = _registered[code].check
            raise ValueError(
                f"{code} is the code of {other.__module__}.{other.__qualname__} and of "
                f"{check.__module__}.{check.__qualname__}: give the newer one the next free number"
            )
        _registered[code] = Rule(code, severity, check, needs_whole)
        return _registered[code]

    return register


def registered_rules() -> Iterable[Rule]:
    """The rules of all modules that were imported."""
    return _registered.values()


def _flowing(text: str) -> str:
    """A paragraph's lines joined."""
    return " ".join(text.split())
