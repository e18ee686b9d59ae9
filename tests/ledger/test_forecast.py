from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from provecfg.ledger.forecast import CellLength, forecast, length_of, measured_speeds
from provecfg.mmconfig import read_config
from provecfg.training.record import FINISHED, Record, new_attempt

GENERATED = Path(__file__).parents[2] / "generated"


def measured(work_dir: Path, model: str, seconds: int, iterations: int) -> None:
    attempt = dataclasses.replace(
        new_attempt(first_iter=100, command=(), device="cuda", processes=1),
        started="2026-01-01T00:00:00+00:00",
        ended=f"2026-01-01T00:{seconds // 60:02}:{seconds % 60:02}+00:00",
        last_iter=100 + iterations,
        state=FINISHED,
    )
    work_dir.mkdir()
    Record("any", {"cell": {"model": model}}, {}, False, 500, 42, {}, None, (attempt,)).write(work_dir)


def test_a_cell_ends_between_its_earliest_stop_and_its_last_iteration() -> None:
    length = length_of(read_config(GENERATED / "pspnet_r50_bdd10k_focal.py"))
    # validations every 5000 iterations, and patience 5: the first is the best, the sixth ends it
    assert length == CellLength("pspnet_r50_bdd10k_focal", "pspnet_r50", 30_000, 80_000)


def test_speeds_are_those_of_runs_of_the_model(tmp_path: Path) -> None:
    measured(tmp_path / "a", "small", 60, 120)
    measured(tmp_path / "b", "small", 180, 120)
    measured(tmp_path / "c", "large", 60, 30)
    assert measured_speeds(tmp_path) == {"small": pytest.approx(1.0), "large": pytest.approx(2.0)}


def test_hours_add_up_and_what_was_not_measured_is_unknown() -> None:
    lengths = [
        *(CellLength(f"small{number}", "small", 1800, 3600) for number in range(3)),
        CellLength("large", "large", 3600, 3600),
        CellLength("other", "other", 3600, 3600),
    ]
    told = forecast(lengths, {"small": 1.0, "large": 2.0}, slots=2, gpus_per_cell=4, timeout_hours=1.0)
    assert told.hours == ((0.5, 1.0), (0.5, 1.0), (0.5, 1.0), (2.0, 2.0), None)
    assert told.gpu_hours == (14.0, 20.0)
    assert told.makespan == (2.0, 3.0)  # the longest first: 2 beside 0.5 x 3; then 2 + 1 beside 1 + 1
    assert told.restarts == 1


def test_forecast_says_unknown_before_and_hours_after_a_measurement(tmp_path: Path, provecfg) -> None:
    config = GENERATED / "pspnet_r50_bdd10k_focal.py"
    code, out, err = provecfg("forecast", config)
    assert (code, out) == (0, "pspnet_r50_bdd10k_focal  unknown\n")
    assert "1 of 1 unknown" in err
    measured(tmp_path / "run", "pspnet_r50", 90, 100)
    code, out, _ = provecfg("forecast", config, "--measured", tmp_path)
    assert out == "pspnet_r50_bdd10k_focal  7.5 to 20.0 h\n\n7.5 to 20.0 GPU hours; 7.5 to 20.0 h with 1 at once\n"
