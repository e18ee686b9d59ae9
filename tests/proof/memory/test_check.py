from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn

from provecfg.proof.built import Built
from provecfg.proof.declared.small_config import shrunk
from provecfg.proof.memory.check import CUDA_RESERVE, HIGH_ON_CPU, LOW_ON_CPU, Forecast, check, findings
from provecfg.proof.memory.memory_size import GIB, MIB
from provecfg.proof.memory.meta_step import MetaStep, Moment, meta_step
from provecfg.proof.memory.optimizer_memory import OptimizerMemory, optimizer_memory
from provecfg.proof.memory.problems import DOES_NOT_FIT, MAY_NOT_FIT, VALIDATION_DOES_NOT_FIT
from provecfg.proof.section import Section
from provecfg.proof.step.batch import make_batch, plan_batch
from provecfg.proof.subject import Subject, nothing_printed
from tests.proof.built_models import built_of

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]

GENERATED = Path(__file__).parents[3] / "generated"
CLASSES = ("road", "kerb", "car", "sky")
CHANNELS = 4
SIZE = (64, 96)


@MODELS.register_module()
class OneConvolution(nn.Module):
    """A backbone of one pointwise convolution, for which all can be counted by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, CHANNELS, 1, bias=False)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.convolution(image),)


def config_of(**changes: Any) -> Config:
    """A config of `OneConvolution` and a pointwise head on images of 64x96."""
    config = Config(
        {
            "model": {
                "type": "EncoderDecoder",
                "data_preprocessor": {
                    "type": "SegDataPreProcessor",
                    "mean": [0.0] * 3,
                    "std": [1.0] * 3,
                    "size": (64, 96),
                },
                "backbone": {"type": "OneConvolution"},
                "decode_head": {
                    "type": "FCNHead",
                    "in_channels": CHANNELS,
                    "in_index": 0,
                    "channels": CHANNELS,
                    "num_convs": 0,
                    "concat_input": False,
                    "dropout_ratio": 0.0,
                    "num_classes": len(CLASSES),
                    "loss_decode": {"type": "CrossEntropyLoss"},
                },
                "test_cfg": {"mode": "whole"},
            },
            "train_dataloader": {
                "batch_size": 2,
                "dataset": {
                    "type": "BaseSegDataset",
                    "metainfo": {"classes": CLASSES},
                    "pipeline": [{"type": "RandomCrop", "crop_size": (64, 96)}, {"type": "PackSegInputs"}],
                },
            },
            "optim_wrapper": {"type": "OptimWrapper", "optimizer": {"type": "AdamW", "lr": 0.001}},
        }
    )
    config.merge_from_dict(changes)
    return config


def built_from(config: Config, crop: tuple[int, int] = (64, 64)) -> Built:
    init_default_scope("mmseg")
    with nothing_printed():
        config = shrunk(config, "cpu")
        model = MODELS.build(copy.deepcopy(config.model))
        if getattr(model, "data_preprocessor", None) is not None and config.get("data_preprocessor"):
            model.data_preprocessor = MODELS.build(copy.deepcopy(config.data_preprocessor))
        return built_of(config, revert_sync_batchnorm(model).train(), crop)


@pytest.fixture
def checked(tmp_path: Path) -> Callable[..., Section]:
    """What is said of a config, for a GPU of so many bytes, or for a model that was built otherwise."""

    def of(config: Config, gpu_memory: int | None = GIB, built: Built | None = None) -> Section:
        subject = Subject(tmp_path / "config.py", config, "cpu", None, tmp_path, gpu_memory=gpu_memory)
        return check(subject, built or built_from(config))

    return of


def step_of(model: nn.Module, config: Config, size: tuple[int, int], images: int, **options: Any) -> MetaStep:
    built = built_of(config, model, (32, 32))
    batch = make_batch(plan_batch(config, model, built), built.transforms, with_ignored_image=False)
    with nothing_printed():
        return meta_step(model, batch, size, images, classes=4, **options)


def test_operations_of_pointwise_convolutions_are_those_counted_by_hand() -> None:
    config = config_of()
    step = step_of(built_from(config).model, config, (64, 96), 3)

    pixels = 3 * 64 * 96
    assert step.forward_flops == 2 * pixels * (3 * CHANNELS + CHANNELS * len(CLASSES))
    # Backwards both gradients of each, but for the images, which need none.
    assert step.step_flops == step.forward_flops + 2 * pixels * (3 * CHANNELS + 2 * CHANNELS * len(CLASSES))


def test_what_is_kept_for_the_backward_pass_is_in_the_peak() -> None:
    config = config_of()
    small = step_of(built_from(config).model, config, (64, 96), 1)
    large = step_of(built_from(config).model, config, (64, 96), 5)

    logits = 64 * 96 * len(CLASSES) * 4
    image = 64 * 96 * (3 * 4 + 8)
    assert small.peak().activations > image + 2 * logits
    assert large.peak().activations == pytest.approx(5 * small.peak().activations, rel=0.01)
    assert large.weights == small.weights


def test_the_model_stays_as_it_is() -> None:
    config = config_of()
    model = built_from(config).model
    before = copy.deepcopy(model.state_dict())

    step_of(model, config, (64, 96), 2)

    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None and not parameter.is_meta for parameter in model.parameters())


def test_half_precision_takes_less() -> None:
    config = config_of(**{"model.backbone": {"_delete_": True, "type": "UNet", "base_channels": 16}})
    config.model.decode_head.update(in_channels=16, in_index=4, channels=16)
    model = built_from(config).model

    whole = step_of(model, config, (64, 96), 2)
    half = step_of(model, config, (64, 96), 2, half=True)

    assert 0.4 * whole.peak().activations < half.peak().activations < 0.8 * whole.peak().activations


def test_gradients_that_are_kept_are_there_from_the_start() -> None:
    config = config_of()
    step = step_of(built_from(config).model, config, (64, 96), 2, keeps_gradients=True)

    assert step.peak().gradients > 0
    assert step.all_gradients == 4 * (3 * CHANNELS + (CHANNELS + 1) * len(CLASSES))


@pytest.mark.parametrize(
    ("optimizer", "state"),
    [
        ({"type": "SGD", "lr": 0.1}, 0.0),
        ({"type": "SGD", "lr": 0.1, "momentum": 0.9}, 1.0),
        ({"type": "AdamW", "lr": 0.1}, 2.0),
        ({"type": "Adam", "lr": 0.1, "amsgrad": True}, 3.0),
    ],
)
def test_an_optimizer_keeps_what_its_steps_make(optimizer: dict[str, Any], state: float) -> None:
    assert optimizer_memory(optimizer).state == pytest.approx(state)


def test_an_optimizer_on_all_parameters_at_once_takes_a_copy_of_them() -> None:
    assert optimizer_memory({"type": "AdamW", "lr": 0.1}).temporary == pytest.approx(1.0)
    assert optimizer_memory({"type": "AdamW", "lr": 0.1, "foreach": False}).temporary < 0.2


def forecast_of(activations: int) -> Forecast:
    step = MetaStep(100 * MIB, (Moment(0, activations),), 100 * MIB, 0, 0, ())
    return Forecast(step, 2, 2, 100 * MIB, OptimizerMemory(2.0, 1.0), averaged=0, classes=None)


def test_the_update_is_the_peak_where_activations_are_few() -> None:
    assert forecast_of(2 * MIB).peak(2) == 500 * MIB
    assert forecast_of(900 * MIB).peak(2) == 1200 * MIB


def test_with_more_images_another_moment_may_be_the_fullest() -> None:
    step = MetaStep(0, (Moment(50, 100), Moment(0, 120)), 0, 0, 0, ())

    assert step.peak() == Moment(50, 100)
    assert step.peak(3.0) == Moment(0, 360)


def test_the_largest_batch_fits_and_one_more_does_not() -> None:
    forecast = forecast_of(GIB)
    batch = forecast.largest_batch(16 * GIB)

    assert forecast.needed(batch) <= 16 * GIB < forecast.needed(batch + 1)
    assert forecast.largest_batch(CUDA_RESERVE) == 0


@pytest.mark.parametrize(
    ("memory", "codes"), [(24 * GIB, []), (CUDA_RESERVE, [MAY_NOT_FIT]), (MIB // 2, [DOES_NOT_FIT])]
)
def test_a_gpu_too_small_is_found(checked: Callable[..., Section], memory: int, codes: list[Any]) -> None:
    section = checked(config_of(), memory)

    assert section.not_judged is None
    assert [finding.problem for finding in section.findings] == codes
    assert all(finding.key == "train_dataloader.batch_size" for finding in section.findings)
    assert section.evidence["gpu_bytes"] == memory
    assert any(line.startswith("fits 24.0 GiB; largest batch ") for line in section.lines) == (not codes)


def test_a_single_image_is_half_of_two(checked: Callable[..., Section]) -> None:
    single, pair = (config_of(**{"train_dataloader.batch_size": images}) for images in (1, 2))
    of_one, of_two = (checked(config).evidence for config in (single, pair))

    assert 2 * of_one["activation_bytes"] == of_two["activation_bytes"]
    assert of_one["forward_flops_an_image"] == of_two["forward_flops_an_image"]


def test_without_a_gpu_common_sizes_are_said(checked: Callable[..., Section], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    section = checked(config_of(), None)

    assert list(section.evidence["largest_batch"]) == ["8.0 GiB", "16.0 GiB", "24.0 GiB", "40.0 GiB", "80.0 GiB"]
    assert section.findings == ()


def test_masks_of_assumed_classes_give_the_benefit_of_the_doubt() -> None:
    forecast = forecast_of(10 * GIB)
    with_masks = dataclasses.replace(forecast, classes=32)

    codes = [
        [finding.problem for finding in findings(assumed, (512, 512), memory)]
        for assumed in (forecast, with_masks)
        for memory in (7 * GIB, 4 * GIB)
    ]
    assert codes == [[DOES_NOT_FIT], [DOES_NOT_FIT], [MAY_NOT_FIT], [DOES_NOT_FIT]]


def test_an_averaged_copy_of_the_model_counts(checked: Callable[..., Section]) -> None:
    evidence = checked(config_of(custom_hooks=[{"type": "EMAHook"}])).evidence

    assert evidence["averaged_weight_bytes"] == evidence["weight_bytes"] > 0


def test_what_cannot_go_on_without_numbers_is_not_judged(checked: Callable[..., Section]) -> None:
    config = config_of()
    built = built_from(config)
    built.model.backbone.register_forward_hook(lambda module, args, output: output[0].histogram(8))
    section = checked(config, built=built)

    assert section.not_judged is not None
    assert "aten.histogram" in section.not_judged
    assert section.evidence["parameters"] == 3 * CHANNELS + (CHANNELS + 1) * len(CLASSES)


def test_a_config_without_a_size_or_a_model_is_not_judged(checked: Callable[..., Section]) -> None:
    config = config_of()
    config.model.data_preprocessor.pop("size")
    config.model.data_preprocessor.size_divisor = 32
    config.train_dataloader.dataset.pipeline = [{"type": "PackSegInputs"}]

    assert checked(config, built=Built.nothing()).not_judged == "the model cannot be built"
    assert checked(config).not_judged == "the config does not say the size of a training image"


def allocated_by_a_real_step(model: nn.Module, batch: dict[str, Any]) -> int:
    """The most bytes that a real step holds beside the weights, as torch's profiler sees them."""
    data = model.data_preprocessor(copy.deepcopy(batch), True)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        inputs, samples = data["inputs"].clone(), [sample.clone() for sample in data["data_samples"]]
        losses = model(inputs, samples, mode="loss")
        model.parse_losses(losses)[0].backward()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


