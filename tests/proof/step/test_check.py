from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS as ALL_MODELS
from mmengine.registry import init_default_scope
from torch import nn

from provecfg.findings import Severity
from provecfg.proof.built import Built
from provecfg.proof.section import Section
from provecfg.proof.step import check as training_step
from provecfg.proof.subject import Subject, nothing_printed
from tests.proof.built_models import built_of

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]

CE = {"type": "CrossEntropyLoss", "avg_non_ignore": True}
DICE = {"type": "DiceLoss", "use_sigmoid": False, "loss_weight": 0.5}


def head(loss: Any = CE, **more: Any) -> dict[str, Any]:
    return dict(
        type="FCNHead",
        in_channels=4,
        in_index=4,
        channels=4,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.0,
        num_classes=4,
        loss_decode=copy.deepcopy(loss),
        **more,
    )


def config_with(decode: dict[str, Any], auxiliary: Any = None, **more: Any) -> Config:
    model = {
        "type": "EncoderDecoder",
        "data_preprocessor": {"type": "SegDataPreProcessor", "mean": [128.0] * 3, "std": [64.0] * 3, "size": (64, 64)},
        "backbone": {"type": "UNet", "base_channels": 4},
        "decode_head": decode,
        "test_cfg": {"mode": "whole"},
    }
    if auxiliary is not None:
        model["auxiliary_head"] = auxiliary
    dataset = {
        "type": "BaseSegDataset",
        "metainfo": {"classes": ("road", "kerb", "car", "sky")},
        "pipeline": [{"type": "RandomCrop", "crop_size": (64, 64)}, {"type": "PackSegInputs"}],
    }
    loader = {"batch_size": 2, "dataset": dataset}
    return Config(dict(model=model, train_dataloader=loader, **more))


def prove(config: Config, tmp_path: Path, built: Built | None = None) -> tuple[Section, Section]:
    import mmseg.datasets
    import mmseg.models  # noqa: F401

    init_default_scope("mmseg")
    if built is None:
        torch.manual_seed(0)
        with nothing_printed():
            built = built_of(config, ALL_MODELS.build(copy.deepcopy(config.model)))
    subject = Subject(tmp_path / "config.py", config, "cpu", None, tmp_path)
    equation, gradients = training_step.check(subject, built)
    return equation, gradients


def found(*sections: Section) -> list[tuple[str, str]]:
    return [
        (finding.problem.name, finding.key)
        for section in sections
        for finding in section.findings
        if finding.problem.severity > Severity.NOTE
    ]


def test_the_total_is_the_sum_of_the_declared_terms(tmp_path: Path) -> None:
    config = config_with(head([CE, DICE]), head(dict(CE, loss_weight=0.4)))
    equation, gradients = prove(config, tmp_path)
    assert found(equation, gradients) == []
    assert equation.lines[0] == "total = 1 CE[decode] + 0.5 dice[decode] + 0.4 CE[auxiliary]"
    evidence = equation.evidence
    terms = evidence["terms"]
    summed = sum(term["declared_weight"] * term["raw"] for term in terms)
    assert math.isclose(evidence["optimised_total"], summed, rel_tol=1e-5)
    assert math.isclose(sum(term["share"] for term in terms), 1.0)
    assert [term["log_keys"] for term in terms] == [["decode.loss_ce"], ["decode.loss_dice"], ["aux.loss_ce"]]
    assert gradients.evidence["moved"] == gradients.evidence["parameters"]
    assert all(loss["moves_backbone"] for loss in gradients.evidence["losses"])
    assert gradients.evidence["bfloat16"].endswith("all gradients finite")


def test_without_a_model_nothing_is_judged(tmp_path: Path) -> None:
    config = config_with(head())
    subject = Subject(tmp_path / "config.py", config, "cpu", None, tmp_path)
    sections = training_step.check(subject, Built.nothing())
    assert [(section.name, section.not_judged) for section in sections] == [
        ("equation", "the model cannot be built"),
        ("gradients", "the model cannot be built"),
    ]


