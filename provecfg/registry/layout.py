"""The layout of a config: its top-level keys, those of mmcv 1.x, the hooks that run by themselves, the scopes.

Every room that has to know one of these reads it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

TOP_LEVEL: Final[Mapping[str, str | None]] = MappingProxyType(
    {
        # mmengine 0.10.7, runner/runner.py: what from_cfg, wrap_model and compile read
        "model": "model",
        "train_dataloader": "",
        "val_dataloader": "",
        "test_dataloader": "",
        "train_cfg": "loop",
        "val_cfg": "loop",
        "test_cfg": "loop",
        "val_evaluator": "metric",
        "test_evaluator": "metric",
        "optim_wrapper": "optim_wrapper",
        "param_scheduler": "parameter scheduler",
        "default_hooks": "hook",
        "custom_hooks": "hook",
        "visualizer": "visualizer",
        "data_preprocessor": "model",
        "log_processor": "log_processor",
        "model_wrapper_cfg": "model_wrapper",
        "work_dir": None,
        "auto_scale_lr": None,
        "load_from": None,
        "resume": None,
        "launcher": None,
        "env_cfg": None,
        "log_level": None,
        "default_scope": None,
        "randomness": None,
        "experiment_name": None,
        "sync_bn": None,
        "find_unused_parameters": None,
        "detect_anomalous_params": None,
        "activation_checkpointing": None,
        "efficient_conv_bn_eval": None,
        "compile": None,
        # ... runner/_flexible_runner.py
        "strategy": None,
        # mmsegmentation 1.2.2, tools/train.py, tools/test.py, tools/analysis_tools
        "tta_model": "model",
        "runner_type": None,
        "tta_pipeline": "transform",
        # mmengine 0.10.7, config/config.py
        "custom_imports": None,
        "env_variables": None,
    }
)
"""Top-level keys that something reads -> mmengine's name of the registry that builds the dicts under them: `''` where
only parts of them are built (a data loader's dataset), None where nothing is."""

TELLING_KEYS: Final = (
    "_base_",
    "default_scope",
    "model",
    "optim_wrapper",
    "param_scheduler",
    "train_cfg",
    "train_dataloader",
    "val_evaluator",
)
"""Keys by which a file in a folder is told to be a config: no module and no file of data sets them by chance."""

PHASES: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        # mmengine 0.10.7, runner/runner.py, `Runner.__init__`
        "train": ("train_dataloader", "train_cfg", "optim_wrapper"),
        "val": ("val_dataloader", "val_cfg", "val_evaluator"),
        "test": ("test_dataloader", "test_cfg", "test_evaluator"),
    }
)
"""The keys of each phase of a run, all of which are set or none."""

KEYS_OF_TRAINING: Final = ("model", *PHASES["train"])
"""The keys without which nothing trains."""

MMENGINE_KEYS: Final = frozenset(
    {
        "custom_imports",
        "default_hooks",
        "default_scope",
        "env_cfg",
        "optim_wrapper",
        "param_scheduler",
        "test_dataloader",
        "train_dataloader",
        "val_dataloader",
        "val_evaluator",
    }
)
"""Top-level keys that mmcv 1.x did not have: a config with one of them is written for mmengine."""

LOOP_KEYS: Final = frozenset({"type", "by_epoch", "max_epochs", "max_iters", "val_interval"})
"""Keys of a `train_cfg` that is mmengine's; mmcv 1.x's has what a detector assigns and samples by, or nothing."""

OLD_KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # mmengine's migration guides, mmcv 1.x to mmengine
        "optimizer": "optim_wrapper=dict(type='OptimWrapper', optimizer=...)",
        "optimizer_config": "optim_wrapper (clip_grad, accumulative_counts)",
        "lr_config": "param_scheduler",
        "momentum_config": "param_scheduler",
        "runner": "train_cfg",
        "total_epochs": "train_cfg.max_epochs",
        "total_iters": "train_cfg.max_iters",
        "checkpoint_config": "default_hooks.checkpoint",
        "log_config": "default_hooks.logger and visualizer",
        "evaluation": "val_evaluator, train_cfg.val_interval and default_hooks.checkpoint.save_best",
        "data": "train_dataloader, val_dataloader and test_dataloader",
        "workflow": "train_cfg and val_cfg",
        "dist_params": "env_cfg.dist_cfg",
        "resume_from": "load_from with resume=True",
        "auto_resume": "resume",
        "seed": "randomness=dict(seed=...)",
        "deterministic": "randomness=dict(deterministic=...)",
        "cudnn_benchmark": "env_cfg.cudnn_benchmark",
        "mp_start_method": "env_cfg.mp_cfg",
        "opencv_num_threads": "env_cfg.mp_cfg",
        "fp16": "optim_wrapper=dict(type='AmpOptimWrapper')",
        "evaluator": "val_evaluator and test_evaluator",
        "early_stopping": "custom_hooks=[dict(type='EarlyStoppingHook', ...)]",
    }
)
"""Top-level keys that mmcv 1.x read and nothing reads now (or that are taken for one) -> where mmengine reads it."""

