from __future__ import annotations

import threading
from pathlib import Path

import pytest

from provecfg.training import heartbeat
from provecfg.training.heartbeat import Heartbeat, Pulse, read_heartbeat


def beat(iteration: int) -> Heartbeat:
    return Heartbeat("2026-11-01T00:00:00+00:00", "token", heartbeat.TRAINING, iteration, 100, 2.5, 38.0)


class Run:
    """Counts how often it was asked how far it is."""

    def __init__(self, work_dir: Path, *, interval: float = 0.01) -> None:
        self.asked = 0
        self.is_ours = True
        self.enough = threading.Event()
        self.pulse = Pulse(work_dir, self.measure, lambda: self.is_ours, interval)

    def measure(self) -> Heartbeat:
        self.asked += 1
        if self.asked >= 3:
            self.enough.set()
        return beat(self.asked)


def test_the_first_sign_of_life_is_there_at_once_and_others_follow(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.pulse.start()
    assert read_heartbeat(tmp_path) is not None
    assert run.enough.wait(60)
    run.pulse.stop()
    asked = run.asked
    assert read_heartbeat(tmp_path) == beat(asked)
    assert [path.name for path in tmp_path.iterdir()] == [heartbeat.FILENAME]


def test_one_is_written_early_when_there_is_news(tmp_path: Path) -> None:
    run = Run(tmp_path, interval=3600)
    run.pulse.start()
    while run.asked < 3:
        run.pulse.beat_soon()
        threading.Event().wait(0.001)
    run.pulse.stop()


def test_in_a_work_dir_that_is_anothers_nothing_more_is_written(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.pulse.start()
    assert not run.pulse.lost
    run.is_ours = False
    while not run.pulse.lost:
        threading.Event().wait(0.001)
    asked = run.asked
    assert read_heartbeat(tmp_path) == beat(asked)
    threading.Event().wait(0.05)
    run.pulse.stop()
    assert run.asked == asked


def test_a_disk_that_takes_nothing_does_not_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(heartbeat, "write_json_file", fail)
    run = Run(tmp_path)
    run.pulse.start()
    assert run.enough.wait(60)
    assert not run.pulse.lost
    run.pulse.stop()


@pytest.mark.parametrize("text", ["", "{}", '{"time": 3}'])
def test_a_broken_heartbeat_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / heartbeat.FILENAME).write_text(text)
    assert read_heartbeat(tmp_path) is None
    assert read_heartbeat(tmp_path / "nowhere") is None