@pytest.mark.parametrize(
    ("decode", "auxiliary", "expected"),
    [
        (head([CE, dict(DICE, loss_name="loss_ce")]), None, ("losses-share-log-key", "[1].loss_name")),
        (head(dict(CE, loss_weight=-0.4)), None, ("weight-not-positive", "loss_decode.loss_weight")),
        (head([CE, dict(DICE, loss_weight=0.0)]), None, ("weight-not-positive", "loss_decode[1].loss_weight")),
        (head(dict(CE, loss_weight="0.4")), None, ("training-step-fails", "loss_decode.loss_weight")),
        (head({"type": "CrossEntropyLoss", "class_weight": [0.0] * 4}), None, ("loss-trains-nothing", "loss_decode")),
        (
            head({"type": "CrossEntropyLoss", "class_weight": [0.0, 1, 1, 1]}),
            None,
            ("class-not-trained", "class_weight"),
        ),
        (head({"type": "CrossEntropyLoss", "class_weight": [1.0] * 3}), None, ("training-step-fails", "loss_decode")),
        (head(DICE), None, ("loss-learns-ignored-pixels", "model.decode_head.loss_decode")),
        (head([CE, {"type": "DiceLoss"}]), None, ("sigmoid-beside-softmax", "model.decode_head.loss_decode[1]")),
        (head([CE, {"type": "TverskyLoss"}], ignore_index=254), None, ("loss-learns-ignored-pixels", "[1]")),
        (head(dict(CE, reduction="sum")), None, ("loss-grows-with-pixels", "loss_decode.reduction")),
        (head([CE, {"type": "FocalLoss", "class_weight": [2.0]}]), None, ("setting-has-no-effect", "class_weight")),
        (head(threshold=0.5), None, ("setting-has-no-effect", "model.decode_head.threshold")),
        (head(), head() | {"num_classes": 19}, ("classes-never-labelled", "model.auxiliary_head.num_classes")),
        (head(), head() | {"num_classes": 2}, ("too-few-classes", "model.auxiliary_head.num_classes")),
        (
            head({"type": "LovaszLoss", "loss_type": "binary", "per_image": True}, out_channels=1),
            None,
            ("too-few-classes", "model.decode_head.out_channels"),
        ),
        (head() | {"in_index": 7}, None, ("training-step-fails", "model.decode_head")),
    ],
)
def test_each_fault_is_found_at_its_key(
    decode: dict[str, Any], auxiliary: Any, expected: tuple[str, str], tmp_path: Path
) -> None:
    findings = found(*prove(config_with(decode, auxiliary), tmp_path))
    assert [name for name, _ in findings] == [expected[0]]
    assert findings[0][1].endswith(expected[1])


def test_a_loss_that_is_only_logged_leaves_its_head_untrained(tmp_path: Path) -> None:
    equation, gradients = prove(config_with(head(dict(CE, loss_name="ce")), head()), tmp_path)
    assert found(equation) == [("loss-not-in-total", "model.decode_head.loss_decode.loss_name")]
    assert found(gradients) == [("unused-parameters", "model.decode_head")]
    assert equation.lines[0] == "total = 1 CE[auxiliary]"


def test_dice_on_one_channel_trains_the_inverse(tmp_path: Path) -> None:
    bce = {"type": "CrossEntropyLoss", "use_sigmoid": True}
    decode = head([bce, {"type": "DiceLoss"}], out_channels=1, threshold=0.5) | {"num_classes": 2}
    config = config_with(decode)
    config.train_dataloader.dataset.metainfo = {"classes": ("road", "lane")}
    assert found(*prove(config, tmp_path)) == [("loss-prefers-wrong", "model.decode_head.loss_decode[1]")]
    decode = copy.deepcopy(config)
    decode.model.decode_head.loss_decode = [bce]
    assert found(*prove(decode, tmp_path)) == []


def test_a_threshold_beyond_a_probability_predicts_one_class(tmp_path: Path) -> None:
    loss = {"type": "CrossEntropyLoss", "use_sigmoid": True}
    config = config_with(head(loss, out_channels=1, threshold=50) | {"num_classes": 2})
    config.train_dataloader.dataset.metainfo = {"classes": ("road", "lane")}
    assert found(*prove(config, tmp_path)) == [("setting-has-no-effect", "model.decode_head.threshold")]


def test_a_class_that_is_ignored_in_training_and_counted_by_the_metric_is_found(tmp_path: Path) -> None:
    decode = head(ignore_index=0)
    config = config_with(decode, val_evaluator={"type": "IoUMetric"})
    assert found(*prove(config, tmp_path)) == [("class-not-trained", "model.decode_head.ignore_index")]
    config = config_with(decode, val_evaluator={"type": "IoUMetric", "ignore_index": 0})
    assert found(*prove(config, tmp_path)) == []


