"""Real runs: every generated config trains, is interrupted, and goes on."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from provecfg.findings import Severity
from provecfg.mmconfig import read_config
from provecfg.training import record as records
from provecfg.training.options import RunOptions
from provecfg.training.preflight import Prepared, prepare
from provecfg.training.record import read_record
from provecfg.training.runner import Outcome, end_loading_processes, train
from provecfg.validate import judgement_of_view

pytestmark = [
    pytest.mark.stack,
    pytest.mark.slow,
    # torch, mmengine and mmdet warn of each other's deprecations while they train.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]

GENERATED = Path(__file__).parents[2] / "generated"
NAMES = sorted(path.stem for path in GENERATED.glob("*.py"))
# One of each model, and each loss at least once; the others take minutes.
CELLS = [
    name if index % 4 == index // 4 % 4 else pytest.param(name, marks=pytest.mark.exhaustive)
    for index, name in enumerate(NAMES)
]
PSPNET = "pspnet_r50_bdd10k_ce"
THIN = (
    "model.backbone.base_channels=4",
    "model.decode_head.in_channels=128",
    "model.decode_head.channels=16",
    "model.auxiliary_head.in_channels=64",
    "model.auxiliary_head.channels=16",
)
"""A sixteenth of PSPNet's channels, for what holds of a run of any model."""


@HOOKS.register_module(force=True)
class SignalAt(Hook):
    """Sends this process a signal during one iteration."""

    def __init__(self, iteration: int, signum: int) -> None:
        self.iteration, self.signum = iteration, signum

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter + 1 == self.iteration:
            signal.raise_signal(self.signum)


@HOOKS.register_module(force=True)
class FailAt(Hook):
    """Raises in one iteration, as torch does when a data-loading process was killed."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter + 1 == self.iteration:
            raise RuntimeError("DataLoader worker is killed by signal")


@HOOKS.register_module(force=True)
class SpoilLossAt(Hook):
    """Makes the weights infinite before one iteration."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter + 1 == self.iteration:
            next(runner.model.decode_head.conv_seg.parameters()).data.fill_(float("nan"))


def prepared_smoke(name: str, tmp_path: Path, **options: Any) -> Prepared:
    path = GENERATED / f"{name}.py"
    view = read_config(path)
    findings = judgement_of_view(view).findings
    assert [finding for finding in findings if finding.severity is Severity.ERROR] == []
    options = {"smoke": True, "device": "cpu", "work_dir": tmp_path / "run", "quiet": True, **options}
    prepared = prepare(path, RunOptions(**options), view)
    assert prepared.findings == ()
    return prepared


def thin_smoke(tmp_path: Path) -> Prepared:
    return prepared_smoke(PSPNET, tmp_path, cfg_options=THIN)


def interrupted(prepared: Prepared, iteration: int) -> Outcome:
    prepared.config.custom_hooks.append({"type": "SignalAt", "iteration": iteration, "signum": signal.SIGTERM})
    return train(prepared)


def validations(work_dir: Path) -> list[tuple[int, float]]:
    lines = [json.loads(line) for path in sorted(work_dir.glob("*/vis_data/scalars.json")) for line in path.open()]
    return [(line["step"], line["val/mIoU"]) for line in lines if "val/mIoU" in line]


def test_there_are_as_many_configs_as_cells() -> None:
    assert len(NAMES) >= 24


@pytest.mark.parametrize("name", CELLS)
def test_every_generated_config_trains_validates_and_goes_on_after_an_interruption(name: str, tmp_path: Path) -> None:
    first = interrupted(prepared_smoke(name, tmp_path), iteration=3)
    assert (first.state, first.iteration, int(first.exit_code)) == ("interrupted", 3, 130)
    work_dir = first.work_dir
    checkpoint = torch.load(work_dir / "iter_3.pth", weights_only=True)
    assert checkpoint["meta"]["iter"] == 3

    second = train(prepared_smoke(name, tmp_path))
    assert (second.state, second.iteration, int(second.exit_code)) == ("finished", 4, 0)
    assert [step for step, _ in validations(work_dir)] == [2, 4]
    record = read_record(work_dir)
    assert record is not None
    assert [(attempt.state, attempt.first_iter, attempt.last_iter) for attempt in record.attempts] == [
        ("interrupted", 0, 3),
        ("finished", 3, 4),
    ]
    assert record.last_checkpoint == "iter_4.pth"
    assert record.best is not None
    assert record.best["metric"] == "val/mIoU"
    assert (work_dir / record.best["checkpoint"]).is_file()
    assert (work_dir / "source" / f"{name}.py").read_text() == (GENERATED / f"{name}.py").read_text()


def test_a_resumed_run_ends_where_one_in_a_piece_would(tmp_path: Path) -> None:
    straight = train(thin_smoke(tmp_path / "straight"))
    interrupted(thin_smoke(tmp_path / "broken"), iteration=2)
    resumed = train(thin_smoke(tmp_path / "broken"))
    rates = []
    for outcome in (straight, resumed):
        state = torch.load(outcome.work_dir / "iter_4.pth", weights_only=True)
        rates.append([group["lr"] for group in state["optimizer"]["param_groups"]])
    assert rates[0] == rates[1]
    assert [step for step, _ in validations(straight.work_dir)] == [step for step, _ in validations(resumed.work_dir)]


