"""Transforms for mmseg's pipelines; importing this registers them."""

from .augmentation_policies import SegAutoAugment, SegRandAugment

__all__ = ["SegAutoAugment", "SegRandAugment"]
