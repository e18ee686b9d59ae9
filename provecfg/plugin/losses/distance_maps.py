"""Signed distance maps of label maps."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor


def signed_distance_maps(labels: Tensor, valid: Tensor, num_classes: int, classes: tuple[int, ...]) -> Tensor:
    """Distance of each pixel to each class's border, positive outside, negative inside.

    Outside a class, the Euclidean distance in pixels to its nearest pixel (1 next to it); inside, minus the
    distance to the nearest pixel of another class, plus 1, so that the class's rim is 0. Ignored pixels are of
    no class: distances pass through them, so the edge of a void is no border, and the maps are 0 there. A
    class that an image does not hold has a map of zeros, and so has one that no other class is beside.

    Computed by SciPy on the CPU, whatever the device: from there the labels have to be fetched. Opaque to
    torch.compile, without a graph break.

    Args:
        labels: (N, H, W) int64 in [0, num_classes).
        valid: (N, H, W) bool.
        num_classes: C.
        classes: The classes to measure; maps of others are zeros.

    Returns:
        (N, C, H, W) float32 on the labels' device.

    Source: Kervadec et al., MIDL 2019, sec. 2 (arXiv:1812.07032); rim and absent classes as in the authors'
        code (LIVIAETS/boundary-loss, `one_hot2dist`).
    """
    return _signed_distance_maps(labels, valid, num_classes, list(classes))


# The schema is spelled out since torch 2.4 cannot read postponed annotations.
@torch.library.custom_op(
    "provecfg::signed_distance_maps",
    mutates_args=(),
    schema="(Tensor labels, Tensor valid, int num_classes, int[] classes) -> Tensor",
)
def _signed_distance_maps(labels, valid, num_classes, classes):  # type: ignore[no-untyped-def]
    maps = np.zeros((labels.shape[0], num_classes, *labels.shape[1:]), np.float32)
    for image, own, counts in zip(maps, labels.cpu().numpy(), valid.cpu().numpy(), strict=True):
        for c in np.intersect1d(own[counts], classes):
            image[c] = _signed_distance(counts & (own == c), counts & (own != c)) * counts
    return torch.from_numpy(maps).to(labels.device)


@_signed_distance_maps.register_fake
def _(labels, valid, num_classes, classes):  # type: ignore[no-untyped-def]
    images, height, width = labels.shape
    return labels.new_empty(images, num_classes, height, width, dtype=torch.float32)


def _signed_distance(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Distance to `inside` where that is not, and 1 - distance to `outside` where `inside` is."""
    if not outside.any():
        return np.zeros(inside.shape, np.float32)
    distance = ndimage.distance_transform_edt(~inside)
    box = _box_around(inside)
    frame = (inside | outside)[box].copy()
    frame[1:-1, 1:-1] = True
    if not frame.all():  # an ignored pixel on the frame: what is nearest may lie beyond it
        box = (slice(None), slice(None))
    distance[box] -= (ndimage.distance_transform_edt(~outside[box]) - 1) * inside[box]
    return distance


def _box_around(mask: np.ndarray) -> tuple[slice, slice]:
    """The bounding box of a mask that is not empty, and one pixel around it as far as there is one.

    From a pixel of the mask to one beyond this box, the way leads over the box's frame.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    height, width = (slice(max(edge[0] - 1, 0), edge[-1] + 2) for edge in (rows, columns))
    return height, width
