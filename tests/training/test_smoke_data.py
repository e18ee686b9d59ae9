"""`run --smoke` draws data for any dataset of a study, in its layout and encoding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

import provecfg.plugin  # noqa: F401
from provecfg.generate.plan import plans_of
from provecfg.generate.render import render
from provecfg.study.load import checked_study
from provecfg.training.adapt import datasets_of
from provecfg.training.options import RunOptions
from provecfg.training.preflight import load_config

pytestmark = pytest.mark.stack

FILES = {split: {"images": f"images/{split}/*.jpg", "labels": f"masks/{split}/*.png"} for split in ("train", "val")}
FOUR = ["soil", "crop", "weed", "stone"]
PALETTE = {"soil": [64, 0, 0], "crop": [0, 128, 0], "weed": [128, 0, 128], "stone": [9, 9, 90]}
ENTRIES: dict[str, dict[str, Any]] = {
    "four": {"classes": FOUR, **FILES},
    "binary": {"classes": ["rest", "crack"], "encoding": "binary_255", **FILES},
    "colours": {"classes": FOUR, "encoding": "rgb", "palette": PALETTE, "channel_order": "bgr", **FILES},
    "label-ids": {"encoding": "cityscapes_label_ids", **FILES},
    "repeated": {"classes": FOUR, "encoding": "repeated", **FILES},
    "sixteen-bits": {"classes": FOUR, "mapping": {"0": 0, "300": 1, "400": 2, "500": 3}, **FILES},
    "zero-reduced": {"classes": FOUR, "reduce_zero_label": True, **FILES},
    "shared": {"classes": FOUR, "train": {**FILES["train"], "fraction": 0.5, "group": "{scene}_*"}},
    "listed": {"classes": FOUR, "train": {"files": "train.txt"}, "val": {"files": "val.txt"}},
    "vistas": {"base": "mapillary_v2"},
    "streets-at-night": {"base": "acdc", "train": {"only": "rgb_anon/night/**/*"}},
    "both": {"join": ["bdd10k", "cityscapes"]},
}


@pytest.mark.parametrize("name", ENTRIES)
def test_drawn_data_is_read_by_the_config_of_an_entry(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVECFG_HOME", str(tmp_path / "home"))
    fields = {
        "models": ["pspnet_r50"],
        "losses": {"auxiliary": ["none"]},
        "datasets": [{"name": name, **ENTRIES[name]}],
    }
    study = checked_study({"name": "smoke", **fields})
    (plan,) = plans_of(study)
    path = tmp_path / f"{plan.name}.py"
    path.write_text(render(plan))
    config = load_config(path, RunOptions(smoke=True))
    init_default_scope("mmseg")
    for _, leaf in datasets_of(config):
        leaf.serialize_data = False  # else mmengine collects garbage each time, which takes longer than all the rest
    classes: set[int] = set()
    for loader in ("train_dataloader", "val_dataloader"):
        dataset = DATASETS.build(config[loader].dataset)
        assert len(dataset) >= 4
        for index in range(4):
            sample = dataset[index]["data_samples"].gt_sem_seg.data.numpy()
            classes |= set(np.unique(sample).tolist()) - {255}
    assert len(classes) > 1
    assert max(classes) < config.model.decode_head.num_classes
