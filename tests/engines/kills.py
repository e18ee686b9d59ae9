"""Kills at random moments of a study, and what is left of it: `python -m tests.engines.kills --kills 100`.

A study of small real cells is trained once in a piece. Then it is trained again and again, half of the kills under the
local queue and half under a Slurm on the loopback (where there is none, all under the queue): at random moments a
cell, what has started it (the queue, or a task of Slurm's), slurmd or slurmctld is ended by SIGKILL, SIGTERM or
SIGUSR1; a daemon is started again a little later. Whenever nothing is under way any more, the same `run --parallel`,
or `resume`, is given again. Newest checkpoints may never go back, every checkpoint has to be whole, and at the end the
lives of each cell have to tile its run, and every loss, every score, the early stop and the best checkpoint have to be
those of the run in a piece.

Several runs count as one: a study that was compared is a line of `--figures`, and `--page` writes all of its lines into
docs/scale.md. With `--seconds`, nothing is killed any more once they are over, and the study comes to its end.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from provecfg.engines.study_status import statuses_of
from provecfg.errors import ProvecfgError
from provecfg.ledger.cell_status import State, server_clock, status_of
from provecfg.ledger.study_folder import require_study
from tests.engines.cluster import Cluster, missing_for_slurm
from tests.training.kills import Tally, assert_all_is_whole, assert_same, newest_step
from tests.training.small_cell import write_small_cell

ENGINES = ("queue", "slurm")
HEADING = "## Kills"
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1)
DAEMON_SIGNALS = (signal.SIGKILL, signal.SIGTERM)
AT_ONCE = 2
_MEAN_SECONDS = 3.0
"""From the moment at which there is something to kill to the kill."""
_IN_TRAINING = 0.75
"""Of the kills come once a cell makes iterations; the others come at any moment, most of them as one starts."""
_DAEMON_IS_AWAY = 3.0
"""Seconds at most."""
_END_SECONDS = 1200
_PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Limit:
    """When the kills end.

    Args:
        kills: After so many.
        moment: Of the monotonic clock.
    """

    kills: int
    moment: float

    def is_open(self, tally: Tally) -> bool:
        """Whether there is to be another kill after those."""
        return tally.kills.total() < self.kills and time.monotonic() < self.moment


class KilledStudy(ABC):
    """A study that is killed until it has come to its end.

    Args:
        folder: For all that it writes.
        configs: Of its cells.
    """

    poll_seconds = 0.2

    def __init__(self, folder: Path, configs: Sequence[Path]) -> None:
        folder.mkdir(parents=True)
        self.folder, self.configs = folder, configs
        self._newest = dict.fromkeys(configs, 0)

    @abstractmethod
    def work_dir(self, config: Path) -> Path:
        """Where a cell trains."""

    @abstractmethod
    def go_on(self) -> bool:
        """Have it go on where nothing is under way; whether every cell is at its end."""

    @abstractmethod
    def kill(self, draw: random.Random) -> str | None:
        """Kill something of it; what, and by which signal, or None where there was nothing."""

    def live(self, draw: random.Random, tally: Tally, limit: Limit) -> None:
        """Go on, and be killed, as far as the limit; then go on to the end."""
        ends = time.monotonic() + _END_SECONDS
        waits_for_training, moment = False, float("inf")
        while not self.go_on():
            self._look_at_checkpoints()
            if limit.is_open(tally):
                ends = time.monotonic() + _END_SECONDS
                if moment == float("inf") and not (waits_for_training and not self._is_training()):
                    moment = time.monotonic() + draw.expovariate(1 / _MEAN_SECONDS)
                elif time.monotonic() > moment:
                    waits_for_training, moment = draw.random() < _IN_TRAINING, float("inf")
                    if killed := self.kill(draw):
                        tally.kills[killed] += 1
            assert time.monotonic() < ends, f"no end in {_END_SECONDS} s: {self.folder}"
            time.sleep(self.poll_seconds)

    def _is_training(self) -> bool:
        """Whether a cell makes iterations."""
        work_dirs = [self.work_dir(config) for config in self.configs]
        statuses = [status_of(path.name, path, server_clock(path)) for path in work_dirs if path.is_dir()]
        return any(status.state is State.RUNNING and status.iters_per_second for status in statuses)

    def _look_at_checkpoints(self) -> None:
        for config, before in self._newest.items():
            now = newest_step(self.work_dir(config))
            assert now >= before, f"{config.stem}: iteration {before} was saved, and now {now} is the last"
            self._newest[config] = now

    def compare(self, straight: Path, tally: Tally) -> None:
        """Compare every cell with its run in a piece."""
        for config in self.configs:
            assert_all_is_whole(self.work_dir(config))
            assert_same(straight / config.stem, self.work_dir(config), tally)


class QueuedStudy(KilledStudy):
    """One under the local queue."""

    def __init__(self, folder: Path, configs: Sequence[Path]) -> None:
        super().__init__(folder, configs)
        self._queue: subprocess.Popen[bytes] | None = None

    def work_dir(self, config: Path) -> Path:
        return self.folder / config.stem

    def go_on(self) -> bool:
        if self._queue is not None:
            code = self._queue.poll()
            if code is None:
                return False
            # In its first moments a process ends by any signal, and has done nothing.
            assert code in (0, 1, 75, 130, *(-signum for signum in SIGNALS)), (
                f"the queue ended with {code}: {self.folder}"
            )
        if self._cells():  # the queue was killed, and its cells write their checkpoints
            return False
        if all_complete(self.folder, len(self.configs)):
            return True
        words = ["--parallel", AT_ONCE, "--device", "cpu", "--work-dir", self.folder]
        with open(self.folder / "queue.txt", "ab") as output:
            self._queue = started(["run", *self.configs, *words], output)
        return False

    def kill(self, draw: random.Random) -> str | None:
        if self._queue is None or self._queue.poll() is not None:
            return None
        name, process = draw.choice([("queue", self._queue.pid), *(("cell", cell) for cell in self._cells())])
        return sent(name, process, draw.choice(SIGNALS))

    def _cells(self) -> list[int]:
        queue = None if self._queue is None else self._queue.pid
        return [process for process in processes_of("run", self.folder) if process != queue]


class DaemonKills:
    """Which daemon is killed next, by which signal: each pair comes once before one comes again, in random order.

    Args:
        daemons: Their names.
        draw: Of the order.
    """

    def __init__(self, daemons: Sequence[str], draw: random.Random) -> None:
        self._pairs = [(daemon, signum) for daemon in daemons for signum in DAEMON_SIGNALS]
        self._draw, self._left = draw, list[tuple[str, signal.Signals]]()

    def take(self, present: Callable[[str], bool]) -> tuple[str, signal.Signals] | None:
        """The next pair, or None where its daemon is not there, so that it keeps its turn."""
        if not self._left:
            self._left = self._draw.sample(self._pairs, len(self._pairs))
        return self._left.pop() if present(self._left[-1][0]) else None


class SlurmStudy(KilledStudy):
    """One under Slurm.

    Args:
        folder, configs: See `KilledStudy`.
        cluster: Where.
        daemon_kills: Those of the cluster's daemons, shared with the studies before it.
    """

    poll_seconds = 1.0  # it asks squeue each time

    def __init__(self, folder: Path, configs: Sequence[Path], cluster: Cluster, daemon_kills: DaemonKills) -> None:
        super().__init__(folder, configs)
        self.cluster, self._daemon_kills = cluster, daemon_kills
        self._away: dict[str, float] = {}
        self._dir = folder / "study"
        profile = {
            "python": sys.executable,
            "gpus_per_node": 0,
            "timeout_min": 60,
            "array_parallelism": AT_ONCE,
            "setup": [f"export PYTHONPATH={_PROJECT} PYTHONWARNINGS=ignore OMP_NUM_THREADS=1"],
        }
        (folder / "cluster.yaml").write_text(json.dumps(profile))
        words = ["--study-dir", self._dir, "--profile", folder / "cluster.yaml", "--no-proof"]
        run("submit", *configs, *words, "--run-options", "--device cpu")
        self._cells = {cell.name: cell for cell in require_study(self._dir).cells}

    def work_dir(self, config: Path) -> Path:
        return self._dir / self._cells[config.stem].work_dir

    def go_on(self) -> bool:
        for daemon in [daemon for daemon, until in self._away.items() if time.monotonic() > until]:
            self.cluster.start(daemon)
            del self._away[daemon]
        if self._away:
            return False
        with suppress(subprocess.SubprocessError):  # the controller does not answer yet
            self.cluster.mend()
        silences: list[ProvecfgError] = []
        statuses = statuses_of(self._dir, silences.append)
        if silences:
            return False
        failed = [status for status in statuses if status.state in (State.FAILED, State.UNREADABLE)]
        assert not failed, failed
        if processes_of("cell", self._dir) or any(status.state.is_under_way for status in statuses):
            return False
        if all(status.state.is_complete for status in statuses):
            return True
        run("resume", self._dir)
        return False

    def kill(self, draw: random.Random) -> str | None:
        kind = draw.choices(("cell", "task", "daemon"), weights=(4, 2, 2))[0]
        if kind == "daemon":
            pair = self._daemon_kills.take(lambda daemon: daemon not in self._away)
            if pair is None:
                return None
            daemon, signum = pair
            self.cluster.kill(daemon, signum)
            self._away[daemon] = time.monotonic() + draw.uniform(0, _DAEMON_IS_AWAY)
            return f"{'slurmd' if daemon in self.cluster.nodes else daemon} {signum.name}"
        processes = processes_of("run" if kind == "cell" else "cell", self._dir)
        return sent(kind, draw.choice(processes), draw.choice(SIGNALS)) if processes else None


def all_complete(folder: Path, count: int) -> bool:
    """Whether so many cells of a folder are at their end."""
    if not any(folder.glob("*/provecfg.json")):
        return False
    statuses = statuses_of(folder)
    return len(statuses) == count and all(status.state.is_complete for status in statuses)


def sent(name: str, process: int, signum: signal.Signals) -> str | None:
    """Send a signal; what was done, or None where the process is gone."""
    with suppress(ProcessLookupError):
        os.kill(process, signum)
        return f"{name} {signum.name}"
    return None


def processes_of(command: str, folder: Path) -> list[int]:
    """The processes that are `provecfg COMMAND ... FOLDER...`, those aside that one of them has forked."""
    commands: dict[int, list[str]] = {}
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # one that ended meanwhile
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if words[1:4] == ["-m", "provecfg", command] and any(Path(word).is_relative_to(folder) for word in words):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                commands[int(entry.name)] = words
    return [process for process, words in commands.items() if commands.get(parents[process]) != words]


def started(words: Sequence[object], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """A command of provecfg, in a process of its own."""
    command = [sys.executable, "-m", "provecfg", *map(str, words)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)


def run(*words: object) -> None:
    """Run a command of provecfg."""
    done = subprocess.run([sys.executable, "-m", "provecfg", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def write_study(folder: Path, cells: int) -> list[Path]:
    """The configs of small cells that differ in what they train: some stop early, some come to their end."""
    folder.mkdir(exist_ok=True)
    return [
        write_small_cell(
            folder / f"cell{number}.py",
            max_iters=48,
            val_interval=4,
            patience=4 if number % 2 else 10,
            min_delta=0.5,
            dropout=round(0.05 * (1 + number), 2),
        )
        for number in range(cells)
    ]


def live_through_kills(
    begun: Callable[[Path], KilledStudy], folder: Path, straight: Path, draw: random.Random, limit: Limit
) -> Iterator[Tally]:
    """Kill studies, one after the other; what was done to each.

    Args:
        begun: Begins one in a folder that does not exist.
        folder: Where they are.
        straight: The work dirs of their cells' runs in a piece.
        draw: Of the random moments.
        limit: When to end.
    """
    kills = 0
    while Limit(limit.kills - kills, limit.moment).is_open(Tally()):
        tally = Tally()
        study = begun(Path(tempfile.mkdtemp(dir=folder)) / "runs")
        study.live(draw, tally, Limit(limit.kills - kills, limit.moment))
        study.compare(straight, tally)
        kills += tally.kills.total()
        yield tally


def of_engine(engine: str, folder: Path, cells: int, draw: random.Random, limit: Limit) -> Iterator[Tally]:
    """Kill studies under an engine; see `live_through_kills`.

    Args:
        engine: One of `ENGINES`.
        folder: Where they are; the runs in a piece that an earlier call has left there are taken.
        cells: Of a study.
        draw, limit: See there.
    """
    configs = write_study(folder / f"{cells}-cells", cells)
    straight = folder / f"{cells}-straight"
    if not straight.is_dir() or not all_complete(straight, cells):
        run("run", *configs, "--parallel", AT_ONCE, "--device", "cpu", "--work-dir", straight)
    if engine == "queue":
        yield from live_through_kills(lambda path: QueuedStudy(path, configs), folder, straight, draw, limit)
        return
    with tempfile.TemporaryDirectory(prefix="slurm", ignore_cleanup_errors=True) as name:
        cluster = Cluster(Path(name))
        try:
            daemon_kills = DaemonKills(cluster.daemons, draw)
            yield from live_through_kills(
                lambda path: SlurmStudy(path, configs, cluster, daemon_kills), folder, straight, draw, limit
            )
        finally:
            cluster.stop()


def table_of(figures: Path) -> str:
    """The section of docs/scale.md: what was done under each engine, in all runs."""
    rows = [json.loads(line) for line in figures.read_text().splitlines()]
    lines = [
        HEADING,
        "",
        "Written by `make kills`. Every loss, score, early stop and best checkpoint was that of a run in a piece.",
        "",
        "| under | kills | studies | cells | lives | iterations made again |",
        "|---|---|---|---|---|---|",
    ]
    for engine in sorted({row["engine"] for row in rows}):
        own = [row for row in rows if row["engine"] == engine]
        kills = sum((Counter(row["kills"]) for row in own), Counter())
        of_kind = ", ".join(f"{name} {count}" for name, count in sorted(kills.items()))
        lives, cells, again = (sum(row[key] for row in own) for key in ("lives", "cells", "retrained"))
        lines.append(f"| {engine} | {kills.total()}: {of_kind} | {len(own)} | {cells} | {lives} | {again} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Kill, and print what was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="under all engines")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="kill no longer, under each engine")
    parser.add_argument("--engine", choices=ENGINES, action="append", help="both, where there is a Slurm")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cells", type=int, default=8, help="of a study")
    parser.add_argument("--folder", type=Path, default=Path("build/kills"), help="for what is trained")
    parser.add_argument("--figures", type=Path, default=Path("build/kills.jsonl"), help="what was done is added there")
    parser.add_argument("--page", type=Path, help="write all the figures there")
    arguments = parser.parse_args()
    os.environ |= {"PYTHONPATH": str(_PROJECT), "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    engines, missing = arguments.engine or ENGINES, missing_for_slurm()
    if missing is not None:
        print(f"without Slurm: {missing}")
        engines = [engine for engine in engines if engine != "slurm"]
    arguments.folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(arguments.seed)
    for engine in engines:
        limit = Limit(math.ceil(arguments.kills / len(engines)), time.monotonic() + arguments.seconds)
        for tally in of_engine(engine, arguments.folder.absolute(), arguments.cells, draw, limit):
            print(f"{engine}, seed {arguments.seed}: {tally}", flush=True)
            with open(arguments.figures, "a", encoding="utf-8") as stream:
                stream.write(json.dumps({"engine": engine, "seed": arguments.seed, **vars(tally)}) + "\n")
    if arguments.page is not None:
        head, _, _ = arguments.page.read_text(encoding="utf-8").partition(HEADING)
        arguments.page.write_text(f"{head.rstrip()}\n\n{table_of(arguments.figures)}", encoding="utf-8")


if __name__ == "__main__":
    main()
