from __future__ import annotations

from pathlib import Path

import pytest

from provecfg.catalog.studies import STUDIES, CatalogStudy
from provecfg.findings import Severity
from provecfg.generate.plan import plans_of
from provecfg.generate.render import render
from provecfg.study.load import study_from_fields
from provecfg.validate import judgement_of


@pytest.mark.parametrize("catalog", STUDIES.values(), ids=lambda catalog: catalog.name)
def test_a_catalog_study_is_valid_and_its_cells_have_names_of_their_own(catalog: CatalogStudy) -> None:
    names = []
    for part in catalog.parts:
        study, mistakes = study_from_fields(part)
        assert study is not None, mistakes
        names += [plan.name for plan in plans_of(study)]
    assert len(names) == len(set(names)) >= 17


@pytest.mark.parametrize("catalog", STUDIES.values(), ids=lambda catalog: catalog.name)
def test_every_config_of_a_catalog_study_passes_validation(catalog: CatalogStudy, tmp_path: Path) -> None:
    for part in catalog.parts:
        study, _ = study_from_fields(part)
        assert study is not None
        for plan in plans_of(study):
            path = tmp_path / f"{plan.name}.py"
            path.write_text(render(plan))
            findings = [finding for finding in judgement_of(path).findings if finding.severity > Severity.NOTE]
            assert findings == [], path.name
