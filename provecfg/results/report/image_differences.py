"""The images on which a loss and the reference differ most, by the counts of the last validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from provecfg.results.report.places import mean_over_places
from provecfg.results.scores import Scores
from provecfg.results.study import Cell, StudyResults

SHOWN: Final = 3
"""Images of each loss."""


@dataclass(frozen=True)
class ImageDifference:
    """An image on which a loss and the reference differ.

    Args:
        loss: The loss.
        image: Its name, from the common folder of all.
        reference, score: mIoU of the image by the reference and by the loss, in points: means over the places that have
            all losses.
        pairs: Cells of the loss and of the reference of the same place and seed, those first that differ most here in
            the same direction.
    """

    loss: str
    image: str
    reference: float
    score: float
    pairs: tuple[tuple[Cell, Cell], ...]

    @property
    def difference(self) -> float:
        """In points, positive where the loss is better."""
        return self.score - self.reference


def image_differences(results: StudyResults) -> list[ImageDifference]:
    """The `SHOWN` images of the greatest difference, of each loss; none where images were not counted."""
    counted = [cell.run for cell in results.included if cell.run is not None and cell.run.counts]
    if not counted or not results.reference or len(results.axes["dataset"]) != 1:
        return []
    means = mean_over_places(results, _image_iou)
    if results.reference not in means:
        return []
    names, reference = list(counted[0].counts.values())[-1].read().image_names.tolist(), means[results.reference]
    shown = []
    for loss, own in means.items():
        differences = np.nan_to_num(own - reference)
        for index in np.argsort(-np.abs(differences), kind="stable")[:SHOWN].tolist():
            if loss != results.reference and differences[index]:
                pairs = _pairs(results, loss, index, float(np.sign(differences[index])))
                shown.append(ImageDifference(loss, names[index], float(reference[index]), float(own[index]), pairs))
    return shown


def _pairs(results: StudyResults, loss: str, index: int, sign: float) -> tuple[tuple[Cell, Cell], ...]:
    """Cells of the loss and of the reference, those first whose difference on an image is the most of this sign."""
    pairs = []
    for by_loss in results.by_place.values():
        of_reference = {cell.coordinates["seed"]: cell for cell in by_loss.get(results.reference, [])}
        for cell in by_loss.get(loss, []):
            other = of_reference.get(cell.coordinates["seed"])
            if other is None:
                continue
            own, base = _image_iou(cell), _image_iou(other)
            if index < min(len(own), len(base)):  # there are none where the last counts cannot be read
                pairs.append((sign * float(np.nan_to_num(own[index] - base[index])), cell, other))
    pairs.sort(key=lambda pair: -pair[0])
    return tuple((cell, other) for _, cell, other in pairs)


def _image_iou(cell: Cell) -> Scores:
    """(N,) mIoU of each image; empty where it was not counted."""
    return cell.scores.image_iou if cell.scores is not None else np.zeros(0)
