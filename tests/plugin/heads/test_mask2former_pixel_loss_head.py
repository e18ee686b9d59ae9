"""Mask2Former's pixel losses, on a head small enough to run in milliseconds."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.nn.functional import nll_loss

from provecfg.plugin.heads.semantic_scores import semantic_log_probs

pytestmark = [
    pytest.mark.stack,
    # mmdet's point generator calls torch.meshgrid as torch once allowed.
    pytest.mark.filterwarnings("ignore:torch.meshgrid:UserWarning"),
]

CLASSES = 3
CE = {"type": "CrossEntropyLoss", "use_sigmoid": False, "avg_non_ignore": True, "loss_name": "loss_ce"}


def config(**changes) -> ConfigDict:
    """mmseg's config of Mask2Former, with everything small."""
    attention = {"embed_dims": 16, "num_heads": 2, "batch_first": True}
    ffn = {"embed_dims": 16, "feedforward_channels": 16, "num_fcs": 2}
    settings = {
        "type": "Mask2FormerPixelLossHead",
        "in_channels": [8, 8, 8, 8],
        "strides": [4, 8, 16, 32],
        "feat_channels": 16,
        "out_channels": 16,
        "num_classes": CLASSES,
        "num_queries": 5,
        "num_transformer_feat_level": 3,
        "pixel_decoder": {
            "type": "mmdet.MSDeformAttnPixelDecoder",
            "num_outs": 3,
            "norm_cfg": {"type": "GN", "num_groups": 4},
            "act_cfg": {"type": "ReLU"},
            "encoder": {
                "num_layers": 1,
                "layer_cfg": {
                    "self_attn_cfg": {**attention, "num_levels": 3, "num_points": 2},
                    "ffn_cfg": ffn,
                },
            },
            "positional_encoding": {"num_feats": 8, "normalize": True},
        },
        "positional_encoding": {"num_feats": 8, "normalize": True},
        "transformer_decoder": {
            "return_intermediate": True,
            "num_layers": 2,
            "layer_cfg": {"self_attn_cfg": attention, "cross_attn_cfg": attention, "ffn_cfg": ffn},
        },
        "loss_cls": {
            "type": "mmdet.CrossEntropyLoss",
            "use_sigmoid": False,
            "loss_weight": 2.0,
            "class_weight": [1.0] * CLASSES + [0.1],
        },
        "loss_mask": {"type": "mmdet.CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 5.0},
        "loss_dice": {
            "type": "mmdet.DiceLoss",
            "use_sigmoid": True,
            "activate": True,
            "naive_dice": True,
            "eps": 1.0,
            "loss_weight": 5.0,
        },
        "train_cfg": {
            "num_points": 16,
            "assigner": {
                "type": "mmdet.HungarianAssigner",
                "match_costs": [
                    {"type": "mmdet.ClassificationCost", "weight": 2.0},
                    {"type": "mmdet.CrossEntropyLossCost", "weight": 5.0, "use_sigmoid": True},
                    {"type": "mmdet.DiceCost", "weight": 5.0, "pred_act": True, "eps": 1.0},
                ],
            },
            "sampler": {"type": "mmdet.MaskPseudoSampler"},
        },
        "loss_decode": [CE],
    }
    return ConfigDict({**settings, **changes})


def build(**changes):
    torch.manual_seed(0)
    head = MODELS.build(config(**changes))
    head.init_weights()
    return head


def features() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(2, 8, size, size, generator=generator) for size in (16, 8, 4, 2))


def samples(*label_maps: torch.Tensor) -> list[SegDataSample]:
    return [
        SegDataSample(gt_sem_seg=PixelData(data=labels[None]), metainfo={"img_shape": (64, 64)})
        for labels in label_maps
    ]


def striped_labels() -> torch.Tensor:
    """(64, 64): class 0, 1 and 2 from left to right, and a last column to ignore."""
    labels = torch.arange(64).div(22, rounding_mode="floor").expand(64, 64).clone()
    labels[:, -1] = 255
    return labels


