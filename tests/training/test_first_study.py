"""The study of docs/first-study.md, shortened, on drawn streets of the size of its images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provecfg.catalog.datasets import DATASETS
from provecfg.data.scenes import Drawing, smoke_data_for
from provecfg.generate.plan import plans_of
from provecfg.generate.render import render
from provecfg.study.load import study_from_fields
from provecfg.training.options import RunOptions
from provecfg.training.preflight import prepare
from provecfg.training.runner import train

pytestmark = [
    pytest.mark.stack,
    pytest.mark.slow,
    # torch, mmengine and mmdet warn of each other's deprecations while they train.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]

STREETS = Drawing(train=40, val=8, width=240, height=180)
FIELDS = {
    "name": "first-study",
    "models": ["pspnet_r50"],
    "losses": {"auxiliary": ["boundary"]},
    "data": {"resize_scale": [240, 180], "crop_size": [96, 128], "batch_size": 4, "num_workers": 0},
    "schedule": {"max_iters": 30, "val_interval": 15},
    "early_stopping": None,
    "runtime": {"log_interval": 1},
}


def test_the_loss_falls_and_the_metric_rises(tmp_path: Path) -> None:
    study, problems = study_from_fields(FIELDS)
    assert study is not None, problems
    (plan,) = plans_of(study)
    path = tmp_path / f"{plan.name}.py"
    path.write_text(render(plan))
    options = RunOptions(
        data_root=smoke_data_for(DATASETS["bdd10k"], STREETS, tmp_path / "streets"),
        device="cpu",
        pretrained=False,
        work_dir=tmp_path / "run",
        quiet=True,
    )
    prepared = prepare(path, options)
    assert prepared.findings == ()
    outcome = train(prepared)
    assert outcome.state == "finished"

    (scalars,) = outcome.work_dir.glob("*/vis_data/scalars.json")
    lines = [json.loads(line) for line in scalars.read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]  # means over the ten iterations before
    metrics = [line["val/mIoU"] for line in lines if "val/mIoU" in line]
    print(losses, metrics)
    assert losses[-1] < 0.75 * losses[0]
    assert metrics[1] > 1.2 * metrics[0]
