from __future__ import annotations

import pytest

from docs.generate import mmseg_datasets

pytestmark = [pytest.mark.stack, pytest.mark.slow]


def test_the_catalogs_datasets_are_what_mmseg_says() -> None:
    assert mmseg_datasets.main(["--check"]) == 0
