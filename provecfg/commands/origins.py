"""Where the lines of generated configs that findings stand at are from: the judges know no author, a command does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from provecfg.errors import ProvecfgError
from provecfg.findings import Finding

if TYPE_CHECKING:
    from provecfg.generate.origins import StudyOrigins
    from provecfg.header import Header
    from provecfg.mmconfig import ConfigView


def with_origins(
    findings: Sequence[Finding], text_of: Callable[[Path], str], studies: Sequence[StudyOrigins] = ()
) -> list[Finding]:
    """Findings, those in a generated config that nobody has edited with what made their line.

    Args:
        findings: Of any files.
        text_of: The text of a file.
        studies: Those that configs were just generated from; of other configs the study is looked for.
    """
    lookup = _Lookup(text_of, studies)
    return [finding if finding.origin or not finding.key else lookup.explained(finding) for finding in findings]


class _Lookup:
    def __init__(self, text_of: Callable[[Path], str], studies: Sequence[StudyOrigins]) -> None:
        self._text_of = text_of
        self._given = studies
        self._configs: dict[Path, tuple[Header, ConfigView] | None] = {}
        self._studies: dict[tuple[str, str], StudyOrigins | None] = {}

    def explained(self, finding: Finding) -> Finding:
        path = finding.filename
        if path not in self._configs:
            self._configs[path] = self._config(path)
        config = self._configs[path]
        if config is None:
            return finding
        header, view = config
        study = self._study(header, path)
        if study is None or header.cell is None:
            return finding
        return replace(finding, origin=study.of(finding.key, header.cell, view))

    def _config(self, path: Path) -> tuple[Header, ConfigView] | None:
        from provecfg.header import Header, is_untouched  # asked for where something is found

        text = self._text_of(path)
        header = Header.of(text)
        if header is None or not is_untouched(text):
            return None
        from provecfg.mmconfig import read_config

        return header, read_config(path, text=text)

    def _study(self, header: Header, path: Path) -> StudyOrigins | None:
        name = (header.study, header.digest)
        if name not in self._studies:
            from provecfg.digest import digest_of

            candidates = (*self._given, *_studies_near(header.study, path))
            self._studies[name] = next(
                (study for study in candidates if digest_of(study.study.fields()) == header.digest), None
            )
        return self._studies[name]


def _studies_near(name: str, config: Path) -> Iterator[StudyOrigins]:
    """The study of that name that comes with provecfg, and those of the config's project: beside it and above."""
    from provecfg.catalog.studies import STUDIES
    from provecfg.generate.origins import StudyOrigins
    from provecfg.study.load import read_study
    from provecfg.study.named import studies_of
    from provecfg.targets import is_study

    for catalog in STUDIES.values():
        yield from (StudyOrigins(study) for study in studies_of(catalog) if study.name == name)
    for folder in _folders_of_project(config.absolute().parent):
        for path in sorted(path for suffix in ("*.yaml", "*.yml") for path in folder.glob(suffix)):
            text = _text(path)
            if re.search(rf"^name\s*:\s*[\"']?{re.escape(name)}[\"']?\s*(#|$)", text, re.MULTILINE) and is_study(path):
                study, findings = read_study(path, text=text)
                if study is not None and not findings:
                    yield StudyOrigins(study, path, text)


def _folders_of_project(start: Path) -> Iterator[Path]:
    for folder in (start, *start.parents):
        yield folder
        yield folder / "studies"
        if any((folder / name).exists() for name in ("pyproject.toml", ".git")):
            return


def _text(path: Path) -> str:
    from provecfg.files import read_text

    try:
        return read_text(path, errors="replace")
    except (OSError, ProvecfgError):
        return ""
