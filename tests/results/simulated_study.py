"""Work dirs of a study that nobody trained, with the scores that are wanted of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from provecfg.counts.boundary_bands import FRACTIONS, BoundaryConvention
from provecfg.counts.calibration import BINS, UNIT, CalibrationCounts
from provecfg.counts.counts_file import to_bytes
from provecfg.counts.image import INTERSECTION, LABEL, PREDICTION, ImageCounts
from provecfg.counts.validation import Occasion, ValidationCounts, validation_counts
from provecfg.generate.cells import cells_of
from provecfg.generate.plan import Planner
from provecfg.generate.render import render
from provecfg.results.scores import METRIC
from provecfg.study.load import study_from_fields
from provecfg.study.schema import Study

CLASSES = ("road", "building", "person", "rider", "pole")
_ATTEMPT = {
    "started": "2025-01-01T00:00:00+00:00",
    "ended": "2025-01-01T11:06:40+00:00",  # half a second an iteration
    "first_iter": 0,
    "last_iter": 80_000,
    "command": [],
    "device": "cuda",
    "processes": 1,
    "host": "node",
    "pid": 1,
    "state": "finished",
    "message": "",
}
_LABELS = np.array([[400_000, 300_000, 20_000, 0, 9_000], [500_000, 100_000, 40_000, 8_000, 7_000]])
"""(images, classes) labelled pixels; small numbers would round the scores."""
_OFFSETS = np.array([30.0, 15.0, -5.0, -15.0, -25.0])
"""Points by which each class is better than the mean of all."""
_BOUNDARY = 12.0
"""Points by which Boundary IoU is below IoU."""
MODELS = ("deeplabv3plus_r50", "pspnet_r50", "segformer_mit-b3", "segnext_mscan-b", "hrnet_hr48", "mask2former_swin-b")
LOSSES = ("ce", "focal", "lovasz", "boundary")


@dataclass(frozen=True)
class Effects:
    """What the losses of a simulated study do, in points, by their names.

    Args:
        iou: To the IoU of every class.
        boundary: To the Boundary IoU of every class beyond that.
        run_sd: Standard deviation of a training.
        validation_sd: Of a validation within a training, by loss.
    """

    iou: Mapping[str, float] = field(default_factory=dict)
    boundary: Mapping[str, float] = field(default_factory=dict)
    run_sd: float = 0.5
    validation_sd: Mapping[str, float] = field(default_factory=dict)


def study_of(models: int = 6, seeds: int = 5, **fields: Any) -> Study:
    """The loss study with so many models and seeds."""
    study, mistakes = study_from_fields(
        {"name": "simulated", "models": list(MODELS[:models]), "seeds": list(range(seeds)), **fields}
    )
    assert study is not None, mistakes
    return study


def counts_with(
    mean_iou: float, boundary_iou: float, rng: np.random.Generator, images: int = len(_LABELS)
) -> ValidationCounts:
    """Counts of images whose classes have about these scores, in points.

    Args:
        mean_iou: Mean over classes.
        boundary_iou: The same in every band.
        rng: Of confidences.
        images: How many, at most two.
    """
    counts = []
    for index, labels in enumerate(_LABELS[:images]):
        regions = _regions(labels, mean_iou + _OFFSETS)
        bands = np.stack([_regions(labels // 8, boundary_iou + _OFFSETS)] * len(FRACTIONS), axis=1)
        present = np.flatnonzero(labels)
        wrong = regions[..., LABEL] - regions[..., INTERSECTION]
        codes = [*(present * 6 + present), *(present[1:] * 6 + present[:-1])]
        confusion = [*regions[present, INTERSECTION], *wrong[present[1:]]]
        bins = np.arange(5, BINS)
        pixels = rng.integers(500, 1000, len(bins))
        confidences = (pixels * (bins + 0.5) / BINS * UNIT).astype(np.int64)
        right = (pixels * np.clip((bins - 0.8) / BINS, 0, 1)).astype(np.int64)
        calibration = CalibrationCounts(
            "softmax of the logits", bins.astype(np.int64), np.stack([pixels, right, confidences], axis=1)
        )
        counts.append(
            ImageCounts(
                f"/data/val/{index}.png",
                720,
                1280,
                present,
                regions[present],
                (1, 2, 4, 7, 15, 29),
                bands[present],
                np.array(codes),
                np.array(confusion),
                calibration,
            )
        )
    return validation_counts(counts, classes=CLASSES, ignore_index=255, boundaries=BoundaryConvention())


def _regions(labels: np.ndarray, iou: np.ndarray) -> np.ndarray:
    """(C, 3) pixels of classes with these IoUs, predicted as often as they are labelled."""
    share = np.clip(iou, 1, 99) / 100
    intersection = np.rint(2 * labels * share / (1 + share)).astype(np.int64)
    regions = np.zeros((len(labels), 3), np.int64)
    regions[:, INTERSECTION], regions[:, PREDICTION], regions[:, LABEL] = intersection, labels, labels
    return regions


@dataclass
class SimulatedRun:
    """A run before it is written; tests change what they want to.

    Args:
        name: Of its config.
        cell: Axis -> where on it.
        config: Its text.
        validations: Iteration -> counts.
        record: What `provecfg.json` holds.
    """

    name: str
    cell: dict[str, Any]
    config: str
    validations: dict[int, ValidationCounts]
    record: dict[str, Any]

    def write(self, folder: Path) -> Path:
        """Write the work dir below a folder, as a run leaves it."""
        work_dir = folder / self.name
        log = work_dir / "20250101_000000" / "vis_data" / "scalars.json"
        log.parent.mkdir(parents=True)
        (work_dir / "counts").mkdir()
        (work_dir / f"{self.name}.py").write_text(self.config)
        (work_dir / "provecfg.json").write_text(json.dumps(self.record))
        lines, before = [], 0
        for index, (step, counts) in enumerate(self.validations.items()):
            for iteration in range(before + 1000, step + 1, 1000):
                loss = 2.0 * math.exp(-iteration / 20_000)
                terms = {"loss": 1.3 * loss, "decode.loss_ce": loss, "decode.loss_aux": 0.3 * loss}
                lines.append({"lr": 0.01, **terms, "time": 0.5, "iter": iteration, "memory": 5000, "step": iteration})
            logged = {f"val/{key}": round(METRIC[key].score(counts), 2) for key in ("aAcc", "mIoU", "mAcc")}
            lines.append({**logged, "step": step})
            before = step
            if index >= len(self.validations) - 4:
                kept = replace(counts, occasion=Occasion(step, None, "val", logged))
                (work_dir / "counts" / f"val_iter_{step}.npz").write_bytes(to_bytes(kept))
        log.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return work_dir


def simulated_runs(study: Study, effects: Effects, seed: int = 0) -> Iterator[SimulatedRun]:
    """The runs of a study, with six validations each.

    Args:
        study: The study.
        effects: What its losses do.
        seed: Of everything that varies.
    """
    rng = np.random.default_rng(seed)
    levels = {model: rng.uniform(35, 50) for model in study.bases}
    planner = Planner(study)
    for cell in cells_of(study):
        plan = planner.plan(cell)
        level = levels[cell.model.name] + effects.iou.get(cell.label, 0.0) + effects.run_sd * rng.standard_normal()
        boundary = level - _BOUNDARY + effects.boundary.get(cell.label, 0.0)
        spread = effects.validation_sd.get(cell.label, 0.1)
        validations = {}
        for index in range(6):
            gap = 6.0 * (5 - index) ** 2 / 25 - spread * rng.standard_normal()
            validations[10_000 + 14_000 * index] = counts_with(level - gap, boundary - gap, rng)
        coordinates = cell.coordinates._asdict()
        record = {
            "format": 1,
            "name": plan.name,
            "config": {"path": f"generated/{plan.name}.py", "study": study.name, "cell": coordinates},
            "fingerprint": {},
            "smoke": False,
            "max_iters": 80_000,
            "seed": cell.seed,
            "versions": {"torch": "2.13.0", "provecfg": "0.1.0"},
            "git": None,
            "attempts": [dict(_ATTEMPT)],
            "best": {"metric": "val/mIoU", "value": 1.0, "checkpoint": None},
            "last_checkpoint": None,
        }
        yield SimulatedRun(plan.name, coordinates, render(plan), validations, record)


def write_study(
    folder: Path, study: Study, effects: Effects, change: Callable[[SimulatedRun], None] | None = None, seed: int = 0
) -> list[Path]:
    """Write the work dirs of a study below a folder.

    Args:
        folder: Where to.
        study: The study.
        effects: What its losses do.
        change: Changes a run before it is written.
        seed: Of everything that varies.
    """
    written = []
    for run in simulated_runs(study, effects, seed):
        if change is not None:
            change(run)
        written.append(run.write(folder))
    return written
