"""The strategies of a study: the catalog's, changed or combined, or a pipeline of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from provecfg import invariants, spelling
from provecfg.catalog.strategies import STRATEGIES, Strategy
from provecfg.errors import ProvecfgError
from provecfg.findings import Severity
from provecfg.manifest import rows_of
from provecfg.mmconfig import read_config
from provecfg.study.bases import plain_value
from provecfg.study.spec import Spec, Text, problem, strict_fields

_PIPELINE = "train_pipeline"
_OF_GENERATED = ("manifest", "ratio")
_RATIO = 0.5  # PROVE's real_gen_ratio


def _is_known(name: str) -> str:
    if name not in STRATEGIES:
        raise problem("unknown_strategy", spelling.unknown("strategy", name, STRATEGIES))
    return name


_StrategyName = Annotated[str, AfterValidator(_is_known), Field(json_schema_extra={"enum": list(STRATEGIES)})]


class StrategyChoice(Spec):
    """A strategy of the catalog's, several of them at once, or a pipeline of one's own."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*(_[A-Za-z0-9.-]+)*$")] = Field(
        description="What its cells are called."
    )
    combine: tuple[_StrategyName, ...] = Field(
        default=(), description="Strategies whose augmentations are all applied, in this order."
    )
    prob: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="Share of the images (or batches) that each of them augments; unless said, its own."
    )
    file: Text | None = Field(
        default=None,
        description=f"A config, by its path from the study, whose `{_PIPELINE}` is the whole pipeline of training.",
    )

    manifest: Text | None = Field(
        default=None,
        description="CSV of generated images, with the columns gen_path, original_path and dataset: trained on beside "
        "the real ones, each with its original's label map. From where commands are called, as a data root. Unless "
        "`combine` or `file` says otherwise, images are augmented as by `minimal`.",
    )
    ratio: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description=f"Share of generated images in every batch. Unless said, {_RATIO:g}."
    )

    @model_validator(mode="after")
    def _says_one_thing(self) -> StrategyChoice:
        if self.file is not None and self.combine:
            raise problem("set_strategy", f"{self.name!r} has both `combine` and `file`, which is the whole pipeline")
        if self.file is None and not self.combine and self.manifest is None:
            raise problem("set_strategy", f"{self.name!r} needs one of `combine`, `file` and `manifest`")
        if self.ratio is not None and self.manifest is None:
            raise problem("set_strategy", f"{self.name!r}: `ratio` is of generated images, which `manifest` lists")
        if self.prob is not None and not self.combine and self.file is None:
            raise problem("set_strategy", f"{self.name!r}: `prob` is of what `combine` names, and that is nothing")
        twice = invariants.distinct(self.combine)
        if twice:
            raise problem("set_strategy", f"{self.name!r} combines: {twice}")
        if self.file is not None and self.prob is not None:
            raise problem("set_strategy", f"{self.name!r}: `prob` is of what `combine` names; say it in {self.file}")
        return self

    @model_serializer(mode="wrap")
    def _as_short_as_it_was(self, fields: SerializerFunctionWrapHandler) -> Any:
        is_name = self.combine == (self.name,) and self.prob is None and self.manifest is None
        if is_name:
            return self.name
        return {key: value for key, value in fields(self).items() if value is not None or key not in _OF_GENERATED}

    def __str__(self) -> str:
        return self.name


def strategy_of(choice: StrategyChoice, folder: Path) -> Strategy:
    """What a strategy of a study does.

    Args:
        choice: Of the study.
        folder: The study's, where relative paths start.

    Raises:
        ProvecfgError: Its file cannot be read, or has no pipeline.
    """
    strategy = _augmenting(choice, folder)
    if choice.manifest is None:
        return strategy
    if Path(choice.manifest).exists():  # else the run says so: images may lie on another machine
        rows_of(Path(choice.manifest))
    ratio = _RATIO if choice.ratio is None else choice.ratio
    return replace(
        strategy,
        title=f"{strategy.title}; {ratio:.0%} of each batch generated",
        manifest=choice.manifest,
        generated_share=ratio,
    )


def _augmenting(choice: StrategyChoice, folder: Path) -> Strategy:
    if choice.file is not None:
        return replace(STRATEGIES["baseline"], **_own(choice.file, folder), name=choice.name, source=choice.file)
    if not choice.combine:
        return replace(STRATEGIES["minimal"], name=choice.name)
    parts = [STRATEGIES[name] for name in choice.combine]
    first = STRATEGIES["baseline"] if "baseline" in choice.combine else parts[0]
    share = "" if choice.prob is None else f", each with probability {choice.prob:g}"
    return replace(
        first,
        name=choice.name,
        title=" and ".join([first.title, *(part.name for part in parts if part is not first)]) + share,
        transforms=tuple(_with_prob(step, choice.prob) for part in parts for step in part.transforms),
        batch_augments=tuple(_with_prob(mixture, choice.prob) for part in parts for mixture in part.batch_augments),
    )


def _with_prob(step: Mapping[str, Any], prob: float | None) -> Mapping[str, Any]:
    if prob is None:
        return step
    if "prob" in step:
        return {**step, "prob": prob}
    return {"type": "RandomApply", "transforms": [dict(step)], "prob": prob}


def _own(file: str, folder: Path) -> dict[str, Any]:
    """The pipeline of a config of the user's, which is read and never executed."""
    view = read_config(folder / file)
    errors = [problem for problem in view.problems if problem.severity is Severity.ERROR]
    if errors:
        raise ProvecfgError(f"{file} cannot be read: {errors[0].message}", hint=errors[0].hint)
    steps = plain_value(view.values.get(_PIPELINE), _PIPELINE)
    if not isinstance(steps, list) or not all(isinstance(step, dict) and "type" in step for step in steps) or not steps:
        raise ProvecfgError(f"{file} has no `{_PIPELINE}`, a list of transforms")
    return {"title": f"the pipeline of {file}", "transforms": (), "pipeline": tuple(steps)}


def _fields(value: Any) -> Any:
    """A name stands for that strategy alone."""
    if isinstance(value, str):
        return {"name": value, "combine": (value,)}
    if isinstance(value, dict):
        return strict_fields(value)
    return value


def _is_readable(choice: StrategyChoice, info: ValidationInfo) -> StrategyChoice:
    try:
        strategy_of(choice, (info.context or {}).get("folder", Path()))
    except ProvecfgError as error:
        raise problem("unreadable_strategy", error.message) from error
    return choice


StrategyEntry = Annotated[
    StrategyChoice,
    BeforeValidator(_fields, json_schema_input_type=_StrategyName | StrategyChoice),
    AfterValidator(_is_readable),
]
"""A strategy of a study, of which it is known that it can be read. The context says the study's `folder`."""
