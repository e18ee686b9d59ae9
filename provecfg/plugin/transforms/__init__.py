"""Transforms for mmseg's pipelines; importing this registers them."""

from .augmentation_policies import SegAutoAugment, SegRandAugment
from .load_encoded_annotations import LoadEncodedAnnotations

__all__ = ["LoadEncodedAnnotations", "SegAutoAugment", "SegRandAugment"]
