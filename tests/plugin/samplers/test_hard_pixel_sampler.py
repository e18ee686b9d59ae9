from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from scipy.special import softmax
from torch.testing import assert_close

from provecfg.plugin.losses import SegCrossEntropyLoss, SegLovaszLoss, SoftmaxFocalLoss
from provecfg.plugin.samplers import HardPixelSampler
from provecfg.plugin.samplers.hard_pixel_sampler import smallest

pytestmark = [
    pytest.mark.stack,
    # torch.compile instantiates autograd functions while it traces, which torch itself deprecates (2.13).
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]


def scene(seed=0, images=2, side=8, ignored=0.2):
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (images, side, side), generator=random)
    labels[torch.rand(labels.shape, generator=random) < ignored] = 255
    return torch.randn(images, 3, side, side, generator=random) * 3, labels


def sampler(thresh=None, min_kept=1, losses=None):
    return HardPixelSampler(SimpleNamespace(ignore_index=255, loss_decode=losses), thresh, min_kept)


def probabilities(logits, labels):
    """Probability of each label that counts, in the order of the pixels."""
    p = softmax(logits.double().numpy(), axis=1)
    return [p[n, y, i, j] for n, i, j in torch.cartesian_prod(*map(torch.arange, labels.shape)).tolist()
            if (y := int(labels[n, i, j])) != 255]  # fmt: skip


@pytest.mark.parametrize("thresh", [0.05, 0.7, 1.0])
@pytest.mark.parametrize("min_kept", [1, 5, 20, 10_000])
def test_it_keeps_what_is_below_the_threshold_and_at_least_so_many(thresh, min_kept):
    logits, labels = scene()
    p = sorted(probabilities(logits, labels))
    least = min(min_kept * 2, len(p))
    expected = [value < thresh or rank < least for rank, value in enumerate(p)]
    weights = sampler(thresh, min_kept).sample(logits, labels.unsqueeze(1))
    assert weights.shape == labels.shape
    assert (weights > 0).sum() == sum(expected)
    assert torch.count_nonzero(weights[labels == 255]) == 0
    kept = torch.tensor(probabilities(logits, labels))[(weights > 0)[labels != 255]]
    assert_close(kept.sort().values.tolist(), p[: sum(expected)])


def test_without_threshold_it_keeps_the_greatest_losses():
    logits, labels = scene()
    losses = torch.nn.ModuleList([SegCrossEntropyLoss(), SoftmaxFocalLoss()])
    weights = sampler(min_kept=7, losses=losses).sample(logits, labels.unsqueeze(1))
    pixels = sum(loss(logits, labels, reduction_override="none") for loss in losses)
    assert (weights > 0).sum() == 14
    assert pixels[weights > 0].min() > pixels[(weights == 0) & (labels != 255)].max()


@pytest.mark.filterwarnings("ignore:Default ``avg_non_ignore`` is False:UserWarning")
def test_the_mean_is_over_the_kept_pixels_in_mmsegs_loss_and_in_ours():
    from mmseg.models.losses import CrossEntropyLoss

    logits, labels = scene()
    weights = sampler(0.4, 3).sample(logits, labels.unsqueeze(1))
    pixels = torch.nn.functional.cross_entropy(logits, labels, ignore_index=255, reduction="none")
    expected = pixels[weights > 0].mean()
    assert 0 < (weights > 0).sum() < (labels != 255).sum()
    assert_close(SegCrossEntropyLoss()(logits, labels, weight=weights), expected)
    assert_close(CrossEntropyLoss(avg_non_ignore=True)(logits, labels, weight=weights, ignore_index=255), expected)


def test_keeping_all_changes_nothing():
    logits, labels = scene()
    for keeping in (sampler(0.7, 10_000), sampler(1.0, 1), sampler(None, 10_000, SegCrossEntropyLoss())):
        weights = keeping.sample(logits, labels.unsqueeze(1))
        assert_close(weights, (labels != 255).float(), rtol=0, atol=0)


@pytest.mark.parametrize("thresh", [0.7, None])
def test_one_pixel_ties_and_voids(thresh):
    logits, labels = torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long)
    logits[:, 0] = 9.0  # all equally sure, and surer than the threshold
    keeping = sampler(thresh, 2, SegCrossEntropyLoss())
    assert (keeping.sample(logits, labels.unsqueeze(1)) == 1).all()
    labels[:] = 255
    assert torch.count_nonzero(keeping.sample(logits, labels.unsqueeze(1))) == 0
    labels[0, 1, 1] = 0
    assert keeping.sample(logits, labels.unsqueeze(1)).sum() == 1


def test_junk_under_ignored_pixels_changes_nothing():
    logits, labels = scene()
    expected = sampler(0.5, 3).sample(logits, labels.unsqueeze(1))
    changed = logits.masked_fill((labels == 255).unsqueeze(1), torch.nan)
    assert_close(sampler(0.5, 3).sample(changed, labels.unsqueeze(1)), expected, rtol=0, atol=0)


@pytest.mark.parametrize("thresh", [0.3, None])
def test_without_looking_at_values_it_keeps_the_same(thresh):
    # While torch.compile traces, as on CUDA, it cannot see whether the threshold keeps enough.
    logits, labels = scene()
    for min_kept in (1, 30):
        keeping = sampler(thresh, min_kept, SegCrossEntropyLoss())
        torch.compiler.reset()
        compiled = torch.compile(keeping.sample, backend="eager", fullgraph=True)
        expected = keeping.sample(logits, labels.unsqueeze(1))
        assert_close(compiled(logits, labels.unsqueeze(1)), expected, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_rank_th_smallest(dtype):
    values = torch.tensor([0.5, -2.0, -0.0, 0.0, torch.inf, -3e-42, 1e-3, -torch.inf], dtype=dtype)
    ordered = values.sort().values
    for rank in range(1, 9):
        assert smallest(values, torch.tensor(rank)) == ordered[rank - 1]
    assert smallest(values[:0], torch.tensor(0)) == -torch.inf


def test_a_head_uses_it():
    from mmengine.structures import PixelData
    from mmseg.registry import MODELS
    from mmseg.structures import SegDataSample

    with pytest.warns(UserWarning, match="build_pixel_sampler"):  # mmseg's own
        head = MODELS.build(
            {
                "type": "FCNHead", "in_channels": 3, "channels": 3, "num_classes": 3, "num_convs": 0,
                "sampler": {"type": "HardPixelSampler", "thresh": 0.7, "min_kept": 10},
                "loss_decode": [{"type": "SegCrossEntropyLoss"}, {"type": "SoftmaxFocalLoss"}, {"type": "SegDiceLoss"}],
            }
        )  # fmt: skip
    logits, labels = scene()
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label.unsqueeze(0))) for label in labels]
    losses = head.loss_by_feat(head([logits]), samples)
    assert all(losses[key].isfinite() for key in ("loss_ce", "loss_focal", "loss_dice"))


def test_losses_without_a_map_are_named():
    logits, labels = scene()
    with pytest.raises(ValueError, match="SegLovaszLoss has no value per pixel"):
        sampler(None, 5, SegLovaszLoss()).sample(logits, labels.unsqueeze(1))


@pytest.mark.parametrize(("thresh", "min_kept"), [(0, 1), (1.5, 1), (0.7, 0)])
def test_values_out_of_range_are_refused(thresh, min_kept):
    with pytest.raises(ValueError, match=r"thresh is|min_kept is"):
        sampler(thresh, min_kept)
