"""What is wrong between the values of a study, each of them right by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from provecfg import invariants, spelling
from provecfg.findings import Finding
from provecfg.study.datasets import name_of
from provecfg.study.losses import AuxiliaryLoss
from provecfg.study.positions import Location
from provecfg.study.problems import CONFLICT
from provecfg.study.schema import Ohem, Study

_MODELS: Final = ("models",)
_DATASETS: Final = ("datasets",)
_AUXILIARY: Final = ("losses", "auxiliary")
_LENGTHS: Final = (("schedule", "max_iters"), ("schedule", "max_epochs"))


class Conflict(NamedTuple):
    """A conflict between values.

    Args:
        location: The one that it is said of.
        finding: What is wrong.
        between: Where the others are; unless each of them is right, there is nothing to say.
    """

    location: Location
    finding: Finding
    between: tuple[Location, ...]


def conflicts(study: Study) -> Iterator[Conflict]:
    """What single values cannot show."""
    schedule, data = study.schedule, study.data
    if schedule.val_interval is not None:
        message = invariants.validation_within_run(schedule.val_interval, schedule.length, schedule.unit)
        if message:
            hint = f"at most {schedule.length}, or leave it out"
            yield _conflict(("schedule", "val_interval"), message, hint, between=_LENGTHS)
    if schedule.warmup_iters is not None:
        message = invariants.warmup_within_run(schedule.warmup_iters, schedule.max_iters)
        if message and not schedule.by_epoch:
            yield _conflict(("schedule", "warmup_iters"), message, between=_LENGTHS)
        elif schedule.warmup_iters == 1:
            text = "mmengine's warmup of a single iteration never ends"
            yield _conflict(("schedule", "warmup_iters"), text, "0 for none, or 2 and more")
    message = invariants.images_for_pooled_batch_norm(data.batch_size)
    pooled = [name for name, base in study.bases.items() if base.normalises_pooled_features]
    if message and pooled:
        hint = f"batch_size: 2, or leave out {', '.join(pooled)}"
        yield _conflict(("data", "batch_size"), f"{pooled[0]} with {message}", hint, between=(_MODELS,))
    for index, strategy in enumerate(study.resolved_strategies.values()):
        if strategy.batch_augments and data.batch_size < 2:
            message = f"{strategy.name} mixes the images of a batch, and a batch has one"
            hint = "batch_size: 2, or another strategy"
            yield _conflict(("strategies", index), message, hint, between=(("data", "batch_size"),))
        if strategy.manifest is not None and schedule.by_epoch:
            message = (
                f"{strategy.name} holds a share of generated images without end, and a run of epochs waits for one"
            )
            yield _conflict(("strategies", index), message, "`max_iters` in place of `max_epochs`", between=_LENGTHS)
    yield from _unused(study)
    parts = dict.fromkeys(part.name for dataset in study.resolved_datasets.values() for part in dataset.parts)
    if isinstance(data.root, str) and len(parts) > 1:
        message = f"one data root {data.root!r} for {len(parts)} datasets"
        hint = f"root: {{{', '.join(f'{name}: DIR' for name in parts)}}}"
        yield _conflict(("data", "root"), message, hint, between=(_DATASETS,))
    if isinstance(data.root, dict):
        for name in data.root:
            if name not in parts:
                message = spelling.unknown("dataset", name, parts)
                yield _conflict(("data", "root", name), message, between=(_DATASETS,))
    axes = {axis: list(map(str, getattr(study, axis))) for axis in ("models", "strategies", "seeds")}
    for axis, names in {**axes, "datasets": list(map(name_of, study.datasets))}.items():
        message = invariants.distinct(names)
        if message:
            yield _conflict((axis,), message)
    yield from _loss_conflicts(study)


_UNFIT: Final = {
    "LBFGS": "its step wants a closure, which mmengine's OptimWrapper does not give",
    "Muon": "it takes matrices alone, and a convolution's weights are none",
    "SparseAdam": "it takes sparse gradients alone",
}
"""Optimizers of torch that fail before the first step is made (torch 2.13, optim/lbfgs.py and optim/sparse_adam.py,
`step`; optim/_muon.py, `__init__`)."""


def _unused(study: Study) -> Iterator[Conflict]:
    """What a study says and nothing can use: a field of the optimizer among its arguments, an optimizer that cannot
    train, an option of what is not turned on; with that said, it may wait."""
    optimizer, inference, runtime = study.optimizer, study.inference, study.runtime
    for name in ("type", "lr", "weight_decay"):
        is_said = getattr(optimizer, name) is not None or name == "type"
        if is_said and name in optimizer.arguments:
            location = ("optimizer", "arguments", name)
            yield _conflict(location, f"{name!r} is the optimizer's field of that name, not one of its arguments")
    if optimizer.type in _UNFIT:
        yield _conflict(("optimizer", "type"), f"{optimizer.type} trains no segmentor here: {_UNFIT[optimizer.type]}")
    if "mode" not in inference.model_fields_set:
        for name in ("window", "stride"):
            if getattr(inference, name) is not None:
                yield _conflict(("inference", name), f"`{name}` is of windows", "say `mode: slide`")
    if "tta_flip" in inference.model_fields_set and "tta_scales" not in inference.model_fields_set:
        message = "`tta_flip` is of test-time augmentation, which `tta_scales` turns on"
        yield _conflict(("inference", "tta_flip"), message, "say `tta_scales: [1.0]`")
    if "amp_dtype" in runtime.model_fields_set and "amp" not in runtime.model_fields_set:
        yield _conflict(("runtime", "amp_dtype"), "`amp_dtype` is of mixed precision", "say `amp: true`")


def _calls(study: Study, name: str) -> str:
    is_own = study.bases[name].main_head.calls == "own"
    return f"{name} is trained on {'losses of its own' if is_own else 'sets of masks'}"


_STAGE_HINT = "another stage, or leave out the model"
LONGEST_LABEL = 180
"""Letters of a cell's name that its losses may take: a file's name has 255 at most, and the model, the data, the
strategy, the seed and the endings of what is written beside it come on top."""


def _loss_conflicts(study: Study) -> Iterator[Conflict]:
    losses = study.losses
    longest = max((losses.label(selection) for selection in losses.cells()), key=len)
    if len(longest) > LONGEST_LABEL:
        message = f"a cell would be called {longest[:40]}..., {len(longest)} letters for its losses alone"
        yield _conflict(
            ("losses", "auxiliary"), message, f"fewer values, such as scales: at most {LONGEST_LABEL} letters"
        )
    weights = losses.primary.class_weight
    if weights is not None:
        yield from _class_weight_conflicts(study, weights)
    on_masks = [name for name, base in study.bases.items() if not base.takes_pixel_losses]
    if on_masks and not losses.primary.is_plain:
        what = "class_weight" if weights is not None else "label_smoothing"
        message = f"{_calls(study, on_masks[0])}: it has no cross-entropy over pixels for {what}"
        yield _conflict(("losses", "primary", what), message, f"leave out {', '.join(on_masks)}", between=(_MODELS,))
    if losses.ohem is not None:
        yield from _ohem_conflicts(study, losses.ohem)
    stages = [head.stage for head in losses.deep_supervision]
    twice = invariants.distinct([str(stage) for stage in stages])
    if twice:
        yield _conflict(("losses", "deep_supervision"), f"two heads on one stage: {twice}")
    for name, base in study.bases.items():
        for head in base.heads:
            if head.is_auxiliary and head.stage in stages:
                message = f"{name} has its auxiliary head on stage {head.stage} already"
                yield _conflict(("losses", "deep_supervision"), message, _STAGE_HINT, between=(_MODELS,))
        unknown = [stage for stage in stages if stage not in base.stage_channels]
        if unknown:
            message = f"{name}: no head says how many channels stage {unknown[0]} has"
            yield _conflict(("losses", "deep_supervision"), message, _STAGE_HINT, between=(_MODELS,))
        refusal = base.refuses_auxiliary_losses
        if refusal is not None and any(losses.auxiliary):
            message = f"{name} takes no auxiliary loss: {refusal}"
            index = list(study.bases).index(name)
            hint = "`losses: {auxiliary: [none]}`, or leave out the model"
            yield _conflict(("models", index), message, hint, between=(_AUXILIARY,))
    earlier: set[tuple[AuxiliaryLoss, ...]] = set()
    for index, selection in enumerate(losses.auxiliary):
        location = (*_AUXILIARY, index)
        same = invariants.distinct([loss.registered for loss in selection])
        if same:
            yield _conflict(location, f"two losses of one kind in a head: {same}")
        if losses.auxiliary_weights and any(loss.schedule is not None for loss in selection):
            message = "a loss with a schedule takes its weight from there, so `auxiliary_weights` cannot vary it"
            hint = "leave out the schedule, or `auxiliary_weights`"
            yield _conflict(location, message, hint, between=(("losses", "auxiliary_weights"),))
        if selection in earlier:
            yield _conflict(location, "this cell stands twice on the axis")
        earlier.add(selection)


def _class_weight_conflicts(study: Study, weights: tuple[float, ...]) -> Iterator[Conflict]:
    location = ("losses", "primary", "class_weight")
    for name, dataset in study.resolved_datasets.items():
        if len(weights) != len(dataset.classes):
            message = f"{len(weights)} class weights for the {len(dataset.classes)} classes of {name}"
            yield _conflict(location, message, between=(_DATASETS,))
    if not any(weights):
        yield _conflict(location, "every class weight is 0: nothing is trained")


def _ohem_conflicts(study: Study, ohem: Ohem) -> Iterator[Conflict]:
    height, width = study.data.crop_size
    message = invariants.ohem_leaves_pixels_out(ohem.min_kept, height, width)
    if message:
        hint = f"min_kept: {height * width // 16}, a sixteenth of the crop, say"
        yield _conflict(("losses", "ohem", "min_kept"), message, hint, between=(("data", "crop_size"),))
    on_masks = [name for name, base in study.bases.items() if not base.takes_pixel_losses]
    if on_masks:
        message = f"{_calls(study, on_masks[0])}: it has no pixels to sample"
        yield _conflict(("losses", "ohem"), message, f"leave out {', '.join(on_masks)}", between=(_MODELS,))
    for index, selection in enumerate(study.losses.auxiliary):
        for loss in selection:
            if not loss.takes_pixel_weights:
                message = f"{loss.title} is no sum over pixels, so OHEM cannot choose its pixels"
                yield _conflict((*_AUXILIARY, index), message, "leave out `ohem` or this loss")


def _conflict(
    location: Location, message: str, hint: str | None = None, *, between: tuple[Location, ...] = ()
) -> Conflict:
    return Conflict(location, Finding(CONFLICT, message, hint=hint), between)
