"""What the local queue costs, and how long a slot is free between cells: `python tests/benchmarks/bench_queue.py`.

`run --parallel` with cells that only wait (`tests/engines/fake_trainer.py`), so that all the processor's time is the
queue's own: its polls, and the heartbeats and records that it reads for its display.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

PROJECT = Path(__file__).parents[2]
CELLS, SLOTS = 12, 4
COST_SHARE = 0.01
"""Of a processor, while cells train."""
FREE_SECONDS = 1.0


def processor_seconds(process: int) -> float | None:
    """User and system time of a process so far; None when it has ended. Source: proc(5), stat, fields 14 and 15."""
    with suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        if fields[0] != "Z":
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return None


def lives_in(folder: Path) -> list[tuple[float, float]]:
    """When each cell was trained, from the first to the last of its checkpoints, seconds since the epoch."""
    return [
        (min(times), max(times))
        for work_dir in folder.iterdir()
        if (times := [path.stat().st_mtime for path in work_dir.glob("iter_*.pth")])
    ]


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
            while queue.poll() is None:
                used = processor_seconds(queue.pid)
                if used is not None and len(list(folder.glob("runs/*/iter_1.pth"))) >= SLOTS:
                    samples.append((time.monotonic(), used))
                time.sleep(0.1)
        printed = (folder / "output.txt").read_text()
        assert queue.returncode == 0, printed
        begun = len(re.findall(": begun", printed))
        (start, first), (end, last) = samples[0], samples[-1]
        cost = (last - first) / (end - start)
        lives = lives_in(folder / "runs")
        trained = sum(stop - begin for begin, stop in lives)
        span = max(stop for _, stop in lives) - min(begin for begin, _ in lives)
        free = (SLOTS * span - trained) / CELLS
    print(f"queue of {begun} cells in {SLOTS} slots: {cost:.2%} of a processor, must be under {COST_SHARE:.0%}")
    print(f"between two cells a slot is without an iteration {free:.2f} s, must be under {FREE_SECONDS:.0f}")
    return int(cost > COST_SHARE or free > FREE_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
