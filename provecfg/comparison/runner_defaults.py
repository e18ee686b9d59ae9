"""What mmengine and mmcv take where a config says nothing, and no class's signature tells."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from provecfg.registry.layout import DEFAULT_HOOKS, TOP_LEVEL

TOP: Final[Mapping[str, Any]] = MappingProxyType(
    {
        # mmengine 0.10.7, runner/runner.py: Runner.__init__ and Runner.from_cfg
        "default_hooks": dict(DEFAULT_HOOKS),
        "custom_hooks": [],
        "param_scheduler": [],
        "load_from": None,
        "resume": False,
        "launcher": "none",
        "env_cfg": {},
        "log_processor": {},
        "log_level": "INFO",
        "randomness": {},
        "find_unused_parameters": False,
        "auto_scale_lr": {},
        "sync_bn": None,
        "detect_anomalous_params": False,
        "custom_imports": {},
        "default_scope": "mmengine",
    }
)
"""Top-level key -> its value where it is absent or None."""

TYPES: Final = MappingProxyType(
    {
        # the same file: build_optim_wrapper, build_log_processor, build_val_loop, build_test_loop, build_visualizer
        "optim_wrapper": "OptimWrapper",
        "log_processor": "LogProcessor",
        "val_cfg": "ValLoop",
        "test_cfg": "TestLoop",
        "visualizer": "Visualizer",
    }
)
"""Dotted path of a dict -> the class that it builds if it names none."""

REGISTRIES: Final = MappingProxyType({key: TOP_LEVEL[key] or "" for key in ("default_hooks", "train_cfg", *TYPES)})
"""Top-level key -> the registry that builds its dicts, for those that need not name their class."""

BY_SLOT: Final[dict[str, dict[str, Any]]] = {
    # mmcv 2.1.0, cnn/bricks/norm.py, build_norm_layer
    "norm_cfg": {"requires_grad": True, "eps": 1e-5},
    # mmengine 0.10.7, optim/optimizer/builder.py, build_optim_wrapper
    "optim_wrapper": {"constructor": "DefaultOptimWrapperConstructor", "paramwise_cfg": None},
    # ... registry/build_functions.py, build_scheduler_from_cfg
    "param_scheduler": {"convert_to_iter_based": False},
    # torch 2.4, utils/data/dataloader.py
    "dataloader": {"batch_size": 1, "num_workers": 0, "persistent_workers": False, "pin_memory": False},
    # mmengine 0.10.7, runner/runner.py, Runner.set_randomness and Runner.setup_env
    "randomness": {"seed": None, "diff_rank_seed": False, "deterministic": False},
    "env_cfg": {"cudnn_benchmark": False},
    # ... config/config.py, Config.fromfile
    "custom_imports": {"allow_failed_imports": False},
}
"""Ending of the key that a dict stands under -> what its builder takes for what it does not say."""

ALWAYS_LISTS: Final = frozenset(
    {
        "loss_decode",  # mmsegmentation 1.2.2, models/decode_heads/decode_head.py, __init__
        "auxiliary_head",  # ... models/segmentors/encoder_decoder.py, _init_auxiliary_head
        "val_evaluator",  # mmengine 0.10.7, evaluator/evaluator.py, __init__
        "test_evaluator",
        "param_scheduler",  # ... runner/runner.py, build_param_scheduler
        "custom_hooks",
        "vis_backends",
    }
)
"""Where one dict means a list of it."""
