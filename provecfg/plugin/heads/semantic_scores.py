"""Class probabilities of each pixel from the classes and masks that queries predict."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def semantic_log_probs(cls_scores: Tensor, mask_preds: Tensor) -> Tensor:
    """Log-probabilities of the classes of each pixel.

    Mask2Former's score of class c at a pixel, as at inference, is the sum over queries of the query's probability of c
    (softmax over the classes and "no object") times its mask's (sigmoid). These scores, divided by their sum over the
    classes, are the probabilities. So a second query that predicts the same gains nothing, and one that predicts "no
    object" or leaves the pixel out changes nothing.

    No score is lost to underflow: a query's class probabilities are split into that of being any object, which joins
    the mask in logarithms, and those of the classes given that it is one; the strongest query of a pixel then counts 1.

    Args:
        cls_scores: (N, Q, C + 1) float logits, the last one of "no object".
        mask_preds: (N, Q, H, W) float logits.

    Returns:
        (N, C, H, W) float32, in [-88, 0]; softmax over C gives the probabilities.

    Source: Cheng et al. 2021, section 3.4, "semantic inference" (MaskFormer, arXiv:2107.06278). Differs: normalised.
    """
    with torch.autocast(cls_scores.device.type, enabled=False):
        class_logits = cls_scores.float()[..., :-1]
        log_is_object = class_logits.logsumexp(dim=-1) - cls_scores.float().logsumexp(dim=-1)
        strengths = log_is_object[..., None, None] + logsigmoid(mask_preds.float())
        # A constant factor of the pixel, which the normalisation cancels.
        strengths = strengths - strengths.detach().amax(dim=1, keepdim=True)
        scores = torch.einsum("nqc,nqhw->nchw", class_logits.softmax(dim=-1), strengths.exp())
        probabilities = scores / scores.sum(dim=1, keepdim=True)
        return probabilities.clamp_min(torch.finfo(torch.float32).tiny).log()
