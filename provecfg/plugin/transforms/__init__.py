"""Transforms for mmseg's pipelines; importing this registers them."""

from .load_encoded_annotations import LoadEncodedAnnotations

__all__ = ["LoadEncodedAnnotations"]
