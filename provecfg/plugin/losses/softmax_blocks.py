"""Softmax and its backward, in place and in few calls.

The losses here make their gradient in the forward pass, so no activation of the size of the logits is kept
but the gradient itself. On CPU, softmax is torch's own kernel, which goes through the classes of some pixels at a
time and through memory once; it wants whole images. What has no such kernel is done for a block of pixels
at a time, which does not go through main memory between steps. On other devices, where a launch costs more than
a trip to memory, a block is everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .targets import looks_at_values
from .writing import write

# At 19 classes on one core, 32 k to 64 k pixels cost least, 128 k some 5 % more, 256 k a quarter more; and the fewer
# the blocks, the fewer the meetings of threads, which are dear where something else uses the cores.
BLOCK_PIXELS = 65_536


def image_blocks(images: int, pixels: int, device: torch.device) -> Iterator[slice]:
    """Slices over the images of a batch, each of one image or of as many as have BLOCK_PIXELS together.

    Args:
        images: N, may be 0.
        pixels: Pixels an image, may be 0.
        device: Where the tensors are.
    """
    if images == 0 or pixels == 0:
        return
    images_a_block = max(1, BLOCK_PIXELS // pixels) if device.type == "cpu" else images
    for first in range(0, images, images_a_block):
        yield slice(first, first + images_a_block)


def pixel_blocks(images: int, pixels: int, device: torch.device) -> Iterator[tuple[slice, slice]]:
    """Slices over (images, pixels of an image), of about BLOCK_PIXELS each; arguments as in `image_blocks`."""
    pixels_a_block = BLOCK_PIXELS if device.type == "cpu" else pixels
    for n in image_blocks(images, pixels, device):
        for start in range(0, pixels, pixels_a_block):
            yield n, slice(start, start + pixels_a_block)


def softmax_(logits: Tensor, valid: Tensor, out: Tensor) -> Tensor:
    """Write softmax over classes into `out`.

    Args:
        logits: (N, C, P), contiguous, and so is `out`.
        valid: (N, 1, P) bool; at other pixels, whatever their logits, the result is some probabilities.
        out: (N, C, P) written.
    """
    return _over_classes(torch.softmax, logits, valid, out)


def log_softmax_(logits: Tensor, valid: Tensor, out: Tensor) -> Tensor:
    """`softmax_`, its logarithm. At pixels that do not count some may be -inf, but never nan."""
    return _over_classes(torch.log_softmax, logits, valid, out)


def _over_classes(function: Callable[..., Tensor], logits: Tensor, valid: Tensor, out: Tensor) -> Tensor:
    if looks_at_values(logits):
        function(logits, 1, out=out)
        # nan, inf and nothing but -inf make all classes of their pixel nan. It costs less to look for them after, in
        # one class, than to mask all logits before.
        if math.isfinite(out[:, 0].sum()):
            return out
    return write(function, logits.where(valid, 0), 1, out=out)


def softmax_and_surprise_(logits: Tensor, labels: Tensor, valid: Tensor, out: Tensor) -> Tensor:
    """Write softmax over classes into `out`, and give -log of the labels' probabilities.

    Args:
        logits: As in `softmax_`.
        labels: (N, 1, P) int64.
        valid: As in `softmax_`; the result of other pixels may be inf or nan.
        out: (N, C, P) written.

    Returns:
        (N, 1, P), right also where the probability is too small for its dtype.
    """
    if not looks_at_values(logits):
        surprise = log_softmax_(logits, valid, out).gather(1, labels).neg_()
        out.exp_()
        return surprise
    probability = softmax_(logits, valid, out).gather(1, labels)
    surprise = probability.log().neg_()
    least = 1e4 * torch.finfo(logits.dtype).tiny
    if not probability.min() >= least:  # rare, and the price of a second exp for all pixels always otherwise
        exact = torch.log_softmax(logits, 1).gather(1, labels).neg_()
        surprise = surprise.where(probability >= least, exact)
    return surprise


def softmax_backward_(probabilities: Tensor, gradient: Tensor) -> Tensor:
    """Turn the gradient by probabilities into the gradient by logits, in place.

    dL/dx_j = p_j * (u_j - sum_k p_k u_k).

    Args:
        probabilities: (N, C, P).
        gradient: (N, C, P), u; overwritten with the result.
    """
    images, _, pixels = gradient.shape
    for n, p in pixel_blocks(images, pixels, gradient.device):
        share, block = probabilities[n, :, p], gradient[n, :, p]
        block.mul_(share)
        block.addcmul_(share, block.sum(1, keepdim=True), value=-1)
    return gradient


def scaled_gradient(gradient: Tensor, incoming: Tensor) -> Tensor:
    """gradient * incoming for a scalar loss; without a copy where incoming is 1 and can be looked at for free.

    Args:
        gradient: Made in the forward pass.
        incoming: () gradient of what followed the loss.
    """
    if looks_at_values(incoming) and float(incoming) == 1.0:
        return gradient
    return gradient * incoming
