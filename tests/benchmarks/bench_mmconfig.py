"""How long reading and judging every config of mmseg takes, against mmengine executing them. Run as a script.

Each side goes through all of them once in a process of its own, as a tool would. Processor time is measured, which
other work on the machine stretches on both sides alike; the sides take turns, and the least of `--rounds` counts. Exits
with 1 where a bound of docs/performance.md does not hold.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

OURS = """
import gc, json, resource, sys, time
from provecfg.mmconfig import read_config
from provecfg.rules import judge
gc.set_threshold(1_000_000, 50, 100)  # as the command does
paths = sys.stdin.read().split()
start = time.process_time()
views = [read_config(path) for path in paths]
read = time.process_time() - start
start = time.process_time()
found = sum(len(judge(view)) for view in views)
judged = time.process_time() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"read": read, "judged": judged, "MiB": peak}))
"""
MMENGINE = """
import json, sys, time, warnings
from mmengine.config import Config
warnings.simplefilter("ignore")
paths = sys.stdin.read().split()
start = time.process_time()
for path in paths:
    try:
        Config.fromfile(path, import_custom_modules=False)
    except Exception as error:
        print(path, error, file=sys.stderr)
print(json.dumps({"load": time.process_time() - start}))
"""
# As installed packages are: with their bytecode kept.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
MOST_OF_LOAD = 0.1
"""Bound of `provecfg validate` of all of them, as a share of mmengine's load."""
LEAST_TIMES_AS_FAST = 15
"""Bound of reading them."""


def measure(program: str, paths: list[Path]) -> dict[str, float]:
    run = subprocess.run(
        [sys.executable, "-c", program],
        input="\n".join(map(str, paths)),
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    )
    measured: dict[str, float] = json.loads(run.stdout)
    return measured


def command(folder: Path) -> dict[str, float]:
    """`provecfg validate` of a folder, with as many processes as it uses by itself."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "provecfg", "validate", str(folder), "-q"], capture_output=True, env=ENVIRONMENT
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"wall": wall, "processor": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    rounds = parser.parse_args().rounds
    spec = importlib.util.find_spec("mmseg")
    if spec is None or spec.origin is None:
        sys.exit("mmseg is not installed: pip install 'provecfg[train]'")
    folder = Path(spec.origin).parent / ".mim" / "configs"
    paths = sorted(path for path in folder.glob("*/*.py") if path.parent.name != "_base_")
    measured: list[dict[str, float]] = [
        measure(OURS, paths) | measure(MMENGINE, paths) | command(folder) for _ in range(rounds)
    ]
    least = {name: min(of_round[name] for of_round in measured) for name in measured[0]}
    processes = len(os.sched_getaffinity(0))
    of_load = least["processor"] / processes / least["load"]
    times_as_fast = least["load"] / least["read"]
    rows = [
        ("mmengine loads them", least["load"], ""),
        ("provecfg reads them", least["read"], f"{times_as_fast:.1f} times as fast (>= {LEAST_TIMES_AS_FAST})"),
        ("provecfg judges them", least["judged"], f"at most {least['MiB']:.0f} MiB"),
        ("provecfg validate", least["processor"], f"{processes} processes, {least['wall']:.2f} s by the clock"),
    ]
    print(f"{len(paths)} configs, the least of {rounds} rounds, seconds of processor time")
    for name, seconds, remark in rows:
        print(f"{name:22}{seconds:7.2f}  {seconds / least['load']:6.3f} of the load  {remark}")
    print(f"the share of one process of validate, of mmengine's load: {of_load:.3f} (< {MOST_OF_LOAD})")
    if of_load >= MOST_OF_LOAD or times_as_fast < LEAST_TIMES_AS_FAST:
        sys.exit(1)


if __name__ == "__main__":
    main()
