"""The studies of the catalog, read as a user's would be."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from provecfg.catalog.studies import CatalogStudy
from provecfg.study.load import checked_study, set_field
from provecfg.study.schema import Study


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
