"""What a file has to hold for there to be anything to judge."""

from __future__ import annotations

from collections.abc import Iterator

from provecfg.facts.facts import Facts
from provecfg.findings import Severity
from provecfg.rules.rule import Mark, rule


@rule("CFG035", Severity.WARNING)
def empty_config(facts: Facts) -> Iterator[Mark]:
    """The config sets nothing.

    Why it matters: it loads, and nothing can be built of it: it was not written yet, or what stood in it is gone.

    Bad:
        # model = dict(type='EncoderDecoder')

    Good:
        model = dict(type='EncoderDecoder')

    Source: mmengine 0.10.7, config/config.py, `Config.fromfile`
    """
    view = facts.view
    if not view.values and not view.problems and view.path.name != "__init__.py":
        yield Mark(view.root, f"{view.path.name} sets nothing, so that nothing was judged")