@pytest.mark.slow
@pytest.mark.parametrize("name", ["segformer_mit-b3_bdd10k_focal", "hrnet_hr48_bdd10k_ce"])
def test_a_real_step_takes_what_is_forecast(name: str) -> None:
    config = Config.fromfile(GENERATED / f"{name}.py", import_custom_modules=False)
    built = built_from(config, (96, 96))
    built.model.data_preprocessor.size = built.crop
    batch = make_batch(plan_batch(config, built.model, built), built.transforms, with_ignored_image=False)
    with nothing_printed():
        step = meta_step(built.model, batch, built.crop, built.batch_size, classes=19)
        real = step.weights + allocated_by_a_real_step(built.model, batch)

    peak = step.peak()
    assert -LOW_ON_CPU <= (step.weights + peak.gradients + peak.activations) / real - 1 <= HIGH_ON_CPU


@pytest.mark.slow
def test_mask2former_is_forecast_at_its_real_size(checked: Callable[..., Section]) -> None:
    config = Config.fromfile(GENERATED / "mask2former_swin-b_bdd10k_focal.py", import_custom_modules=False)
    built = built_from(config)
    began = time.process_time()
    section = checked(config, 24 * GIB, built)

    assert section.not_judged is None
    assert section.findings == ()
    assert section.evidence["image_size"] == [512, 512]
    assert section.evidence["classes_in_an_image"] == 19
    assert time.process_time() - began < 20


def test_a_validation_of_large_images_is_part_of_the_forecast(checked) -> None:
    config = config_of()
    built = built_from(config)
    built.validation_size = (8192, 8192)
    section = checked(config, 2 * GIB, built)
    assert [finding.problem for finding in section.findings] == [VALIDATION_DOES_NOT_FIT]
    scores = 8192 * 8192 * len(CLASSES) * 4  # bytes of the whole image's, which are kept
    assert section.evidence["validation"]["bytes"] >= 2 * scores


def test_a_window_that_slides_keeps_the_scores_of_the_whole_image(checked) -> None:
    config = config_of(**{"model.test_cfg": {"mode": "slide", "crop_size": (64, 96), "stride": (32, 48)}})
    built = built_from(config)
    built.validation_size = (2048, 4096)
    held = checked(config, 100 * GIB, built).evidence["validation"]["bytes"]
    assert held >= 2048 * 4096 * len(CLASSES) * 4
