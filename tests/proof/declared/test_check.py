from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmseg.registry import HOOKS

from provecfg.proof.built import Built
from provecfg.proof.declared import check as declared
from provecfg.proof.declared.construction import build_declared
from provecfg.proof.declared.loading import watched_loading
from provecfg.proof.section import Section
from provecfg.proof.subject import Subject

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]

GENERATED = Path(__file__).parents[3] / "generated"

SMALL: dict[str, Any] = {
    "default_scope": "mmseg",
    "launcher": "pytorch",  # a launcher is started by hand, whatever a config says
    "model": {
        "type": "EncoderDecoder",
        "data_preprocessor": {"type": "SegDataPreProcessor", "size": (512, 512), "pad_val": 0, "seg_pad_val": 255},
        "backbone": {
            "type": "ResNetV1c",
            "depth": 18,
            "base_channels": 8,
            "norm_cfg": {"type": "SyncBN", "requires_grad": True},
            "init_cfg": {"type": "Pretrained", "checkpoint": "open-mmlab://resnet18_v1c"},
        },
        "decode_head": {
            "type": "FCNHead",
            "in_channels": 64,
            "in_index": 3,
            "channels": 8,
            "num_classes": 19,
            "loss_decode": [{"type": "CrossEntropyLoss"}, {"type": "DiceLoss", "use_sigmoid": False}],
        },
        "train_cfg": {},
        "test_cfg": {"mode": "slide", "crop_size": (512, 512), "stride": (341, 341)},
    },
    "train_dataloader": {
        "batch_size": 2,
        "num_workers": 0,
        "sampler": {"type": "InfiniteSampler", "shuffle": True},
        "dataset": {
            "type": "BaseSegDataset",
            "data_root": "absent",
            "data_prefix": {"img_path": "img", "seg_map_path": "ann"},
            "metainfo": {"classes": tuple("abcdefghijklmnopqrs")},
            "pipeline": [
                {"type": "LoadImageFromFile"},
                {"type": "LoadAnnotations"},
                {"type": "RandomResize", "scale": (64, 64), "ratio_range": (0.5, 2.0), "keep_ratio": True},
                {"type": "PackSegInputs"},
            ],
        },
    },
    "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": 100, "val_interval": 10},
    "optim_wrapper": {
        "type": "OptimWrapper",
        "optimizer": {"type": "SGD", "lr": 0.01, "weight_decay": 0.0005},
        "clip_grad": {"max_norm": 1.0},
        "paramwise_cfg": {"custom_keys": {"decode_head": {"lr_mult": 10.0}, "absolute_pos_embed": {"decay_mult": 0.0}}},
    },
    "param_scheduler": [{"type": "PolyLR", "end": 100, "by_epoch": False}],
    "default_hooks": {"checkpoint": {"type": "CheckpointHook", "by_epoch": False, "max_keep_ckpts": 3}},
    "custom_hooks": [{"type": "EarlyStoppingHook", "monitor": "mIoU", "rule": "greater", "priority": "LOW"}],
    "env_cfg": {"cudnn_benchmark": True, "dist_cfg": {"backend": "nccl"}},
    "randomness": {"seed": 1},
}
SMALL["val_dataloader"] = {**SMALL["train_dataloader"], "sampler": {"type": "DefaultSampler", "shuffle": False}}
SMALL["val_cfg"] = {"type": "ValLoop"}
SMALL["val_evaluator"] = {"type": "IoUMetric", "iou_metrics": ["mIoU"], "prefix": "val"}


@pytest.fixture
def proved(tmp_path: Path) -> Callable[..., tuple[Section, Built]]:
    """Prove the small config with changes, each a dotted path and its new value."""

    def prove(**changes: Any) -> tuple[Section, Built]:
        config = Config(copy.deepcopy(SMALL))
        for key, value in changes.items():
            if "__" in key:
                config.merge_from_dict({key.replace("__", "."): value})
            else:
                config[key] = value
        return built_and_checked(Subject(tmp_path / "config.py", config, "cpu", None, tmp_path))

    return prove


def built_and_checked(subject: Subject) -> tuple[Section, Built]:
    built = build_declared(subject)
    return declared.check(subject, built), built


def loaded(path: Path, work_dir: Path) -> Subject:
    """A file of a config, loaded as a proof loads it."""
    with watched_loading() as files:
        config = Config.fromfile(str(path), import_custom_modules=False)
    return Subject(path, config, "cpu", None, work_dir, tuple(files))


