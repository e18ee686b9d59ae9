"""Kills at random moments of a small real cell, and what is left of it: `python -m tests.training.kills --kills 40`.

A cell is trained once in a piece. Then it is trained again and again, ended at random moments by SIGKILL, SIGTERM or
SIGUSR1, sometimes with a rival that wants the same work dir, and started again until it has stopped early. After every
life all checkpoints have to be whole and none may be gone; at the end the lives have to tile the run, and every loss,
every score, the early stop and the best checkpoint have to be those of the run in a piece.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from provecfg.checksums import verify_checksum
from provecfg.training import record as records
from provecfg.training.lease import Tenancy, look_at_lease
from tests.training.run_process import RunProcess, record_in, scalars
from tests.training.small_cell import write_small_cell

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1)
_RIVALS = 0.25  # of the lives have one


@dataclass
class Tally:
    """What was done.

    Args:
        kills: By signal, those that met a process that ran.
        rivals: Processes that wanted a work dir that was in use.
        lives: Attempts in the records.
        cells: That came to their end.
        retrained: Iterations that were made again, because no checkpoint knew of them.
    """

    kills: Counter[str] = field(default_factory=Counter)
    rivals: int = 0
    lives: int = 0
    cells: int = 0
    retrained: int = 0

    def __str__(self) -> str:
        by_signal = ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items()))
        return (
            f"{self.kills.total()} kills ({by_signal}) and {self.rivals} rivals over {self.lives} lives of "
            f"{self.cells} cells; {self.retrained} iterations made again, every loss the same"
        )


class CellOfKills:
    """A cell, its run in a piece, and the run that is killed.

    Args:
        folder: Where to.
        changes: Of the small cell.
    """

    def __init__(self, folder: Path, **changes: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"max_iters": 120, "val_interval": 6, "patience": 6, "min_delta": 0.1, **changes}
        self.config = write_small_cell(folder / "cell.py", **settings)
        self.straight, self.killed = folder / "straight", folder / "killed"
        began = time.monotonic()
        process = RunProcess(self.config, self.straight)
        assert process.ended() == 0, process.text
        self.seconds = time.monotonic() - began

    def live_until_killed(self, draw: random.Random, tally: Tally) -> bool:
        """One life, ended at a random moment; whether the run came to its end by itself."""
        newest = newest_step(self.killed)
        process = RunProcess(self.config, self.killed)
        rival = RunProcess(self.config, self.killed) if draw.random() < _RIVALS else None
        ends = time.monotonic() + draw.uniform(0, self.seconds)
        process.wait_until(lambda: time.monotonic() > ends)
        signum = draw.choice(SIGNALS)
        for each in filter(None, (process, rival)):
            if each.code is None:
                tally.kills[signum.name] += 1
                each.send(signum, to_group=True)
        codes = [each.ended() for each in filter(None, (process, rival))]
        if rival is not None:
            tally.rivals += 1
            # One of the two had the work dir; the other was refused, or found nothing left to do.
            ends = [each.text for each in (process, rival) if each.code == 0 and "already" not in each.text]
            assert len(ends) < 2, ends
        allowed = {0, 1, {signal.SIGKILL: -9, signal.SIGTERM: 130, signal.SIGUSR1: 75}[signum]}
        assert set(codes) <= allowed, (codes, process.text, rival and rival.text)
        assert_all_is_whole(self.killed)
        assert newest_step(self.killed) >= newest
        return 0 in codes

    def finish(self, tally: Tally) -> None:
        """Let it come to its end, and compare it with the run in a piece."""
        process = RunProcess(self.config, self.killed)
        assert process.ended() == 0, process.text
        before = record_in(self.killed)
        again = RunProcess(self.config, self.killed)
        assert (again.ended(), "already" in again.text) == (0, True)
        assert record_in(self.killed) == before
        assert_same(self.straight, self.killed, tally)


def assert_same(straight_dir: Path, killed_dir: Path, tally: Tally) -> None:
    """Every loss and score, the early stop and the best checkpoint of a killed run are those of one in a piece.

    Args:
        straight_dir: Work dir of the run in a piece.
        killed_dir: Work dir of the run that was killed and went on to its end.
        tally: Counts it.
    """
    straight, killed = record_in(straight_dir), record_in(killed_dir)
    ends = [0, *(attempt.last_iter for attempt in killed.attempts)]
    assert [attempt.first_iter for attempt in killed.attempts] == ends[:-1], killed.attempts
    assert all(attempt.state != records.RUNNING for attempt in killed.attempts)
    assert (killed.state, ends[-1]) == (straight.state, straight.attempts[-1].last_iter)
    assert killed.best == straight.best
    expected = dict(logged(straight_dir))
    made = logged(killed_dir)
    for step, values in made:
        assert values == expected[step], f"iteration {step}: {values}, in a piece {expected[step]}"
    assert {step for step, _ in made} == set(expected)
    tally.cells += 1
    tally.lives += len(killed.attempts)
    tally.retrained += len(made) - len(expected)


def logged(work_dir: Path) -> list[tuple[tuple[str, int], dict[str, float]]]:
    """What each iteration and each validation logged, times left out, in the order of time."""
    entries = []
    for line in scalars(work_dir):
        kind = "loss" if "loss" in line else "score"
        values = {key: value for key, value in line.items() if "time" not in key and key != "memory"}
        entries.append(((kind, line["step"]), values))
    return entries


def newest_step(work_dir: Path) -> int:
    """The last iteration that a checkpoint knows of."""
    return max((int(path.stem[5:]) for path in work_dir.glob("iter_*.pth")), default=0)


def assert_all_is_whole(work_dir: Path) -> None:
    """Every checkpoint loads and is what was written, and nobody holds the work dir."""
    for path in work_dir.glob("*.pth"):
        verify_checksum(path)
        torch.load(path, weights_only=True)
    assert look_at_lease(work_dir).tenancy is not Tenancy.HELD


def live_through_kills(folder: Path, kills: int, seed: int, **changes: Any) -> Tally:
    """Kill cells of their own, one after the other, until there were so many kills.

    Args:
        folder: Where they are.
        kills: How many at least.
        seed: Of the random moments.
        changes: Of the small cell.
    """
    draw, tally = random.Random(seed), Tally()
    number = 0
    while tally.kills.total() < kills:
        cell = CellOfKills(folder / str(number), **changes)
        number += 1
        while tally.kills.total() < kills and not cell.live_until_killed(draw, tally):
            pass
        cell.finish(tally)
    return tally


def main() -> None:
    """The long form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    import provecfg.plugin  # noqa: F401  (the processes are forked from this one, which then has the stack)

    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        tally = live_through_kills(Path(folder), arguments.kills, arguments.seed)
    print(f"seed {arguments.seed}: {tally}, in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
