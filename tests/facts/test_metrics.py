from __future__ import annotations

from pathlib import Path

import pytest

from provecfg.facts.facts import Facts
from provecfg.mmconfig import read_config

PLUGIN = "custom_imports = dict(imports=['provecfg.plugin'])\n"


def facts_of(text: str, folder: Path) -> Facts:
    path = folder / "config.py"
    path.write_text(f"default_scope = 'mmseg'\n{text}")
    return Facts(read_config(path))


def test_our_metric_gives_what_the_metric_gives_that_it_inherits_from(tmp_path: Path) -> None:
    keys = [
        facts_of(
            f"{PLUGIN}val_evaluator = dict(type='{kind}', iou_metrics=['mDice'], prefix='val')", tmp_path
        ).metric_keys
        for kind in ("SegCountsMetric", "IoUMetric")
    ]
    assert keys[0] == keys[1] == {"val/aAcc", "val/mDice", "val/mAcc"}


@pytest.mark.parametrize("kind", ["CityscapesMetric", "NobodysMetric"])
def test_of_others_nothing_is_assumed(kind: str, tmp_path: Path) -> None:
    assert facts_of(f"{PLUGIN}val_evaluator = dict(type='{kind}')", tmp_path).metric_keys is None


def test_a_users_subclass_may_give_anything(tmp_path: Path) -> None:
    (tmp_path / "ours.py").write_text(
        "from mmseg.evaluation import IoUMetric\nfrom mmseg.registry import METRICS\n\n\n"
        "@METRICS.register_module()\nclass EdgeMetric(IoUMetric):\n    pass\n"
    )
    text = "custom_imports = dict(imports=['ours'])\nval_evaluator = dict(type='EdgeMetric')"
    assert facts_of(text, tmp_path).metric_keys is None
