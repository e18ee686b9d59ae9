"""mmseg's IoU metric, which also keeps what it counted of each image."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS
from torch import Tensor

from provecfg.counts.boundary_bands import BoundaryConvention
from provecfg.counts.calibration import BINARY, LOGITS, SCORES, CalibrationCounts, count_calibration
from provecfg.counts.image import INTERSECTION, LABEL, PREDICTION, ImageCounts, count_image
from provecfg.counts.scratch import Scratch
from provecfg.counts.validation import ValidationCounts, validation_counts


@METRICS.register_module()
class SegCountsMetric(IoUMetric):
    """mmseg's `IoUMetric`, the same numbers under the same names, that keeps what it counted of every image.

    For each image and class it keeps the pixels of intersection, prediction and label, and the same in a band along the
    boundaries, 0.5 % and 2 % of the diagonal wide (Boundary IoU); summed over the images the bands of six widths, the
    confusion matrix, and how often predictions of each confidence were right. `ValidationCountsHook` writes them into
    the work dir. All is counted on the CPU, in memory that does not grow with the resolution.

    Args:
        ignore_index, iou_metrics, nan_to_num, beta, collect_device, output_dir, format_only, prefix: As of `IoUMetric`.
        boundaries: Count in bands along boundaries, too.
        image_border_is_boundary: The border of the image is a boundary, as in the code of Boundary IoU's paper. If not,
            a boundary is only where two classes meet.
        ignored_border_is_boundary: The border of ignored pixels is one. If not, ignored pixels neither make a boundary
            nor hide the one behind them.
        calibration_pixels: Confidences are counted on a regular grid of at least so many pixels of each image, of all
            pixels of a smaller one; 0 to count none.
        per_image: Keep confusion and calibration of each image, too, for slices of the images.

    Raises:
        TypeError: An argument that it does not have (`IoUMetric` swallows it).
        ValueError: `calibration_pixels` is negative.

    Source: Cheng et al. 2021 (arXiv:2103.16562) for Boundary IoU. Differs: of each class of a semantic map, summed over
        images as for IoU, and by default no boundary where the image ends.
    """

    def __init__(
        self,
        ignore_index: int = 255,
        iou_metrics: Sequence[str] | str = ("mIoU",),
        nan_to_num: int | None = None,
        beta: int = 1,
        collect_device: str = "cpu",
        output_dir: str | None = None,
        format_only: bool = False,
        prefix: str | None = None,
        *,
        boundaries: bool = True,
        image_border_is_boundary: bool = False,
        ignored_border_is_boundary: bool = False,
        calibration_pixels: int = 8192,
        per_image: bool = False,
    ) -> None:
        super().__init__(
            ignore_index=ignore_index,
            iou_metrics=iou_metrics if isinstance(iou_metrics, str) else list(iou_metrics),
            nan_to_num=nan_to_num,
            beta=beta,
            collect_device=collect_device,
            output_dir=output_dir,
            format_only=format_only,
            prefix=prefix,
        )
        if calibration_pixels < 0:
            raise ValueError(f"calibration_pixels is {calibration_pixels}, must be 0 (none) or more")
        self.convention = (
            BoundaryConvention(image_border_is_boundary, ignored_border_is_boundary) if boundaries else None
        )
        self.calibration_pixels = calibration_pixels
        self.per_image = per_image
        self._scratch = Scratch()
        self.counts: ValidationCounts | None = None
        """Of the last validation; in the main process alone."""

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Count a batch. (`IoUMetric` writes its predictions, if it is to.)"""
        # Counted on the CPU: else mmseg first copies the labels to the predictions' device.
        on_cpu = [
            {**sample, "pred_sem_seg": {"data": sample["pred_sem_seg"]["data"].to(torch.int32).cpu()}}
            for sample in data_samples
        ]
        first = len(self.results)
        super().process(data_batch, on_cpu)
        if self.format_only:
            return
        for index, sample in enumerate(data_samples, start=first):
            self.results[index] = dataclasses.replace(
                self.results[index],
                name=str(sample.get("img_path", f"image {index}")),
                calibration=self._calibration(sample),
            )

    # mmseg's is a static method, which it calls by the instance.
    def intersect_and_union(
        self, pred_label: Tensor, label: Tensor, num_classes: int, ignore_index: int
    ) -> ImageCounts:
        """The counts of an image, in place of mmseg's four histograms; (H, W) both."""
        return count_image(
            np.atleast_2d(pred_label.numpy()),
            np.atleast_2d(label.numpy()),
            num_classes=num_classes,
            ignore_index=ignore_index,
            boundaries=self.convention,
            scratch=self._scratch,
        )

    def compute_metrics(self, results: list[ImageCounts]) -> dict[str, float]:
        """mmseg's metrics of the counts, which are kept in `counts`."""
        if self.format_only:
            return super().compute_metrics(results)
        classes = self.dataset_meta["classes"]
        self.counts = validation_counts(
            results,
            classes=classes,
            ignore_index=self.ignore_index,
            boundaries=self.convention,
            per_image=self.per_image,
        )
        return super().compute_metrics([_as_areas(image, len(classes)) for image in results])

    def _calibration(self, sample: Mapping[str, Any]) -> CalibrationCounts | None:
        if not self.calibration_pixels or "seg_logits" not in sample:
            return None
        maps = [sample[key]["data"] for key in ("seg_logits", "pred_sem_seg", "gt_sem_seg")]
        height, width = maps[2].shape[-2:]
        if any(values.shape[-2:] != (height, width) for values in maps):
            return None
        step = max(1, math.isqrt(height * width // self.calibration_pixels))
        scores, prediction, label = (values[..., step // 2 :: step, step // 2 :: step] for values in maps)
        confidence, source = _confidence(scores.float().contiguous(), prediction)
        return count_calibration(
            confidence.ravel().cpu().numpy(),
            prediction.to(torch.int32).ravel().cpu().numpy(),
            label.ravel().cpu().numpy(),
            num_classes=len(self.dataset_meta["classes"]),
            ignore_index=self.ignore_index,
            source=source,
        )


def _confidence(scores: Tensor, prediction: Tensor) -> tuple[Tensor, str]:
    """Confidences of the predicted classes, and what they are.

    Logits of a softmax fall on both sides of 0. Scores of which none is below it are sums over masks (Mask2Former), and
    become a distribution by their sum. mmseg hands on a single channel as a probability.

    Args:
        scores: (C, H, W) float, mmseg's `seg_logits`.
        prediction: (1, H, W), the class.

    Returns:
        (H, W) float in [0, 1] or NaN, and one of `calibration`'s sources.
    """
    if len(scores) == 1:
        return torch.where(prediction > 0, scores, 1 - scores)[0], BINARY
    best = scores.amax(dim=0)
    if scores.min() < 0:
        return torch.exp(best - scores.logsumexp(dim=0)), LOGITS
    return best / scores.sum(dim=0), SCORES


def _as_areas(image: ImageCounts, num_classes: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Intersection, union, prediction and label, each (C,) float32, as mmseg's histograms have them."""
    areas = torch.zeros(3, num_classes)
    areas[:, torch.from_numpy(image.classes)] = torch.from_numpy(image.regions).T.float()
    intersection, prediction, label = areas[INTERSECTION], areas[PREDICTION], areas[LABEL]
    return intersection, prediction + label - intersection, prediction, label
