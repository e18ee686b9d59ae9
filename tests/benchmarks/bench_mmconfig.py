"""How long reading and judging every config of mmseg takes, against mmengine executing them. Run as a script.

Each side reads all of them once in a process of its own, as a tool would; imports are not counted. The two take turns,
and the best of `--rounds` counts, so that a busy machine favours neither.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

OURS = """
import json, sys, time
from provecfg.mmconfig import read_config
paths = sys.stdin.read().split()
start = time.perf_counter()
views = [read_config(path) for path in paths]
seconds = time.perf_counter() - start
start = time.perf_counter()
nodes = sum(1 for view in views for _ in view.root.walk())
print(json.dumps({"seconds": seconds, "walk": time.perf_counter() - start, "nodes": nodes}))
"""
JUDGED = """
import json, sys, time
from provecfg.mmconfig import read_config
from provecfg.rules import judge
paths = sys.stdin.read().split()
start = time.perf_counter()
found = sum(len(judge(read_config(path))) for path in paths)
print(json.dumps({"seconds": time.perf_counter() - start, "found": found}))
"""
MMENGINE = """
import json, sys, time, warnings
from mmengine.config import Config
warnings.simplefilter("ignore")
paths = sys.stdin.read().split()
start = time.perf_counter()
for path in paths:
    try:
        Config.fromfile(path, import_custom_modules=False)
    except Exception as error:
        print(path, error, file=sys.stderr)
print(json.dumps({"seconds": time.perf_counter() - start}))
"""


def measure(program: str, paths: list[Path]) -> dict[str, float]:
    run = subprocess.run(
        [sys.executable, "-c", program], input="\n".join(map(str, paths)), capture_output=True, text=True, check=True
    )
    measured: dict[str, float] = json.loads(run.stdout)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    rounds = parser.parse_args().rounds
    spec = importlib.util.find_spec("mmseg")
    if spec is None or spec.origin is None:
        sys.exit("mmseg is not installed: pip install 'provecfg[train]'")
    folder = Path(spec.origin).parent / ".mim" / "configs"
    paths = sorted(path for path in folder.glob("*/*.py") if path.parent.name != "_base_")
    ours, judged, mmengine = [], [], []
    for _ in range(rounds):
        ours.append(measure(OURS, paths))
        judged.append(measure(JUDGED, paths)["seconds"])
        mmengine.append(measure(MMENGINE, paths)["seconds"])
    best = min(ours, key=lambda one: one["seconds"])
    print(f"{len(paths)} configs, best of {rounds} rounds")
    print(f"mmengine Config.fromfile   {min(mmengine):8.2f} s  {1e3 * min(mmengine) / len(paths):7.2f} ms each")
    print(f"provecfg read_config       {best['seconds']:8.2f} s  {1e3 * best['seconds'] / len(paths):7.2f} ms each")
    print(f"ratio                      {min(mmengine) / best['seconds']:8.1f}   (each round:", end="")
    print(*(f" {theirs / one['seconds']:.1f}" for theirs, one in zip(mmengine, ours, strict=True)), end=")\n")
    print(f"read_config and judge      {min(judged):8.2f} s  {1e3 * min(judged) / len(paths):7.2f} ms each")
    print(f"ratio                      {min(mmengine) / min(judged):8.1f}   (each round:", end="")
    print(*(f" {theirs / one:.1f}" for theirs, one in zip(mmengine, judged, strict=True)), end=")\n")
    print(f"walking all {best['nodes']:.0f} nodes {best['walk']:8.2f} s")


if __name__ == "__main__":
    main()
