"""Submitting a study of a thousand cells, and asking where they stand: `python tests/benchmarks/bench_scale.py`.

The 24 generated configs with 42 seeds each, every one with a fresh receipt; `sbatch` and `squeue` are lines of shell,
so what is measured is provecfg. The bounds are held against processor time, all processes taken together: on an idle
machine the clock says no more, whatever else one has to do.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from provecfg.header import sealed
from provecfg.mmconfig import read_config
from provecfg.proof.receipt import PROVED, Receipt, code_of, receipt_path
from provecfg.training.fingerprint import digests_of
from provecfg.training.record import versions
from provecfg.training.work_dir import work_dir_of

PROJECT = Path(__file__).parents[2]
SEEDS = range(42, 84)
SUBMIT_SECONDS, STATUS_SECONDS = 10.0, 2.0


def write_configs(folder: Path) -> list[Path]:
    """The loss study with seeds."""
    configs = []
    for source in sorted((PROJECT / "generated").glob("*.py")):
        text = source.read_text()
        for seed in SEEDS:
            path = folder / f"{source.stem}_s{seed}.py"
            changed = re.sub(r"\bseed=42\b", f"seed={seed}", text).replace("seed 42.", f"seed {seed}.")
            changed = changed.replace(f"/{source.stem}'", f"/{path.stem}'")
            path.write_text(sealed(changed))
            configs.append(path)
    return configs


def write_receipts(configs: list[Path]) -> None:
    """As `provecfg prove` would leave them in the work dirs."""
    installed = versions()
    code = None
    for path in configs:
        values = read_config(path).values
        code = code or code_of(values, path.parent)
        receipt = Receipt(
            path.stem, str(path), PROVED, digests_of(values), code, installed, "cpu", "2026-01-01T00:00:00+00:00", 1.0,
            (), (),
        )  # fmt: skip
        receipt.write(receipt_path(work_dir_of(path, values), path))


def seconds_of(*words: object) -> tuple[float, float, str]:
    """How long a command takes, from the start of its process to its end, its processors' time, and what it prints."""
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "provecfg", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return time.perf_counter() - began, processor, done.stdout


def main() -> int:
    """Measure, print, and say by the exit code whether the bounds hold."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chdir(folder)
        os.environ["PYTHONPATH"] = str(PROJECT)
        (folder / "bin").mkdir()
        for command, line in {"sbatch": "echo 7", "squeue": "exit 0", "scontrol": "echo MaxArraySize = 2001"}.items():
            (folder / "bin" / command).write_text(f"#!/bin/sh\n{line}\n")
            (folder / "bin" / command).chmod(0o755)
        os.environ["PATH"] = f"{folder / 'bin'}:{os.environ['PATH']}"
        (folder / "configs").mkdir()
        configs = write_configs(folder / "configs")
        write_receipts(configs)
        submitting, of_submission, printed = seconds_of("submit", folder / "configs", "--study-dir", "study")
        print(printed.strip())
        status, of_status, told = seconds_of("status", "study")
        print(told.splitlines()[-1])
    for name, seconds, processor, bound in (
        ("submission", submitting, of_submission, SUBMIT_SECONDS),
        ("status", status, of_status, STATUS_SECONDS),
    ):
        took = f"{processor:.1f} s of processor, must be under {bound:.0f} ({seconds:.1f} s by the clock)"
        print(f"{name} of {len(configs)} cells: {took}")
    return int(of_submission > SUBMIT_SECONDS or of_status > STATUS_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
