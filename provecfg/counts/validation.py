"""What one validation counted. Nothing in it is a score: any score of any subset of the images follows from it."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from provecfg.counts.boundary_bands import FRACTIONS, FRACTIONS_PER_IMAGE, BoundaryConvention
from provecfg.counts.calibration import BINS
from provecfg.counts.image import LABEL, Counts, ImageCounts


@dataclass(frozen=True, slots=True)
class Occasion:
    """When and of what a validation was.

    Args:
        iteration: Iterations trained before it; None if not known.
        epoch: Epochs trained before it, for a run that counts them.
        prefix: Of the metrics' names: `val`.
        metrics: What the validation returned, prefix included.
        checkpoint: File of the weights, for an evaluation of a checkpoint.
        asked: Digest of what it was to evaluate: data, pipeline, evaluator and model.
        split: What `provecfg eval` evaluated on: the split, before it the dataset where it is not the config's own.
        parameters: Numbers that the model has to train.
        operations: Floating-point operations of the model on the first image, a multiplication and an addition being
            two; None where they were not counted.
    """

    iteration: int | None = None
    epoch: int | None = None
    prefix: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    checkpoint: str | None = None
    asked: str | None = None
    split: str | None = None
    parameters: int | None = None
    operations: int | None = None


@dataclass(frozen=True)
class ValidationCounts:
    """The counts of a validation of N images and C classes.

    Args:
        classes: Names of the classes.
        ignore_index: The label that is left out.
        boundaries: What a boundary is; None if none were counted.
        image_names: (N,) by the dataset's files, from their common folder.
        image_sizes: (N, 2) height and width in pixels.
        offsets: (N + 1,) the rows of image n are those from `offsets[n]` to `offsets[n + 1]`.
        row_classes: (R,) class of each row: those that occur in the image's prediction or label.
        regions: (R, 3) pixels: intersection, prediction, label.
        bands: (R, W, 3) the same in the bands of `FRACTIONS_PER_IMAGE`; W is 0 if no boundaries were counted.
        band_sums: (F, C, 3) the same over all images, in the bands of `FRACTIONS`; F is 0 if none were counted.
        confusion: (C + 1, C + 1) pixels by label and prediction, the last of each what is no class.
        calibration: (C, BINS, 3) by predicted class and bin: pixels, correct, sum of confidences in millionths;
            (0, BINS, 3) if no scores were there, (1, BINS, 3) for the classes together.
        calibration_sources: What the confidences are -> number of images.
        image_confusion: (M, 3) image, code and pixels of each entry of each image's own confusion matrix, or (0, 3).
        image_calibration: (N, BINS, 3) over all classes, or (0, BINS, 3).
        occasion: When and of what it was.
    """

    classes: tuple[str, ...]
    ignore_index: int
    boundaries: BoundaryConvention | None
    image_names: NDArray[np.str_]
    image_sizes: Counts
    offsets: Counts
    row_classes: Counts
    regions: Counts
    bands: Counts
    band_sums: Counts
    confusion: Counts
    calibration: Counts
    calibration_sources: Mapping[str, int]
    image_confusion: Counts
    image_calibration: Counts
    occasion: Occasion = field(default_factory=Occasion)

    @property
    def num_images(self) -> int:
        """How many images were counted."""
        return len(self.offsets) - 1

    @cached_property
    def totals(self) -> Counts:
        """(C, 3) pixels of each class over all images: intersection, prediction, label."""
        if not self.confusion.size:  # a subset's
            return self._by_class(self.regions)
        sides = [self.confusion.diagonal(), self.confusion.sum(axis=0), self.confusion.sum(axis=1)]
        return np.stack(sides, axis=-1)[: len(self.classes)]

    def band_totals(self, fraction: float) -> Counts | None:
        """(C, 3) the same in the band of one of `FRACTIONS`; None if that was not counted."""
        if len(self.band_sums):
            return np.asarray(self.band_sums[FRACTIONS.index(fraction)])
        if self.bands.shape[1] and fraction in FRACTIONS_PER_IMAGE:
            return self._by_class(self.bands[:, FRACTIONS_PER_IMAGE.index(fraction)])
        return None

    def of_images(self, values: Counts) -> Counts:
        """(N, C, ...) of values by row, zero for classes that do not occur in an image."""
        dense = np.zeros((self.num_images, len(self.classes), *values.shape[1:]), np.int64)
        dense[self.image_of_row, self.row_classes] = values
        return dense

    def subset(self, chosen: NDArray[np.bool_]) -> ValidationCounts:
        """The counts of some of the images.

        Its sums of bands are left out, and so are confusion and calibration unless they were kept for each image.

        Args:
            chosen: (N,) which.
        """
        rows = chosen[self.image_of_row]
        side = len(self.classes) + 1
        confusion = np.zeros((0, 0), np.int64)
        entries = self.image_confusion[chosen[self.image_confusion[:, 0]]] if len(self.image_confusion) else None
        if entries is not None:
            weights = np.zeros(side * side, np.int64)
            np.add.at(weights, entries[:, 1], entries[:, 2])
            confusion = weights.reshape(side, side)
        calibration = self.image_calibration[chosen].sum(axis=0, keepdims=True) if len(self.image_calibration) else None
        return replace(
            self,
            image_names=self.image_names[chosen],
            image_sizes=self.image_sizes[chosen],
            offsets=np.cumsum([0, *np.diff(self.offsets)[chosen]]),
            row_classes=self.row_classes[rows],
            regions=self.regions[rows],
            bands=self.bands[rows],
            band_sums=self.band_sums[:0],
            confusion=confusion,
            calibration=self.calibration[:0] if calibration is None else calibration,
            image_confusion=self.image_confusion[:0],
            image_calibration=self.image_calibration[:0],
        )

    def _by_class(self, values: Counts) -> Counts:
        columns = [np.bincount(self.row_classes, column, len(self.classes)) for column in values.T]
        return np.stack(columns, axis=-1).astype(np.int64)  # exact: float64 holds whole numbers up to 2**53

    @property
    def image_of_row(self) -> Counts:
        """(R,) the image of each row."""
        return np.repeat(np.arange(self.num_images), np.diff(self.offsets))

    @cached_property
    def data_digest(self) -> str:
        """Equal for two validations on the same images with the same labels, counted by the same classes."""
        labels = self.of_images(self.regions)[..., LABEL]
        told = hashlib.sha256(json.dumps([list(self.classes), self.image_names.tolist()]).encode())
        told.update(np.ascontiguousarray(labels).tobytes())
        return told.hexdigest()[:16]


def validation_counts(
    images: Sequence[ImageCounts],
    *,
    classes: Sequence[str],
    ignore_index: int,
    boundaries: BoundaryConvention | None,
    per_image: bool = False,
) -> ValidationCounts:
    """Put the counts of images together.

    Args:
        images: At least one.
        classes: Names of the classes.
        ignore_index: The label that was left out.
        boundaries: What a boundary was.
        per_image: Keep confusion and calibration of each image, too.
    """
    count = len(classes)
    fractions = len(FRACTIONS) if boundaries is not None else 0
    kept = [FRACTIONS.index(fraction) for fraction in FRACTIONS_PER_IMAGE] if fractions else []
    band_sums = np.zeros((fractions, count, 3), np.int64)
    confusion = np.zeros((count + 1) ** 2, np.int64)
    sources = Counter(image.calibration.source for image in images if image.calibration is not None)
    calibration = np.zeros((count * BINS if sources else 0, 3), np.int64)
    for image in images:
        band_sums[:, image.classes] += image.bands.swapaxes(0, 1)
        confusion[image.confusion_codes] += image.confusion_counts
        if image.calibration is not None:
            calibration[image.calibration.codes] += image.calibration.values
    return ValidationCounts(
        classes=tuple(classes),
        ignore_index=ignore_index,
        boundaries=boundaries,
        image_names=np.array(_from_common_folder([image.name for image in images])),
        image_sizes=np.array([(image.height, image.width) for image in images], np.int64),
        offsets=np.cumsum([0, *(len(image.classes) for image in images)]),
        row_classes=np.concatenate([image.classes for image in images]),
        regions=np.concatenate([image.regions for image in images]),
        bands=np.concatenate([image.bands[:, kept] for image in images]),
        band_sums=band_sums,
        confusion=confusion.reshape(count + 1, count + 1),
        calibration=calibration.reshape(-1, BINS, 3),
        calibration_sources=dict(sources),
        image_confusion=_image_confusion(images) if per_image else np.zeros((0, 3), np.int64),
        image_calibration=_image_calibration(images) if per_image and sources else np.zeros((0, BINS, 3), np.int64),
    )


def _image_confusion(images: Sequence[ImageCounts]) -> Counts:
    entries = [
        [np.full_like(image.confusion_codes, index), image.confusion_codes, image.confusion_counts]
        for index, image in enumerate(images)
    ]
    return np.concatenate([np.stack(columns, axis=1) for columns in entries])


def _image_calibration(images: Sequence[ImageCounts]) -> Counts:
    sums = np.zeros((len(images), BINS, 3), np.int64)
    for index, image in enumerate(images):
        if image.calibration is not None:
            np.add.at(sums[index], image.calibration.codes % BINS, image.calibration.values)
    return sums


def _from_common_folder(names: Sequence[str]) -> list[str]:
    """The names as seen from the folder that all are in, so that the same images have the same names elsewhere."""
    paths = [PurePath(name) for name in names]
    try:
        folder = os.path.commonpath([path.parent for path in paths])
        return [path.relative_to(folder).as_posix() for path in paths]
    except ValueError:  # some absolute, some not
        return [path.as_posix() for path in paths]
