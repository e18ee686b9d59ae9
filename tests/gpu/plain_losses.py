"""The losses of docs/losses.md written down from their formulas: what one would have without kernels of one's own.

Every function takes logits (N, C, H, W) and labels (N, H, W) int64 in [0, C) or 255, and gives a scalar; autograd
makes the gradient. None of them looks at a value, so that none waits for the device.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own name for it)
from torch import Tensor

from tests.gpu.scene import IGNORED


def surprise_of(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """(N, H, W) -log p_t, 0 where a pixel is ignored, and whether it counts."""
    return F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none"), labels != IGNORED


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    surprise, valid = surprise_of(logits, labels)
    return surprise.sum() / valid.sum()


class SmoothedCrossEntropy:
    """Cross entropy with class weights and label smoothing."""

    def __init__(self, class_weight: Sequence[float], smoothing: float, device: str) -> None:
        self.weight, self.smoothing = torch.tensor(class_weight, device=device), smoothing

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(
            logits, labels, self.weight.to(logits.dtype), ignore_index=IGNORED, label_smoothing=self.smoothing
        )


def focal(logits: Tensor, labels: Tensor) -> Tensor:
    """gamma 2, alpha 0.5."""
    surprise, valid = surprise_of(logits, labels)
    return (0.5 * (-torch.expm1(-surprise)).square() * surprise).sum() / valid.sum()


class BoundaryFocal:
    """Focal loss, a pixel times 1 + b of the labels."""

    def __init__(self, device: str) -> None:
        self.kernels = sobel_kernels(device)

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        surprise, valid = surprise_of(logits, labels)
        energy = sobel_energy(one_hot(logits, labels), self.kernels).sum(1)
        boundary = (energy / 32).sqrt().clamp(max=1) * whole_windows(valid)
        return (0.5 * (1 + boundary) * (-torch.expm1(-surprise)).square() * surprise).sum() / valid.sum()


def dice(logits: Tensor, labels: Tensor) -> Tensor:
    """Soft Dice over the batch, of the classes that the labels hold."""
    valid = (labels != IGNORED).unsqueeze(1)
    probability, target = logits.softmax(1) * valid, one_hot(logits, labels) * valid
    hits, mass, size = (planes.sum((0, 2, 3)) for planes in (probability * target, probability, target))
    present = (size > 0).to(logits.dtype)
    return (present * (1 - (2 * hits + 1) / (mass + size + 1))).sum() / present.sum()


class Lovasz:
    """Lovasz-Softmax of all classes; of each image, or of the classes present in the whole batch."""

    def __init__(self, *, per_image: bool) -> None:
        self.per_image = per_image

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        probability, target = logits.softmax(1).flatten(2), one_hot(logits, labels).flatten(2)
        valid = (labels != IGNORED).flatten(1).unsqueeze(1)
        if not self.per_image:
            probability, target, valid = (
                t.transpose(0, 1).flatten(1).unsqueeze(0) for t in (probability, target, valid)
            )
        # Ignored pixels have error 0 and no class: they come last, and cost nothing.
        errors, target = ((target - probability) * valid).abs(), target * valid
        ordered, places = errors.sort(dim=2, descending=True)
        own = target.gather(2, places)
        size = own.sum(2, keepdim=True)
        jaccard = 1 - (size - own.cumsum(2)) / (size + (1 - own).cumsum(2)).clamp(min=1)
        steps = torch.cat([jaccard[..., :1], jaccard[..., 1:] - jaccard[..., :-1]], 2)
        of_class = (ordered * steps).sum(2)
        if self.per_image:
            return of_class.mean()
        present = (size.squeeze(2) > 0).to(of_class.dtype)
        return (of_class * present).sum() / present.sum()


class Boundary:
    """Binary cross-entropy between boundary maps, one over the classes or one a class."""

    def __init__(self, device: str, *, per_class: bool, eps: float = 1e-3) -> None:
        self.kernels, self.per_class, self.eps = sobel_kernels(device), per_class, eps

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        wanted, predicted = (
            sobel_energy(planes, self.kernels) for planes in (one_hot(logits, labels), logits.softmax(1))
        )
        if self.per_class:
            wanted, predicted = wanted / 16, predicted / 16
        else:
            wanted, predicted = wanted.sum(1, keepdim=True) / 32, predicted.sum(1, keepdim=True) / 32
        y = wanted.sqrt().clamp(max=1)
        b = (predicted + self.eps**2).sqrt().clamp(max=1 - self.eps)
        windows = whole_windows(labels != IGNORED).unsqueeze(1).to(logits.dtype)
        terms = -y * b.log() - (1 - y) * (1 - b).log()
        return (terms * windows).sum() / (windows.sum() * terms.shape[1])


class DistanceBoundary:
    """Mean of p_c * phi_c, for signed distance maps phi that were made before."""

    def __init__(self, maps: Tensor) -> None:
        self.maps = maps

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        valid = labels != IGNORED
        cost = (logits.softmax(1) * self.maps).mean(1)
        return (cost * valid).sum() / valid.sum()


def multi_scale_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean of cross entropy at whole, half and quarter size."""
    valid = (labels != IGNORED).unsqueeze(1)
    total = cross_entropy(logits, labels)
    for scale in (0.5, 0.25):
        size = [max(1, round(scale * side)) for side in logits.shape[2:]]
        share = F.interpolate(valid.to(logits.dtype), size, mode="bilinear", align_corners=False)
        known = F.interpolate(logits * valid, size, mode="bilinear", align_corners=False)
        smaller = F.interpolate(labels.unsqueeze(1).to(logits.dtype), size, mode="nearest-exact").squeeze(1).long()
        total = total + cross_entropy(known / share.where(share > 0, 1), smaller)
    return total / 3


