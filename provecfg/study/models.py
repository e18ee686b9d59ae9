"""The models of a study: the catalog's, any config of mmsegmentation's by its name, or a config of the user's."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from provecfg import spelling
from provecfg.catalog.models import MODELS
from provecfg.mmconfig.shipped_bases import PACKAGE, whole_configs
from provecfg.study.spec import Spec, problem

_CONFIG_SUFFIXES = (".py", ".yaml", ".yml", ".json")
_TRAINING_SETTINGS = re.compile(r"_\d+xb\d+.*$")  # mmseg's names: <model>_<GPUs>xb<batch>-<schedule>_<dataset>-<crop>
EDITABLE = ("model", "optim_wrapper", "param_scheduler", "custom_imports")
"""What a study takes of a base, by its top-level key; all else is the study's to say."""
_OF_THE_STUDY = {
    "loss_decode": "losses",
    "sampler": "losses.ohem",
    "num_classes": "datasets",
    "ignore_index": "datasets",
    "data_preprocessor": "data",
}
"""What a study writes into every head and the model itself, and which of its fields says it."""


class Model(Spec):
    """A model of a study: a config that is read and edited, never executed."""

    base: str = Field(
        description="A name of `provecfg list models --all`, `mmseg::` and a path in mmsegmentation's configs, or the "
        "path of a config from the study's folder."
    )
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*(_[A-Za-z0-9.-]+)*$")] | None = Field(
        default=None, description="What its cells are called. Unless said, the base's name without training settings."
    )
    set: dict[str, Any] = Field(
        default_factory=dict,
        description="Dotted fields of the base and their values, as `--cfg-options` has them: `model.backbone.depth: "
        "101`. Below `model`, `optim_wrapper`, `param_scheduler` and `custom_imports`.",
    )

    @field_validator("base")
    @classmethod
    def _is_known(cls, base: str) -> str:
        if base in MODELS or base.endswith(_CONFIG_SUFFIXES):
            path = base.removeprefix(f"{PACKAGE}::")
            if path != base and path not in whole_configs().values():
                known = [f"{PACKAGE}::{known}" for known in whole_configs().values()]
                raise problem("unknown_model", spelling.unknown("model", base, known))
            return base
        if base.removeprefix(f"{PACKAGE}::").rpartition("/")[2] in whole_configs():
            return base
        raise problem("unknown_model", spelling.unknown("model", base, [*MODELS, *whole_configs()]))

    @field_validator("set")
    @classmethod
    def _are_not_the_studys(cls, settings: dict[str, Any]) -> dict[str, Any]:
        for key in settings:
            top, *steps = key.split(".")
            if top not in EDITABLE:
                raise problem(
                    "set_elsewhere", f"{key!r} is not below {', '.join(EDITABLE)}: a field of the study says it"
                )
            field = next((_OF_THE_STUDY[step] for step in steps if step in _OF_THE_STUDY), None)
            if top == "model" and field is not None:
                raise problem("set_by_the_study", f"{key!r} is written by the study: its field `{field}` says it")
        return settings

    @model_serializer(mode="wrap")
    def _as_short_as_it_was(self, fields: SerializerFunctionWrapHandler) -> Any:
        return self.base if self.name is None and not self.set else fields(self)

    @property
    def label(self) -> str:
        """What its cells are called."""
        if self.name is not None:
            return self.name
        if self.base in MODELS:
            return self.base
        stem = self.base.rpartition("/")[2]
        for suffix in _CONFIG_SUFFIXES:
            stem = stem.removesuffix(suffix)
        return re.sub(r"[^A-Za-z0-9._-]", "-", _TRAINING_SETTINGS.sub("", stem.rpartition("::")[2]))

    @property
    def shipped_path(self) -> str | None:
        """Where the base is below mmsegmentation's configs; None for a config of the user's."""
        if self.base in MODELS:
            return MODELS[self.base].source
        name = self.base.removeprefix(f"{PACKAGE}::")
        if name != self.base:
            return whole_configs()[name.rpartition("/")[2].removesuffix(".py")]
        return whole_configs().get(name)

    def __str__(self) -> str:
        return self.label
