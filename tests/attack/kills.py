"""Kills at random moments of the commands that write: `python -m tests.attack.kills --seconds 300 --seed 1`.

`generate`, `report` and `prove` are ended by SIGKILL, SIGTERM, SIGINT or SIGHUP, or by two of them, while they work
over files that are there already, on a slow disk half of the time. After every kill each file has to be the old or the
new one, whole; nothing may be left running; and the same command, given again, has to end as one that nobody killed. So
is the queue of `run --parallel`, whose cells are those of `tests/engines/fake_trainer.py`; kills of what trains are in
`tests/training/kills.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provecfg.engines import cell_process
from provecfg.training.lease import Tenancy, look_at_lease
from provecfg.training.record import FINISHED
from tests.results.simulated_study import Effects, study_of, write_study
from tests.training.kills import newest_step
from tests.training.run_process import CommandProcess, record_in
from tests.training.small_cell import write_small_cell

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SECONDS_TO_END = 20
PROJECT = Path(__file__).parents[2]
_TRAINER = PROJECT / "tests" / "engines" / "fake_trainer.py"
_SLOW_WRITE = 0.05
"""Seconds."""
_VARYING = re.compile(rb'"(made|seconds)": [^\n]*|[0-9.]+ s\b')
"""Of a receipt: when it was made, and how long that took."""


@dataclass(frozen=True)
class Target:
    """A command that is killed.

    Args:
        name: Of the command.
        words: Its command line.
        folder: What it writes into, and nothing else does.
        spoil: Puts the folder into the state in which the command has all to write.
    """

    name: str
    words: Sequence[object]
    folder: Path
    spoil: Callable[[], None]


@dataclass
class Tally:
    """What was done.

    Args:
        kills: By command and signal, those that met a process that ran.
        too_late: Commands that had ended before.
        old: Files that a kill left as they were.
        new: Files that it left as the command would have.
        parts: Hidden files, half-written, that SIGKILL left: nobody could remove them.
        cells: Of a killed queue, which the next one brought to their end.
    """

    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    too_late: int = 0
    old: int = 0
    new: int = 0
    parts: int = 0
    cells: int = 0

    def __str__(self) -> str:
        kills = ", ".join(f"{name} by {signum} {count}" for (name, signum), count in sorted(self.kills.items()))
        return (
            f"{self.kills.total()} kills ({kills}), {self.too_late} too late; {self.old} files were left as they were "
            f"and {self.new} as the command writes them, none otherwise; SIGKILL left {self.parts} hidden "
            f"parts; every command went on to its end, and {self.cells} cells of killed queues to theirs"
        )


class KilledCommand:
    """A command, what it writes when nobody kills it, and what is left where somebody does.

    Args:
        target: The command.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._temporary = target.folder.with_name(f"{target.name}.tmp")
        target.spoil()
        self.old = contents(target.folder)
        began = time.monotonic()
        self._finish()
        self.seconds = time.monotonic() - began
        self.new = contents(target.folder)
        self.kept = self._temporary_files()  # caches

    def kill_once(self, draw: random.Random, tally: Tally) -> None:
        """Kill it at a random moment, look at what is left, and let it go on to its end."""
        self.target.spoil()
        before = children()
        process = self._started(slow=draw.random() < 0.5)
        if draw.random() < 0.5:  # in the short time in which files are written
            process.wait_until(lambda: contents(self.target.folder) != self.old)
            time.sleep(draw.uniform(0, _SLOW_WRITE))
        else:
            ends = time.monotonic() + draw.uniform(0, self.seconds)
            process.wait_until(lambda: time.monotonic() > ends)
        signums = kill(process, self.target.name, draw, tally)
        code = process.ended()
        left = contents(self.target.folder)
        # In its first moments a process ends by any signal, and has done nothing; in its last by a second one.
        assert code in (0, 130, *(-signum for signum in signums)), process.text
        is_killed = code == -signal.SIGKILL
        assert code >= 0 or is_killed or len(signums) > 1 or left == self.old, process.text
        assert "Traceback" not in process.text, process.text
        assert_nothing_outlives(before, self.target.name)
        if not is_killed:
            assert self._temporary_files() <= self.kept, (signums, self._temporary_files(), process.text)
        for name, data in left.items():
            if is_killed and name.endswith(".part"):
                tally.parts += 1
                continue
            assert data in (self.old.get(name), self.new.get(name)), f"{name} after {signums}: {data!r}"
            tally.old += data == self.old.get(name)
            tally.new += data == self.new.get(name)
        assert self.old.keys() <= left.keys()
        self._finish()
        left = contents(self.target.folder)
        assert {name: data for name, data in left.items() if not name.endswith(".part")} == self.new

    def _temporary_files(self) -> set[str]:
        return {path.name for path in self._temporary.iterdir()}

    def _started(self, *, slow: bool = False) -> CommandProcess:
        self._temporary.mkdir(exist_ok=True)

        def prepare() -> None:
            tempfile.tempdir = str(self._temporary)
            if slow:
                os.replace = slowly(os.replace)

        output = self.target.folder.with_name(f"{self.target.name}.txt")
        output.unlink(missing_ok=True)
        return CommandProcess(self.target.words, output, prepare=prepare)

    def _finish(self) -> None:
        process = self._started()
        assert process.ended() == 0, process.text


