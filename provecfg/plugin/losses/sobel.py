"""Sobel energy of class maps, straight from labels or plane by plane with its adjoint.

The Sobel kernels [1 2 1] x [-1 0 1] are a 2x2 box sum followed by a 2x2 difference, and the box sum is the
same for both directions: with a the box sums around a pixel (two rows, two columns), d1 = a11 - a00 and
d2 = a01 - a10, gx = d1 + d2 and gy = d1 - d2, so gx^2 + gy^2 = 2 (d1^2 + d2^2). That is fewer passes over a
plane than the textbook form, and sums of the same terms. Planes are continued by their border values
(replicate), so the image's frame is no boundary.
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

from .writing import write

# (dy, dx) -> (weight in gx, weight in gy); the centre weighs nothing in either.
SOBEL_TAPS = {
    (-1, -1): (-1, -1),
    (-1, 0): (0, -2),
    (-1, 1): (1, -1),
    (0, -1): (-2, 0),
    (0, 1): (2, 0),
    (1, -1): (-1, 1),
    (1, 0): (0, 2),
    (1, 1): (1, 1),
}
STEP_ENERGY = 16  # gx^2 + gy^2 of a straight 0/1 step; a step between two classes is one in each of them


def label_boundary(labels: Tensor, dtype: torch.dtype) -> Tensor:
    """Boundary map of a label map: min(sqrt(energy / 32), 1) of the energy of its one-hot planes, exactly.

    The energy is a quadratic form in the eight taps, and the product of two one-hot taps, summed over
    classes, is whether their labels are equal; so it needs byte comparisons only, and no one-hot planes.

    Args:
        labels: (N, H, W) integers, best uint8.
        dtype: float32 or float64.

    Returns:
        (N, H, W) of `dtype`, in [0, 1]: 1 along both sides of a straight step, 0.354 where only a corner touches.
    """
    _, height, width = labels.shape
    rows = torch.arange(-1, height + 1, device=labels.device).clamp(0, max(height - 1, 0))
    columns = torch.arange(-1, width + 1, device=labels.device).clamp(0, max(width - 1, 0))
    padded = labels.index_select(1, rows).index_select(2, columns)

    def tap(offset: tuple[int, int]) -> Tensor:
        dy, dx = offset
        return padded[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]

    # In units of 4, where every coefficient is a small integer: the squares of the taps are 24 / 4.
    quarter_energy = torch.full(labels.shape, 6, dtype=torch.int8, device=labels.device)
    equal = torch.empty(labels.shape, dtype=torch.bool, device=labels.device)
    for first, second in combinations(SOBEL_TAPS, 2):
        (x1, y1), (x2, y2) = SOBEL_TAPS[first], SOBEL_TAPS[second]
        product = x1 * x2 + y1 * y2
        if product:
            write(torch.eq, tap(first), tap(second), out=equal)
            quarter_energy.add_(equal.view(torch.int8), alpha=product // 2)
    return quarter_energy.to(dtype).div_(2 * STEP_ENERGY / 4).clamp_(max=1).sqrt_()


def whole_windows(valid: Tensor) -> Tensor:
    """Where the 3x3 window of a pixel, as far as it lies in the image, holds valid pixels only.

    Args:
        valid: (N, H, W) bool.

    Returns:
        (N, H, W) bool.
    """
    across = valid.clone()
    across[:, :, 1:] &= valid[:, :, :-1]
    across[:, :, :-1] &= valid[:, :, 1:]
    whole = across.clone()
    whole[:, 1:] &= across[:, :-1]
    whole[:, :-1] &= across[:, 1:]
    return whole


def box_sums(planes: Tensor) -> Tensor:
    """Sums of 2x2 neighbours, planes being continued by their border.

    Args:
        planes: (K, H, W).

    Returns:
        (K, H + 1, W + 1).
    """
    count, height, width = planes.shape
    pairs = planes.new_empty(count, height, width + 1)
    write(torch.add, planes[:, :, 1:], planes[:, :, :-1], out=pairs[:, :, 1:-1])
    write(torch.mul, planes[:, :, 0], 2, out=pairs[:, :, 0])
    write(torch.mul, planes[:, :, -1], 2, out=pairs[:, :, -1])
    boxes = planes.new_empty(count, height + 1, width + 1)
    write(torch.add, pairs[:, 1:], pairs[:, :-1], out=boxes[:, 1:-1])
    write(torch.mul, pairs[:, 0], 2, out=boxes[:, 0])
    write(torch.mul, pairs[:, -1], 2, out=boxes[:, -1])
    return boxes


def diagonal_differences(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """d1 and d2 of the module's docstring, each (K, H, W), of (K, H + 1, W + 1) box sums."""
    return boxes[:, 1:, 1:] - boxes[:, :-1, :-1], boxes[:, :-1, 1:] - boxes[:, 1:, :-1]


def half_energy(planes: Tensor) -> Tensor:
    """(gx^2 + gy^2) / 2 of (K, H, W) planes."""
    d1, d2 = diagonal_differences(box_sums(planes))
    return d1.square_().addcmul_(d2, d2)


def half_energy_backward(boxes: Tensor, slope: Tensor, out: Tensor) -> Tensor:
    """Gradient by planes of something whose gradient by their `half_energy` is `slope`, halved.

    Args:
        boxes: (K, H + 1, W + 1) the planes' box sums; overwritten as scratch.
        slope: (H, W), or (K, H, W).
        out: (K, H, W) written.
    """
    d1, d2 = diagonal_differences(boxes)
    boxes[:, 0].zero_()
    boxes[:, :, 0].zero_()
    write(torch.mul, d1, slope, out=boxes[:, 1:, 1:])
    boxes[:, :-1, :-1].addcmul_(d1, slope, value=-1)
    boxes[:, :-1, 1:].addcmul_(d2, slope)
    boxes[:, 1:, :-1].addcmul_(d2, slope, value=-1)
    pairs = boxes[:, 1:] + boxes[:, :-1]
    pairs[:, 0] += boxes[:, 0]
    pairs[:, -1] += boxes[:, -1]
    write(torch.add, pairs[:, :, 1:], pairs[:, :, :-1], out=out)
    out[:, :, 0] += pairs[:, :, 0]
    out[:, :, -1] += pairs[:, :, -1]
    return out
