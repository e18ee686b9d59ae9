from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from provecfg.engines.cell_process import Verdict
from provecfg.engines.local import Event, LocalQueue, QueuedCell, slots_for
from provecfg.errors import ExitCode, ProvecfgError
from provecfg.interruption import StopSignals
from provecfg.ledger.cell_logs import CONSOLE
from provecfg.ledger.cell_status import State, server_clock, status_of
from provecfg.training.record import FILENAME, read_record

pytestmark = pytest.mark.usefixtures("_fake_training")


class Watch:
    """What a queue tells."""

    def __init__(self, folder: Path, paths: list[Path], parallel: int = 2, **options: object) -> None:
        self.cells = [QueuedCell(path.stem, path, folder / path.stem) for path in paths]
        self.most = 0
        self.events: list[Event] = []
        slots = slots_for(parallel, 1, [str(n) for n in range(parallel)], on_cpu=False)
        self.queue = LocalQueue(self.cells, slots, [], tell=self.events.append, tick=self.count, **options)

    def count(self, running) -> None:
        self.most = max(self.most, len(running))

    def run(self) -> ExitCode:
        signals = StopSignals()
        with signals.listening():
            return self.queue.run(signals)

    def verdicts(self) -> dict[str, Verdict]:
        return {name: end.verdict for name, end in self.queue.ends.items()}

    def state(self, cell: str) -> State:
        folder = next(each.work_dir for each in self.cells if each.name == cell)
        return status_of(cell, folder, server_clock(folder)).state


def test_every_slot_is_kept_busy_and_the_failure_of_one_ends_no_other(tmp_path: Path, configs) -> None:
    watch = Watch(tmp_path, configs("quick1", "finding", "nan", "quick2", "quick3"))
    assert watch.run() == ExitCode.FINDINGS
    assert watch.most == 2
    assert watch.verdicts() == {
        **dict.fromkeys(("quick1", "quick2", "quick3"), Verdict.DONE),
        **dict.fromkeys(("finding", "nan"), Verdict.FAILED),
    }
    assert watch.queue.ends["finding"].message.endswith("error LOSS003 two activations")
    assert watch.queue.ends["nan"].message == "the loss is nan in iteration 1"
    assert [watch.state(name) for name in ("finding", "nan", "quick1")] == [State.FAILED, State.FAILED, State.FINISHED]
    devices = {
        line.rpartition(" ")[2]
        for cell in watch.cells
        for line in (cell.work_dir / CONSOLE).read_text().splitlines()
        if "on device" in line
    }
    assert devices == {"0", "1"}


def test_what_was_killed_is_started_again_and_goes_on_where_it_was(tmp_path: Path, configs) -> None:
    watch = Watch(tmp_path, configs("oom"))
    assert watch.run() == ExitCode.CLEAN
    record = read_record(tmp_path / "oom")
    assert record is not None
    assert [(each.state, each.first_iter, each.last_iter) for each in record.attempts] == [
        ("lost", 0, 1),
        ("finished", 1, 3),
    ]


def test_without_retries_what_was_killed_is_not_started_again(tmp_path: Path, configs) -> None:
    watch = Watch(tmp_path, configs("oom"), retries=0)
    assert watch.run() == ExitCode.FINDINGS
    assert watch.verdicts() == {"oom": Verdict.KILLED}
    assert watch.state("oom") is State.LOST


def test_three_equal_failures_stop_the_queue(tmp_path: Path, configs) -> None:
    watch = Watch(tmp_path, configs("nan1", "nan2", "nan3", "quick1", "quick2"), parallel=1)
    assert watch.run() == ExitCode.FINDINGS
    assert watch.queue.stopped_by == "3 cells have failed alike: the loss is nan in iteration 1"
    assert [cell.name for cell in watch.queue.not_begun] == ["quick1", "quick2"]


@pytest.mark.parametrize(
    ("signum", "code", "requeue"),
    [(signal.SIGINT, ExitCode.INTERRUPTED, False), (signal.SIGUSR1, ExitCode.REQUEUE, True)],
)
def test_a_signal_ends_all_cells_at_a_checkpoint(
    tmp_path: Path, configs, signum: int, code: int, requeue: bool
) -> None:
    watch = Watch(tmp_path, configs("long1", "long2", "quick"))

    def interrupt() -> None:
        while not all((tmp_path / name / "iter_2.pth").exists() for name in ("long1", "long2")):
            time.sleep(0.02)
        os.kill(os.getpid(), signum)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert watch.run() == code
    thread.join()
    for name in ("long1", "long2"):
        record = read_record(tmp_path / name)
        assert record is not None
        assert (record.state, record.attempts[-1].requeue) == ("interrupted", requeue)
    assert [cell.name for cell in watch.queue.not_begun] == ["quick"]


