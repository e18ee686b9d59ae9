"""Bands along boundaries as the paper of Boundary IoU finds them: one erosion a class."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from provecfg.counts.boundary_bands import BoundaryConvention
from tests.counts.label_maps import IGNORED


def mask_to_boundary(mask: NDArray[np.uint8], dilation: int) -> NDArray[np.uint8]:
    """The band of one class's mask: eroded step by step, the border of the image being background.

    Source: boundary_iou/utils/boundary_utils.py of bowenc0221/boundary-iou-api, the code of Cheng et al. 2021.
    """
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=dilation)
    return mask - eroded[1:-1, 1:-1]


def bands_by_reference(
    labels: NDArray[np.int64], width: int, convention: BoundaryConvention
) -> dict[int, NDArray[np.bool_]]:
    """Class -> its band, (H, W), one erosion a class."""
    ignored = labels == IGNORED
    bands = {}
    for index in sorted(set(np.unique(labels)) - {IGNORED}):
        mask = labels == index
        solid = mask if convention.ignored_border else mask | ignored
        if convention.image_border:
            band = mask_to_boundary(solid.astype(np.uint8), width)
        else:
            far = width + 1
            wide = np.pad(solid.astype(np.uint8), far, mode="edge")
            band = mask_to_boundary(wide, width)[far:-far, far:-far]
        bands[index] = (band > 0) & mask
    return bands
