"""What the local queue costs, and how long a slot is free between cells: `python tests/benchmarks/bench_queue.py`.

`run --parallel` with cells that only wait (`tests/engines/fake_trainer.py`), so that all the processor's time is the
queue's own: its polls, and the heartbeats and records that it reads for its display.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

PROJECT = Path(__file__).parents[2]
CELLS, SLOTS = 12, 4
COST_SHARE = 0.01
"""Of a processor, for each cell that trains."""
FREE_SECONDS = 0.5
"""From the end of a cell to the start of the next in its slot."""


def processor_seconds(process: int) -> float | None:
    """User and system time of a process so far; None when it has ended. Source: proc(5), stat, fields 14 and 15."""
    with suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        if fields[0] != "Z":
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return None


def children_of(process: int) -> int:
    """How many children a process has that run."""
    with suppress(OSError):
        numbers = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        return sum(processor_seconds(int(number)) is not None for number in numbers)
    return 0


def main() -> int:
    """Measure, print, and say by the exit code whether the bounds hold."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = (PROJECT / "generated" / "pspnet_r50_bdd10k_ce.py").read_text()
        configs = [folder / f"long{number}.py" for number in range(CELLS)]
        for config in configs:
            config.write_text(source)
        fake = PROJECT / "tests" / "engines" / "fake_python.py"
        words = ["--parallel", str(SLOTS), "--device", "cpu", "--work-dir", str(folder / "runs")]
        with open(folder / "output.txt", "wb") as output:
            queue = subprocess.Popen(
                [sys.executable, str(fake), "-m", "provecfg", "run", *map(str, configs), *words],
                stdout=output, stderr=output, env={**os.environ, "PYTHONPATH": str(PROJECT)},
            )  # fmt: skip
            samples: list[tuple[float, float]] = []
            free = 0.0
            while queue.poll() is None:
                used, moment = processor_seconds(queue.pid), time.monotonic()
                if used is not None and (samples or children_of(queue.pid) == SLOTS):
                    begun = len(list(folder.glob("runs/*/console.log")))
                    if samples and begun < CELLS:
                        free += (moment - samples[-1][0]) * (SLOTS - children_of(queue.pid))
                    samples.append((moment, used))
                time.sleep(0.02)
        assert queue.returncode == 0, (folder / "output.txt").read_text()
        (start, first), (end, last) = samples[0], samples[-1]
        cost = (last - first) / (end - start) / SLOTS
        free /= CELLS - SLOTS
    print(
        f"queue of {SLOTS} slots: {cost:.2%} of a processor for each cell in training, must be under {COST_SHARE:.0%}"
    )
    print(f"a slot is free {free:.2f} s between two cells, must be under {FREE_SECONDS}")
    return int(cost > COST_SHARE or free > FREE_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