class HardPixels:
    """Cross entropy of the pixels whose label has a probability below a threshold, and at least of so many hardest."""

    def __init__(self, threshold: float, min_kept: int) -> None:
        self.threshold, self.min_kept = threshold, min_kept

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        surprise, valid = surprise_of(logits, labels)
        probability = (-surprise.detach()).exp().masked_fill(~valid, torch.inf).flatten()
        rank = valid.sum().clamp(max=self.min_kept * len(labels))
        least = probability.sort().values.gather(0, (rank - 1).clamp(min=0).view(1))
        kept = ((probability < self.threshold) | (probability <= least)) & valid.flatten()
        return (surprise.flatten() * kept).sum() / kept.sum()


def one_hot(logits: Tensor, labels: Tensor) -> Tensor:
    """(N, C, H, W) of the logits' dtype; ignored pixels count as class 0, as `whole_windows` leaves them out."""
    target = F.one_hot(labels.where(labels != IGNORED, 0), logits.shape[1])
    return target.movedim(-1, 1).to(logits.dtype)


def sobel_kernels(device: str) -> Tensor:
    """(2, 1, 3, 3), across and down."""
    across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], device=device)
    return torch.stack([across, across.T]).unsqueeze(1)


def sobel_energy(planes: Tensor, kernels: Tensor) -> Tensor:
    """gx^2 + gy^2 of the Sobel responses of (N, C, H, W) planes, continued by their border."""
    images, classes, height, width = planes.shape
    padded = F.pad(planes, (1, 1, 1, 1), mode="replicate").reshape(images * classes, 1, height + 2, width + 2)
    responses = F.conv2d(padded, kernels.to(planes.dtype))
    return responses.square().sum(1).reshape(planes.shape)


def whole_windows(valid: Tensor) -> Tensor:
    """(N, H, W) whether the 3x3 window of a pixel, as far as it lies in the image, holds no ignored pixel."""
    ignored = F.max_pool2d((~valid).float().unsqueeze(1), 3, 1, 1).squeeze(1)
    return ignored == 0
