"""AutoAugment and RandAugment for segmentation: what moves pixels moves their labels."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from .image_operations import apply_operation

_RANDAUGMENT: Final = (  # Cubuk et al. 2020, figure 2
    *("Identity", "AutoContrast", "Equalize", "Rotate", "Solarize", "Color", "Posterize", "Contrast", "Brightness"),
    *("Sharpness", "ShearX", "ShearY", "TranslateX", "TranslateY"),
)
# Cubuk et al. 2019, table 9: ImageNet's policy; operation, probability, magnitude 0 to 9.
_IMAGENET: Final[tuple[tuple[tuple[str, float, int], tuple[str, float, int]], ...]] = (
    (("Posterize", 0.4, 8), ("Rotate", 0.6, 9)),
    (("Solarize", 0.6, 5), ("AutoContrast", 0.6, 5)),
    (("Equalize", 0.8, 8), ("Equalize", 0.6, 3)),
    (("Posterize", 0.6, 7), ("Posterize", 0.6, 6)),
    (("Equalize", 0.4, 7), ("Solarize", 0.2, 4)),
    (("Equalize", 0.4, 4), ("Rotate", 0.8, 8)),
    (("Solarize", 0.6, 3), ("Equalize", 0.6, 7)),
    (("Posterize", 0.8, 5), ("Equalize", 1.0, 2)),
    (("Rotate", 0.2, 3), ("Solarize", 0.6, 8)),
    (("Equalize", 0.6, 8), ("Posterize", 0.4, 6)),
    (("Rotate", 0.8, 8), ("Color", 0.4, 0)),
    (("Rotate", 0.4, 9), ("Equalize", 0.6, 2)),
    (("Equalize", 0.0, 7), ("Equalize", 0.8, 8)),
    (("Invert", 0.6, 4), ("Equalize", 1.0, 8)),
    (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
    (("Rotate", 0.8, 8), ("Color", 1.0, 2)),
    (("Color", 0.8, 8), ("Solarize", 0.8, 7)),
    (("Sharpness", 0.4, 7), ("Invert", 0.6, 8)),
    (("ShearX", 0.6, 5), ("Equalize", 1.0, 9)),
    (("Color", 0.4, 0), ("Equalize", 0.6, 3)),
    (("Equalize", 0.4, 7), ("Solarize", 0.2, 4)),
    (("Solarize", 0.6, 5), ("AutoContrast", 0.6, 5)),
    (("Invert", 0.6, 4), ("Equalize", 1.0, 8)),
    (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
    (("Equalize", 0.8, 8), ("Equalize", 0.6, 3)),
)
_STRONGEST: Final = 9


class _Policy(BaseTransform):
    """A random choice of operations, for a share of the images."""

    def __init__(self, prob: float, ignore_index: int) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f"prob is {prob}, must be in [0, 1]")
        self.prob = prob
        self.ignore_index = ignore_index

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change the image, and its label map where pixels move.

        Args:
            results: `img`, (H, W, 3) uint8, blue first; `gt_seg_map`, (H, W) uint8.
        """
        if np.random.random() >= self.prob:
            return results
        image, labels = results["img"], results["gt_seg_map"]
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"{type(self).__name__} takes images of three channels of 8 bits, not {image.shape}")
        kind = labels.dtype
        image, labels = np.ascontiguousarray(image[..., ::-1]), labels.astype(np.uint8)
        for name, magnitude in self.chosen():
            sign = 1 if np.random.random() < 0.5 else -1
            image, labels = apply_operation(name, image, labels, magnitude, sign, self.ignore_index)
        results["img"] = np.ascontiguousarray(image[..., ::-1])
        results["gt_seg_map"] = labels.astype(kind)
        return results

    def chosen(self) -> list[tuple[str, float]]:
        """The operations for one image, each with its magnitude of 0 to 30."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}(prob={self.prob})"


@TRANSFORMS.register_module()
class SegRandAugment(_Policy):
    """RandAugment: `num_ops` of 14 operations, all of one magnitude.

    Args:
        num_ops: Operations for an image, >= 1; the paper's n.
        magnitude: Their strength, 0 to 30; the paper's m.
        prob: Share of the images, in [0, 1].
        ignore_index: Label of pixels that come from outside of the image.

    Raises:
        ValueError: An argument out of its range; an image of other than three channels of 8 bits.

    Source: Cubuk et al. 2020 (arXiv:1909.13719). Differs: labels move with the image.
    """

    def __init__(self, num_ops: int = 2, magnitude: float = 9, prob: float = 1.0, ignore_index: int = 255) -> None:
        super().__init__(prob, ignore_index)
        if num_ops < 1 or not 0 <= magnitude <= 30:
            raise ValueError(f"num_ops is {num_ops} and magnitude {magnitude}, must be >= 1 and in [0, 30]")
        self.num_ops = num_ops
        self.magnitude = magnitude

    def chosen(self) -> list[tuple[str, float]]:
        """The operations for one image, each with its magnitude of 0 to 30."""
        return [(str(np.random.choice(_RANDAUGMENT)), self.magnitude) for _ in range(self.num_ops)]


@TRANSFORMS.register_module()
class SegAutoAugment(_Policy):
    """AutoAugment: one of the 25 pairs of operations that were found for ImageNet.

    Args:
        prob: Share of the images, in [0, 1].
        ignore_index: Label of pixels that come from outside of the image.

    Raises:
        ValueError: `prob` out of its range; an image of other than three channels of 8 bits.

    Source: Cubuk et al. 2019 (arXiv:1805.09501), table 9. Differs: labels move with the image.
    """

    def __init__(self, prob: float = 1.0, ignore_index: int = 255) -> None:
        super().__init__(prob, ignore_index)

    def chosen(self) -> list[tuple[str, float]]:
        """The operations for one image, each with its magnitude of 0 to 30."""
        pair = _IMAGENET[np.random.randint(len(_IMAGENET))]
        return [(name, 30 * level / _STRONGEST) for name, prob, level in pair if np.random.random() < prob]
