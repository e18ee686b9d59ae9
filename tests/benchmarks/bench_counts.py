"""What counting a validation costs on CPU, beside mmseg's own metric on the same images.

    python tests/benchmarks/bench_counts.py [--rounds 9] [--wall] [--check SLACK]

One image of 1024 x 2048 pixels with 19 classes, a tenth of it ignored, its logits beside it, handed to the metrics'
`process` in one process and one thread, in turns. Times are medians of processor time (with --wall of wall time).
Goals: without boundaries at most 1.05 of mmseg's metric; with them at most 25 ms for each of the two maps, label and
prediction, on an idle core. Distances by OpenCV's transform are shown for comparison.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable

HEIGHT, WIDTH, CLASSES, IGNORED = 1024, 2048, 19, 255
RATIO, MILLISECONDS_A_MAP = 1.05, 25.0


def street_like_sample():
    """What a segmentor hands to the metrics: prediction, label and logits of warped cells of a few classes."""
    import numpy as np
    import torch

    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    nearest = np.full((HEIGHT, WIDTH), np.inf, np.float32)
    label = np.zeros((HEIGHT, WIDTH), np.int64)
    for _ in range(150):
        row, column = rng.random(2) * (HEIGHT, WIDTH)
        distance = (rows - row) ** 2 + (columns - column) ** 2 / 4 + 2000 * np.sin(rows / 40)
        closer = distance < nearest
        nearest[closer], label[closer] = distance[closer], int(CLASSES * rng.random() ** 2)
    prediction = np.roll(label, (2, 3), (0, 1))
    for _ in range(60):
        row, column = rng.random(2) * (HEIGHT, WIDTH)
        label[(rows - row) ** 2 + (columns - column) ** 2 < 35**2] = IGNORED
    scores = torch.randn(CLASSES, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    scores.scatter_(0, torch.from_numpy(prediction)[None], 4.0)
    return {
        "img_path": "street.png",
        "pred_sem_seg": {"data": torch.from_numpy(prediction)[None]},
        "gt_sem_seg": {"data": torch.from_numpy(label)[None]},
        "seg_logits": {"data": scores},
    }


def contestants(sample) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    import cv2
    import numpy as np
    from mmseg.evaluation import IoUMetric

    from provecfg.plugin.metrics import SegCountsMetric

    def of(metric):
        metric.dataset_meta = {"classes": tuple(map(str, range(CLASSES)))}

        def run():
            metric.process({}, [sample])
            metric.results.clear()

        return run

    touching = np.asarray(sample["gt_sem_seg"]["data"][0], np.uint8)
    inside = (cv2.morphologyEx(touching, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) == 0).astype(np.uint8)
    return {
        "mmseg IoUMetric": of(IoUMetric()),
        "counts alone": of(SegCountsMetric(boundaries=False, calibration_pixels=0)),
        "counts, calibration": of(SegCountsMetric(boundaries=False)),
        "counts, calibration, boundaries": of(SegCountsMetric()),
        "cv2.distanceTransform of two maps": lambda: [cv2.distanceTransform(inside, cv2.DIST_C, 3) for _ in range(2)],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="timed rounds (default 9)")
    parser.add_argument("--wall", action="store_true", help="wall time instead of processor time")
    parser.add_argument("--check", type=float, metavar="SLACK", help="fail where a goal times SLACK is exceeded")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    clock = time.perf_counter if options.wall else time.process_time
    runs = contestants(street_like_sample())
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name in random.sample(list(runs), len(runs)):
            start = clock()
            runs[name]()
            seconds[name].append(clock() - start)
    unit = seconds["mmseg IoUMetric"]
    kind = "wall time" if options.wall else "processor time"
    print(f"{kind}, one thread, load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print("| one image of 1024 x 2048 | ms, median | least | x mmseg's |")
    print("|---|---|---|---|")
    ratios, least = {}, {}
    for name, times in seconds.items():
        ratios[name] = statistics.median(t / u for t, u in zip(times, unit, strict=True))
        least[name] = 1e3 * min(times)
        print(f"| {name} | {1e3 * statistics.median(times):.1f} | {least[name]:.1f} | {ratios[name]:.2f} |")
    a_map = least["counts, calibration, boundaries"] / 2
    print(f"\nwith boundaries {a_map:.1f} ms a map at least, goal {MILLISECONDS_A_MAP:g}")
    missed = []
    if options.check and ratios["counts, calibration"] > RATIO * options.check:
        missed.append(f"without boundaries {ratios['counts, calibration']:.2f} of mmseg's, goal {RATIO}")
    if options.check and a_map > MILLISECONDS_A_MAP * options.check:
        missed.append(f"with boundaries {a_map:.1f} ms a map, goal {MILLISECONDS_A_MAP:g}")
    for line in missed:
        print(f"missed: {line}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
