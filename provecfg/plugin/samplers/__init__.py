"""Samplers of pixels for mmseg's decode heads, and of images for loaders; importing this registers them."""

from .generated_share_sampler import GeneratedShareSampler
from .hard_pixel_sampler import HardPixelSampler

__all__ = ["GeneratedShareSampler", "HardPixelSampler"]
