"""The command line against mmengine, each ratio from one run: `python tests/benchmarks/bench_cli.py [--rounds N]`.

Whole processes are started in turn (A B A B ...), so that a drift of the machine's speed falls on both.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PROVECFG = [str(Path(sys.executable).with_name("provecfg"))]
# As installed packages are: with their bytecode kept.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=PROJECT, env=ENVIRONMENT
    )
    return time.perf_counter() - start


def paired(first: Callable[[], float], second: Callable[[], float], rounds: int) -> tuple[float, float, float]:
    """Medians of both and of their ratio, pair by pair."""
    pairs = [(first(), second()) for _ in range(rounds + 1)][1:]  # the first pair warms the caches
    return (
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(a / b for a, b in pairs),
    )


def processes(rounds: int) -> None:
    print("| process | median, ms | `import mmengine.config`, ms | ratio | bound |")
    print("|---|---|---|---|---|")
    mmengine = [sys.executable, "-c", "import mmengine.config"]
    for name, command in {
        "`provecfg --help`": [*PROVECFG, "--help"],
        "`provecfg validate generated/`": [*PROVECFG, "validate", "generated"],
    }.items():
        ours, theirs, ratio = paired(lambda command=command: seconds(command), lambda: seconds(mmengine), rounds)
        print(f"| {name} | {ours * 1e3:.0f} | {theirs * 1e3:.0f} | {ratio:.2f} | < 1 |")


def rendering(rounds: int) -> None:
    warnings.simplefilter("ignore")
    from mmengine.config import Config

    from provecfg.generate.plan import plans_of
    from provecfg.generate.render import render
    from provecfg.study.load import study_from_fields

    study, _ = study_from_fields({"name": "bench"})
    assert study is not None
    plans = list(plans_of(study))
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for plan in plans:
            paths.append(Path(folder) / f"{plan.name}.py")
            paths[-1].write_text(render(plan))
        configs = [Config.fromfile(path, import_custom_modules=False) for path in paths]

        def ours() -> float:
            start = time.perf_counter()
            for plan in plans_of(study):
                render(plan)
            return (time.perf_counter() - start) / len(plans)

        def theirs() -> float:
            start = time.perf_counter()
            for index, config in enumerate(configs[::6]):
                config.dump(Path(folder) / f"dumped{index}.py")
            return (time.perf_counter() - start) / len(configs[::6])

        a, b, ratio = paired(ours, theirs, rounds)
    print()
    print("| rendering one config | ms | `Config.dump`, ms | times as fast | bound |")
    print("|---|---|---|---|---|")
    print(f"| plan and render | {a * 1e3:.2f} | {b * 1e3:.0f} | {1 / ratio:.0f} | >= 100 |")


def ten_thousand_cells() -> None:
    """Generate a study of 10,000 cells in a process of its own and read its peak memory."""
    seeds = ", ".join(map(str, range(417)))
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "large.yaml"
        study.write_text(f"name: large\nseeds: [{seeds}]\n")
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        took = seconds([*PROVECFG, "generate", str(study), "-o", f"{folder}/out", "-q"])
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        files = len(list(Path(folder, "out").iterdir()))
    print()
    print("| generate | cells | s | peak memory, MB | bound |")
    print("|---|---|---|---|---|")
    print(f"| a study of 24 x 417 | {files} | {took:.1f} | {max(peak, before) / 1024:.0f} | < 300 |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    os.chdir(PROJECT)
    ten_thousand_cells()  # first: the largest child so far is this one
    processes(rounds)
    with contextlib.redirect_stderr(io.StringIO()):
        rendering(rounds)


if __name__ == "__main__":
    main()