def said(section: Section) -> list[tuple[str, str]]:
    return [(finding.problem.name, finding.key) for finding in section.findings]


def test_all_that_is_declared_is_built_and_consumed(proved) -> None:
    section, built = proved()
    assert section.findings == ()
    assert section.lines[0].startswith("27 of 27 typed dicts built, ")
    assert section.evidence["keys"] - section.evidence["keys_consumed"] == len(section.evidence["unread"])
    assert section.evidence["unread"] == [
        "env_cfg.dist_cfg",  # of several processes
        "optim_wrapper.paramwise_cfg.custom_keys.absolute_pos_embed",  # customary, of other models
    ]
    assert section.evidence["not_built"] == []
    assert section.evidence["classes"]["hook"] == ["CheckpointHook", "EarlyStoppingHook"]
    assert section.is_proved
    assert (built.crop, built.batch_size, built.model.training) == ((64, 64), 2, True)
    assert built.model.data_preprocessor.size == (64, 64)
    assert built.model.test_cfg.stride == (42, 42)
    assert not [module for module in built.model.modules() if isinstance(module, torch.nn.SyncBatchNorm)]


def test_the_config_is_left_as_it_was(tmp_path: Path) -> None:
    config = Config(copy.deepcopy(SMALL))
    build_declared(Subject(tmp_path / "config.py", config, "cpu", None, tmp_path))
    assert config.to_dict() == Config(copy.deepcopy(SMALL)).to_dict()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"model__decode_head__loss_decode": [{"type": "HuasdorffDisstanceLoss", "clas_weight": [1.0]}]},
            ("swallowed-key", "model.decode_head.loss_decode[0].clas_weight"),
        ),
        ({"model__decode_head__type": "FCNHaed"}, ("not-built", "model.decode_head")),
        ({"model__decode_head__loss_weight": 0.4}, ("not-built", "model.decode_head.loss_weight")),
        ({"model__test_cfg__stride": 300}, ("does-not-predict", "model")),
        ({"model__test_cfg__strides": (9, 9)}, ("unread-key", "model.test_cfg.strides")),
        (
            {"default_hooks__checkpoint__max_keep_ckpt": 3},
            ("refused-later", "default_hooks.checkpoint.max_keep_ckpt"),
        ),
        ({"optim_wrapper__clip_grad__max_nrm": 1.0}, ("refused-later", "optim_wrapper.clip_grad.max_nrm")),
        (
            {"optim_wrapper": {**SMALL["optim_wrapper"], "paramwise_cfg": {"custom_key": {"norm": {"decay_mult": 0}}}}},
            ("unread-key", "optim_wrapper.paramwise_cfg.custom_key"),
        ),
        ({"optim_wrapper__paramwise_cfg__custom_key": {}}, ("unread-key", "optim_wrapper.paramwise_cfg.custom_key")),
        (
            {"optim_wrapper__paramwise_cfg__custom_keys__decode_head__lr_mul": 2.0},
            ("unread-key", "optim_wrapper.paramwise_cfg.custom_keys.decode_head.lr_mul"),
        ),
        (
            {"optim_wrapper__paramwise_cfg__custom_keys__fcn_head": {"lr_mult": 2.0}},
            ("no-such-parameter", "optim_wrapper.paramwise_cfg.custom_keys.fcn_head"),
        ),
        ({"optim_wrapper__optimizer__momentun": 0.9}, ("not-built", "optim_wrapper.optimizer.momentun")),
        ({"custom_hook": []}, ("unread-top-level-key", "custom_hook")),
        ({"early_stop": {"type": "EarlyStoppingHook"}}, ("unread-top-level-key", "early_stop")),
        ({"custom_hooks": {"type": "EarlyStoppingHook", "monitor": "mIoU"}}, ("not-built", "custom_hooks")),
        ({"train_cfg__max_epochs": 3}, ("not-built", "train_cfg.max_epochs")),
        ({"env_cfg__cudnn_bench": True}, ("unread-key", "env_cfg.cudnn_bench")),
        ({"randomness__sed": 1}, ("not-built", "randomness.sed")),
        ({"val_evaluator": None}, ("not-built", "val_dataloader")),
        ({"train_dataloader__batchsize": 2}, ("not-built", "train_dataloader.batchsize")),
        ({"model_wrapper_cfg": {"find_unused": True}}, ("not-built", "model_wrapper_cfg.find_unused")),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_fault_is_found_and_nothing_else(proved, changes: dict[str, Any], expected: tuple[str, str]) -> None:
    section, _ = proved(**changes)
    assert said(section) == [expected]


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", []),
        ("module.", []),  # of a run of several processes, which mmengine takes off
        ("network.", [("nothing-loaded", "load_from")]),
    ],
)
def test_weights_that_training_starts_from_are_the_models(
    proved, prefix: str, expected: list[tuple[str, str]], tmp_path: Path
) -> None:
    weights = {f"{prefix}decode_head.conv_seg.bias": torch.zeros(19), "meta.step": torch.zeros(1)}
    torch.save({"state_dict": weights}, tmp_path / "weights.pth")
    section, _ = proved(load_from=str(tmp_path / "weights.pth"))
    assert said(section) == expected


