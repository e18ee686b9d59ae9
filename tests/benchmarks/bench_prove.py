"""`provecfg prove` of the 24 generated configs against starting each with mmseg's `tools/train.py` for one iteration:
`python tests/benchmarks/bench_prove.py [--configs GLOB] [--check]`.

Theirs: for each config a fresh process, from its start to the line that mmengine's scalars file has of the first
iteration, at the config's own crop and batch, on drawn data, from random weights and with no loader workers to start.
Ours: one command for all of them, from its start to its end. Beside the seconds, the most memory that our processes
take together (proportional set size, so that what they share counts once).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PROJECT = Path(__file__).parents[2]
BOUND = 1 / 5
MEMORY_BOUND = 4 * 2**30
_POLL = 0.01


def trainable(path: Path, folder: Path) -> Path:
    """The config as a file that `tools/train.py` can train here for one iteration, and log it."""
    from mmengine.config import Config

    from provecfg.catalog.datasets import DATASETS
    from provecfg.data.scenes import smoke_data_for
    from provecfg.training import adapt

    config = Config.fromfile(str(path), import_custom_modules=False)
    config = adapt.without_pretrained(
        adapt.with_data_root(config, smoke_data_for(DATASETS["bdd10k"], root=folder / "data"))
    )
    # Not validated within the two iterations; the process is ended after the first.
    config.train_cfg.update(max_iters=1000, val_interval=1000)
    config.default_hooks.logger.interval = 1
    for name in adapt.DATALOADERS:
        if config.get(name):
            config[name].update(num_workers=0, persistent_workers=False)
    for _, dataset in adapt.datasets_of(config):
        dataset.update(ann_file="")
    written = folder / "configs" / path.name
    written.parent.mkdir(exist_ok=True)
    config.dump(str(written))
    return written


def seconds_to_first_iteration(config: Path, work_dir: Path) -> float:
    """Of `tools/train.py`, in a fresh process."""
    spec = importlib.util.find_spec("mmseg")
    if spec is None or spec.origin is None:
        raise SystemExit("needs mmseg: pip install 'provecfg[train]'")
    train_py = Path(spec.origin).parent / ".mim" / "tools" / "train.py"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    work_dir.mkdir(parents=True)
    with open(work_dir / "output.log", "w") as log:
        start = time.perf_counter()
        command = [sys.executable, str(train_py), str(config), "--work-dir", str(work_dir)]
        child = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            while not any(path.stat().st_size for path in work_dir.glob("*/vis_data/scalars.json")):
                if child.poll() is not None:
                    raise SystemExit(f"{' '.join(command)} ended early:\n{Path(log.name).read_text()[-3000:]}")
                time.sleep(_POLL)
        finally:
            child.kill()
            child.wait()
    return time.perf_counter() - start


def proof_of(configs: list[Path], folder: Path) -> tuple[float, int]:
    """Seconds that one command takes for all configs, and the most bytes that its processes hold together."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "provecfg", "prove", *map(str, configs), "--device", "cpu"]
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    most = 0

    def watch() -> None:
        nonlocal most
        while child.poll() is None:
            most = max(most, sum(map(_proportional_bytes, _with_descendants(child.pid))))
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    output, _ = child.communicate()
    seconds = time.perf_counter() - start
    watcher.join()
    if child.returncode != 0:
        raise SystemExit(f"not proved:\n{output[-3000:]}")
    return seconds, most


def _with_descendants(pid: int) -> list[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended
    processes = [pid]
    for parent in processes:
        processes += [child for child, its_parent in parents.items() if its_parent == parent]
    return processes


def _proportional_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--configs", default="*.py", help="which of generated/, all unless given")
    parser.add_argument("--check", action="store_true", help="exit 1 above a bound")
    arguments = parser.parse_args()
    configs = sorted((PROJECT / "generated").glob(arguments.configs))
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        ours, memory = proof_of(configs, folder)
        theirs = 0.0
        for path in configs:
            theirs += seconds_to_first_iteration(trainable(path, folder), folder / "runs" / path.stem)
    print(f"| | `provecfg prove` of {len(configs)} | `tools/train.py`, one iteration of each | ratio | bound |")
    print("|---|---|---|---|---|")
    print(f"| seconds | {ours:.1f} | {theirs:.1f} | {ours / theirs:.3f} | <= {BOUND} |")
    print(f"| GiB at most | {memory / 2**30:.2f} | | | < {MEMORY_BOUND / 2**30:.0f} |")
    print(f"\nload {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return int(arguments.check and (ours / theirs > BOUND or memory >= MEMORY_BOUND))


if __name__ == "__main__":
    sys.exit(main())
