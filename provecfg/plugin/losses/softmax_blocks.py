"""Softmax and its backward on blocks of pixels, in place.

The losses here make their gradient in the forward pass, so no activation of the size of the logits is kept
but the gradient itself, and a block of pixels does not go through main memory between steps. On other devices
than the CPU, where a launch costs more than a trip to memory, a block is everything.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .writing import write

# At 19 classes on one core, 32 k to 64 k pixels cost least, 128 k some 5 % more, 256 k a quarter more; and the fewer
# the blocks, the fewer the meetings of threads, which are dear where something else uses the cores.
BLOCK_PIXELS = 65_536


def pixel_blocks(images: int, pixels: int, device: torch.device) -> Iterator[tuple[slice, slice]]:
    """Slices over (images, pixels of an image) that cover a batch in blocks of about BLOCK_PIXELS.

    Args:
        images: N, may be 0.
        pixels: Pixels an image, may be 0.
        device: Where the tensors are.
    """
    if images == 0 or pixels == 0:
        return
    if device.type != "cpu":
        yield slice(0, images), slice(0, pixels)
        return
    images_a_block = max(1, BLOCK_PIXELS // pixels)
    for first in range(0, images, images_a_block):
        for start in range(0, pixels, BLOCK_PIXELS):
            yield slice(first, first + images_a_block), slice(start, start + BLOCK_PIXELS)


def shifted_(logits: Tensor, valid: Tensor, out: Tensor) -> Tensor:
    """Write shifted logits into `out` (largest of each pixel 0), ready for exp.

    Args:
        logits: (N, C, P) a block.
        valid: (N, 1, P) bool; logits of other pixels are taken as 0, so that nan and inf there do no harm.
        out: (N, C, P) written.
    """
    write(torch.where, valid, logits, logits.new_zeros(()), out=out)
    return out.sub_(out.amax(1, keepdim=True))


def softmax_block_(logits: Tensor, valid: Tensor, out: Tensor) -> Tensor:
    """Write softmax over classes into `out`, and 0 for pixels that do not count.

    Args:
        logits: (N, C, P) a block.
        valid: (N, 1, P) bool.
        out: (N, C, P) written.
    """
    norm = shifted_(logits, valid, out).exp_().sum(1, keepdim=True)
    return out.mul_(valid / norm)


def softmax_(logits: Tensor, valid: Tensor, out: Tensor) -> Tensor:
    """`softmax_block_` for whole images, block after block.

    Args:
        logits: (N, C, P).
        valid: (N, P) bool.
        out: (N, C, P) written.
    """
    images, _, pixels = logits.shape
    for n, p in pixel_blocks(images, pixels, logits.device):
        softmax_block_(logits[n, :, p], valid[n, None, p], out[n, :, p])
    return out


def softmax_backward_(probabilities: Tensor, gradient: Tensor) -> Tensor:
    """Turn the gradient by probabilities into the gradient by logits, in place.

    dL/dx_j = p_j * (u_j - sum_k p_k u_k).

    Args:
        probabilities: (N, C, P), overwritten as scratch.
        gradient: (N, C, P), u; overwritten with the result.
    """
    images, _, pixels = gradient.shape
    for n, p in pixel_blocks(images, pixels, gradient.device):
        share, block = probabilities[n, :, p], gradient[n, :, p]
        block.mul_(share)
        block.sub_(share.mul_(block.sum(1, keepdim=True)))
    return gradient


def scaled_gradient(gradient: Tensor, incoming: Tensor) -> Tensor:
    """gradient * incoming for a scalar loss; without a copy where incoming is 1 and can be looked at for free.

    Args:
        gradient: Made in the forward pass.
        incoming: () gradient of what followed the loss.
    """
    if incoming.is_cpu and not torch.compiler.is_compiling() and float(incoming) == 1.0:
        return gradient
    return gradient * incoming