class KilledQueue:
    """`run --parallel` over cells that train for a tenth of a second an iteration.

    Args:
        folder: Gets the cells, and a folder of work dirs for each queue.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = 0
        self._configs = [folder / "cells" / f"{name}.py" for name in ("quick1", "quick2", "long")]
        (folder / "cells").mkdir(parents=True)
        for config in self._configs:
            config.write_text((PROJECT / "generated" / "pspnet_r50_bdd10k_ce.py").read_text())

    def kill_once(self, draw: random.Random, tally: Tally) -> None:
        """Kill a queue at a random moment, look at what is left, and let another bring its cells to their end."""
        self._number += 1
        runs = self.folder / f"runs{self._number}"
        before = children()
        process = self._started(runs)
        if draw.random() < 0.75:
            process.wait_until(lambda: any(runs.glob("*/iter_*.pth")))
        ends = time.monotonic() + draw.uniform(0, 1)
        process.wait_until(lambda: time.monotonic() > ends)
        signums = kill(process, "the queue", draw, tally)
        assert process.ended() in (130, *(-signum for signum in signums)), process.text
        assert "Traceback" not in process.text, process.text
        assert_nothing_outlives(before, "the queue")
        newest = {config.stem: newest_step(runs / config.stem) for config in self._configs}
        for config in self._configs:
            assert look_at_lease(runs / config.stem).tenancy is not Tenancy.HELD
        process = self._started(runs)
        assert process.ended() == 0, process.text
        for config in self._configs:
            attempts = record_in(runs / config.stem).attempts
            ends_of_lives = [0, *(attempt.last_iter for attempt in attempts)]
            assert [attempt.first_iter for attempt in attempts] == ends_of_lives[:-1], attempts
            assert attempts[-1].state == FINISHED
            assert any(attempt.last_iter == newest[config.stem] for attempt in attempts) or not newest[config.stem]
            tally.cells += 1

    def _started(self, runs: Path) -> CommandProcess:
        def prepare() -> None:
            cell_process.run_command = lambda *words: [sys.executable, str(_TRAINER), *map(str, words[:2])]

        words = ["run", *self._configs, "--parallel", 2, "--device", "cpu", "--work-dir", runs]
        output = runs.with_name(f"{runs.name}.{time.monotonic_ns()}.txt")
        environment = {"PYTHONPATH": str(PROJECT)}
        return CommandProcess(words, output, environment=environment, prepare=prepare)


def kill(process: CommandProcess, name: str, draw: random.Random, tally: Tally) -> tuple[signal.Signals, ...]:
    """Send a process one of the signals, or two, one soon after the other, and count them; it may have ended."""
    signums = tuple(draw.choices(SIGNALS, k=draw.choice((1, 1, 2))))
    for signum in signums:
        if process.code is None:
            tally.kills[name, signum.name] += 1
            process.send(signum)
        else:
            tally.too_late += 1
        time.sleep(draw.choice((0, 0.001, 0.1)))
    return signums


def assert_nothing_outlives(before: set[int], name: str) -> None:
    """Check that no processes are left but those of before; they may take a moment."""
    ends = time.monotonic() + SECONDS_TO_END
    while orphans := children() - before:
        assert time.monotonic() < ends, f"processes {orphans} outlive {name}"
        time.sleep(0.02)


def slowly(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function after a while, as on a disk that takes its time."""

    def slow(*arguments: Any, **options: Any) -> Any:
        time.sleep(_SLOW_WRITE)
        return function(*arguments, **options)

    return slow


def contents(folder: Path) -> dict[str, bytes]:
    """The files below a folder by their names, without what differs from one proof to the next."""
    files = {}
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # it was renamed meanwhile
            files[str(path.relative_to(folder))] = _VARYING.sub(b"", path.read_bytes())
    return files