def test_weights_of_a_part_are_said_to_be_the_parts(proved, tmp_path: Path) -> None:
    torch.save({"conv_seg.bias": torch.zeros(19)}, tmp_path / "weights.pth")
    section, _ = proved(load_from=str(tmp_path / "weights.pth"))
    (finding,) = section.findings
    assert "in model.decode_head" in (finding.hint or "")


def test_a_failing_part_does_not_hide_another(proved) -> None:
    section, built = proved(
        model__decode_head__loss_decode=[{"type": "LovaszLoss"}],
        custom_hooks=[{"type": "EarlyStopHook"}, {"type": "EarlyStoppingHook", "monitors": "mIoU"}],
        val_evaluator=[{"type": "IoUMetrics"}],
        default_hooks__checkpoint__max_keep_ckpt=3,
    )
    assert built.model is None
    assert sorted(said(section)) == [
        ("not-built", "custom_hooks[0]"),
        ("not-built", "custom_hooks[1].monitors"),
        ("not-built", "model.decode_head.loss_decode[0]"),
        ("not-built", "val_evaluator[0]"),
        ("refused-later", "default_hooks.checkpoint.max_keep_ckpt"),
    ]
    hints = {finding.key: finding.hint for finding in section.findings}
    assert hints["custom_hooks[0]"] == "did you mean 'EarlyStoppingHook'?"
    assert hints["custom_hooks[1].monitors"] == "did you mean 'monitor'?"


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"model": None}, ["model"]),
        ({"model": ["EncoderDecoder"]}, ["model"]),
        ({"model": {"type": dict}}, ["model"]),
        ({"optim_wrapper": "SGD"}, ["optim_wrapper"]),
        ({"train_dataloader": None}, ["train_cfg"]),
        ({"val_dataloader": [1]}, ["val_cfg"]),
        ({"custom_hooks": ["EMAHook"]}, ["custom_hooks"]),
        ({"default_hooks": {"checkpoint": 3}}, ["default_hooks"]),
        ({"visualizer": [{"type": "SegLocalVisualizer"}]}, ["visualizer"]),
        ({"val_evaluator": "IoUMetric"}, ["val_cfg"]),
        ({"runner_type": "NoRunner"}, ["runner_type"]),
        ({"param_scheduler": "PolyLR"}, [""]),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_what_is_no_part_at_all_is_said_and_ends_nothing(proved, changes: dict[str, Any], keys: list[str]) -> None:
    section, built = proved(**changes)
    assert said(section) == [("not-built", key) for key in keys]
    assert (built.model is None) == (keys == ["model"])


def test_a_bare_assertion_is_quoted(proved) -> None:
    section, _ = proved(model__decode_head__in_channels=[8, 64])
    assert [finding.message for finding in section.findings] == [
        "FCNHead cannot be built: AssertionError: in the line `assert isinstance(in_channels, int)`"
    ]


def test_a_class_of_this_process_only_is_not_imported(proved) -> None:
    section, _ = proved(model__decode_head__loss_decode=[{"type": "SegCrossEntropyLoss"}])
    assert said(section) == [("not-imported", "model.decode_head.loss_decode[0]")]


