"""What an experiment can vary, and which of it each key of a config belongs to."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from provecfg.comparison.differences import Difference
from provecfg.registry.layout import EARLY_STOPPING_HOOKS


class Factor(enum.Enum):
    """Something that a comparison can be about."""

    MODEL = "model"
    PRIMARY_LOSS = "primary loss"
    AUXILIARY_LOSS = "auxiliary loss"
    DATASET = "dataset"
    AUGMENTATION = "augmentation"
    CROP = "crop"
    BATCH = "batch"
    OPTIMIZER = "optimizer"
    SCHEDULE = "learning-rate schedule"
    LENGTH = "length of the run"
    STOPPING = "stopping and checkpoints"
    EVALUATION = "evaluation"
    WEIGHTS = "starting weights"
    SEED = "seed"
    HOOKS = "hooks"
    IMPORTS = "imports"
    OTHER = "keys that are no part of an experiment"
    RECORD = "record"
    """Names, folders, logs and worker processes: nothing of what is trained."""


NAMES: Final[Mapping[str, frozenset[Factor]]] = MappingProxyType(
    {
        "model": frozenset({Factor.MODEL}),
        "loss": frozenset({Factor.AUXILIARY_LOSS, Factor.PRIMARY_LOSS}),
        "dataset": frozenset({Factor.DATASET}),
        "strategy": frozenset({Factor.AUGMENTATION, Factor.CROP}),
        "seed": frozenset({Factor.SEED}),
        "optimizer": frozenset({Factor.OPTIMIZER}),
        "schedule": frozenset({Factor.SCHEDULE, Factor.LENGTH}),
        "batch": frozenset({Factor.BATCH}),
        "weights": frozenset({Factor.WEIGHTS}),
        "stopping": frozenset({Factor.STOPPING}),
        "evaluation": frozenset({Factor.EVALUATION}),
        "hooks": frozenset({Factor.HOOKS}),
        "imports": frozenset({Factor.IMPORTS}),
        "other": frozenset({Factor.OTHER}),
    }
)
"""What a user calls a factor -> what may differ then. Those that others follow from come first."""

_PRIMARY: Final = frozenset({"CrossEntropyLoss", "SegCrossEntropyLoss", "OhemCrossEntropy"})
_STOPPING_HOOKS: Final = frozenset({*EARLY_STOPPING_HOOKS, "FiniteLossHook"})
_RECORD_HOOKS: Final = frozenset({"ValidationCountsHook"})

_KEYS: Final = tuple(
    (factor, re.compile(pattern))
    for factor, pattern in (
        (
            Factor.RECORD,
            r"(work_dir|experiment_name|visualizer|log_level|log_processor|launcher|runner_type|tta_\w+|env_\w+|"
            r"default_scope|find_unused_parameters|model_wrapper_cfg|activation_checkpointing|compile)\b",
        ),
        (Factor.RECORD, r"default_hooks\.(logger|timer|runtime_info|visualization)\b"),
        (Factor.RECORD, r"default_hooks\.checkpoint\.(out_dir|filename_tmpl|max_keep_ckpts|backend_args)\b"),
        (Factor.RECORD, r"\w+_dataloader\.(num_workers|persistent_workers|pin_memory|prefetch_factor)$"),
        (Factor.IMPORTS, r"custom_imports\b"),
        (Factor.PRIMARY_LOSS, r"model\..*\b(loss_cls|loss_mask|loss_dice)\b"),
        (Factor.PRIMARY_LOSS, r"model\.\w*head(\[\d+\])?\.sampler\b"),
        (Factor.AUXILIARY_LOSS, r"model\..*\bloss_decode\b"),
        (Factor.DATASET, r"model\.\w*head(\[\d+\])?\.(num_classes|ignore_index|out_channels)$"),
        (Factor.DATASET, r"model\.data_preprocessor\.(mean|std|bgr_to_rgb|rgb_to_bgr|pad_val|seg_pad_val)\b"),
        (Factor.CROP, r"model\.data_preprocessor\.(size|size_divisor)\b"),
        (Factor.AUGMENTATION, r"model\.data_preprocessor\.batch_augments\b"),
        (Factor.EVALUATION, r"model\.(data_preprocessor\.)?test_cfg\b"),
        (Factor.WEIGHTS, r"model\..*\b(init_cfg|pretrained)\b"),
        (Factor.WEIGHTS, r"(load_from|resume)\b"),
        (Factor.MODEL, r"(model|sync_bn|efficient_conv_bn_eval)\b"),
        (Factor.EVALUATION, r"(val|test)_dataloader\..*\bpipeline\b"),
        (Factor.AUGMENTATION, r"train_dataloader\..*\bpipeline\b"),
        (Factor.DATASET, r"\w+_dataloader\.dataset\b"),
        (Factor.BATCH, r"train_dataloader\b|auto_scale_lr\b|optim_wrapper\.accumulative_counts$"),
        (Factor.EVALUATION, r"(val|test)_(dataloader|evaluator|cfg)\b"),
        (Factor.SEED, r"randomness\b|default_hooks\.sampler_seed\b"),
        (Factor.OPTIMIZER, r"optim_wrapper\b"),
        (Factor.SCHEDULE, r"param_scheduler\b|default_hooks\.param_scheduler\b"),
        (Factor.LENGTH, r"train_cfg\b"),
        (Factor.STOPPING, r"default_hooks\.checkpoint\b|detect_anomalous_params\b"),
        (Factor.HOOKS, r"(custom|default)_hooks\b"),
    )
)
"""Beginnings of keys, the first that fits."""


def factor_of(difference: Difference) -> Factor:
    """What it is a difference of."""
    factor = next((factor for factor, pattern in _KEYS if pattern.match(difference.key)), Factor.OTHER)
    classes = set(difference.class_names)
    if factor is Factor.AUXILIARY_LOSS and classes & _PRIMARY:
        return Factor.PRIMARY_LOSS
    if factor is Factor.HOOKS and classes & _STOPPING_HOOKS:
        return Factor.STOPPING
    if factor is Factor.HOOKS and classes & _RECORD_HOOKS:
        return Factor.RECORD
    if factor is Factor.HOOKS and "LossWeightScheduleHook" in classes:
        return Factor.AUXILIARY_LOSS
    if factor is Factor.AUGMENTATION and difference.key.endswith(".crop_size"):
        return Factor.CROP
    return factor


def names_of(factors: Iterable[Factor]) -> list[str]:
    """What a user calls these factors, each name once."""
    held = set(factors)
    return [name for name, members in NAMES.items() if members & held]
