"""What made each line of a generated config: a field of the study, a line of the model's base, or provecfg itself.

A key's origin is looked up in `_SAID`, first fit first. What no field says is the base's where the base has the same
value at the key; where it has another, what the base was fitted to says it (`_FITTED`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from provecfg.findings import Origin, Span
from provecfg.generate.cells import Cell, cells_of
from provecfg.generate.losses import HeadLosses, head_losses
from provecfg.header import Coordinates
from provecfg.mmconfig import ConfigView
from provecfg.mmconfig.shipped_bases import FOLDER, PACKAGE, is_shipped
from provecfg.study.bases import view_of
from provecfg.study.models import EDITABLE
from provecfg.study.positions import Location, key_of, position_of, read_study_yaml
from provecfg.study.schema import Study

_LOADER: Final = r"(train|val|test)_dataloader\."
_DATASET: Final = rf"{_LOADER}dataset\.(datasets\[\d+\]\.)*"
_POSITIONS: Final = r"(begin|end|T_max|step_size|total_steps|total_iters|milestones)"
_LENGTH: Final = ("schedule.max_epochs", "schedule.max_iters")

_SAID: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (r"model\.data_preprocessor\.size", ("data.crop_size",)),
    (r"model\.data_preprocessor\.batch_augments", ("strategies",)),
    (r"model\..*(ignore_index|seg_pad_val|num_classes)", ("datasets",)),
    (r"model\.test_cfg\.mode", ("inference.mode",)),
    (r"model\.test_cfg\.crop_size", ("inference.window",)),
    (r"model\.test_cfg\.stride", ("inference.stride", "inference.window")),
    (r"custom_imports\.imports\[[1-9]\d*\]", ("models",)),
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
    (r"tta_model|tta_pipeline", ("inference.tta_scales",)),
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
"""Beginning of a dotted key of the config, as a pattern -> the fields of the study that say what is there: the first
that is not null. What none says is the base's, or provecfg's."""
_FITTED: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (r"model\..*(out_channels|class_weight)", ("datasets",)),
    (r"model\..*img_size|model\.test_cfg\.(crop_size|stride)", ("data.crop_size",)),
    (r"model\.data_preprocessor\.type", ("strategies",)),
    (r"model\.data_preprocessor", ("datasets",)),
)
"""The same of what differs from the base because the study's data do, or its crop does."""
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


class StudyOrigins:
    """Where the lines of the configs of a study are from, in the study's own file.

    Args:
        study: The study.
        path: Its file; None for one that comes with provecfg.
        text: What the file holds.
        settings: Dotted paths of the fields that `--set` has replaced.
    """

    def __init__(self, study: Study, path: Path | None = None, text: str = "", settings: Sequence[str] = ()) -> None:
        self.study, self._path, self._settings = study, path, settings
        self._data = read_study_yaml(text, path) if path is not None else None
        self._of_cell = functools.cache(lambda coordinates: Origins(study, self._cells[coordinates]))

    @functools.cached_property
    def _cells(self) -> dict[Coordinates, Cell]:
        return {cell.coordinates: cell for cell in cells_of(self.study)}

    def of(self, key: str, coordinates: Coordinates | None, config: ConfigView) -> Origin | None:
        """What made a value.

        Args:
            key: Dotted path in the config.
            coordinates: Which cell the config is.
            config: The cell's config.

        Returns:
            None where the study has no such cell.
        """
        if coordinates is None or coordinates not in self._cells:
            return None
        made = self._of_cell(coordinates).of(key, config)
        if made.field:
            return self._in_study(made.field)
        if made.base is None:
            return Origin("provecfg, which writes it into every config")
        file, span = made.base
        if is_shipped(file):
            row = "" if span is None else f":{span.row}"
            return Origin(f"the base {PACKAGE}::{file.relative_to(FOLDER).as_posix()}{row}")
        return Origin("the base", file, span)

    def _in_study(self, field: Location) -> Origin:
        if self._data is None or self._path is None:
            return Origin(f"`{key_of(field)}` of the study {self.study.name}")
        if any(key_of(field) == setting or key_of(field).startswith(f"{setting}.") for setting in self._settings):
            return Origin(f"`{key_of(field)}`, which --set says")
        span, written = position_of(self._data, field)
        names = [step for step in field if isinstance(step, str)]
        is_written = names[-1] in written or bool(written and field[0] in _AXES)
        is_part = written[:2] == ("losses", "auxiliary") and field[:2] == written[:2]  # a name stands for its defaults
        if not is_written and not is_part:
            return Origin(f"`{key_of(field)}`, which it leaves to its default", self._path)
        return Origin(f"`{key_of(written)}`", self._path, span)


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
        key = self._known(key, config)
        for field in (self._of_losses(key, config), self._of_hooks(key, config), self._of_table(_SAID, key)):
            if field is not None:
                return KeyOrigin(field)
        return self._inherited(key, config) or KeyOrigin(self._of_table(_FITTED, key) or ())

    @staticmethod
    def _known(key: str, config: ConfigView) -> str:
        """The key, or the nearest around it that the config can be asked for: a key may hold dots itself."""
        while "." in key and config.dig(key) is None:
            key = key.rpartition(".")[0]
        return key

    def _of_table(self, table: Sequence[tuple[str, tuple[str, ...]]], key: str) -> Location | None:
        for pattern, fields in table:
            if matched := re.match(rf"(?:{pattern})(?!\w)", key):
                names = (field.format(**matched.groupdict()) for field in fields)
                setting = next((name for name in names if self._is_said(name)), None)
                return None if setting is None else self._located(setting)
        return None

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

    def _of_losses(self, key: str, config: ConfigView) -> Location | None:
        """Of a head's losses and sampler, of the class that takes them, and of the heads of deep supervision."""
        for losses in self._heads:
            head = f"model.{losses.key}"
            if not key.startswith(f"{head}."):
                continue
            rest = key.removeprefix(f"{head}.")
            if rest.startswith("sampler") and losses.sampler is not None:
                return ("losses", "ohem")
            if losses.entries is not None and (entry := re.match(r"loss_decode(?:\[(\d+)\])?\.?(\w*)", rest)):
                return self._of_entry(losses, entry[1], entry[2])
            if rest == "type" and losses.added is None and self._inherited(key, config) is None:
                return ("losses", "auxiliary", self._auxiliary)
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
        if re.split(r"[.\[]", key, maxsplit=1)[0] not in EDITABLE:
            return None
        for own_key, made_key in self._keys_in_base(key):
            settings = [name for name in self._model.set if re.match(rf"{re.escape(name)}(?!\w)", own_key)]
            if settings:
                return KeyOrigin(("models", self._index["models"], "set", settings[0]))
            own, made = self._view.dig(own_key), config.dig(made_key)
            if own is not None and made is not None and own.value == made.value:
                return KeyOrigin(base=(own.file, own.span))
        return None

    def _keys_in_base(self, key: str) -> Iterator[tuple[str, str]]:
        """Where the base may have what a cell has at a key, and the key whose value that is."""
        yield key, key
        for losses in self._heads:
            here, there = f"model.{losses.key}", "model." + key_of(losses.head.path)
            if here != there and key.startswith(here):
                yield there + key.removeprefix(here), key
        if key.startswith("model.backbone.init_cfg"):  # moved there
            yield "model.pretrained", "model.backbone.init_cfg.checkpoint"
