"""What each loss costs, forward and backward on CPU, as a ratio to F.cross_entropy measured beside it.

    python tests/benchmarks/bench_losses.py [--rounds 9] [--threads 2 | --cpu-time] [--check SLACK]

Times are medians over rounds of (time of the loss / time of F.cross_entropy in the same round), the order
shuffled in each round. There are two regimes, each in a process of its own, since a fresh 40 MB tensor costs
about half as much as cross entropy itself in page faults: `faults` is glibc as it comes, `reused` has malloc
keep its memory. Peak memory is the growth of the resident set over the call, gradient included, in multiples
of the logits, in a third process. A machine that does other work at the time spoils the ratios of whatever
has many short parallel steps (all threads meet in each), so the load is printed: distrust figures taken above
about 0.5 a core, or use --cpu-time, which counts the processor time of one thread instead of the wall's.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

REGIMES = {
    "faults": {},
    "reused": {"MALLOC_TRIM_THRESHOLD_": "100000000000", "MALLOC_TOP_PAD_": "1000000000", "MALLOC_MMAP_MAX_": "0"},
    "memory": {"MALLOC_MMAP_THRESHOLD_": "65536"},  # every tensor is given back, so that the peak is the call's
}
IMAGES, CLASSES, SIDE = 2, 19, 512


class Goal(NamedTuple):
    """Highest ratio to F.cross_entropy in either regime, and highest peak in multiples of the logits."""

    faults: float
    reused: float
    memory: float


GOALS = {
    "softmax focal": Goal(1.15, 1.15, 3.7),
    "boundary-aware focal": Goal(1.3, 1.35, 3.8),
    "CE, smoothing and class weights": Goal(2.0, 1.65, 3.5),
    "Dice": Goal(1.8, 2.0, 3.5),
    "Lovasz, all, per image": Goal(4.0, 7.0, 2.5),
    "boundary": Goal(3.0, 4.0, 3.5),
    "boundary, per class": Goal(5.0, 7.5, 4.0),
    "OHEM CE": Goal(1.6, 2.0, 3.5),
    "distance boundary, maps given": Goal(1.5, 1.5, 4.0),
}


def street_like_scene():
    """Logits (2, 19, 512, 512) of a half-trained net, and labels in flat patches with about a tenth ignored."""
    import torch

    generator = torch.Generator().manual_seed(0)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator)

    rows = torch.linspace(0, 1, SIDE).view(-1, 1).expand(SIDE, SIDE)
    columns = rows.T
    labels = torch.empty(IMAGES, SIDE, SIDE, dtype=torch.long)
    for image in labels:  # warped cells, wider than high, of about ten classes
        y = rows + 0.03 * torch.sin(9 * columns + 6 * uniform(1))
        x = columns + 0.03 * torch.sin(7 * rows + 6 * uniform(1))
        nearest = torch.full((SIDE, SIDE), torch.inf)
        kinds = torch.randperm(CLASSES, generator=generator)[:11]
        for _ in range(60):
            cy, cx = uniform(2)
            distance = 4 * (y - cy) ** 2 + (x - cx) ** 2
            kind = kinds[(11 * uniform(1) ** 2).long()]  # some classes are common, some rare
            image.masked_scatter_(distance < nearest, kind.expand(SIDE * SIDE))
            nearest = torch.minimum(nearest, distance)
        for _ in range(13):
            cy, cx, height, width = uniform(4)
            inside = ((rows - cy) / (0.03 + 0.05 * height)) ** 2 + ((columns - cx) / (0.03 + 0.05 * width)) ** 2 < 1
            image[inside] = 255
    logits = 1.5 * torch.randn(IMAGES, CLASSES, SIDE, SIDE, generator=generator)
    known = labels.where(labels != 255, 0).unsqueeze(1)
    return logits.scatter_add_(1, known, torch.full(known.shape, 3.0)), labels


def contestants(logits, labels) -> dict[str, Callable[[], object]]:
    """What is timed, by name: forward and backward. Names that start with a dash are peers of the one above."""
    import mmseg.models.losses as theirs
    import torch
    import torch.nn.functional as F  # noqa: N812
    from mmseg.structures import OHEMPixelSampler

    from provecfg.plugin import losses as ours
    from provecfg.plugin.losses.distance_maps import signed_distance_maps
    from provecfg.plugin.samplers import HardPixelSampler

    valid = labels != 255
    class_weight = [0.5 + c / CLASSES for c in range(CLASSES)]
    maps = signed_distance_maps(labels.where(valid, 0), valid, CLASSES, tuple(range(CLASSES)))
    head = SimpleNamespace(ignore_index=255)

    def of(loss, sampler=None, **call):
        def run():
            leaf = logits.detach().requires_grad_()
            if sampler is not None:
                call["weight"] = sampler.sample(leaf, labels.unsqueeze(1))
            loss(leaf, labels, ignore_index=255, **call).backward()

        return run

    def torch_smoothed(x, y, ignore_index):
        return F.cross_entropy(x, y, torch.tensor(class_weight), ignore_index=ignore_index, label_smoothing=0.1)

    def plain_focal(x, y, ignore_index):
        surprise = F.cross_entropy(x, y, ignore_index=ignore_index, reduction="none")
        return (-torch.expm1(-surprise)).square().mul(surprise).sum() / (y != ignore_index).sum()

    return {
        "F.cross_entropy": of(F.cross_entropy),
        "softmax focal": of(ours.SoftmaxFocalLoss()),
        "- F.cross_entropy, then exp": of(plain_focal),
        "boundary-aware focal": of(ours.BoundaryAwareFocalLoss()),
        "CE": of(ours.SegCrossEntropyLoss()),
        "- mmseg CrossEntropyLoss": of(theirs.CrossEntropyLoss(avg_non_ignore=True)),
        "CE, smoothing and class weights": of(ours.SegCrossEntropyLoss(class_weight, 0.1)),
        "- F.cross_entropy with both": of(torch_smoothed),
        "Dice": of(ours.SegDiceLoss()),
        "- mmseg DiceLoss": of(theirs.DiceLoss(use_sigmoid=False)),
        "Lovasz, all, per image": of(ours.SegLovaszLoss()),
        "- mmseg LovaszLoss": of(theirs.LovaszLoss(classes="all", per_image=True)),
        "boundary": of(ours.SegBoundaryLoss()),
        "- the same by conv2d and autograd": of(naive_boundary),
        "boundary, per class": of(ours.SegBoundaryLoss(per_class=True)),
        "OHEM CE": of(ours.SegCrossEntropyLoss(), HardPixelSampler(head, 0.7, 100_000)),
        "- mmseg OHEMPixelSampler, CrossEntropyLoss": of(
            theirs.CrossEntropyLoss(avg_non_ignore=True), OHEMPixelSampler(head, 0.7, 100_000)
        ),
        "distance boundary, maps given": of(ours.DistanceBoundaryLoss(), distance_maps=maps),
    }


def naive_boundary(logits, labels, ignore_index):
    """`SegBoundaryLoss` as one would write it down."""
    import torch
    import torch.nn.functional as F  # noqa: N812

    classes = logits.shape[1]
    gx = logits.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    kernels = torch.stack([gx, gx.T]).unsqueeze(1).repeat(classes, 1, 1, 1)

    def energy(planes):
        padded = F.pad(planes, (1, 1, 1, 1), mode="replicate")
        return F.conv2d(padded, kernels, groups=classes).square().sum(1) / 32

    valid = labels != ignore_index
    one_hot = F.one_hot(labels.where(valid, 0), classes).movedim(-1, 1).to(logits.dtype)
    wanted = energy(one_hot).sqrt().clamp(max=1)
    gradient_size = (energy(logits.softmax(1)) + 1e-6).sqrt().clamp(max=1 - 1e-3)
    whole = F.max_pool2d((~valid).to(logits.dtype).unsqueeze(1), 3, 1, 1).squeeze(1) == 0
    return F.binary_cross_entropy(gradient_size, wanted, reduction="none")[whole].mean()


def resident(key: str) -> int:
    """A line of /proc/self/status that counts kB, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def peak_growth(run: Callable[[], object]) -> int:
    """Bytes by which the resident set grows at most during a call (Linux)."""
    run()
    ctypes.CDLL(None).malloc_trim(0)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    run()
    return resident("VmHWM") - before