@contextlib.contextmanager
def adopting_orphans() -> Iterator[None]:
    """Have what outlives its parent become a child of this process (Linux; prctl(2), PR_SET_CHILD_SUBREAPER)."""
    set_child_subreaper = 36
    libc = ctypes.CDLL(None)
    libc.prctl(set_child_subreaper, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(set_child_subreaper, 0, 0, 0, 0)


def children() -> set[int]:
    """Processes that run and that this one is the parent of."""
    running = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = status.read_bytes().rpartition(b")")[2].split()[:2]
            if state != b"Z" and int(parent) == os.getpid():
                running.add(int(status.parent.name))
    return running


def targets_in(folder: Path) -> list[Target]:
    """The commands, each with a folder of its own."""
    configs, page, proofs = (folder / name for name in ("generated", "page", "proofs"))
    study, other = folder / "study.yaml", folder / "other"
    models = "models: [pspnet_r50, segformer_mit-b3]\n"
    study.write_text(f"name: killed\n{models}schedule: {{max_iters: 6000, val_interval: 500}}\n", encoding="utf-8")
    before = folder / "before.yaml"
    before.write_text(f"name: killed\n{models}schedule: {{max_iters: 4000, val_interval: 500}}\n", encoding="utf-8")
    process = CommandProcess(["generate", before, "-o", other], folder / "before.txt")
    assert process.ended() == 0, process.text
    runs = folder / "runs"
    write_study(runs, study_of(1, 1), Effects())
    cells = folder / "cells"
    cells.mkdir()
    for index in range(2):
        write_small_cell(cells / f"cell{index}.py", max_iters=20 + index)

    def older_configs() -> None:
        shutil.rmtree(configs, ignore_errors=True)
        shutil.copytree(other, configs)

    def other_page() -> None:
        shutil.rmtree(page, ignore_errors=True)
        page.mkdir()
        (page / "report.html").write_text("an older page")
        (page / "report.json").write_text("an older page")

    def no_proofs() -> None:
        shutil.rmtree(proofs, ignore_errors=True)
        proofs.mkdir()

    report = ["report", runs, "-o", page / "report.html", "-o", page / "report.json", "-q"]
    prove = ["prove", cells, "--device", "cpu", "--work-dir", proofs, "--jobs", 2, "-q"]
    return [
        Target("generate", ["generate", study, "-o", configs], configs, older_configs),
        Target("report", report, page, other_page),
        Target("prove", prove, proofs, no_proofs),
    ]


def kill_for(folder: Path, seconds: float, seed: int) -> Tally:
    """Kill one command after the other until the time is over; each at least once."""
    draw, tally = random.Random(seed), Tally()
    commands = [*(KilledCommand(target) for target in targets_in(folder)), KilledQueue(folder / "queue")]
    began = time.monotonic()
    with adopting_orphans():
        while True:
            for command in commands:
                command.kill_once(draw, tally)
            if time.monotonic() - began > seconds:
                return tally


def main() -> None:
    """The long form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", type=Path, help="add the figures to those that tests.attack.attack wrote there")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    import_what_commands_import()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        tally = kill_for(Path(folder), arguments.seconds, arguments.seed)
    print(f"seed {arguments.seed}: {tally}, in {time.monotonic() - began:.0f} s")
    if arguments.page is not None:
        page = arguments.page.read_text(encoding="utf-8")
        arguments.page.write_text(with_kills(page, tally, time.monotonic() - began), encoding="utf-8")


def with_kills(page: str, tally: Tally, seconds: float) -> str:
    """docs/reliability.md with what was done here, and how long that took, as the last rows of its table."""
    table, label, rest = page.rpartition("\n\nFound: ")
    rows = (
        f"\n| signals sent to commands at work, in {seconds / 60:.0f} minutes | {tally.kills.total():,} |"
        f"\n| files that they left as they were | {tally.old:,} |"
        f"\n| files that they left as the command writes them | {tally.new:,} |"
        f"\n| hidden parts of files that SIGKILL left | {tally.parts:,} |"
        f"\n| cells of killed queues that the next brought to their end | {tally.cells:,} |"
    )
    return f"{table}{rows}{label}{rest}"


def import_what_commands_import() -> None:
    """The processes are forked from this one, which then has the stack."""
    import importlib

    from tests.command_server import STACK

    for module in (*STACK, "provecfg.proof.rooms", "provecfg.results.study", "provecfg.results.formats.page"):
        importlib.import_module(module)


if __name__ == "__main__":
    sys.exit(main())
