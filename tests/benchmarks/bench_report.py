"""Making the page of a study of a thousand cells: `python tests/benchmarks/bench_report.py`.

The loss study's six models and four losses with 42 seeds each, simulated, with the counts of four validations a cell.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT))  # the simulation is the tests'

from tests.results.simulated_study import Effects, study_of, write_study  # noqa: E402

SEEDS = 42
SECONDS = 10.0


def main(seeds: int = SEEDS) -> int:
    """Measure, print, and say by the exit code whether the bound holds."""
    with tempfile.TemporaryDirectory() as name:
        runs, page = Path(name, "runs"), Path(name, "report.html")
        cells = len(write_study(runs, study_of(6, seeds), Effects(iou={"focal": 1.0})))
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [sys.executable, "-m", "provecfg", "report", str(runs), "-o", str(page)]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        kilobytes = page.stat().st_size / 1000
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"page of {cells} cells: {seconds:.1f} s, must be under {SECONDS:.0f}; {busy:.1f} s of processor time")
    print(f"its size: {kilobytes:.0f} kB")
    return int(seconds > SECONDS)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
