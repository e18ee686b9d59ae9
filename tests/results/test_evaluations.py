from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from provecfg.counts.counts_file import to_bytes
from provecfg.counts.validation import Occasion
from provecfg.results.report.evaluations import METRICS_OF_EVALUATIONS, evaluation_scores
from provecfg.results.report.series import costs
from provecfg.results.scores import METRIC
from provecfg.results.study import read_study
from tests.results.simulated_study import Effects, counts_with, study_of, write_study


def evaluate(work_dir: Path, iou: float, checkpoint: str, iteration: int, images: int = 2, split: str = "fog val"):
    """Write what `provecfg eval` would, and give the counts."""
    counts = counts_with(iou, iou - 5, np.random.default_rng(0), images)
    occasion = Occasion(iteration, checkpoint=f"{checkpoint} 0123", split=split, parameters=1000, operations=2_000_000)
    counts = replace(counts, occasion=occasion)
    (work_dir / "counts" / f"eval_{split.replace(' ', '_')}_{checkpoint}.npz").write_bytes(to_bytes(counts))
    return counts


@pytest.fixture
def work_dirs(tmp_path: Path) -> list[Path]:
    return write_study(tmp_path, study_of(2, 1, losses={"auxiliary": ["none", "focal"]}), Effects())


def test_other_data_are_scored_by_loss_and_kind_of_checkpoint(work_dirs: list[Path]) -> None:
    latest = []
    for index, work_dir in enumerate(work_dirs):
        evaluate(work_dir, 90.0, "best_mIoU_iter_10", 10)
        latest.append(METRIC["mIoU"].score(evaluate(work_dir, 40.0 + index, "best_mIoU_iter_20", 20)))
        evaluate(work_dir, 35.0, "iter_20", 20, split="val")
    fog, val = evaluation_scores(read_study("fog", work_dirs))
    assert (fog["split"], fog["checkpoint"], fog["runs"], fog["images"]) == ("fog val", "best", 4, 2)
    assert (val["split"], val["checkpoint"]) == ("val", "last")
    assert list(fog["losses"]) == ["ce", "focal"]
    # Runs are ordered by model, then by loss.
    mean = {loss: dict(zip(METRICS_OF_EVALUATIONS, scores, strict=True)) for loss, scores in fog["losses"].items()}
    assert mean["ce"]["mIoU"] == pytest.approx(np.mean(latest[::2]))
    assert mean["focal"]["mIoU"] == pytest.approx(np.mean(latest[1::2]))


def test_a_run_that_was_evaluated_on_other_images_is_left_out(work_dirs: list[Path]) -> None:
    for work_dir in work_dirs[1:]:
        score = METRIC["mIoU"].score(evaluate(work_dir, 40.0, "iter_20", 20))
    evaluate(work_dirs[0], 90.0, "iter_20", 20, images=1)
    (part,) = evaluation_scores(read_study("fog", work_dirs))
    assert (part["runs"], part["other_images"], part["images"]) == (3, 1, 2)
    assert part["losses"]["ce"][0] == pytest.approx(score), "of the model that has both losses"


def test_an_evaluation_tells_what_the_model_costs(work_dirs: list[Path]) -> None:
    evaluate(work_dirs[0], 30.0, "iter_20", 20)
    rows = {(row["place"], row["loss"]): row for row in costs(read_study("fog", work_dirs))}
    own = rows["deeplabv3plus_r50", "ce"]
    assert (own["parameters"], own["operations"]) == (1000, 2_000_000)
    assert rows["pspnet_r50", "ce"]["parameters"] is None
    # Two images an iteration by the config, half a second an iteration by the log.
    assert own["images_per_second"] == pytest.approx(4.0)
