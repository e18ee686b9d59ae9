from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from provecfg.catalog.datasets import DATASETS
from provecfg.study.load import study_from_fields

TEXT = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
STUDIES = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", STUDIES)
def test_every_study_of_the_page_is_one(text: str) -> None:
    _, findings = study_from_fields(yaml.safe_load(text))
    assert [finding.message for finding in findings] == []


def test_the_page_names_datasets_that_are_there() -> None:
    catalog = TEXT.partition("## The catalog")[2].partition("## What `init`")[0]
    named = {
        name for line in re.findall(r"^\| (`.*?) \|", catalog, re.MULTILINE) for name in re.findall(r"`(.*?)`", line)
    }
    assert named
    assert named <= set(DATASETS)
