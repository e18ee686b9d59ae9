"""Decode heads registered in mmseg."""

from provecfg.plugin.heads.mask2former_pixel_loss_head import Mask2FormerPixelLossHead

__all__ = ["Mask2FormerPixelLossHead"]
