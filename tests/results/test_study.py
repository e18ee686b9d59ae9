from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from provecfg.generate.cells import cells_of
from provecfg.header import Coordinates
from provecfg.results.run_scores import Moment
from provecfg.results.runs import State
from provecfg.results.statistics import Design
from provecfg.results.study import StudyResults, observations, read_study
from tests.results.simulated_study import Effects, SimulatedRun, counts_with, study_of, write_study

EFFECTS = Effects(iou={"focal": 1.5, "lovasz": 0.0, "boundary": 0.0}, boundary={"boundary": 2.5})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """A study of 6 models x 4 losses x 5 seeds in which focal is better and boundary sharpens edges alone."""
    return read_study("simulated", write_study(tmp_path_factory.mktemp("whole"), study_of(), EFFECTS))


def verdicts(results: StudyResults, metric: str) -> dict[str, object]:
    return {verdict.comparison.loss: verdict.comparison for verdict in results.verdicts_by(metric)}


def test_every_cell_counts_where_all_are_alike(whole: StudyResults) -> None:
    assert len(whole.cells) == 120
    assert {cell.excluded for cell in whole.cells} == {""}
    assert whole.losses == ["ce", "focal", "lovasz", "boundary"]
    assert whole.reference == "ce"


def test_the_verdicts_are_what_is_true(whole: StudyResults) -> None:
    by_iou, by_boundary = verdicts(whole, "mIoU"), verdicts(whole, "boundary_mIoU_0.5")
    assert {loss: comparison.is_effect for loss, comparison in by_iou.items()} == {
        "focal": True,
        "lovasz": False,
        "boundary": False,
    }
    low, high = by_iou["focal"].interval
    assert low < 1.5 < high
    assert {loss: comparison.is_effect for loss, comparison in by_boundary.items()} == {
        "focal": True,
        "lovasz": False,
        "boundary": True,
    }
    assert by_boundary["boundary"].effect == pytest.approx(2.5, abs=0.5)
    assert all(comparison.design is Design.BLOCKS for comparison in by_iou.values())
    assert by_iou["focal"].run_sd == pytest.approx(0.5, abs=0.1)


def test_scores_stand_at_the_best_the_last_and_the_last_four_validations(whole: StudyResults) -> None:
    scores = whole.cells[0].scores
    assert scores is not None
    assert scores.averaged == 4
    assert scores.last == 80_000
    last_four, last, best = (scores.scores[moment]["mIoU"] for moment in Moment)
    assert best >= last > last_four, "the simulated scores rise to the end"
    assert set(scores.scores[Moment.LAST]) >= {"mIoU", "boundary_mIoU_0.5", "ECE", "mIoU_image", "mIoU_rare"}


def test_choosing_the_best_favours_the_loss_that_oscillates(tmp_path: Path) -> None:
    effects = Effects(run_sd=0.2, validation_sd={"focal": 3.0})
    results = read_study("simulated", write_study(tmp_path, study_of(models=4, seeds=2), effects))

    def effect(moment: Moment) -> float:
        rows = observations(results, "mIoU", moment)
        means = {
            loss: sum(row.value for row in rows if row.loss == loss) / sum(row.loss == loss for row in rows)
            for loss in ("ce", "focal")
        }
        return means["focal"] - means["ce"]

    assert effect(Moment.BEST) > 1.0 > abs(effect(Moment.LAST_FOUR))


def test_cells_that_may_not_be_compared_enter_no_mean(tmp_path: Path) -> None:
    changed = {}

    def change(run: SimulatedRun) -> None:
        where = (run.cell["model"].partition("_")[0], run.cell["loss"], run.cell["seed"])
        attempt = run.record["attempts"][0]
        if where == ("pspnet", "focal", 0):
            run.config = run.config.replace("max_iters=80000", "max_iters=40000")
        elif where == ("pspnet", "focal", 1):
            attempt |= {"state": "failed", "message": "out of GPU memory\n  hint: lower the batch size"}
        elif where == ("hrnet", "ce", 0):
            attempt |= {"state": "running"}
        elif where == ("hrnet", "ce", 1):
            rng = np.random.default_rng(0)
            run.validations = {step: counts_with(40, 30, rng, images=1) for step in run.validations}
        else:
            return
        changed[run.name] = where

    study = study_of(models=5, seeds=3)
    work_dirs = write_study(tmp_path, study, EFFECTS, change)
    nan = work_dirs[7]
    log = next(nan.glob("*/vis_data/scalars.json"))
    lines = log.read_text().splitlines()
    lines[-1] = '{"val/aAcc": NaN, "val/mIoU": NaN, "val/mAcc": NaN, "step": 80000}'
    log.write_text("\n".join(lines))
    broken = work_dirs[8]
    file = broken / "counts" / "val_iter_80000.npz"
    file.write_bytes(file.read_bytes()[:500])
    planned = [{axis: str(value) for axis, value in cell.coordinates._asdict().items()} for cell in cells_of(study)]
    never = {**planned[0], "seed": "99"}
    results = read_study("simulated", work_dirs, [*planned, never])
    reasons = {cell.name: cell.excluded for cell in results.cells if cell.excluded}
    by_place = {where: reasons.pop(name) for name, where in changed.items()}
    assert by_place[("pspnet", "focal", 0)].startswith("it differs from ")
    assert by_place[("pspnet", "focal", 0)].endswith("in the length of the run: train_cfg.max_iters: 80000 -> 40000")
    assert by_place[("pspnet", "focal", 1)] == "out of GPU memory"
    assert by_place[("hrnet", "ce", 0)] == "running at iteration 80000 of 80000"
    assert by_place[("hrnet", "ce", 1)].startswith("it was validated on 1 images, not 2 as ")
    assert reasons.pop(nan.name) == "val/mIoU at iteration 80000 is missing or no number"
    assert list(reasons.values()) == ["not started"]
    assert next(cell for cell in results.cells if cell.run is None).state is State.NOT_STARTED
    truncated = next(cell for cell in results.cells if cell.run is not None and cell.run.path == broken)
    assert any("val_iter_80000.npz is no whole file of counts" in problem for problem in truncated.run.problems)
    assert len(results.included) == len(work_dirs) - 5


def test_few_models_with_few_seeds_have_no_verdict(tmp_path: Path) -> None:
    results = read_study("simulated", write_study(tmp_path, study_of(models=2, seeds=3), EFFECTS))
    for comparison in verdicts(results, "mIoU").values():
        assert comparison.design is Design.NONE
        assert comparison.reason.startswith("cannot be decided with 3 seeds of 2 models")


def test_the_axes_are_those_of_the_header() -> None:
    assert Coordinates._fields == ("model", "dataset", "strategy", "loss", "seed")
