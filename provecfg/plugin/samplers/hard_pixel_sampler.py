"""Online hard example mining: a decode head's losses see the pixels that the net is unsure of."""

from __future__ import annotations

from typing import Any

import torch
from mmseg.registry import TASK_UTILS
from mmseg.structures import BasePixelSampler
from torch import Tensor, nn

from provecfg.plugin.losses.softmax_blocks import image_blocks, softmax_
from provecfg.plugin.losses.targets import host_values, read_targets
from provecfg.plugin.losses.writing import write


@TASK_UTILS.register_module()
class HardPixelSampler(BasePixelSampler):
    """Keeps the hard pixels of a batch, and at least `min_kept` an image on average.

    With `thresh`, hard is a pixel whose probability of its label is below it; where these are fewer than
    min_kept * N in the batch, the pixels of least probability are kept instead. Without, the min_kept * N
    pixels of greatest loss are kept, losses summed over the head's. Pixels as hard as the last kept are kept
    too; ignored pixels never.

    The weights of kept pixels are (pixels that count) / (pixels kept), so a loss that divides by the pixels
    that count, as mmseg's `CrossEntropyLoss(avg_non_ignore=True)` does, is a mean over the kept ones, and so
    is one that divides by its weights, as this package's do. Where all are kept, every weight is 1.

    mmseg's `OHEMPixelSampler` takes the same arguments. It drops the easiest pixel where fewer count than are
    to be kept, and all of them where they tie (one pixel, say); its weights are 1, which makes mmseg's cross
    entropy smaller the fewer are kept.

    Args:
        context: The decode head: `ignore_index` is read, and `loss_decode` without `thresh`.
        thresh: In (0, 1], or None.
        min_kept: Pixels an image, >= 1. Below the pixels of a crop, else everything is kept always.

    Raises:
        ValueError: thresh or min_kept out of its range; a label out of range (on CPU).

    Source: Shrivastava, Gupta and Girshick, CVPR 2016 (arXiv:1604.03540), by pixel as in mmseg 1.2.2,
        structures/sampler/ohem_pixel_sampler.py.
    """

    def __init__(self, context: Any, thresh: float | None = None, min_kept: int = 100_000) -> None:
        super().__init__()
        if thresh is not None and not 0 < thresh <= 1:
            raise ValueError(f"thresh is {thresh}, must be in (0, 1], or None")
        if min_kept < 1:
            raise ValueError(f"min_kept is {min_kept}, must be at least 1")
        self.context = context
        self.thresh = thresh
        self.min_kept = min_kept

    @torch.no_grad()
    def sample(self, seg_logit: Tensor, seg_label: Tensor) -> Tensor:
        """The weight of each pixel.

        Args:
            seg_logit: (N, C, H, W) float logits.
            seg_label: (N, 1, H, W) integer labels.

        Returns:
            (N, H, W) float32 (float64 for float64 logits).
        """
        labels = seg_label.squeeze(1)
        logits = seg_logit if seg_logit.dtype is torch.float64 else seg_logit.float()
        targets = read_targets(labels, logits.shape[1], self.context.ignore_index, logits.dtype)
        if self.thresh is None:
            ease = -self._loss_map(seg_logit, labels).to(logits.dtype)
        else:
            ease = label_probabilities(logits, targets.labels, targets.valid)
        ease = ease.masked_fill(~targets.valid, torch.inf)
        counting = targets.valid.sum()
        fewest = counting.clamp(max=self.min_kept * len(labels))
        kept = torch.zeros_like(targets.valid) if self.thresh is None else ease < self.thresh
        enough = None if self.thresh is None else host_values(kept.sum() >= fewest)
        if not enough:  # unknown on CUDA, where asking would cost a synchronisation
            kept = (kept | (ease <= smallest(ease, fewest))) & targets.valid
        return kept * (counting / kept.sum().clamp(min=1)).to(logits.dtype)

    def _loss_map(self, seg_logit: Tensor, labels: Tensor) -> Tensor:
        losses = self.context.loss_decode
        return sum(
            loss(seg_logit, labels, weight=None, ignore_index=self.context.ignore_index, reduction_override="none")
            for loss in (losses if isinstance(losses, nn.ModuleList) else [losses])
        )


def label_probabilities(logits: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """Softmax probability of each pixel's label.

    Args:
        logits: (N, C, H, W) float32 or float64.
        labels: (N, H, W) int64 in [0, C).
        valid: (N, H, W) bool; others' logits are not looked at.

    Returns:
        (N, H, W).
    """
    flat, rows, counts = logits.contiguous().flatten(2), labels.flatten(1).unsqueeze(1), valid.flatten(1).unsqueeze(1)
    probabilities = flat.new_empty(rows.shape)
    for n in image_blocks(flat.shape[0], flat.shape[2], flat.device):
        write(torch.gather, softmax_(flat[n], counts[n], torch.empty_like(flat[n])), 1, rows[n], out=probabilities[n])
    return probabilities.view(labels.shape)


def smallest(values: Tensor, rank: Tensor) -> Tensor:
    """The rank-th smallest value, counted from 1; -inf for rank 0 or no values.

    Args:
        values: Float tensor of any shape.
        rank: () int64, at most the number of values. Not looked at, so that CUDA need not wait for it.
    """
    ordered = torch.cat([values.new_full((1,), -torch.inf), sorted_floats(values.flatten())])
    return ordered.gather(0, rank.view(1))[0]  # ordered[rank] would look at rank


def sorted_floats(values: Tensor) -> Tensor:
    """(P,) floats in ascending order, nan last.

    torch sorts integers by radix, ten times as fast as floats; the bits of a float, all but the sign turned
    over where it is negative, are integers of the same order.
    """
    integers = {torch.float32: torch.int32, torch.float64: torch.int64}[values.dtype]
    largest = torch.iinfo(integers).max
    bits = values.view(integers)
    ordered = torch.where(bits < 0, bits ^ largest, bits).sort().values
    return torch.where(ordered < 0, ordered ^ largest, ordered).view(values.dtype)
