"""Every cell of the studies `improvements` and `production` trains."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from provecfg.catalog.studies import STUDIES
from provecfg.findings import Severity
from provecfg.generate.plan import Plan, plans_of
from provecfg.generate.render import render
from provecfg.mmconfig import read_config
from provecfg.study.load import study_from_fields
from provecfg.training.options import RunOptions
from provecfg.training.preflight import prepare
from provecfg.training.runner import train
from provecfg.validate import judgement_of_view

pytestmark = [
    pytest.mark.stack,
    pytest.mark.slow,
    # torch, mmengine and mmdet warn of each other's deprecations while they train.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]


def plans() -> list[Plan]:
    plans = []
    for name in ("improvements", "production"):
        for part in STUDIES[name].parts:
            # OHEM leaves pixels out of the small crops of a smoke run, too.
            losses = {**part["losses"], "ohem": {"min_kept": 512}} if "ohem" in part["losses"] else part["losses"]
            study, mistakes = study_from_fields({**part, "losses": losses})
            assert study is not None, mistakes
            plans += plans_of(study)
    return plans


PLANS = plans()
# Each loss on one model; every cell takes a quarter of an hour. In CI, each model's share of the others, in turn.
CELLS = [
    plan
    if plan.model.name == "pspnet_r50"
    else pytest.param(plan, marks=pytest.mark.long if index % 5 == 0 else pytest.mark.exhaustive)
    for index, plan in enumerate(PLANS)
]


def test_there_are_as_many_cells_as_the_studies_have() -> None:
    assert len(PLANS) >= 80


@pytest.mark.parametrize("plan", CELLS, ids=lambda plan: plan.name)
def test_a_cell_passes_validation_and_trains_on_every_loss_that_it_declares(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / f"{plan.name}.py"
    path.write_text(render(plan))
    view = read_config(path)
    findings = judgement_of_view(view).findings
    assert [finding for finding in findings if finding.severity > Severity.NOTE] == []
    options = RunOptions(smoke=True, device="cpu", work_dir=tmp_path / "run", quiet=True, max_iters=2)
    prepared = prepare(path, options, view)
    assert prepared.findings == ()
    # Checkpoints are the loss study's tests' to check, and writing them would take half of this one's time.
    prepared.config.default_hooks.checkpoint.update(interval=100, save_best=None, save_last=False)
    prepared.config.train_cfg.val_interval = 2
    outcome = train(prepared)
    assert (outcome.state, outcome.iteration) == ("finished", 2)
    lines = [json.loads(line) for file in outcome.work_dir.glob("*/vis_data/scalars.json") for line in file.open()]
    logged = {key: value for line in lines for key, value in line.items() if "loss" in key}
    assert all(math.isfinite(value) for value in logged.values()), logged
    for loss in plan.main_head.entries[int(plan.model.takes_pixel_losses) :]:
        assert any(key.endswith(f"decode.{loss['loss_name']}") for key in logged), (loss["loss_name"], sorted(logged))
