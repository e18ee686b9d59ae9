"""A loaded config, changed for a run: more or fewer iterations, other data, no pretrained weights.

Every function returns a changed copy and leaves what it was given as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config

from provecfg.catalog.datasets import DATASETS, Dataset
from provecfg.errors import ProvecfgError
from provecfg.registry.layout import CHECKPOINT_HOOKS

SMOKE_ITERS = 4
SMOKE_VAL_INTERVAL = 2
SMOKE_CROP = (64, 64)
"""(height, width) in pixels. Each model of the catalog takes it: their deepest strides are 32."""
_SMOKE_SCALE = (128, 72)  # (width, height): half of a drawn image

CHOICES = ("indices", "files", "only", "share", "share_seed", "group", "manifest", "slices")
"""Arguments of datasets that choose among files that are there, or say something of them."""

DATALOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
_SYNC_NORMS = frozenset({"SyncBN", "MMSyncBN", "SyncBatchNorm", "NaiveSyncBN"})


def with_max_iters(config: Config, max_iters: int) -> Config:
    """The config for a run of `max_iters` iterations, its other clocks with it.

    What ends with the run still does: schedulers that end at the old last iteration end at the new one. In a shorter
    run all else is shortened alike, so that there are as many validations, and early stopping, which counts them, can
    act: warmup, milestones, intervals of validation and checkpoints. In a longer run all else stays.

    Raises:
        ProvecfgError: Its loop counts epochs, or `max_iters` is less than 1.
    """
    if max_iters < 1:
        raise ProvecfgError(f"--max-iters is {max_iters}, must be at least 1")
    config = copy.deepcopy(config)
    loop: Any = config.get("train_cfg") or {}
    old = loop.get("max_iters")
    if old is None:
        raise ProvecfgError(
            "the config's training loop counts epochs, not iterations, so --max-iters does not apply to it",
            hint="shorten it with --cfg-options train_cfg.max_epochs=N",
        )

    def moment(iteration: Any) -> Any:
        if not isinstance(iteration, int) or iteration <= 0:
            return iteration
        if iteration >= old:
            return max_iters
        return max(1, round(iteration * max_iters / old)) if max_iters < old else iteration

    def interval(iterations: Any) -> Any:
        # Rounded down: rather a validation more than one less.
        return max(1, iterations * max_iters // old) if max_iters < old else iterations

    _replace(loop, {"val_interval": interval, "val_begin": moment})
    if loop.get("dynamic_intervals"):
        loop.dynamic_intervals = [(moment(start), interval(step)) for start, step in loop.dynamic_intervals]
    loop.max_iters = max_iters
    for scheduler in _schedulers(config):
        if not scheduler.get("by_epoch", True):
            _replace(scheduler, {"begin": moment, "end": moment, "T_max": moment, "total_steps": moment})
            if scheduler.get("milestones"):
                scheduler.milestones = [moment(milestone) for milestone in scheduler.milestones]
    if isinstance(config.get("param_scheduler"), (list, tuple)):
        config.param_scheduler = _without_stubs(config.param_scheduler)
    for hook in _hooks(config):
        if hook.get("type") in CHECKPOINT_HOOKS and not hook.get("by_epoch", True):
            _replace(hook, {"interval": interval, "save_begin": moment})
        elif hook.get("type") == "LoggerHook":
            # At least one line between validations, or there is nothing to see in a short run.
            most = loop.get("val_interval", max_iters)
            _replace(hook, {"interval": partial(min, most)})
        elif hook.get("type") == "LossWeightScheduleHook":
            for weights in hook.get("schedules") or ():
                _replace(weights, {"begin_iter": moment, "end_iter": moment})
                if weights.get("milestones"):
                    weights.milestones = [moment(milestone) for milestone in weights.milestones]
        elif "begin_iter" in hook:
            _replace(hook, {"begin_iter": moment})
    return config


def _without_stubs(schedulers: Sequence[Any]) -> list[Any]:
    """The schedulers without those that were shortened to one iteration.

    mmengine's warmup reaches its end in the iteration before its `end`, so one of a single iteration stays at its
    start, and the learning rate a millionth of what it should be, for the whole run.
    """
    kept: list[Any] = []
    stubs: dict[int, int] = {}  # end -> begin
    for scheduler in schedulers:
        begin, end = scheduler.get("begin", 0), scheduler.get("end")
        begin = stubs.get(begin, begin)
        if isinstance(end, int) and end - begin < 2 and scheduler is not schedulers[-1]:
            stubs[end] = begin
            continue
        if "begin" in scheduler:
            scheduler.begin = begin
        kept.append(scheduler)
    return kept


def with_data_root(config: Config, root: Path) -> Config:
    """The config with every dataset read from `root`."""
    config = copy.deepcopy(config)
    for _, dataset in datasets_of(config):
        dataset.data_root = str(root)
    return config


def without_pretrained(config: Config) -> Config:
    """The config with nothing loaded: every weight starts at random."""
    config = copy.deepcopy(config)
    for _, part in _dicts(config.get("model"), "model"):
        if "pretrained" in part:
            part.pretrained = None
        init = part.get("init_cfg")
        if isinstance(init, dict) and init.get("type") == "Pretrained":
            part.init_cfg = None
        elif isinstance(init, (list, tuple)):
            part.init_cfg = [item for item in init if item.get("type") != "Pretrained"] or None
    config.load_from = None
    return config


def for_smoke(config: Config, root_of: Callable[[str, Any], Path]) -> Config:
    """The config cut down to a check that it trains: few iterations on small crops of drawn data, at random weights.

    Args:
        config: The config.
        root_of: Dotted path of a dataset, and the dataset, to the root of data that was drawn in its layout.

    Raises:
        ProvecfgError: Its loop counts epochs.
    """
    config = with_max_iters(without_pretrained(config), SMOKE_ITERS)
    config.train_cfg.val_interval = SMOKE_VAL_INTERVAL
    for hook in _hooks(config):
        if hook.get("type") in CHECKPOINT_HOOKS:
            hook.update(interval=SMOKE_VAL_INTERVAL, max_keep_ckpts=1)
        elif hook.get("type") == "LoggerHook":
            hook.interval = 1
    for name in DATALOADERS:
        loader = config.get(name)
        if loader is None:
            continue
        loader.batch_size = min(loader.get("batch_size", 2), 2)
        # Workers take longer to start than this run takes.
        loader.update(num_workers=0, persistent_workers=False)
        loader.pop("prefetch_factor", None)
    for key, dataset in datasets_of(config):
        dataset.data_root = str(root_of(key, dataset))
        for name in CHOICES:  # what was drawn is all read
            dataset.pop(name, None)
        known = catalog_dataset(dataset)
        if known is not None:
            split = known.train if key.startswith("train_dataloader") else known.val
            dataset.update(data_prefix={"img_path": split.images, "seg_map_path": split.labels}, ann_file="")
        elif dataset.get("images") is None:
            dataset.update(images="images/*.png", labels="labels/*.png")
    _shrink_pipelines(config)
    _shrink_model(config)
    return config


def catalog_dataset(dataset: dict[str, Any]) -> Dataset | None:
    """The catalog's entry for a dataset of a config that mmseg's own classes read, or None.

    Of several of one class it is the one whose folders the config names, else the first.
    """
    registered = str(dataset.get("type", "")).rpartition(".")[2]
    known = [entry for entry in DATASETS.values() if entry.type == registered and not entry.is_paired]
    folder = (dataset.get("data_prefix") or {}).get("img_path")
    by_folder = [entry for entry in known if folder in {split.images for split in entry.splits.values()}]
    return next(iter(by_folder or known), None)


def without_amp(config: Config) -> Config:
    """The config in full precision."""
    config = copy.deepcopy(config)
    wrapper: Any = config.get("optim_wrapper") or {}
    if wrapper.get("type") == "AmpOptimWrapper":
        wrapper.type = "OptimWrapper"
        for key in ("loss_scale", "dtype", "use_fsdp"):
            wrapper.pop(key, None)
    return config


def for_cpu_processes(config: Config) -> Config:
    """The config for several processes on CPU, which mmengine's defaults do not serve (measured on 0.10.7 and 0.10.12).

    SyncBN has no CPU implementation, and mmengine reverts it only where there is one process; and its wrapper of the
    model is given a device number, which a model on CPU must not have.
    """
    config = copy.deepcopy(config)
    for _, part in _dicts(config.get("model"), "model"):
        if part.get("type") in _SYNC_NORMS:
            part.type = "BN"
    wrapper = config.get("model_wrapper_cfg") or {
        "type": "MMDistributedDataParallel",
        "broadcast_buffers": False,
        "find_unused_parameters": config.get("find_unused_parameters", False),
    }
    config.model_wrapper_cfg = {**wrapper, "device_ids": None}
    config.setdefault("env_cfg", {}).setdefault("dist_cfg", {})["backend"] = "gloo"
    return config


def datasets_of(config: Config) -> Iterator[tuple[str, Any]]:
    """The datasets of the config, those inside wrappers, each with its dotted path."""
    for name in DATALOADERS:
        loader = config.get(name)
        if isinstance(loader, dict) and isinstance(loader.get("dataset"), dict):
            yield from _inner_datasets(loader["dataset"], f"{name}.dataset")


def _inner_datasets(dataset: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(dataset.get("dataset"), dict):  # RepeatDataset, ClassBalancedDataset, MultiImageMixDataset
        yield from _inner_datasets(dataset.dataset, f"{key}.dataset")
    elif isinstance(dataset.get("datasets"), (list, tuple)):  # ConcatDataset
        for index, inner in enumerate(dataset.datasets):
            yield from _inner_datasets(inner, f"{key}.datasets[{index}]")
    else:
        yield key, dataset


def pretrained_of(config: Config) -> Iterator[tuple[str, str]]:
    """The weights that the model starts from, each with its dotted path in the config."""
    for key, part in _dicts(config.get("model"), "model"):
        if part.get("type") == "Pretrained" and isinstance(part.get("checkpoint"), str):
            yield f"{key}.checkpoint", part.checkpoint
        if isinstance(part.get("pretrained"), str):
            yield f"{key}.pretrained", part.pretrained


def _dicts(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        yield key, node
        for name, value in list(node.items()):
            yield from _dicts(value, f"{key}.{name}")
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from _dicts(value, f"{key}[{index}]")


def _schedulers(config: Config) -> list[Any]:
    schedulers = config.get("param_scheduler") or []
    return [schedulers] if isinstance(schedulers, dict) else list(schedulers)


def _hooks(config: Config) -> list[Any]:
    default = (config.get("default_hooks") or {}).values()
    return [hook for hook in [*default, *(config.get("custom_hooks") or [])] if isinstance(hook, dict)]


def _replace(part: dict[str, Any], changes: dict[str, Callable[[Any], Any]]) -> None:
    for key, change in changes.items():
        if part.get(key) is not None:
            part[key] = change(part[key])


def _shrink_pipelines(config: Config) -> None:
    for name in DATALOADERS:
        for _, step in _dicts(config.get(name), name):
            if step.get("type") in ("RandomResize", "Resize") and "scale" in step:
                step.scale = _SMOKE_SCALE
            elif step.get("type") == "RandomChoiceResize" and "scales" in step:
                step.scales = [min(_SMOKE_SCALE) if isinstance(step.scales[0], int) else _SMOKE_SCALE]
            elif step.get("type") == "RandomCrop" and "crop_size" in step:
                step.crop_size = SMOKE_CROP


def _shrink_model(config: Config) -> None:
    for preprocessor in (config.get("data_preprocessor"), config.model.get("data_preprocessor")):
        if isinstance(preprocessor, dict) and preprocessor.get("size") is not None:
            preprocessor["size"] = SMOKE_CROP
    test = config.model.get("test_cfg") or {}
    if test.get("mode") == "slide":
        test.update(crop_size=SMOKE_CROP, stride=(SMOKE_CROP[0] * 2 // 3, SMOKE_CROP[1] * 2 // 3))
