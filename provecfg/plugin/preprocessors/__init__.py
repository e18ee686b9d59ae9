"""Data preprocessors for mmseg's models; importing this registers them."""

from .mixing_data_preprocessor import MixingDataPreProcessor

__all__ = ["MixingDataPreProcessor"]
