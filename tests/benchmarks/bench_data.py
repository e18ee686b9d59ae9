"""How fast label maps are counted, in processor time of one core: `python tests/benchmarks/bench_data.py [--rounds N]`.

The maps are drawn streets of 1280x720, saved as numbers and as colours.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from provecfg.catalog.datasets import DATASETS
from provecfg.data.encodings import LabelDecoder
from provecfg.data.label_cache import cached_labels
from provecfg.data.records import look_at_label
from provecfg.data.scenes import Drawing, draw_street

MAPS = 12
STREET = Drawing(width=1280, height=720)
PALETTE = np.array([*(DATASETS["cityscapes"].palette or ()), *[(0, 0, 0)] * 237], np.uint8)  # (256, 3)


def write_maps(folder: Path) -> None:
    for index in range(MAPS):
        _, labels = draw_street(STREET, (0, 0, index))
        Image.fromarray(labels).save(folder / f"ids{index}.png")
        Image.fromarray(PALETTE[labels]).save(folder / f"colours{index}.png")


def maps_a_second(rounds: int, look: Callable[[Path], object], paths: list[Path]) -> float:
    """The median over the rounds, in processor time."""
    times = []
    for _ in range(rounds + 1):
        began = time.process_time()
        for path in paths:
            look(path)
        times.append(time.process_time() - began)
    return len(paths) / float(np.median(times[1:]))  # the first round warms the caches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    colours = {
        f"#{red:02x}{green:02x}{blue:02x}": label for label, (red, green, blue) in enumerate(PALETTE[:19].tolist())
    }
    decoder = LabelDecoder("rgb", 19, {"#000000": 255, **colours})
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_maps(root)
        print("| label maps of 1280x720, one core | a second | bound |")
        print("|---|---|---|")
        for kind in ("ids", "colours"):
            figure = maps_a_second(rounds, look_at_label, [root / f"{kind}{index}.png" for index in range(MAPS)])
            print(f"| {kind} counted | {figure:.0f} | >= 50 |")
        paths = [root / f"colours{index}.png" for index in range(MAPS)]
        print(f"| colours mapped for training | {maps_a_second(rounds, decoder.read, paths):.0f} | |")
        kept = maps_a_second(rounds, lambda path: cached_labels(path, decoder), paths)
        print(f"| the same with `cache_labels` | {kept:.0f} | |")


if __name__ == "__main__":
    main()
