from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from provecfg.catalog.datasets import DATASETS
from provecfg.errors import ProvecfgError
from provecfg.training import adapt

pytestmark = pytest.mark.stack

NAMES = [path.stem for path in (Path(__file__).parents[2] / "generated").glob("*.py")]


def hook(config: Config, kind: str) -> dict:
    hooks = [*config.default_hooks.values(), *config.custom_hooks]
    return next(item for item in hooks if item["type"] == kind)


@pytest.mark.parametrize("max_iters", [1, 7, 60, 200, 40_000])
def test_a_shorter_run_keeps_one_clock(generated, max_iters: int) -> None:
    config = adapt.with_max_iters(generated("segformer_mit-b3_bdd10k_ce"), max_iters)
    *warmups, decay = config.param_scheduler
    assert config.train_cfg.max_iters == decay.end == max_iters
    if round(1500 * max_iters / 80_000) < 2:
        assert (warmups, decay.begin) == ([], 0)
    else:
        (warmup,) = warmups
        assert (warmup.begin, warmup.end) == (0, decay.begin)
        assert warmup.end == round(1500 * max_iters / 80_000)
    assert config.train_cfg.val_interval == hook(config, "PlainCheckpointHook")["interval"]
    assert config.train_cfg.val_interval == max(1, max_iters // 16)
    assert hook(config, "LoggerHook")["interval"] <= max(1, config.train_cfg.val_interval)


@pytest.mark.parametrize("max_iters", [2, 4, 60, 107, 400])
def test_the_learning_rate_comes_up_to_its_base_however_short_the_run(generated, max_iters: int) -> None:
    from mmengine.registry import PARAM_SCHEDULERS

    config = adapt.with_max_iters(generated("segformer_mit-b3_bdd10k_ce"), max_iters)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedulers = [
        PARAM_SCHEDULERS.build(scheduler.to_dict(), default_args={"optimizer": optimizer})
        for scheduler in config.param_scheduler
    ]
    rates = []
    for _ in range(max_iters):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    assert max(rates) > 0.95
    assert rates[-1] < 1.0


@pytest.mark.parametrize("max_iters", [200, 1000, 40_000])
def test_early_stopping_can_still_act_in_a_shorter_run(generated, max_iters: int) -> None:
    config = adapt.with_max_iters(generated("pspnet_r50_bdd10k_ce"), max_iters)
    patience = hook(config, "ResumableEarlyStoppingHook")["patience"]
    assert patience == 5
    assert (patience + 1) * config.train_cfg.val_interval < max_iters


def test_a_longer_run_moves_the_end_only(generated) -> None:
    before = generated("segformer_mit-b3_bdd10k_ce")
    after = adapt.with_max_iters(before, 160_000)
    warmup, decay = after.param_scheduler
    assert (warmup.begin, warmup.end, decay.begin, decay.end) == (0, 1500, 1500, 160_000)
    assert after.train_cfg.val_interval == 5000
    assert hook(after, "PlainCheckpointHook")["interval"] == 5000


def test_milestones_and_dynamic_intervals_scale() -> None:
    config = Config(
        {
            "train_cfg": {
                "type": "IterBasedTrainLoop",
                "max_iters": 1000,
                "val_interval": 100,
                "dynamic_intervals": [(900, 50)],
            },
            "param_scheduler": {"type": "MultiStepLR", "milestones": [600, 900], "by_epoch": False},
        }
    )
    config = adapt.with_max_iters(config, 100)
    assert config.param_scheduler.milestones == [60, 90]
    assert config.train_cfg.dynamic_intervals == [(90, 5)]


def test_a_loop_of_epochs_has_no_iterations_to_change() -> None:
    config = Config({"train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 3}})
    with pytest.raises(ProvecfgError, match="counts epochs"):
        adapt.with_max_iters(config, 10)


def test_nothing_is_changed_in_place(generated) -> None:
    config = generated("deeplabv3plus_r50_bdd10k_lovasz")
    before = copy.deepcopy(config.to_dict())
    adapt.for_smoke(config, lambda *_: Path("somewhere"))
    adapt.with_data_root(config, Path("somewhere"))
    adapt.without_amp(config)
    adapt.for_cpu_processes(config)
    assert config.to_dict() == before


@pytest.mark.parametrize("name", NAMES)
def test_without_pretrained_nothing_is_loaded(generated, name: str) -> None:
    config = generated(name)
    assert list(adapt.pretrained_of(config))
    assert not list(adapt.pretrained_of(adapt.without_pretrained(config)))


def test_every_way_to_ask_for_weights_is_found_and_removed() -> None:
    config = Config(
        {
            "model": {
                "pretrained": "a.pth",
                "backbone": {"init_cfg": [{"type": "Kaiming"}, {"type": "Pretrained", "checkpoint": "b.pth"}]},
                "neck": {"init_cfg": {"type": "Pretrained", "checkpoint": "c.pth"}},
            },
            "load_from": "d.pth",
        }
    )
    assert dict(adapt.pretrained_of(config)) == {
        "model.pretrained": "a.pth",
        "model.backbone.init_cfg[1].checkpoint": "b.pth",
        "model.neck.init_cfg.checkpoint": "c.pth",
    }
    config = adapt.without_pretrained(config)
    assert config.model.backbone.init_cfg == [{"type": "Kaiming"}]
    assert config.model.neck.init_cfg is None
    assert config.load_from is None
    assert config.model.pretrained is None


def test_the_data_root_reaches_datasets_inside_wrappers() -> None:
    inner = {"type": "BDD100KDataset", "data_root": "old"}
    wrapped = {"type": "RepeatDataset", "dataset": {"type": "ConcatDataset", "datasets": [inner, dict(inner)]}}
    config = adapt.with_data_root(Config({"train_dataloader": {"dataset": wrapped}}), Path("new"))
    assert [(key, dataset.data_root) for key, dataset in adapt.datasets_of(config)] == [
        ("train_dataloader.dataset.dataset.datasets[0]", "new"),
        ("train_dataloader.dataset.dataset.datasets[1]", "new"),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_smoke_run_is_small_and_still_validates_twice(generated, name: str) -> None:
    config = adapt.for_smoke(generated(name), lambda *_: Path("drawn"))
    assert config.train_cfg.max_iters == 2 * config.train_cfg.val_interval == adapt.SMOKE_ITERS
    assert config.param_scheduler[-1].end == adapt.SMOKE_ITERS
    assert config.model.data_preprocessor.size == adapt.SMOKE_CROP
    assert {dataset.data_root for _, dataset in adapt.datasets_of(config)} == {"drawn"}
    for key, dataset in adapt.datasets_of(config):
        split = DATASETS["bdd10k"].train if key.startswith("train") else DATASETS["bdd10k"].val
        assert dataset.data_prefix == {"img_path": split.images, "seg_map_path": split.labels}
    for loader in (config.train_dataloader, config.val_dataloader):
        assert (loader.num_workers, loader.persistent_workers) == (0, False)
    crop = next(step for step in config.train_dataloader.dataset.pipeline if step.type == "RandomCrop")
    assert crop.crop_size == adapt.SMOKE_CROP
    assert not list(adapt.pretrained_of(config))


def test_full_precision_drops_what_only_amp_understands() -> None:
    config = Config({"optim_wrapper": {"type": "AmpOptimWrapper", "loss_scale": "dynamic", "dtype": "float16"}})
    assert adapt.without_amp(config).optim_wrapper == {"type": "OptimWrapper"}


def test_processes_on_cpu_synchronise_no_norms_and_have_no_device_number(generated) -> None:
    config = adapt.for_cpu_processes(generated("pspnet_r50_bdd10k_ce"))
    assert "SyncBN" not in str(config.model)
    assert config.model.backbone.norm_cfg.type == "BN"
    assert config.model_wrapper_cfg.device_ids is None
    assert config.env_cfg.dist_cfg.backend == "gloo"


def test_scheduled_loss_weights_are_shortened_with_the_run(generated) -> None:
    config = generated("pspnet_r50_bdd10k_focal")
    schedules = [
        {
            "head": "decode_head",
            "loss_name": "loss_focal",
            "kind": "linear",
            "start": 0.5,
            "end": 0.1,
            "end_iter": 80000,
        },
        {"head": "auxiliary_head", "loss_name": "loss_focal", "kind": "steps", "milestones": [40000], "values": [1, 0]},
    ]
    config.custom_hooks.append({"type": "LossWeightScheduleHook", "schedules": schedules})
    linear, steps = hook(adapt.with_max_iters(config, 100), "LossWeightScheduleHook")["schedules"]
    assert linear["end_iter"] == 100
    assert steps["milestones"] == [50]
