from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from provecfg.results.runs import State, is_work_dir, read_run, read_runs, work_dirs_in
from provecfg.results.study import study_results
from tests.results.simulated_study import Effects, SimulatedRun, simulated_runs, study_of

FOREIGN = """
model = dict(
    type='EncoderDecoder',
    backbone=dict(type='ResNetV1c', depth=50),
    decode_head=dict(type='PSPHead', loss_decode={losses}),
)
train_dataloader = dict(batch_size=2, dataset=dict(type='CityscapesDataset'))
train_cfg = dict(type='IterBasedTrainLoop', max_iters={max_iters})
"""
CE = "dict(type='CrossEntropyLoss')"


@pytest.fixture
def run() -> SimulatedRun:
    return next(simulated_runs(study_of(models=1, seeds=1), Effects()))


def foreign_run(folder: Path, name: str, losses: str = CE, *, max_iters: int = 4000, score: float = 40.0) -> Path:
    """A work dir as mmseg's `tools/train.py` leaves it."""
    work_dir = folder / name
    log = work_dir / "20250101_000000" / "vis_data" / "scalars.json"
    log.parent.mkdir(parents=True)
    (work_dir / "config.py").write_text(FOREIGN.format(losses=losses, max_iters=max_iters))
    rows = []
    for step in range(1000, 4001, 1000):
        rows.append(
            {"lr": 0.01, "loss": 1.0, "decode.loss_ce": 1.0, "time": 0.25, "iter": step, "memory": 3000, "step": step}
        )
        rows.append(
            {"aAcc": 80.0, "mIoU": score + step / 1000, "mAcc": 50.0, "data_time": 0.1, "time": 0.2, "step": step}
        )
    log.write_text("\n".join(map(json.dumps, rows)))
    return work_dir


def test_a_run_of_provecfg_is_read_with_record_log_and_counts(run: SimulatedRun, tmp_path: Path) -> None:
    read = read_run(run.write(tmp_path))
    assert (read.name, read.study, read.state, read.reason) == (run.name, "simulated", State.FINISHED, "")
    assert read.cell == {
        "model": "deeplabv3plus_r50",
        "dataset": "bdd10k",
        "strategy": "baseline",
        "loss": "ce",
        "seed": "0",
    }
    assert (read.iterations, read.max_iters, read.seconds, read.memory_mb) == (80_000, 80_000, 0.5, 5000)
    assert list(read.counts) == [38_000, 52_000, 66_000, 80_000]
    assert [validation.iteration for validation in read.validations][-1] == 80_000
    assert set(read.losses) == {"loss", "decode.loss_ce", "decode.loss_aux"}
    iteration, loss = read.losses["decode.loss_ce"][-1]
    assert (iteration, loss) == (80_000, pytest.approx(2 * math.exp(-4)))
    assert read.problems == ()


@pytest.mark.parametrize(
    ("attempt", "state", "reason"),
    [
        ({"state": "early-stopped", "message": "early stop at iteration 60000"}, State.STOPPED, ""),
        ({"state": "failed", "message": "loss is NaN\n  hint"}, State.FAILED, "loss is NaN"),
        ({"state": "lost"}, State.LOST, "lost at iteration 80000 of 80000"),
        ({"state": "dreaming"}, State.UNKNOWN, "its record says 'dreaming'"),
    ],
)
def test_the_state_is_the_records(
    attempt: dict[str, str], state: State, reason: str, run: SimulatedRun, tmp_path: Path
) -> None:
    run.record["attempts"] = [{"state": "interrupted"}, attempt]
    read = read_run(run.write(tmp_path))
    assert (read.state, read.reason) == (state, reason)


def test_a_record_of_another_version_is_read_as_far_as_it_goes(run: SimulatedRun, tmp_path: Path) -> None:
    run.record |= {"format": 9, "stopping": "abc", "best": "none", "versions": None, "config": []}
    read = read_run(run.write(tmp_path))
    assert read.state is State.FINISHED
    assert read.cell == {}


