"""`provecfg replay`, on logs in the formats that mmengine writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from provecfg.cli import provecfg
from provecfg.errors import ProvecfgError

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]

# Better until the third validation, then worse for three, then best of all.
SCORES = [30.0, 40.0, 50.0, 49.0, 48.0, 47.0, 60.0, 59.0]
INTERVAL = 100


def json_lines(scores: Sequence[float], *, begin: int = 0, metric: str = "val/mIoU") -> str:
    """`scalars.json` of a loop by iterations: a line of training every 50, a validation every 100."""
    lines = []
    for step in range(begin + 50, begin + INTERVAL * len(scores) + 1, 50):
        lines.append({"lr": 0.01, "loss": 1.0, "time": 0.36, "iter": step, "memory": 900, "step": step})
        if step % INTERVAL == 0:
            score = scores[(step - begin) // INTERVAL - 1]
            lines.append({metric: score, "data_time": 0.01, "time": 0.1, "step": step})
    return "".join(json.dumps(line) + "\n" for line in lines)


def replay(*arguments: object) -> Result:
    return CliRunner().invoke(provecfg, ["replay", *map(str, arguments)])


def data(*arguments: object) -> dict:
    result = replay(*arguments, "--output-format", "json")
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "scalars.json"
    path.write_text(json_lines(SCORES))
    return path


def test_where_a_rule_would_have_stopped_and_what_that_costs(log: Path) -> None:
    answer = data(log, "--set", "early_stopping.patience=3")
    assert answer["stop"] == {
        "validation": 6,
        "iteration": 600,
        "epoch": None,
        "value": 47.0,
        "reason": "the monitored metric did not improve in the last 3 records. best score: 50.000.",
    }
    assert answer["best_until_stop"] == {"iteration": 300, "epoch": None, "value": 50.0}
    assert answer["best"] == {"iteration": 700, "epoch": None, "value": 60.0}
    assert answer["lost"] == 10.0
    assert answer["saved"] == {"iterations": 200, "hours": 0.02}  # at 0.36 seconds each
    assert answer["rule"]["patience"] == 3
    assert answer["rule"]["min_delta"] == 0.1


def test_a_rule_that_never_stops_the_run_loses_nothing(log: Path) -> None:
    answer = data(log)
    assert answer["stop"] is None
    assert (answer["lost"], answer["saved"]["iterations"]) == (0.0, 0)
    assert "never: the rule lets the run go to the end of the log" in replay(log).stdout


def test_the_text_says_the_same(log: Path) -> None:
    assert replay(log, "--set", "early_stopping.patience=3").stdout.splitlines() == [
        f"log          {log}",
        "             8 validations with val/mIoU, iteration 100 to iteration 800",
        "rule         val/mIoU greater, patience 3, min_delta 0.1, check_finite True",
        "             from the defaults of a study, with --set",
        "stops        at iteration 600, validation 6 of 8",
        "             the monitored metric did not improve in the last 3 records. best score: 50.000.",
        "best by then 50 at iteration 300",
        "best of all  60 at iteration 700",
        "lost         10 points of val/mIoU",
        "saved        200 iterations of 800, about 72 seconds of training",
    ]


def test_a_nan_stops_and_is_not_the_best(tmp_path: Path) -> None:
    path = tmp_path / "scalars.json"
    path.write_text(json_lines([10.0, float("nan"), 20.0]))
    answer = data(path)
    assert (answer["stop"]["iteration"], answer["stop"]["value"]) == (200, None)
    assert answer["best_until_stop"]["value"] == 10.0
    assert data(path, "--set", "early_stopping.check_finite=false")["stop"] is None


def test_a_threshold_stops_at_once(log: Path) -> None:
    answer = data(log, "--set", "early_stopping.stopping_threshold=45.0")
    assert answer["stop"]["iteration"] == 300


def test_a_text_log_says_what_the_scalars_say(log: Path, tmp_path: Path) -> None:
    lines = []
    for step, score in enumerate(SCORES, 1):
        head = "2026/11/24 02:39:29 - mmengine - INFO - "
        lines += [
            f"{head}Iter(train) [{100 * step - 50:4d}/800]  lr: 1.0e-02  eta: 0:01:00  time: 0.3600  data_time: 0.01  "
            "memory: 900  loss: 1.0",
            f"{head}Saving checkpoint at {100 * step} iterations",
            f"{head}Iter(val) [50/100]    eta: 0:00:01  time: 0.01  data_time: 0.01  memory: 900",
            f"{head}per class results:",
            f"{head}Iter(val) [100/100]    val/aAcc: 90.0  val/mIoU: {score:.4f}  data_time: 0.0005  time: 0.0007",
        ]
    text = tmp_path / "20261124_023929.log"
    text.write_text("\n".join(lines))
    from_text, from_scalars = (data(path, "--set", "early_stopping.patience=3") for path in (text, log))
    assert {key: from_text[key] for key in ("stop", "best", "lost", "saved")} == {
        key: from_scalars[key] for key in ("stop", "best", "lost", "saved")
    }


def test_epochs_are_named_where_the_run_counts_them(tmp_path: Path) -> None:
    lines = []
    for epoch, score in enumerate([10.0, 9.0, 8.0], 1):
        lines += [
            {"loss": 1.0, "time": 0.1, "epoch": epoch, "iter": 40 * epoch, "step": 40 * epoch},
            {"val/mIoU": score, "time": 0.1, "data_time": 0.1, "step": epoch},
        ]
    path = tmp_path / "scalars.json"
    path.write_text("\n".join(map(json.dumps, lines)))
    text = replay(path, "--set", "early_stopping.patience=1").stdout
    assert "at epoch 2 (iteration 80), validation 2 of 3" in text
    assert "40 iterations of 120" in text


def test_validations_that_are_all_logged_at_step_0_fall_where_training_was(tmp_path: Path) -> None:
    # mmengine's default, log_metric_by_epoch=True, in a loop by iterations
    path = tmp_path / "scalars.json"
    path.write_text(json_lines([10.0, 9.0, 8.0]).replace('"time": 0.1, "step": 100', '"time": 0.1, "step": 0'))
    assert data(path, "--set", "early_stopping.patience=1")["stop"]["iteration"] == 200


class TestWorkDir:
    @pytest.fixture
    def work_dir(self, tmp_path: Path) -> Path:
        return tmp_path / "pspnet"

    @staticmethod
    def write(work_dir: Path, start: str, text: str) -> Path:
        path = work_dir / start / "vis_data" / "scalars.json"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        return path

    def test_a_resumed_run_is_put_together(self, work_dir: Path) -> None:
        # Killed after 400 iterations, resumed from 300: the second part did 400 again, with another score.
        self.write(work_dir, "20260101_000000", json_lines([30.0, 40.0, 50.0, 99.0]))
        self.write(work_dir, "20260102_000000", json_lines(SCORES[3:], begin=300))
        answer = data(work_dir, "--set", "early_stopping.patience=3")
        assert answer["stop"]["iteration"] == 600
        assert answer["best"] == {"iteration": 700, "epoch": None, "value": 60.0}
        assert len(answer["log"]) == 2

    def test_a_run_that_began_anew_is_read_alone(self, work_dir: Path) -> None:
        self.write(work_dir, "20260101_000000", json_lines([99.0, 99.0]))
        newest = self.write(work_dir, "20260102_000000", json_lines(SCORES))
        assert data(work_dir)["log"] == [str(newest)]

    def test_the_rule_of_its_own_config_is_taken(self, work_dir: Path) -> None:
        self.write(work_dir, "20260101_000000", json_lines(SCORES, metric="mIoU"))
        config = work_dir / "20260101_000000" / "vis_data" / "config.py"
        config.write_text("custom_hooks = [dict(type='EarlyStoppingHook', monitor='mIoU', patience=2)]\n")
        answer = data(work_dir)
        assert answer["rule_from"] == f"custom_hooks[0] of {config}"
        assert answer["stop"]["iteration"] == 500
        assert data(work_dir, "--set", "early_stopping.patience=3")["stop"]["iteration"] == 600

    def test_several_runs_below_a_folder_are_not_mixed(self, work_dir: Path) -> None:
        for name in ("a", "b"):
            self.write(work_dir / name, "20260101_000000", json_lines(SCORES))
        assert_refused(replay(work_dir), f"{work_dir} holds several runs: a, b", f"name one: {work_dir / 'a'}")

    def test_an_empty_folder_is_refused(self, work_dir: Path) -> None:
        work_dir.mkdir()
        assert_refused(replay(work_dir), f"{work_dir} holds no log of mmengine's", "vis_data/scalars.json")


def test_the_rule_of_a_named_config(log: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.py"
    config.write_text("custom_hooks = [dict(type='ResumableEarlyStoppingHook', monitor='val/mIoU', patience=3)]\n")
    assert data(log, "--config", config)["stop"]["iteration"] == 600
    config.write_text("custom_hooks = []\n")
    assert_refused(replay(log, "--config", config), f"{config} has no early stopping", "leave --config out")


def test_a_metric_under_another_prefix_is_taken_for_the_default_one_and_said(tmp_path: Path) -> None:
    path = tmp_path / "scalars.json"
    path.write_text(json_lines(SCORES, metric="mIoU"))
    result = replay(path)
    assert result.exit_code == 0
    assert "the log has no 'val/mIoU': 'mIoU' is taken for it" in result.stderr
    wanted = replay(path, "--set", "early_stopping.monitor=val/mIoU")
    assert_refused(wanted, "no validation of the log has 'val/mIoU'", "--set early_stopping.monitor=mIoU")


def test_half_a_line_at_the_end_of_a_killed_run_is_passed_over(log: Path) -> None:
    log.write_text(log.read_text() + '{"loss": 1.0, "ti')
    result = replay(log)
    assert result.exit_code == 0
    assert "1 line of the log cannot be read" in result.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no line of it is a log line of mmengine's"),
        ("hello\n", "no line of it is a log line of mmengine's"),
        ("{broken\n", "no line of it is a log line of mmengine's"),
        ('{"loss": 1.0, "iter": 50, "step": 50}\n', "no validation is logged in 50 iterations"),
    ],
)
def test_a_log_without_validations_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "scalars.json"
    path.write_text(text)
    assert_refused(replay(path), message, "")


def test_a_log_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert_refused(replay(tmp_path / "none.json"), "none.json does not exist", "work dir")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("early_stopping.patence=3", "unknown key 'patence'; did you mean 'patience'?"),
        ("early_stopping.patience=0", "early_stopping.patience"),
        ("early_stopping.rule=max", "early_stopping.rule=max: wanted 'greater' or 'less'"),
        ("schedule.max_iters=3", "a replay has the fields of early_stopping only"),
        ("early_stopping=null", "a replay has the fields of early_stopping only"),
        ("patience", "expected FIELD=VALUE"),
    ],
)
def test_a_setting_that_is_no_field_of_the_rule_is_refused(log: Path, setting: str, message: str) -> None:
    assert_refused(replay(log, "--set", setting), message, "")


def assert_refused(result: Result, message: str, hint: str) -> None:
    assert isinstance(result.exception, ProvecfgError)
    assert result.exception.exit_code == 2
    assert message in str(result.exception)
    assert hint in str(result.exception)
