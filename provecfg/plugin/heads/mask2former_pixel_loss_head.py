"""Mask2Former with losses on pixels beside those on sets of masks."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from mmseg.models.decode_heads import Mask2FormerHead
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor, nn

from provecfg.errors import ProvecfgError
from provecfg.plugin.arguments import refuse_unknown
from provecfg.plugin.heads.semantic_scores import semantic_log_probs

# Of the last decoder layer, and of the others (`d0.loss_cls`).
_NATIVE_NAME = re.compile(r"(d\d+\.)?loss_(cls|mask|dice)")


@MODELS.register_module()
class Mask2FormerPixelLossHead(Mask2FormerHead):
    """mmseg's `Mask2FormerHead` with the losses of `loss_decode` added to its own.

    The losses see what other decode heads give theirs: class logits of each pixel, of the last decoder layer, resized
    to the labels. The logits are `semantic_log_probs`, in float32 whatever autocast says. The features pass the head
    once. The weights are those of `Mask2FormerHead`, which loads its checkpoints and is loaded from them.

    Args:
        num_classes: Number of classes C, without "no object".
        loss_decode: The config of a loss registered in mmseg, or of several. They are called as
            `loss(logits, labels, ignore_index=...)` with (N, C, H, W) and (N, H, W), and logged by their `loss_name`.
        align_corners: Of the bilinear resizing.
        ignore_index: Label of the pixels that do not count.
        **kwargs: Those of mmdet's `Mask2FormerHead`. `strides` is taken too, as mmseg's configs have it, and not used.

    Raises:
        TypeError: An argument that no part of the head takes (`Mask2FormerHead` takes any and drops it); a `sampler`,
            as other heads have for hard pixels; a `loss_decode` that is no config.
        ValueError: A `loss_name` without "loss", which would not be trained, one that the head itself logs, or the
            same one twice, which would be summed unseen.
        ProvecfgError: mmdet is not installed.
    """

    def __init__(
        self,
        num_classes: int,
        loss_decode: dict[str, Any] | Sequence[dict[str, Any]],
        align_corners: bool = False,
        ignore_index: int = 255,
        **kwargs: Any,
    ) -> None:
        _refuse_unknown_arguments(type(self).__name__, kwargs)
        super().__init__(num_classes, align_corners=align_corners, ignore_index=ignore_index, **kwargs)
        self.loss_decode = _build_losses(loss_decode)

    def loss(self, x: tuple[Tensor, ...], batch_data_samples: list[Any], train_cfg: Any) -> dict[str, Tensor]:
        """Compute the set losses and the pixel losses.

        Args:
            x: Features of several levels, each (N, channels, H, W).
            batch_data_samples: N `SegDataSample`s with a `gt_sem_seg` of (1, H, W) each.
            train_cfg: Not used.

        Returns:
            Scalars by log key: those of `Mask2FormerHead`, and the `loss_name` of each of `loss_decode`.
        """
        # As the parent's, which does not hand on what the head predicts.
        instances, metas = self._seg_data_to_instance_data(batch_data_samples)
        all_cls_scores, all_mask_preds = self(x, batch_data_samples)
        losses = self.loss_by_feat(all_cls_scores, all_mask_preds, instances, metas)
        if len(self.loss_decode) > 0:
            labels = torch.cat([sample.gt_sem_seg.data for sample in batch_data_samples])
            losses.update(self.pixel_losses(all_cls_scores[-1], all_mask_preds[-1], labels))
        return losses

    def pixel_losses(self, cls_scores: Tensor, mask_preds: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Compute the losses of `loss_decode`.

        Args:
            cls_scores: (N, queries, C + 1) logits of one decoder layer.
            mask_preds: (N, queries, h, w) logits of that layer.
            labels: (N, H, W) int64, in [0, C) or `ignore_index`.

        Returns:
            Scalars by `loss_name`.
        """
        with torch.autocast(cls_scores.device.type, enabled=False):
            logits = resize(
                semantic_log_probs(cls_scores, mask_preds),
                size=labels.shape[-2:],
                mode="bilinear",
                align_corners=self.align_corners,
            )
            return {
                str(loss.loss_name): loss(logits, labels, ignore_index=self.ignore_index) for loss in self.loss_decode
            }


def _refuse_unknown_arguments(owner: str, arguments: dict[str, Any]) -> None:
    native = Mask2FormerHead.__mro__[1]
    if native is BaseModule:  # what mmseg puts in the place of mmdet's
        raise ProvecfgError(f"{owner} needs mmdet", hint="pip install 'provecfg[train]'")
    if "sampler" in arguments:
        raise TypeError(f"{owner} has no 'sampler' of hard pixels: its losses are of all pixels")
    accepted = set(inspect.signature(native).parameters) | set(inspect.signature(Mask2FormerHead).parameters)
    refuse_unknown(owner, arguments, (accepted - {"kwargs"}) | {"loss_decode", "strides"})


def _build_losses(configs: dict[str, Any] | Sequence[dict[str, Any]]) -> nn.ModuleList:
    if isinstance(configs, dict):
        configs = [configs]
    if not isinstance(configs, (list, tuple)):
        raise TypeError(f"loss_decode is {configs!r}, must be the config of a loss or a list of them")
    losses = nn.ModuleList(MODELS.build(config) for config in configs)
    names: set[str] = set()
    for loss in losses:
        kind, name = type(loss).__name__, getattr(loss, "loss_name", None)
        if not isinstance(name, str) or "loss" not in name:
            raise ValueError(f"loss_name of {kind} is {name!r}, must contain 'loss' to be trained on")
        if _NATIVE_NAME.fullmatch(name):
            raise ValueError(f"loss_name of {kind} is {name!r}, which is the head's own")
        if name in names:
            raise ValueError(f"loss_name of {kind} is {name!r}, which another loss of this head has")
        names.add(name)
    return losses