def queries_for(labels: torch.Tensor, sureness: float = 40.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Class and mask logits of one query per class that say exactly these labels, (1, C, C + 1) and (1, C, H, W)."""
    cls_scores = sureness * torch.eye(CLASSES, CLASSES + 1)[None]
    masks = torch.stack([(labels == index) * 2.0 - 1 for index in range(CLASSES)])[None]
    return cls_scores, sureness * masks


def test_perfect_masks_cost_no_negative_log_likelihood():
    labels = torch.tensor([[0, 1], [2, 1]])
    log_probs = semantic_log_probs(*queries_for(labels))
    assert nll_loss(log_probs, labels[None]) == pytest.approx(0, abs=1e-6)


def test_perfect_masks_cost_next_to_nothing_in_the_head():
    labels = striped_labels()
    cls_scores, masks = queries_for(labels)
    losses = build().pixel_losses(cls_scores, masks, labels[None])
    assert losses["loss_ce"] == pytest.approx(0, abs=1e-6)


def test_softmax_of_the_log_probs_is_the_normalised_score_of_inference():
    cls_scores, masks = torch.randn(2, 5, CLASSES + 1), torch.randn(2, 5, 4, 6)
    scores = torch.einsum("nqc,nqhw->nchw", cls_scores.softmax(-1)[..., :-1], masks.sigmoid())
    log_probs = semantic_log_probs(cls_scores, masks)
    torch.testing.assert_close(log_probs.softmax(1), scores / scores.sum(1, keepdim=True))
    torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(2, 4, 6))


def test_a_query_twice_gains_nothing():
    cls_scores, masks = torch.randn(1, 5, CLASSES + 1), torch.randn(1, 5, 4, 4)
    once = semantic_log_probs(cls_scores, masks)
    twice = semantic_log_probs(cls_scores.repeat(1, 2, 1), masks.repeat(1, 2, 1, 1))
    torch.testing.assert_close(twice, once)


def test_queries_without_an_object_change_nothing():
    cls_scores, masks = torch.randn(1, 5, CLASSES + 1), torch.randn(1, 5, 4, 4)
    empty = torch.tensor([0.0] * CLASSES + [60.0]).expand(1, 7, -1)
    more = semantic_log_probs(torch.cat([cls_scores, empty], 1), torch.cat([masks, torch.randn(1, 7, 4, 4)], 1))
    torch.testing.assert_close(more, semantic_log_probs(cls_scores, masks))


@pytest.mark.parametrize("level", [-1e4, -200.0, 200.0, 1e4])
def test_extreme_logits_give_finite_log_probs_and_gradients(level):
    cls_scores = torch.tensor([[[level, 0.0, 0.0, -level]]], requires_grad=True)
    masks = torch.full((1, 1, 2, 2), level, requires_grad=True)
    log_probs = semantic_log_probs(cls_scores, masks)
    assert log_probs.isfinite().all()
    nll_loss(log_probs, torch.ones(1, 2, 2, dtype=torch.long)).backward()
    assert cls_scores.grad.isfinite().all()
    assert masks.grad.isfinite().all()


def test_log_probs_are_float32_under_autocast():
    cls_scores, masks = torch.randn(1, 5, CLASSES + 1), torch.randn(1, 5, 4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = semantic_log_probs(cls_scores, masks)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, semantic_log_probs(cls_scores, masks))


def test_without_pixel_losses_it_is_the_native_head():
    labels = striped_labels()
    native_config = config(type="Mask2FormerHead")
    del native_config["loss_decode"]
    torch.manual_seed(0)
    native = MODELS.build(native_config)
    native.init_weights()
    results = []
    for head in (native, build(loss_decode=[])):
        torch.manual_seed(2)  # of the points that the mask losses look at
        results.append(head.loss(features(), samples(labels, labels.flip(0)), None))
    assert results[0].keys() == results[1].keys()
    for name, value in results[0].items():
        assert torch.equal(results[1][name], value), name


def test_pixel_losses_are_added_to_the_native_ones_and_the_head_runs_once():
    head = build(loss_decode=[CE, {**CE, "loss_weight": 0.3, "loss_name": "loss_second"}])
    calls = []
    head.register_forward_hook(lambda *_: calls.append(1))
    torch.manual_seed(2)
    losses = head.loss(features(), samples(striped_labels(), striped_labels()), None)
    native = {f"{layer}loss_{part}" for layer in ("", "d0.", "d1.") for part in ("cls", "mask", "dice")}
    assert losses.keys() == native | {"loss_ce", "loss_second"}
    torch.testing.assert_close(losses["loss_second"], 0.3 * losses["loss_ce"])
    assert calls == [1]


def test_one_loss_need_not_be_in_a_list():
    assert [loss.loss_name for loss in build(loss_decode=CE).loss_decode] == ["loss_ce"]


def test_pixel_loss_reaches_class_and_mask_embeddings():
    head = build()
    head.loss(features(), samples(striped_labels(), striped_labels()), None)["loss_ce"].backward()
    for name in ("cls_embed.weight", "mask_embed.4.weight", "query_feat.weight"):
        gradient = head.get_parameter(name).grad
        assert gradient.abs().sum() > 0, name


@pytest.mark.parametrize("is_whole_batch", [False, True])
def test_images_without_a_label_give_finite_losses_and_gradients(is_whole_batch):
    head = build(loss_decode=[CE, {"type": "SoftmaxFocalLoss"}, {"type": "SegLovaszLoss"}, {"type": "SegBoundaryLoss"}])
    empty = torch.full((64, 64), 255)
    losses = head.loss(features(), samples(empty, empty if is_whole_batch else striped_labels()), None)
    assert {name: value for name, value in losses.items() if not value.isfinite()} == {}
    sum(losses.values()).backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in head.parameters())


def test_checkpoints_are_those_of_the_native_head():
    native_config = config(type="Mask2FormerHead")
    del native_config["loss_decode"]
    assert build(loss_decode=[CE]).state_dict().keys() == MODELS.build(native_config).state_dict().keys()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"num_query": 5}, TypeError, "unknown argument 'num_query'; did you mean 'num_queries'"),
        ({"loss_decod": []}, TypeError, "unknown argument 'loss_decod'; did you mean 'loss_decode'"),
        ({"sampler": {"type": "OHEMPixelSampler"}}, TypeError, "has no 'sampler' of hard pixels"),
        ({"loss_decode": "CrossEntropyLoss"}, TypeError, "loss_decode is 'CrossEntropyLoss', must be the config"),
        ({"loss_decode": [CE, CE]}, ValueError, "'loss_ce', which another loss of this head has"),
        ({"loss_decode": {**CE, "loss_name": "ce"}}, ValueError, "'ce', must contain 'loss' to be trained on"),
        ({"loss_decode": {**CE, "loss_name": "loss_mask"}}, ValueError, "'loss_mask', which is the head's own"),
        ({"loss_decode": {**CE, "loss_name": "d0.loss_cls"}}, ValueError, "'d0.loss_cls', which is the head's own"),
    ],
)
def test_a_wrong_config_is_refused_when_it_is_built(changes, error, message):
    with pytest.raises(error, match=message):
        build(**changes)
