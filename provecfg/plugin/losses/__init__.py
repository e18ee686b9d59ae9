"""Segmentation losses that mmseg's decode heads can use; importing this registers them."""

from .boundary_aware_focal_loss import BoundaryAwareFocalLoss
from .distance_boundary_loss import DistanceBoundaryLoss
from .multi_scale_loss import MultiScaleLoss
from .seg_boundary_loss import SegBoundaryLoss
from .seg_cross_entropy_loss import SegCrossEntropyLoss
from .seg_dice_loss import SegDiceLoss
from .seg_lovasz_loss import SegLovaszLoss
from .softmax_focal_loss import SoftmaxFocalLoss

__all__ = [
    "BoundaryAwareFocalLoss",
    "DistanceBoundaryLoss",
    "MultiScaleLoss",
    "SegBoundaryLoss",
    "SegCrossEntropyLoss",
    "SegDiceLoss",
    "SegLovaszLoss",
    "SoftmaxFocalLoss",
]