def measure(
    regime: str, rounds: int, threads: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of each round, or in regime "memory" the peak over the logits' size, by contestant."""
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(threads)
    logits, labels = street_like_scene()
    runs = contestants(logits, labels)
    if regime == "memory":
        return {name: [peak_growth(run) / logits.nbytes] for name, run in runs.items()}
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name in random.sample(list(runs), len(runs)):
            start = clock()
            runs[name]()
            seconds[name].append(clock() - start)
    return seconds


def measured_in_own_process(regime: str, rounds: int, threads: int, cpu_time: bool = False) -> dict[str, list[float]]:
    """`measure` in a process with the regime's settings of malloc."""
    command = [sys.executable, __file__, "--worker", regime, "--rounds", str(rounds), "--threads", str(threads)]
    command += ["--cpu-time"] if cpu_time else []
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        command, env={**os.environ, **REGIMES[regime], "PYTHONPATH": path}, stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="timed rounds a regime (default 9)")
    parser.add_argument("--threads", type=int, default=2, help="torch threads (default 2)")
    parser.add_argument("--cpu-time", action="store_true", help="processor time on one thread, for busy machines")
    parser.add_argument("--check", type=float, metavar="SLACK", help="fail where a goal times SLACK is exceeded")
    parser.add_argument("--worker", choices=REGIMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cpu_time:
        options.threads = 1
    if options.worker:
        clock = time.process_time if options.cpu_time else time.perf_counter
        print(json.dumps(measure(options.worker, options.rounds, options.threads, clock)))
        return 0
    loads, figures = [], {}
    for regime in REGIMES:
        times_by_loss = measured_in_own_process(regime, options.rounds, options.threads, options.cpu_time)
        loads.append(os.getloadavg()[0])
        if regime == "memory":
            figures[regime] = {name: values[0] for name, values in times_by_loss.items()}
            continue
        unit = times_by_loss["F.cross_entropy"]
        figures[regime] = {
            name: statistics.median(t / u for t, u in zip(times, unit, strict=True))
            for name, times in times_by_loss.items()
        }
        print(f"F.cross_entropy, {regime}: {1e3 * statistics.median(unit):.1f} ms (median of {options.rounds})")
    kind = "processor time" if options.cpu_time else "wall time"
    load = ", ".join(f"{load:.1f}" for load in loads)
    print(f"{kind}, torch threads {options.threads}, load averages {load} on {os.cpu_count()} cores\n")
    missed = []
    print("| forward + backward, x F.cross_entropy | faults | goal | reused | goal | peak, x logits | goal |")
    print("|---|---|---|---|---|---|---|")
    for name in figures["faults"]:
        goal = GOALS.get(name)
        cells = []
        for regime in REGIMES:
            value, most = figures[regime][name], getattr(goal, regime, None)
            cells += [f"{value:.2f}", "" if most is None else f"{most:g}"]
            if options.check and most is not None and value > most * options.check:
                missed.append(f"{name}, {regime}: {value:.2f}, goal {most:g}")
        print(f"| {name} | {' | '.join(cells)} |")
    for line in missed:
        print(f"missed: {line}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