def test_a_finished_run_is_complete_and_a_finished_smoke_run_starts_anew(tmp_path: Path) -> None:
    train(thin_smoke(tmp_path))
    again = thin_smoke(tmp_path)
    assert not again.is_complete
    assert again.resume_from is None
    record = read_record(tmp_path / "run")
    assert record is not None
    assert record.state == records.FINISHED


def test_two_runs_in_one_process_log_into_their_own_folders(tmp_path: Path) -> None:
    for number in ("first", "second"):
        outcome = train(thin_smoke(tmp_path / number))
        assert len(validations(outcome.work_dir)) == 2
        logs = list(outcome.work_dir.glob("*/*.log"))
        assert len(logs) == 1
        text = logs[0].read_text()
        assert "System environment:" in text
        assert "Config:" in text
        assert "Iter(train) [4/4]" in text


def test_a_loss_that_is_no_number_fails_the_run_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    prepared = thin_smoke(tmp_path)
    prepared.config.custom_hooks.append({"type": "SpoilLossAt", "iteration": 3})
    outcome = train(prepared)
    assert (outcome.state, outcome.iteration, int(outcome.exit_code)) == ("failed", 2, 1)
    assert "iteration 3: decode.loss_ce is nan" in outcome.message
    assert "iter_2.pth" in outcome.message
    weights = torch.load(outcome.work_dir / "iter_2.pth", weights_only=True)["state_dict"]
    assert all(weight.isfinite().all() for weight in weights.values())
    record = read_record(outcome.work_dir)
    assert record is not None
    assert (record.state, record.last_checkpoint) == ("failed", "iter_2.pth")


def test_an_iteration_that_fails_of_a_signal_is_an_interruption(tmp_path: Path) -> None:
    prepared = thin_smoke(tmp_path)
    prepared.config.custom_hooks.append({"type": "FailAt", "iteration": 3, "priority": "LOWEST"})
    outcome = interrupted(prepared, iteration=3)
    assert (outcome.state, outcome.iteration, int(outcome.exit_code)) == ("interrupted", 2, 130)
    assert thin_smoke(tmp_path).resume_from == outcome.work_dir / "iter_2.pth"


def test_whatever_else_fails_is_recorded_with_its_traceback_in_the_log(tmp_path: Path) -> None:
    prepared = thin_smoke(tmp_path)
    prepared.config.model.decode_head.in_channels = 7
    outcome = train(prepared)
    assert outcome.state == "failed"
    assert outcome.message.startswith("RuntimeError: Given groups=1")
    (log,) = outcome.work_dir.glob("*/*.log")
    assert "Traceback (most recent call last)" in log.read_text()


def test_a_flat_metric_stops_the_run_after_patience_validations_also_across_an_interruption(tmp_path: Path) -> None:
    def prepared() -> Prepared:
        """Twelve iterations with a validation after each, none of which can be better by as much as is asked."""
        made = thin_smoke(tmp_path)
        config = made.config
        config.train_cfg.update(max_iters=12, val_interval=1)
        config.val_dataloader.dataset.indices = 1
        config.default_hooks.checkpoint.interval = 1
        (stopping,) = [hook for hook in config.custom_hooks if hook.type == "ResumableEarlyStoppingHook"]
        stopping.update(patience=3, min_delta=100.0)
        return made

    first = interrupted(prepared(), iteration=3)
    assert first.state == "interrupted"
    second = train(prepared())
    assert second.state == "early-stopped"
    # The first validation sets the best score, and three more bring nothing.
    assert second.iteration == 4
    assert "early stop at iteration 4 of 12" in second.message
    assert [step for step, _ in validations(second.work_dir)] == [1, 2, 3, 4]


def test_loading_processes_end_at_once_when_a_circle_holds_them() -> None:
    loader = DataLoader(range(64), num_workers=2, persistent_workers=True)  # type: ignore[arg-type]
    iterator = iter(loader)
    next(iterator)
    processes = iterator._workers
    circle = [loader, iterator]
    circle.append(circle)
    began = time.monotonic()
    end_loading_processes()
    assert not any(process.is_alive() for process in processes)
    assert time.monotonic() - began < 4  # torch's own wait for one process is five seconds


def test_loading_processes_that_were_started_end_where_others_could_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    process, started = torch.multiprocessing.Process, []

    def one(*args: Any, **kwargs: Any) -> Any:
        if started:
            raise OSError("no more processes")
        started.append(process(*args, **kwargs))
        return started[0]

    monkeypatch.setattr(torch.multiprocessing, "Process", one)
    with pytest.raises(OSError, match="no more processes") as raised:
        iter(DataLoader(range(64), num_workers=2))  # type: ignore[arg-type]
    end_loading_processes()
    assert not started[0].is_alive()
    assert raised.traceback  # by which the iterator is still there
