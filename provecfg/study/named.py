"""The studies of the catalog, read as a user's would be."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from provecfg import spelling
from provecfg.catalog.studies import STUDIES, CatalogStudy
from provecfg.errors import ProvecfgError
from provecfg.study.load import checked_study, set_field
from provecfg.study.schema import Study


def studies_named(target: str, settings: Sequence[str] = (), *, here: Path | None = None) -> list[Study]:
    """The studies that a target of a command names; none where it is a path. A file of a study's name wins.

    Args:
        target: What the user has written.
        settings: `FIELD=VALUE` pairs that replace what the study says.
        here: The folder that a relative target starts from, where not the current one.

    Raises:
        ProvecfgError: It is no path, and close to the name of a study; or a setting that cannot be applied.
    """
    if ((here or Path()) / target).exists():
        return []
    if target in STUDIES:
        return studies_of(STUDIES[target], settings)
    if Path(target).name == target and not Path(target).suffix and spelling.nearest_names(target, STUDIES):
        raise ProvecfgError(spelling.unknown("study", target, STUDIES), hint="or name a file or a folder that exists")
    return []


def studies_of(catalog: CatalogStudy, settings: Sequence[str] = ()) -> list[Study]:
    """The studies that a named study is made of.

    Args:
        catalog: The named study.
        settings: `FIELD=VALUE` pairs that replace what it says.

    Raises:
        ProvecfgError: A setting that cannot be applied, or that makes no study of it.
    """
    studies = []
    for part in catalog.parts:
        fields: dict[str, Any] = copy.deepcopy(dict(part))
        for setting in settings:
            set_field(fields, setting)
        studies.append(checked_study(fields))
    return studies
