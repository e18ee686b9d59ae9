"""One case of `make open-study`, so that the script stays whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from provecfg.catalog.datasets import DATASETS
from provecfg.data.scenes import smoke_data_for
from tests.open_study import MODELS, STRATEGIES, STREET, Case, try_case

pytestmark = [pytest.mark.stack, pytest.mark.long]


def test_a_folder_becomes_a_run_of_a_class_of_ones_own_on_generated_images(tmp_path: Path) -> None:
    data = smoke_data_for(DATASETS["bdd10k"], STREET, tmp_path / "street")
    fields = {"models": [MODELS["a config and a class of one's own"]], "strategies": [STRATEGIES[-1]]}
    case = Case("own", fields, data)
    try_case(case, tmp_path / "case", iters=2)
    assert {name: code for name, (code, _) in case.steps.items()} == {
        "init": 0, "generate": 0, "validate": 0, "prove": 0, "run": 0,
    }, case.notes  # fmt: skip
    assert any(note.startswith("RandomFlip changes") for note in case.notes)
    assert case.notes[-1].startswith("val/mIoU")
