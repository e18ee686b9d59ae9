"""Scores on parts of the images: by the folders that they lie in, and by what a table says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from provecfg.attributes import Attributes, attribute_of
from provecfg.counts.counts_file import CountsFile
from provecfg.parallel import map_in_processes
from provecfg.results.report.places import by_work_dir, mean_over_places
from provecfg.results.scores import Scores, class_iou, finite_mean
from provecfg.results.study import StudyResults

FOLDER: Final = "folder"
"""What images are sliced by where they lie in several folders: in Cityscapes, the city."""
_NOT_SAID: Final = "not said"
_MOST_VALUES: Final = 40
"""Of an attribute; one with more tells images apart, and is no slice."""


@dataclass(frozen=True)
class _Slicing:
    """Images by an attribute.

    Args:
        attribute: Its name.
        values: Its values, of which each has an image.
        value_of_image: (N,) the index of each image's.
    """

    attribute: str
    values: tuple[str, ...]
    value_of_image: NDArray[np.intp]


def slice_scores(results: StudyResults, attributes: Attributes | None = None) -> list[dict[str, Any]]:
    """Of each attribute, the mIoU of each loss on the images of each value, at the last validation.

    A mean over the places that have all losses, as everywhere. Empty where there are no counts, several datasets, or
    nothing to slice by.
    """
    files = {
        cell.run.path: list(cell.run.counts.values())[-1]
        for cell in results.included
        if cell.run is not None and cell.run.counts
    }
    if not files or len(results.axes["dataset"]) != 1:
        return []
    names = next(iter(files.values())).read().image_names.tolist()
    slicings = list(_slicings(names, attributes or {}))
    if not slicings:
        return []
    scored = map_in_processes(_scores_of, [(file, slicings) for file in files.values()])
    by_path = dict(zip(files, scored, strict=True))
    parts = []
    for index, slicing in enumerate(slicings):
        means = mean_over_places(results, by_work_dir({path: scores[index] for path, scores in by_path.items()}))
        images = np.bincount(slicing.value_of_image, minlength=len(slicing.values))
        if means and all(np.isfinite(mean).any() for mean in means.values()):
            parts.append(
                {
                    "attribute": slicing.attribute,
                    "rows": [
                        {
                            "value": value,
                            "images": int(images[at]),
                            "scores": {loss: mean[at] for loss, mean in means.items()},
                        }
                        for at, value in enumerate(slicing.values)
                    ],
                    "gaps": {loss: np.ptp(mean[np.isfinite(mean)]) for loss, mean in means.items()},
                }
            )
    return parts


def _slicings(names: Sequence[str], attributes: Attributes) -> list[_Slicing]:
    by_attribute = {
        FOLDER: [PurePosixPath(name).parts[0] if "/" in name else "" for name in names],
        **{
            attribute: [attribute_of(name, values) or _NOT_SAID for name in names]
            for attribute, values in attributes.items()
        },
    }
    slicings = []
    for attribute, values in by_attribute.items():
        distinct, index = np.unique(np.array(values), return_inverse=True)
        if 2 <= len(distinct) <= _MOST_VALUES:
            slicings.append(_Slicing(attribute, tuple(distinct.tolist()), index))
    return slicings


def _scores_of(job: tuple[CountsFile, Sequence[_Slicing]]) -> list[Scores]:
    """Of each slicing, (V,) the mIoU on the images of each value."""
    file, slicings = job
    counts = file.read_regions_and_sums()
    classes, scores = len(counts.classes), []
    for slicing in slicings:
        cell = slicing.value_of_image[counts.image_of_row] * classes + counts.row_classes
        size = len(slicing.values) * classes
        totals = np.stack([np.bincount(cell, column, size) for column in counts.regions.T], axis=-1)
        iou = class_iou(totals.astype(np.int64).reshape(len(slicing.values), classes, 3))
        scores.append(np.array([finite_mean(of_value) for of_value in iou]))
    return scores
