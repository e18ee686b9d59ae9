"""CutMix and Mixup: images of a batch mixed with each other, on the device, after they were padded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from mmengine.structures import PixelData
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from torch import Tensor

from provecfg.plugin.arguments import refuse_unknown

_KINDS: Final = ("cutmix", "mixup")


@MODELS.register_module()
class MixingDataPreProcessor(SegDataPreProcessor):
    """mmseg's `SegDataPreProcessor`, whose `batch_augments` take effect (mmseg's own calls a list and fails).

    Each entry is tried in order, for a batch in training; the first that its probability draws is the one that mixes.
    Every image of the batch is mixed with the one before it, the first with the last.

    - CutMix pastes a rectangle of the other image, and its labels with it. The rectangle's area is 1 - lambda.
    - Mixup adds the images, lambda to 1 - lambda. A label map cannot be added, and most losses take no soft labels: the
      mixed image keeps the whole label map of one of the two, drawn with these shares. In expectation that is lambda
      times the loss of the one and 1 - lambda times that of the other, which is what Mixup trains; and losses of shapes
      (Dice, boundary) still see shapes.

    lambda is drawn from Beta(alpha, alpha) for each batch. In a batch of one image nothing is mixed.

    Args:
        batch_augments: `dict(kind="cutmix" or "mixup", alpha=..., prob=...)`; alpha > 0, prob in [0, 1].
        **kwargs: Those of `SegDataPreProcessor`.

    Raises:
        ValueError: An entry of another kind, or with a number out of its range.
        TypeError: An entry with an argument that it does not take.

    Source: Yun et al. 2019 (arXiv:1905.04899), section 3; Zhang et al. 2018 (arXiv:1710.09412), eq. 2. Differs: labels
        of pixels in place of those of images.
    """

    def __init__(self, batch_augments: Sequence[dict[str, Any]] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mixtures = [_checked(entry) for entry in batch_augments]

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Normalise, pad and, in training, mix a batch.

        Args:
            data: `inputs`, N images of (3, H, W), and `data_samples`.
            training: Whether it is trained on.

        Returns:
            `inputs`, (N, 3, H, W) float, and `data_samples`.
        """
        batch: dict[str, Any] = super().forward(data, training)
        if training and len(batch["data_samples"]) > 1:
            for mixture in self.mixtures:
                if torch.rand(()).item() < mixture["prob"]:
                    _mix(batch, mixture)
                    break
        return batch


def _checked(entry: dict[str, Any]) -> dict[str, Any]:
    kind = entry.get("kind")
    if kind not in _KINDS:
        raise ValueError(f"batch_augments has a {kind!r}, must be one of {', '.join(_KINDS)}")
    refuse_unknown(kind, entry, ("kind", "alpha", "prob"))
    mixture = {"alpha": 1.0, "prob": 1.0, **entry}
    if not mixture["alpha"] > 0 or not 0 <= mixture["prob"] <= 1:
        raise ValueError(f"{kind}: alpha is {mixture['alpha']} and prob {mixture['prob']}, must be > 0 and in [0, 1]")
    return mixture


def _mix(batch: dict[str, Any], mixture: dict[str, Any]) -> None:
    images, samples = batch["inputs"], batch["data_samples"]
    alpha = torch.tensor(float(mixture["alpha"]))
    share = torch.distributions.Beta(alpha, alpha).sample().item()
    names = [name for name, _ in samples[0].items() if name.startswith("gt_")]
    before = {name: torch.stack([sample.get(name).data for sample in samples]) for name in names}
    if mixture["kind"] == "cutmix":
        rows, columns = _rectangle(share, images.shape[-2], images.shape[-1])
        batch["inputs"] = _pasted(images, rows, columns)
        after = {name: _pasted(maps, rows, columns) for name, maps in before.items()}
    else:
        batch["inputs"] = share * images + (1 - share) * images.roll(1, 0)
        is_own = (torch.rand(len(samples)) < share).to(images.device)
        after = {
            name: maps.where(is_own.view(-1, *[1] * (maps.dim() - 1)), maps.roll(1, 0)) for name, maps in before.items()
        }
    for index, sample in enumerate(samples):
        for name, maps in after.items():
            sample.set_field(PixelData(data=maps[index]), name, dtype=PixelData)


def _rectangle(share: float, height: int, width: int) -> tuple[slice, slice]:
    """A rectangle of 1 - share of the area, its centre anywhere, cut off at the border."""
    side = (1 - share) ** 0.5
    centre = torch.rand(2)
    spans = []
    for middle, length in zip(centre.tolist(), (height, width), strict=True):
        start = round(middle * length - side * length / 2)
        spans.append(slice(max(0, start), min(length, start + round(side * length))))
    return spans[0], spans[1]


def _pasted(maps: Tensor, rows: slice, columns: slice) -> Tensor:
    pasted = maps.clone()
    pasted[..., rows, columns] = maps.roll(1, 0)[..., rows, columns]
    return pasted