def test_a_cell_that_another_process_trains_is_left_alone(tmp_path: Path, configs) -> None:
    first, second = Watch(tmp_path, configs("long1")), Watch(tmp_path, configs("long1"))
    begun = first.queue
    begun._begin(begun._waiting.popleft(), begun._free.popleft())
    process = next(iter(begun._running))
    while not (tmp_path / "long1" / "iter_1.pth").exists():
        time.sleep(0.02)
    assert second.run() == ExitCode.CLEAN
    assert second.verdicts() == {"long1": Verdict.ELSEWHERE}
    assert second.queue.ends["long1"].message.startswith("already being trained by process ")
    process.send(signal.SIGTERM)
    assert process.end().verdict is Verdict.STOPPED


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount a small file system of its own; returns its folder."""
    mounted: list[Path] = []

    def mounted_at(name: str, options: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
        mounted.append(folder)
        return folder

    yield mounted_at
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.root  # mounts file systems
def test_what_happens_to_one_cells_folder_is_named_and_the_rest_goes_on(tmp_path: Path, configs, mount) -> None:
    full = mount("quick-full", "size=64k")
    with open(full / "filling", "wb", buffering=0) as filling, suppress(OSError):
        while filling.write(bytes(4096)):
            pass
    mount("quick-read-only", "ro")
    (tmp_path / "quick-truncated").mkdir()
    (tmp_path / "quick-truncated" / FILENAME).write_text('{"name": "quick')
    names = ("quick-full", "quick-read-only", "quick-truncated", "ages-removed", "quick1", "quick2")
    watch = Watch(tmp_path, configs(*names))

    def remove() -> None:
        while not (tmp_path / "ages-removed" / "iter_2.pth").exists():
            time.sleep(0.02)
        (tmp_path / "ages-removed").rename(tmp_path / "elsewhere")

    thread = threading.Thread(target=remove)
    thread.start()
    assert watch.run() == ExitCode.FINDINGS
    thread.join()
    assert watch.verdicts() == dict.fromkeys(names, Verdict.FAILED) | dict.fromkeys(("quick1", "quick2"), Verdict.DONE)
    messages = {name: watch.queue.ends[name].message.casefold() for name in names[:4]}
    assert "no space left on device" in messages["quick-full"]
    assert "read-only file system" in messages["quick-read-only"]
    assert f"{FILENAME} is not a record of a run" in messages["quick-truncated"]
    assert messages["ages-removed"] == f"{tmp_path / 'ages-removed'} is gone"


def test_slots_share_out_the_devices() -> None:
    slots = slots_for(None, 2, ["0", "1", "3", "5", "7"], on_cpu=False)
    assert [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in slots] == ["0,1", "3,5"]
    assert len(slots_for(3, 1, None, on_cpu=True)) == 3
    with pytest.raises(ProvecfgError, match=r"--gpus-per-run 2, and there are 1 GPUs: 0"):
        slots_for(None, 2, ["0"], on_cpu=False)
    with pytest.raises(ProvecfgError, match=r"--devices names 1 twice"):
        slots_for(None, 1, ["1", "0", "1"], on_cpu=False)


def test_run_parallel_tells_of_every_cell_and_goes_on_where_it_was(tmp_path: Path, configs, provecfg) -> None:
    paths = configs("quick", "oom", "finding")
    words = ["run", *paths, "--parallel", "2", "--device", "cpu", "--work-dir", tmp_path / "runs", "--retries", "0"]
    code, out, err = provecfg(*words)
    assert (code, out) == (ExitCode.FINDINGS, "")
    assert err.startswith("3 cells in 2 slots\n")
    assert "quick: done: finished (iteration 3)" in err
    assert "oom: killed: killed by SIGKILL (iteration 1)" in err
    assert err.endswith(("2 of 3 failed: finding, oom\n", "2 of 3 failed: oom, finding\n"))
    code, _, err = provecfg(*words)
    assert "oom: done: finished (iteration 3)" in err
    code, out, _ = provecfg("status", tmp_path / "runs")
    assert code == ExitCode.CLEAN
    assert out.splitlines()[-1] == "2 cells: 2 finished"
    code, out, _ = provecfg("logs", tmp_path / "runs", "oom")
    assert [line.split(" on ")[0] for line in out.splitlines()[1:]] == ["trains from 0", "trains from 1"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--parallel", "0"], "--parallel '0' is no number above 0, nor auto"),
        (["--retries", "2"], "--retries is for --parallel"),
        (["--parallel", "2", "--gpus", "2"], "--gpus-per-run N gives each config N GPUs"),
    ],
)
def test_what_does_not_go_with_the_queue_is_wrong_usage(configs, provecfg, words: list[str], message: str) -> None:
    code, _, err = provecfg("run", *configs("quick"), *words)
    assert code == ExitCode.USAGE
    assert message in err