def test_a_loss_that_an_ignored_image_breaks_is_noted_and_judged_without_it(tmp_path: Path) -> None:
    lovasz = {"type": "LovaszLoss", "per_image": True, "loss_weight": 0.5}
    equation, gradients = prove(config_with(head([CE, lovasz])), tmp_path)
    assert [finding.problem.name for finding in equation.findings] == ["ignored-image-breaks-loss"]
    assert equation.is_proved
    assert gradients.is_proved
    assert equation.lines[0] == "total = 1 CE[decode] + 0.5 lovasz[decode]"


def test_padding_makes_an_average_over_all_pixels_worth_a_warning(tmp_path: Path) -> None:
    config = config_with(head({"type": "CrossEntropyLoss"}))
    assert found(*prove(config, tmp_path)) == []
    resize = {"type": "RandomResize", "scale": (128, 64), "ratio_range": (0.25, 1.0), "keep_ratio": True}
    config.train_dataloader.dataset.pipeline.insert(0, resize)
    assert found(*prove(config, tmp_path)) == [("loss-falls-with-ignored-share", "model.decode_head.loss_decode")]


def test_a_sampler_that_keeps_every_pixel_is_found(tmp_path: Path) -> None:
    sampler = {"type": "OHEMPixelSampler", "thresh": 0.7, "min_kept": 100000}
    assert found(*prove(config_with(head(sampler=sampler)), tmp_path)) == [
        ("setting-has-no-effect", "model.decode_head.sampler.min_kept")
    ]
    assert found(*prove(config_with(head(sampler=dict(sampler, min_kept=200))), tmp_path)) == []


def test_a_scheduled_loss_counts_with_its_first_weight(tmp_path: Path) -> None:
    ramp = {"head": "decode_head", "loss_name": "loss_dice", "kind": "linear", "start": 0.0, "end": 1.0}
    hook = {"type": "LossWeightScheduleHook", "schedules": [ramp]}
    equation, gradients = prove(config_with(head([CE, DICE]), custom_hooks=[hook]), tmp_path)
    assert found(equation, gradients) == []
    assert equation.lines[0] == "total = 1 CE[decode] + 0 dice[decode]"
    assert [term["is_scheduled"] for term in equation.evidence["terms"]] == [False, True]


class Spare(nn.Module):
    """A part of a model that nothing calls."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)


def with_spare_part(config: Config) -> Built:
    import mmseg.models  # noqa: F401

    init_default_scope("mmseg")
    with nothing_printed():
        model = ALL_MODELS.build(copy.deepcopy(config.model))
    model.decode_head.spare = Spare()
    return built_of(config, model)


def test_parameters_that_no_loss_depends_on_are_named(tmp_path: Path) -> None:
    config = config_with(head())
    equation, gradients = prove(config, tmp_path, with_spare_part(config))
    assert found(equation) == []
    assert found(gradients) == [("unused-parameters", "model.decode_head")]
    assert "2 trainable parameters take part in no loss: decode_head.spare (2)" in gradients.findings[0].message


def test_unused_parameters_may_be_allowed_or_frozen(tmp_path: Path) -> None:
    config = config_with(head(), find_unused_parameters=True)
    assert found(*prove(config, tmp_path, with_spare_part(config))) == []
    config = config_with(head())
    built = with_spare_part(config)
    for parameter in built.model.decode_head.spare.parameters():
        parameter.requires_grad = False
    assert found(*prove(config, tmp_path, built)) == []


def test_a_batch_of_one_image_is_tried_where_the_config_has_it(tmp_path: Path) -> None:
    decode = head() | {"type": "PSPHead", "norm_cfg": {"type": "BN"}}
    for key in ("num_convs", "concat_input"):
        del decode[key]
    config = config_with(decode)
    assert found(*prove(config, tmp_path)) == []
    config.train_dataloader.batch_size = 1
    assert found(*prove(config, tmp_path)) == [("training-step-fails", "train_dataloader.batch_size")]


def test_the_model_is_left_as_it_was(tmp_path: Path) -> None:
    config = config_with(head())
    import mmseg.models  # noqa: F401

    init_default_scope("mmseg")
    with nothing_printed():
        model = ALL_MODELS.build(copy.deepcopy(config.model))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    prove(config, tmp_path, built_of(config, model))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