DEFAULT_HOOKS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        # mmengine 0.10.7, runner/runner.py, `Runner.register_default_hooks`
        "runtime_info": {"type": "RuntimeInfoHook"},
        "timer": {"type": "IterTimerHook"},
        "sampler_seed": {"type": "DistSamplerSeedHook"},
        "logger": {"type": "LoggerHook"},
        "param_scheduler": {"type": "ParamSchedulerHook"},
        "checkpoint": {"type": "CheckpointHook", "interval": 1},
    }
)
"""Key of `default_hooks` -> the hook that runs where the config does not set it; None in a config takes it away."""

CHECKPOINT_HOOKS: Final = ("CheckpointHook", "PlainCheckpointHook")
"""mmengine's hook that saves checkpoints, and the plugin's that inherits from it."""

EARLY_STOPPING_HOOKS: Final = ("EarlyStoppingHook", "ResumableEarlyStoppingHook")
"""mmengine's hook that ends a run early, and the plugin's that inherits from it."""

SCOPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        # each library's registry.py: `scope=...`
        "mmseg": "mmsegmentation",
        "mmdet": "mmdetection",
        "mmdet3d": "mmdetection3d",
        "mmpretrain": "mmpretrain",
        "mmcls": "mmclassification",
        "mmengine": "mmengine",
        "mmcv": "mmcv",
        "mmpose": "mmpose",
        "mmocr": "mmocr",
        "mmagic": "mmagic",
        "mmrotate": "mmrotate",
        "mmyolo": "mmyolo",
        "mmaction": "mmaction2",
        "mmrazor": "mmrazor",
        "mmselfsup": "mmselfsup",
    }
)
"""What `default_scope` can be -> the library whose classes are then named without a scope."""

IMPLIED_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        # mmengine 0.10.7, runner/runner.py: build_val_loop, build_test_loop, build_log_processor, build_optim_wrapper
        "val_cfg": "ValLoop",
        "test_cfg": "TestLoop",
        "log_processor": "LogProcessor",
        "optim_wrapper": "OptimWrapper",
    }
)
"""Top-level key -> the class of a dict without `type` there."""

NEEDED_BY_TRAINING: Final = (
    "default_scope",
    "model.type",
    "model.backbone",
    "train_dataloader.dataset",
    "optim_wrapper.optimizer",
    "train_cfg",
)
"""What every config that trains has; a config with less is one that others inherit from."""

RUNNER: Final = "mmengine.runner.runner.Runner"
"""The class that a config's top level is given to."""

LOADERS: Final = ("train_dataloader", "val_dataloader", "test_dataloader")
"""Top-level keys of data loaders."""

DATA_LOADER: Final = "torch.utils.data.dataloader.DataLoader"
"""The class that mmengine's Runner makes of a data loader's section."""

RUNNER_METHODS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        # mmengine 0.10.7, runner/runner.py
        "train_dataloader": ("build_dataloader", "dataloader"),
        "val_dataloader": ("build_dataloader", "dataloader"),
        "test_dataloader": ("build_dataloader", "dataloader"),
        "train_cfg": ("build_train_loop", "loop"),
        "val_cfg": ("build_val_loop", "loop"),
        "test_cfg": ("build_test_loop", "loop"),
        "val_evaluator": ("build_evaluator", "evaluator"),
        "test_evaluator": ("build_evaluator", "evaluator"),
        "optim_wrapper": ("build_optim_wrapper", "optim_wrapper"),
        "param_scheduler": ("_check_scheduler_cfg", "param_scheduler"),
        "default_hooks": ("register_default_hooks", "hooks"),
        "custom_hooks": ("register_custom_hooks", "hooks"),
        "log_processor": ("build_log_processor", "log_processor"),
        "visualizer": ("build_visualizer", "visualizer"),
        "model": ("build_model", "model"),
    }
)
"""Top-level key -> the method of the Runner that is given its value, and the argument."""
