from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from mmengine.config import Config
from mmengine.registry import VISBACKENDS

import provecfg.plugin  # noqa: F401  (registers the backends)
from provecfg.plugin.trackers.backends import TENSORBOARD_FOLDER, TRACKER_RUNS
from tests.training.run_process import RunProcess, lives, scalars
from tests.training.small_cell import write_small_cell

_SERVER_SECONDS = 300
ADDED = "\nvisualizer['vis_backends'] += {backends!r}\n"


def backend_of(kind: str, work_dir: Path, life: int, **settings: Any) -> Any:
    """A backend as the runner of a life builds it."""
    save_dir = work_dir / f"2026010{life}_000000" / "vis_data"
    return VISBACKENDS.build({"type": kind, "save_dir": str(save_dir), **settings})


def curve_in(work_dir: Path) -> list[tuple[int, float]]:
    """Steps and losses that TensorBoard shows of a work dir, which is one run of its."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folders = {path.parent for path in work_dir.rglob("events.out.tfevents.*")}
    assert folders == {work_dir / TENSORBOARD_FOLDER}
    accumulator = EventAccumulator(str(*folders))
    accumulator.Reload()
    return [(event.step, event.value) for event in accumulator.Scalars("loss")]


def test_lives_of_a_run_are_one_curve_of_tensorboard(tmp_path: Path) -> None:
    for life, steps in ((1, range(1, 7)), (2, range(5, 10))):  # the first was killed after its checkpoint of 4
        backend = backend_of("TensorboardRunBackend", tmp_path / "cell", life)
        backend.add_config(Config({"lr": 0.1}))
        for step in steps:
            backend.add_scalars({"loss": float(10 * life + step)}, step)
        backend.close()
        time.sleep(1.1)  # TensorBoard orders files by the second in their names
    expected = [*(10 + step for step in range(1, 5)), *(20 + step for step in range(5, 10))]
    assert curve_in(tmp_path / "cell") == list(enumerate(map(float, expected), start=1))


class MlflowServer:
    """MLflow's own server on the loopback, its runs in an SQLite file."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{port}"
        words = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        words += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder)]
        without_jobs = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # it starts faster so
        with open(folder / "server.txt", "wb") as output:
            self._server = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "mlflow", "server", *words],
                stdout=output, stderr=output, start_new_session=True, env=without_jobs,
            )  # fmt: skip
        until = time.monotonic() + _SERVER_SECONDS
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > until:
                self.stop()
                raise AssertionError((folder / "server.txt").read_text())
            time.sleep(0.5)

    def _answers(self) -> bool:
        with suppress(URLError, OSError):
            return urllib.request.urlopen(f"{self.uri}/health", timeout=5).status == 200
        return False

    def asked(self, path: str, question: dict[str, Any] | None = None) -> dict[str, Any]:
        """What its REST API says."""
        request = urllib.request.Request(f"{self.uri}/api/2.0/mlflow/{path}")
        if question is not None:
            request.data = json.dumps(question).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def stop(self) -> None:
        """End it and its workers."""
        with suppress(ProcessLookupError):
            os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    running = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    yield running
    running.stop()


def cell_with(path: Path, *backends: dict[str, Any]) -> Path:
    """A small cell with trackers."""
    config = write_small_cell(path)
    config.write_text(config.read_text() + ADDED.format(backends=list(backends)))
    return config


def train_over_a_requeue_and_a_kill(config: Path, work_dir: Path, environment: dict[str, str]) -> None:
    """Train a cell in three lives: the first is warned of a time limit, the second is killed."""
    for pattern, signum, code in (
        ("iter_6.pth", signal.SIGUSR1, 75), ("iter_14.pth", signal.SIGKILL, -signal.SIGKILL), (None, None, 0)
    ):  # fmt: skip
        process = RunProcess(config, work_dir, environment=environment)
        if pattern is not None:
            process.wait_for_file(pattern)
            process.send(signum)
        assert process.ended() == code, process.text
    states = [state for state, _, _ in lives(work_dir)]
    assert states[:2] == ["interrupted", "lost"]
    assert states[2:] in (["finished"], ["early-stopped"])


@pytest.mark.trackers
@pytest.mark.stack
@pytest.mark.slow
def test_a_cell_of_three_lives_is_one_run_of_an_mlflow_server_and_of_tensorboard(
    server: MlflowServer, tmp_path: Path
) -> None:
    backends = [{"type": "MLflowRunBackend", "exp_name": "study"}, {"type": "TensorboardRunBackend"}]
    config, work_dir = cell_with(tmp_path / "cell.py", *backends), tmp_path / "cell-0123abcd"
    train_over_a_requeue_and_a_kill(config, work_dir, {"MLFLOW_TRACKING_URI": server.uri})

    experiment = server.asked("experiments/get-by-name?experiment_name=study")["experiment"]["experiment_id"]
    (run,) = server.asked("runs/search", {"experiment_ids": [experiment]})["runs"]
    assert (run["info"]["run_name"], run["info"]["status"]) == ("cell-0123abcd", "FINISHED")
    history = server.asked(f"metrics/get-history?run_id={run['info']['run_id']}&metric_key=loss")["metrics"]
    made = [(line["step"], line["loss"]) for line in scalars(work_dir) if "loss" in line]
    assert sorted((int(each["step"]), each["value"]) for each in history) == sorted(made)
    steps = list(range(1, max(step for step, _ in made) + 1))
    assert {step for step, _ in made} == set(steps)
    assert [step for step, _ in curve_in(work_dir)] == steps


@pytest.mark.trackers
@pytest.mark.stack
@pytest.mark.slow
def test_without_a_server_mlflow_keeps_the_run_in_its_work_dir(tmp_path: Path) -> None:
    config, work_dir = cell_with(tmp_path / "cell.py", {"type": "MLflowRunBackend"}), tmp_path / "cell"
    process = RunProcess(config, work_dir)
    assert process.ended() == 0, process.text
    assert (work_dir / "mlflow.db").is_file()
    assert not Path("mlruns").exists()


@pytest.mark.trackers
@pytest.mark.stack
@pytest.mark.slow
def test_a_cell_of_three_lives_is_one_run_of_wandb(tmp_path: Path) -> None:
    config = cell_with(tmp_path / "cell.py", {"type": "WandbRunBackend", "init_kwargs": {"project": "study"}})
    work_dir = tmp_path / "cell"
    train_over_a_requeue_and_a_kill(config, work_dir, {"WANDB_MODE": "offline"})
    folders = list((work_dir / "wandb").glob("offline-run-*"))
    identity = json.loads((work_dir / TRACKER_RUNS).read_text())["wandb"]
    assert len(folders) == 3
    assert {folder.name.rpartition("-")[2] for folder in folders} == {identity}


@pytest.mark.trackers
@pytest.mark.stack
@pytest.mark.slow
def test_mlflow_refuses_the_file_store_that_rule_run014_is_about(tmp_path: Path) -> None:
    config, work_dir = cell_with(tmp_path / "cell.py", {"type": "MLflowVisBackend"}), tmp_path / "cell"
    process = RunProcess(config, work_dir)
    assert process.ended() == 1
    assert "the filesystem tracking backend" in process.text.casefold()
