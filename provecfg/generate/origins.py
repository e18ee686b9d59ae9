"""What made each line of a generated config: a field of the study, a line of the model's base, or provecfg itself.

A key's origin is looked up in `_ORIGINS`, first fit first; of its fields the first that the study does not leave at null
is the one. What no field says is the base's where the base has the same value at the key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from provecfg.findings import Span
from provecfg.generate.cells import Cell
from provecfg.generate.losses import HeadLosses, head_losses
from provecfg.mmconfig import ConfigView
from provecfg.mmconfig.merge import steps_of
from provecfg.mmconfig.shipped_bases import FOLDER, PACKAGE, is_shipped
from provecfg.study.bases import view_of
from provecfg.study.positions import Location, key_of
from provecfg.study.schema import Study

_LOADER: Final = r"(train|val|test)_dataloader\."
_DATASET: Final = rf"{_LOADER}dataset\.(datasets\[\d+\]\.)*"
_POSITIONS: Final = r"(begin|end|T_max|step_size|total_steps|total_iters|milestones)"
_LENGTH: Final = ("schedule.max_epochs", "schedule.max_iters")

_ORIGINS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (r"model\.data_preprocessor\.size", ("data.crop_size",)),
    (r"model\.data_preprocessor\.batch_augments", ("strategies",)),
    (r"model\..*(ignore_index|seg_pad_val|num_classes|out_channels|class_weight)", ("datasets",)),
    (r"model\..*img_size", ("data.crop_size",)),
    (r"model\.test_cfg\.mode", ("inference.mode",)),
    (r"model\.test_cfg\.crop_size", ("inference.window", "data.crop_size")),
    (r"model\.test_cfg\.stride", ("inference.stride", "inference.window", "data.crop_size")),
    (r"model\.data_preprocessor", ("datasets",)),
    (r"custom_imports", ("models",)),
    (r"train_dataloader\.batch_size", ("data.batch_size",)),
    (rf"{_LOADER}(num_workers|persistent_workers)", ("data.num_workers",)),
    (r"train_dataloader\.sampler", _LENGTH),
    (rf"{_DATASET}data_root", ("data.root", "datasets")),
    (rf"{_DATASET}pipeline\[\d+\]\.crop_size", ("data.crop_size",)),
    (rf"{_DATASET}pipeline\[\d+\]\.scale", ("data.resize_scale", "datasets")),
    (r"train_dataloader\.dataset\.(datasets\[\d+\]\.)*pipeline\[\d+\]", ("strategies",)),
    (rf"{_LOADER}dataset", ("datasets",)),
    (r"(val|test)_evaluator\.iou_metrics", ("metrics",)),
    (r"tta_pipeline\[1\]\.transforms\[1\]", ("inference.tta_flip",)),
    (r"tta_", ("inference.tta_scales",)),
    (r"optim_wrapper\.optimizer\.(?P<own>type|lr|weight_decay)", ("optimizer.{own}",)),
    (r"optim_wrapper\.optimizer\.(?P<own>\w+)", ("optimizer.arguments.{own}",)),
    (r"optim_wrapper\.clip_grad", ("optimizer.clip_grad_norm",)),
    (r"optim_wrapper\.accumulative_counts", ("optimizer.accumulate",)),
    (r"optim_wrapper\.(loss_scale|dtype)", ("runtime.amp_dtype",)),
    (r"optim_wrapper\.type", ("runtime.amp",)),
    (r"auto_scale_lr", ("optimizer.scale_lr_from",)),
    (rf"param_scheduler\[\d+\]\.{_POSITIONS}", _LENGTH),
    (r"param_scheduler\[\d+\]\.(by_epoch|convert_to_iter_based)", _LENGTH),
    (r"param_scheduler", ("schedule.decay",)),
    (r"train_cfg\.val_interval", ("schedule.val_interval", *_LENGTH)),
    (r"train_cfg|log_processor|default_hooks\.\w+\.(by_epoch|log_metric_by_epoch)", _LENGTH),
    (r"default_hooks\.logger\.interval", ("runtime.log_interval",)),
    (r"default_hooks\.checkpoint\.interval", ("schedule.val_interval", *_LENGTH)),
    (r"default_hooks\.checkpoint\.max_keep_ckpts", ("runtime.max_keep_ckpts",)),
    (r"default_hooks\.checkpoint\.(save_best|rule)", ("early_stopping.monitor",)),
    (r"randomness\.deterministic|env_cfg\.cudnn_benchmark", ("runtime.deterministic",)),
    (r"randomness", ("seeds",)),
    (r"load_from", ("init_from",)),
    (r"work_dir", ("name",)),
)
"""Beginning of a dotted key of the config, as a pattern -> the fields of the study that say what is there."""
_OF_HOOKS: Final = {
    "ResumableEarlyStoppingHook": "early_stopping",
    "EMAHook": "runtime.ema",
    "LossWeightScheduleHook": "losses.auxiliary",
}
_AXES: Final = ("models", "datasets", "strategies", "seeds")


@dataclass(frozen=True, slots=True)
class KeyOrigin:
    """What made a value of a generated config.

    Args:
        field: The study's field that says it, from its top; () where none does.
        base: The base's file and the place in it that the value is from; None where it is from no base.
    """

    field: Location = ()
    base: tuple[Path, Span | None] | None = None

    def __str__(self) -> str:
        if self.field:
            return key_of(self.field)
        if self.base is None:
            return "provecfg, in every config"
        file, span = self.base
        name = f"{PACKAGE}::{file.relative_to(FOLDER).as_posix()}" if is_shipped(file) else str(file)
        return name if span is None else f"{name}:{span.row}"


class Origins:
    """Where the values of one cell's config are from.

    Args:
        study: The study.
        cell: The cell of it.
    """

    def __init__(self, study: Study, cell: Cell) -> None:
        self._study, self._cell = study, cell
        self._index = {
            "models": list(study.bases).index(cell.model.name),
            "datasets": list(study.resolved_datasets).index(cell.dataset.name),
            "strategies": list(study.resolved_strategies).index(cell.strategy.name),
            "seeds": study.seeds.index(cell.seed),
        }
        self._model = study.models[self._index["models"]]
        self._heads = head_losses(study, cell)
        self._view: ConfigView = view_of(self._model, study.folder)

    def of(self, key: str, config: ConfigView) -> KeyOrigin:
        """What made the value at a key.

        Args:
            key: Dotted path in the config.
            config: The cell's config.
        """
        field = self._of_losses(key) or self._of_hooks(key, config)
        if field is None:
            if (inherited := self._inherited(key, config)) is not None:
                return inherited
            field = self._of_table(key)
        return KeyOrigin(field) if field else KeyOrigin()

    def _of_table(self, key: str) -> Location:
        for pattern, fields in _ORIGINS:
            if matched := re.match(rf"{pattern}(?![A-Za-z0-9_])|{pattern}$", key) if pattern[-1] != "_" else re.match(
                pattern, key
            ):
                names = [field.format(**matched.groupdict()) for field in fields]
                return self._located(next((name for name in names if self._is_said(name)), names[-1]))
        return ()

    def _is_said(self, field: str) -> bool:
        """Whether the study says it, or has a default of its own: null leaves it to something else."""
        value: Any = self._study
        for name in field.split("."):
            value = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
        return value is not None

    def _located(self, field: str) -> Location:
        return (field, self._index[field]) if field in _AXES else tuple(field.split("."))

    def _of_hooks(self, key: str, config: ConfigView) -> Location | None:
        matched = re.match(r"(custom_hooks\[\d+\])\.?(\w*)", key)
        if matched is None:
            return None
        hook = config.dig(matched[1])
        field = _OF_HOOKS.get(hook.type or "") if hook is not None else None
        if field is None:
            return ()
        argument = {"begin_iter": "begin"}.get(matched[2], matched[2])
        is_own = argument not in ("", "type", "ema_type", "schedules")
        return (*field.split("."), argument) if is_own else tuple(field.split("."))

    def _of_losses(self, key: str) -> Location | None:
        """Of a head's losses and sampler, and of the heads of deep supervision."""
        for losses in self._heads:
            head = f"model.{losses.key}"
            if not key.startswith(f"{head}."):
                continue
            rest = key.removeprefix(f"{head}.")
            if rest.startswith("sampler") and losses.sampler is not None:
                return ("losses", "ohem")
            if losses.entries is not None and (entry := re.match(r"loss_decode(?:\[(\d+)\])?\.?(\w*)", rest)):
                return self._of_entry(losses, entry[1], entry[2])
            if losses.added is not None and not rest.startswith(("ignore_index", "num_classes")):
                return ("losses", "deep_supervision", self._number_added(losses))
        return None

    def _number_added(self, losses: HeadLosses) -> int:
        return [other for other in self._heads if other.added is not None].index(losses)

    def _of_entry(self, losses: HeadLosses, index: str | None, argument: str) -> Location:
        if index is None:
            return ("losses",)
        number = int(index)
        if losses.primary_weight is not None and number == 0:
            if argument == "loss_weight":
                if losses.added is not None:
                    return ("losses", "deep_supervision", self._number_added(losses), "weight")
                if losses.head is self._cell.model.main_head:
                    return ("head_weights", "decode")
                return ("head_weights", "auxiliary") if losses.head.is_auxiliary else ()
            return ("losses", "primary", *([argument] if argument in ("class_weight", "label_smoothing") else []))
        number -= losses.primary_weight is not None
        if argument == "loss_weight" and self._study.losses.auxiliary_weights is not None:
            return ("losses", "auxiliary_weights")
        field: Location = ("losses", "auxiliary", self._auxiliary, number)
        loss = self._cell.auxiliary[number]
        argument = {"loss_weight": "weight"}.get(argument, argument)
        return (*field, argument) if argument in type(loss).model_fields and argument != "type" else field

    @property
    def _auxiliary(self) -> int:
        """Which entry of `losses.auxiliary` the cell has."""
        types = [[type(loss) for loss in self._cell.auxiliary]]
        exact = [index for index, entry in enumerate(self._study.losses.auxiliary) if entry == self._cell.auxiliary]
        alike = [
            index for index, entry in enumerate(self._study.losses.auxiliary) if [type(loss) for loss in entry] in types
        ]
        return (exact or alike)[0]

    def _inherited(self, key: str, config: ConfigView) -> KeyOrigin | None:
        """The base's own value, where the config has the same."""
        made = config.dig(key)
        for own_key in self._keys_in_base(key):
            if any(own_key == name or own_key.startswith((f"{name}.", f"{name}[")) for name in self._model.set):
                name = next(name for name in self._model.set if own_key.startswith(name))
                return KeyOrigin(("models", self._index["models"], "set", name))
            own = self._view.dig(own_key)
            if own is not None and made is not None and own.value == made.value:
                return KeyOrigin(base=(own.file, own.span))
        return None

    def _keys_in_base(self, key: str) -> Iterator[str]:
        """Where the base may have what a cell has at a key."""
        yield key
        for losses in self._heads:
            here, there = f"model.{losses.key}", "model." + key_of(losses.head.path)
            if here != there and key.startswith(here):
                yield there + key.removeprefix(here)
        if key.startswith("model.backbone.init_cfg"):
            yield "model.pretrained"  # moved there, its type added
