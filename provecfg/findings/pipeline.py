"""The one way from what was found to what is shown, for every command and whatever found it.

    found -> selected -> silenced by comments -> folded under causes -> in file order -> a reporter

A command brings what it found in each file (`Judgement`); reading and judging are not this module's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provecfg.findings.finding import Finding, in_file_order
from provecfg.findings.folding import folded
from provecfg.findings.problem import is_found_by_running
from provecfg.findings.problems import RETIRED
from provecfg.findings.settings import Settings
from provecfg.findings.suppressions import silence, unused_suppressions


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found in one file that was asked about.

    Args:
        path: The file, absolute.
        findings: Everything, placed, before any selection.
        texts: Text of the file and of every base that was read for it.
    """

    path: Path
    findings: tuple[Finding, ...]
    texts: Mapping[Path, str] = field(default_factory=dict)


def screened(
    judgements: Iterable[Judgement], settings_at: Callable[[Path], Settings], *, says_unused: bool = False
) -> list[Finding]:
    """What of the findings is shown, in file order.

    Args:
        judgements: What was found, file by file.
        settings_at: The settings that hold in a folder; those of a config hold for what its bases say, too.
        says_unused: Also say which comments silence nothing, and which are malformed. For those who have looked for
            everything that is found without running: of a code that only `run` or `prove` find, or that is retired,
            nothing is said.
    """
    judgements = list(judgements)
    selected: list[Finding] = []
    texts: dict[Path, str] = {}
    for judgement in judgements:
        settings = settings_at(judgement.path.parent)
        selected += [finding for finding in judgement.findings if settings.is_on(finding.code, finding.filename)]
        texts |= judgement.texts
    kept, silenced = silence(selected, texts)

    def is_judged(code: str, file: Path) -> bool:
        is_known = code not in RETIRED and not is_found_by_running(code)
        return is_known and settings_at(file.parent).is_on(code, file)

    if says_unused:
        # In a base file alone, a code may be unused because the config that inherits from it replaces what is there.
        asked = {judgement.path for judgement in judgements}
        kept += unused_suppressions(texts, silenced, asked=asked, is_judged=is_judged)
    return in_file_order(folded(in_file_order(kept)))