@pytest.mark.parametrize("text", ["", "[1, 2", '"text"'])
def test_a_record_that_is_none_is_named(text: str, run: SimulatedRun, tmp_path: Path) -> None:
    work_dir = run.write(tmp_path)
    (work_dir / "provecfg.json").write_text(text)
    read = read_run(work_dir)
    assert len(read.problems) == 1
    assert str(work_dir / "provecfg.json") in read.problems[0]


def test_a_truncated_log_and_numbers_that_are_none_are_named(run: SimulatedRun, tmp_path: Path) -> None:
    work_dir = run.write(tmp_path)
    log = next(work_dir.glob("*/vis_data/scalars.json"))
    text = log.read_text().rstrip("\n")
    log.write_text(text.replace('"val/mIoU": ', '"val/mIoU": NaN, "was": ', 1)[:-20])
    read = read_run(work_dir)
    assert read.problems == (
        "1 lines of its log cannot be read",
        "val/mIoU at iteration 10000 is no number",
    )
    assert "val/mIoU" not in read.validations[0].metrics


def test_a_work_dir_without_a_log_is_named(run: SimulatedRun, tmp_path: Path) -> None:
    work_dir = run.write(tmp_path)
    next(work_dir.glob("*/vis_data/scalars.json")).unlink()
    read = read_run(work_dir)
    assert read.validations == ()
    assert read.problems == (f"{work_dir} holds no log of mmengine's",)


def test_smoke_runs_are_no_trainings(run: SimulatedRun, tmp_path: Path) -> None:
    run.record["smoke"] = True
    assert read_runs([run.write(tmp_path)]) == []


def test_work_dirs_are_found_below_a_folder_and_not_within_each_other(run: SimulatedRun, tmp_path: Path) -> None:
    work_dir = run.write(tmp_path / "study" / "cells")
    run.write(work_dir / "nested")
    other = foreign_run(tmp_path / "study", "zz")
    (tmp_path / "study" / "notes").mkdir()
    assert is_work_dir(work_dir)
    assert list(work_dirs_in(tmp_path)) == [work_dir, other]
    assert list(work_dirs_in(work_dir)) == [work_dir]


def test_a_work_dir_of_mmseg_is_read_with_what_it_has(tmp_path: Path) -> None:
    read = read_run(foreign_run(tmp_path, "psp"))
    assert read.cell == {
        "model": "PSPHead_ResNetV1c50",
        "dataset": "CityscapesDataset",
        "strategy": "baseline",
        "loss": "CrossEntropyLoss",
        "seed": "",
    }
    assert (read.state, read.iterations, read.max_iters) == (State.FINISHED, 4000, 4000)
    unfinished = read_run(foreign_run(tmp_path, "short", max_iters=8000))
    assert (unfinished.state, unfinished.reason) == (State.UNKNOWN, "its log ends at iteration 4000 of 8000")


def test_runs_of_mmseg_are_a_study_by_what_their_configs_say(tmp_path: Path) -> None:
    both = f"[{CE}, dict(type='DiceLoss')]"
    work_dirs = [foreign_run(tmp_path, f"ce{seed}", score=40 + seed / 10) for seed in range(5)]
    work_dirs += [foreign_run(tmp_path, f"dice{seed}", both, score=41 + seed**2 / 10) for seed in range(5)]
    other = foreign_run(tmp_path, "other", both)
    config = other / "config.py"
    config.write_text(config.read_text().replace("batch_size=2", "batch_size=4"))
    results = study_results("mine", read_runs([*work_dirs, other]))
    assert results.reference == "CrossEntropyLoss"
    assert [cell.excluded for cell in results.cells if cell.run.path != other] == [""] * 10
    excluded = next(cell.excluded for cell in results.cells if cell.run.path == other)
    assert excluded == "it differs from dice0 in the batch: train_dataloader.batch_size: 2 -> 4"
    (verdict,) = results.verdicts_by("mIoU")
    assert verdict.comparison.effect == pytest.approx(1.4)
    assert verdict.comparison.is_effect