@pytest.mark.slow
def test_naive_mask2former_with_focal_is_caught(tmp_path: Path) -> None:
    """The loss that mmseg's Mask2FormerHead takes, and drops."""
    path = tmp_path / "naive.py"
    path.write_text(
        f"_base_ = {str(GENERATED / 'mask2former_swin-b_bdd10k_ce.py')!r}\n"
        "model = dict(decode_head=dict(type='Mask2FormerHead', loss_decode=[dict(type='FocalLoss')]))\n"
    )
    section, built = built_and_checked(loaded(path, tmp_path))
    assert said(section) == [
        ("leftover-key", "model.decode_head.strides"),
        ("swallowed-key", "model.decode_head.loss_decode"),
    ]
    assert "never trains" in section.findings[1].message
    assert built.model is not None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["segformer_mit-b3_bdd10k_lovasz"])
def test_a_generated_config_is_proved(name: str, tmp_path: Path) -> None:
    section, built = built_and_checked(loaded(GENERATED / f"{name}.py", tmp_path))
    assert (section.findings, section.evidence["not_built"]) == ((), [])
    assert built.training_size == (512, 512)


def test_an_average_that_begins_where_no_epoch_is_fails_at_the_start(proved) -> None:
    section, _ = proved(custom_hooks=[{"type": "EMAHook", "begin_epoch": 5}])
    assert said(section) == [("hook-fails-at-start", "custom_hooks[0]")]
    assert section.findings[0].message.startswith("EMAHook.before_train fails: AssertionError: ")


class SecondEpochHook(Hook):
    """One that fails where mmengine has counted the first epoch."""

    def before_train_epoch(self, runner: Any) -> None:
        assert runner.epoch == 0, "no second epoch"


@pytest.mark.parametrize(
    ("loop", "names"),
    [
        ({"type": "EpochBasedTrainLoop", "max_epochs": 2}, ["hook-fails-at-start"]),
        ({"type": "IterBasedTrainLoop", "max_iters": 100}, []),
    ],
)
def test_where_the_loop_counts_epochs_hooks_live_through_the_end_of_one(
    proved, monkeypatch: pytest.MonkeyPatch, loop: dict[str, Any], names: list[str]
) -> None:
    monkeypatch.setattr(SecondEpochHook, "__module__", "mmseg.engine")  # a class of the user's own is not judged
    monkeypatch.setitem(HOOKS.module_dict, "SecondEpochHook", SecondEpochHook)
    section, built = proved(custom_hooks=[{"type": "SecondEpochHook"}], train_cfg=loop)
    assert said(section) == [(name, "custom_hooks[0]") for name in names]
    assert built.declaration.parts.runner.epoch == 0


@pytest.mark.parametrize(("momentum", "names"), [(0.0002, []), (0.9998, ["average-of-nothing"])])
def test_an_average_of_the_last_step_alone_is_said(proved, momentum: float, names: list[str]) -> None:
    section, _ = proved(custom_hooks=[{"type": "EMAHook", "momentum": momentum}])
    assert said(section) == [(name, "custom_hooks[0].momentum") for name in names]


@pytest.mark.parametrize("backend", ["WandbVisBackend", "WandbRunBackend"])
def test_a_backend_whose_package_is_not_installed_is_said(
    proved, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        "provecfg.proof.declared.hook_starts.find_spec", lambda name: None if name == "wandb" else real(name)
    )
    backends = [{"type": "LocalVisBackend"}, {"type": backend}]
    section, _ = proved(
        custom_imports={"imports": ["provecfg.plugin"]},
        visualizer={"type": "SegLocalVisualizer", "name": "proof_start", "vis_backends": backends},
    )
    assert said(section) == [("backend-missing", "visualizer.vis_backends[1]")]


def test_a_scope_without_a_package_is_said(proved) -> None:
    section, _ = proved(default_scope="no_such_package")
    assert ("scope-without-package", "default_scope") in said(section)


def test_what_comes_after_an_optimizer_that_cannot_be_built_is_not_called_dead(proved) -> None:
    section, _ = proved(optim_wrapper__constructor="NoSuchConstructor")
    assert said(section) == [("not-built", "optim_wrapper.constructor")]


class KeepsAnOpenFile(Hook):
    """Puts into every checkpoint what cannot be written."""

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["file"] = (number for number in range(3))


def test_a_checkpoint_that_cannot_be_written_is_said(proved) -> None:
    HOOKS.register_module(module=KeepsAnOpenFile)
    try:
        section, _ = proved(custom_hooks=[{"type": "KeepsAnOpenFile"}])
    finally:
        HOOKS.module_dict.pop("KeepsAnOpenFile")
    assert said(section) == [("checkpoint-not-resumed", "default_hooks.checkpoint")]
    assert section.findings[0].message.startswith("a checkpoint of the run cannot be written: ")
