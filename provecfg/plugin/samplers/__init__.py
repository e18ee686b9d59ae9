"""Pixel samplers for mmseg's decode heads; importing this registers them."""

from .hard_pixel_sampler import HardPixelSampler

__all__ = ["HardPixelSampler"]
