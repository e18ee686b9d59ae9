"""`provecfg run` against mmseg's `tools/train.py`: `python tests/benchmarks/bench_run.py [--rounds N] [--check]`.

Both train the same config on the same drawn data, each in a fresh process, in turn. Measured from outside, by the
lines of mmengine's own scalars file: seconds from the start of the process to the first iteration's line, and seconds
an iteration from there to the last; and CPU seconds to the first, which other work on the machine moves less. Each is
the least of its rounds, since other work only adds.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).parents[2]
MODEL = "pspnet_r50_bdd10k_focal"
BOUND = 1.05
_POLL = 0.005


class Times(NamedTuple):
    """Seconds: to the first iteration, of an iteration, and of CPU to the first."""

    first: float
    each: float
    cpu: float


def scratch_config(folder: Path, iterations: int) -> Path:
    """A smoke run's config as a file that both can train, with one validation after the last iteration."""
    from mmengine.config import Config

    from provecfg.catalog.datasets import DATASETS
    from provecfg.data.scenes import smoke_data_for
    from provecfg.training import adapt

    config = Config.fromfile(str(PROJECT / "generated" / f"{MODEL}.py"), import_custom_modules=False)
    root = smoke_data_for(DATASETS["bdd10k"], root=folder / "data")
    config = adapt.for_smoke(config, lambda *_: root)
    config.train_cfg.update(max_iters=iterations, val_interval=iterations)
    config.param_scheduler[-1].end = iterations
    config.default_hooks.checkpoint.interval = iterations
    # One validation is too few for early stopping, and `run` would say so.
    config.custom_hooks = [hook for hook in config.custom_hooks if "patience" not in hook]
    path = folder / "bench.py"
    config.dump(str(path))
    return path


def measured(command: list[str], work_dir: Path, iterations: int) -> Times:
    """Start the process, watch its scalars, and end it when the last iteration is done."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    lines: list[float] = []
    with open(work_dir.with_suffix(".log"), "w") as log:
        start = time.perf_counter()
        child = subprocess.Popen(command, cwd=work_dir.parent, env=environment, stdout=log, stderr=log)
        try:
            while len(lines) < iterations:
                if child.poll() is not None:
                    raise SystemExit(f"{' '.join(command)} ended early:\n{Path(log.name).read_text()}")
                count = sum(path.read_bytes().count(b"\n") for path in work_dir.glob("*/vis_data/scalars.json"))
                if count and not lines:
                    cpu = cpu_seconds(child.pid)
                lines += [time.perf_counter()] * (min(count, iterations) - len(lines))
                time.sleep(_POLL)
        finally:
            child.kill()
            child.wait()
    return Times(lines[0] - start, (lines[-1] - lines[0]) / (iterations - 1), cpu)


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--iterations", type=int, default=12)
    parser.add_argument("--check", action="store_true", help="exit 1 above the bound")
    arguments = parser.parse_args()
    spec = importlib.util.find_spec("mmseg")
    if spec is None or spec.origin is None:
        raise SystemExit("needs mmseg: pip install 'provecfg[train]'")
    train_py = Path(spec.origin).parent / ".mim" / "tools" / "train.py"
    times: dict[str, list[Times]] = {"provecfg run": [], "tools/train.py": []}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        config = scratch_config(folder, arguments.iterations)
        for number in range(arguments.rounds):
            for name, words in {
                "provecfg run": ["-m", "provecfg", "run", str(config), "--device", "auto"],
                "tools/train.py": [str(train_py), str(config)],
            }.items():
                work_dir = folder / f"{name.split('/')[0].replace(' ', '-')}-{number}"
                command = [sys.executable, *words, "--work-dir", str(work_dir)]
                times[name].append(measured(command, work_dir, arguments.iterations))
    (ours, theirs) = (Times(*map(min, zip(*rounds, strict=True))) for rounds in times.values())
    print("| | `provecfg run` | `tools/train.py` | ratio | bound |")
    print("|---|---|---|---|---|")
    ratios = []
    titles = ("start to first iteration, s", "an iteration, s", "CPU time to first iteration, s")
    for index, title in enumerate(titles):
        ratios.append(ours[index] / theirs[index])
        print(f"| {title} | {ours[index]:.2f} | {theirs[index]:.2f} | {ratios[-1]:.2f} | <= {BOUND} |")
    print(f"\nrounds: {arguments.rounds}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return int(arguments.check and max(ratios) > BOUND)


if __name__ == "__main__":
    sys.exit(main())
