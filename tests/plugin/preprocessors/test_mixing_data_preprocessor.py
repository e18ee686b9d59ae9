from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from provecfg.plugin.preprocessors import MixingDataPreProcessor


def batch(size: int = 4) -> dict[str, Any]:
    """Images that are of one value each, and labels of the same."""
    samples = []
    for index in range(size):
        sample = SegDataSample()
        sample.gt_sem_seg = PixelData(data=torch.full((1, 16, 16), index))
        samples.append(sample)
    return {"inputs": [torch.full((3, 16, 16), float(index)) for index in range(size)], "data_samples": samples}


def mixed(*mixtures: dict[str, Any], size: int = 4, training: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    preprocessor = MixingDataPreProcessor(list(mixtures), size=(16, 16), seg_pad_val=255)
    data = preprocessor(batch(size), training)
    return data["inputs"], torch.stack([sample.gt_sem_seg.data for sample in data["data_samples"]])


def test_cutmix_pastes_labels_where_it_pastes_pixels() -> None:
    torch.manual_seed(0)
    pasted = 0
    for _ in range(20):
        images, labels = mixed({"kind": "cutmix", "alpha": 1.0})
        assert torch.equal(images[:, :1], labels.float())
        pasted += int((labels != torch.arange(4).view(-1, 1, 1, 1)).sum())
    assert pasted > 0


def test_mixup_keeps_one_whole_label_map_and_as_often_as_its_share() -> None:
    torch.manual_seed(0)
    shares, kept = [], []
    for _ in range(300):
        images, labels = mixed({"kind": "mixup", "alpha": 0.4})
        assert all(len(item.unique()) == 1 for item in labels)
        assert images.unique().numel() <= 4
        shares.append((images[1, 0, 0, 0]).item())  # share * 1 + (1 - share) * 0
        kept.append(float(labels[1, 0, 0, 0] == 1))
    assert abs(sum(shares) - sum(kept)) / 300 < 0.06


def test_the_share_of_mixed_batches_is_the_probability() -> None:
    torch.manual_seed(0)
    plain, _ = mixed()
    changed = sum(not torch.equal(mixed({"kind": "mixup", "prob": 0.5})[0], plain) for _ in range(200))
    assert 0.4 < changed / 200 < 0.6


def test_nothing_is_mixed_in_validation_nor_in_a_batch_of_one() -> None:
    mixture = {"kind": "cutmix"}
    assert torch.equal(mixed(mixture, training=False)[0], mixed(training=False)[0])
    assert torch.equal(mixed(mixture, size=1)[0], mixed(size=1)[0])


@pytest.mark.parametrize(
    ("mixture", "error", "message"),
    [
        ({"kind": "cutmux"}, ValueError, "must be one of cutmix, mixup"),
        ({"kind": "mixup", "alpha": 0}, ValueError, "alpha is 0"),
        ({"kind": "mixup", "prop": 0.5}, TypeError, "did you mean 'prob'"),
    ],
)
def test_what_is_no_mixture_is_refused(mixture: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        MixingDataPreProcessor([mixture])
