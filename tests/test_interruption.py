"""Real signals to this process and to real others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from provecfg import interruption
from provecfg.interruption import REQUEUE_SIGNALS, SIGNALS, STOP_SIGNALS, StopRequested, StopSignals


def send(signum: int) -> None:
    os.kill(os.getpid(), signum)


@pytest.fixture
def python() -> Callable[..., subprocess.Popen[str]]:
    """Start a process that runs some lines of Python, with its output as text."""

    def start(lines: str, *arguments: object) -> subprocess.Popen[str]:
        words = [sys.executable, "-c", lines, *map(str, arguments)]
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_while_nothing_is_to_be_saved_raises_at_once(signum: int) -> None:
    with StopSignals().listening() as signals, pytest.raises(StopRequested, match=signal.Signals(signum).name) as stop:
        send(signum)
    assert signals.received == signum
    assert stop.value.requeue == signals.asks_requeue == (signum in REQUEUE_SIGNALS)


@pytest.mark.parametrize("signum", SIGNALS)
def test_the_first_signal_is_only_noted_while_training(signum: int) -> None:
    with StopSignals().listening() as signals:
        signals.defer()
        send(signum)
        assert signals.received == signum


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_ends_at_once(second: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with StopSignals().listening() as signals:
        signals.defer()
        send(signal.SIGTERM)
        monkeypatch.setattr(interruption, "_ECHO_SECONDS", 0.0)
        with pytest.raises(StopRequested):
            send(second)


def test_what_comes_right_after_the_first_is_its_echo() -> None:
    with StopSignals().listening() as signals:
        signals.defer()
        for signum in (signal.SIGUSR1, signal.SIGTERM, signal.SIGUSR1):
            send(signum)
        assert signals.received == signal.SIGUSR1


def test_asking_again_to_be_requeued_asks_for_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "_ECHO_SECONDS", 0.0)
    with StopSignals().listening() as signals:
        signals.defer()
        for _ in range(3):
            send(signal.SIGUSR1)
        assert signals.asks_requeue


@pytest.mark.parametrize(("second", "requeue"), [(signal.SIGTERM, True), (signal.SIGINT, False)])
def test_a_time_limit_after_its_warning_leaves_the_wish_and_ctrl_c_does_not(
    second: int, requeue: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interruption, "_ECHO_SECONDS", 0.0)
    with StopSignals().listening() as signals:
        signals.defer()
        send(signal.SIGUSR1)
        with pytest.raises(StopRequested) as stop:
            send(second)
    assert stop.value.requeue == requeue


def test_one_of_several_processes_takes_every_further_signal_for_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "_ECHO_SECONDS", 0.0)
    with StopSignals(second_ends=False).listening() as signals:
        signals.defer()
        for signum in SIGNALS:
            send(signum)


def test_nothing_ends_a_run_that_is_being_closed_and_the_next_one_does_not_begin() -> None:
    with StopSignals().listening() as signals:
        signals.defer()
        signals.finish()
        for signum in SIGNALS:
            send(signum)
        with pytest.raises(StopRequested):
            signals.start_over()


def test_the_handlers_of_before_come_back() -> None:
    before = [signal.getsignal(signum) for signum in SIGNALS]
    with StopSignals().listening() as signals, signals.listening():
        assert all(signal.getsignal(signum) not in before for signum in SIGNALS)
    assert [signal.getsignal(signum) for signum in SIGNALS] == before


@pytest.mark.parametrize("signum", STOP_SIGNALS)
def test_what_nohup_and_background_jobs_ignore_stays_ignored(signum: int) -> None:
    before = signal.signal(signum, signal.SIG_IGN)
    try:
        with StopSignals().listening() as signals:
            signals.defer()
            send(signum)
            assert (signals.received is None) == (signum != signal.SIGTERM)
    finally:
        signal.signal(signum, before)


def test_this_module_imports_nothing_heavy(python: Callable[..., subprocess.Popen[str]]) -> None:
    out, _ = python(
        "import sys, provecfg.interruption; print({'click', 'torch', 'json', 'numpy'} & {*sys.modules})"
    ).communicate()
    assert out == "set()\n"


def test_held_signals_are_received_when_somebody_listens(
    python: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    go = tmp_path / "go"
    process = python(
        "import os, sys, time\n"
        "from provecfg.interruption import hold, StopSignals, StopRequested\n"
        "hold()\n"
        "print('held', flush=True)\n"
        "while not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
        "try:\n"
        "    with StopSignals().listening(): pass\n"
        "except StopRequested as stop: print(stop, stop.requeue)\n",
        go,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    process.send_signal(signal.SIGUSR2)
    go.touch()
    assert process.communicate(timeout=60) == ("SIGUSR2 True\n", "")


def test_a_loader_process_is_ended_by_its_parent_alone(python: Callable[..., subprocess.Popen[str]]) -> None:
    process = python(
        "import multiprocessing, time\n"
        "from provecfg.interruption import shield_loader_process\n"
        "def load(ready):\n"
        "    shield_loader_process(); ready.set(); time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('fork')\n"
        "    ready = context.Event()\n"
        "    loader = context.Process(target=load, args=(ready,), daemon=True)\n"
        "    loader.start(); ready.wait(); print(loader.pid, flush=True)\n"
        "    input()\n"
        "    print(loader.is_alive(), flush=True)\n"
        "    loader.terminate(); loader.join(60); print(loader.exitcode, flush=True)\n"
    )
    assert process.stdout is not None
    loader = int(process.stdout.readline())
    for signum in SIGNALS:
        os.kill(loader, signum)
    time.sleep(0.2)
    out, err = process.communicate("\n", timeout=120)
    assert (out, err) == ("True\n0\n", "")


def test_a_process_ends_with_its_parent(python: Callable[..., subprocess.Popen[str]]) -> None:
    child = (
        "import signal, sys, time\n"
        "from provecfg.interruption import end_with_parent\n"
        "end_with_parent(signal.SIGTERM, int(sys.argv[1]))\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = python(
        "import os, subprocess, sys, time\n"
        "words = [sys.executable, '-c', sys.argv[1], str(os.getpid())]\n"
        "child = subprocess.Popen(words, stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print(child.pid, flush=True); time.sleep(600)\n",
        child,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    for _ in range(600):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the child lives on")


def test_a_process_whose_parent_was_gone_before_it_asked_ends_at_once(
    python: Callable[..., subprocess.Popen[str]],
) -> None:
    process = python(
        "import signal\nfrom provecfg.interruption import end_with_parent\nend_with_parent(signal.SIGTERM, 1)\n"
    )
    process.communicate()
    assert process.returncode == -signal.SIGTERM
