"""Differences that follow from what was meant to differ, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from provecfg.comparison.canonical import Leaf, Row, Table, Value
from provecfg.comparison.differences import Difference, differences
from provecfg.comparison.factors import Factor, factor_of


@dataclass(frozen=True, slots=True)
class Pair:
    """Two configs in one form, and all that they differ in."""

    before: Table
    after: Table
    differences: tuple[Difference, ...]

    @staticmethod
    def of(before: Table, after: Table) -> Pair:
        """The pair with its differences."""
        return Pair(before, after, tuple(differences(before, after)))


def explanation(difference: Difference, declared: frozenset[Factor], pair: Pair) -> str | None:
    """Why the difference follows from one in a declared factor, or None if it does not."""
    factor = factor_of(difference)
    if factor in _EXPLAINED_BY_ANY:
        return _EXPLAINED_BY_ANY[factor](difference, pair)
    for cause, effect, explain in _TABLE:
        if cause in declared and effect is factor:
            reason = explain(difference, pair)
            if reason is not None:
                return reason
    return None


def copied_to_auxiliary_head(difference: Difference, pair: Pair) -> str | None:
    """Whether an auxiliary head's loss differs exactly as the decode head's does."""
    if not difference.key.startswith("model.auxiliary_head"):
        return None
    for other in pair.differences:
        if other.key.startswith("model.decode_head") and _tail(other.key) == _tail(difference.key):
            sides = ((other.before, difference.before), (other.after, difference.after))
            if all(_alike(original, copy) for original, copy in sides):
                return "the auxiliary head has the same losses"
    return None


def _tail(key: str) -> str:
    return key[key.find(".loss_decode") :]


def _alike(original: Value | None, copy: Value | None) -> bool:
    if original is None or copy is None:
        return original is copy
    return not any(True for _ in differences(original, copy))


Explain = Callable[[Difference, Pair], "str | None"]


def _always(reason: str) -> Explain:
    return lambda difference, pair: reason


def _if_key(endings: str | tuple[str, ...], reason: str) -> Explain:
    return lambda difference, pair: reason if difference.key.endswith(endings) else None


def _imported_class(difference: Difference, pair: Pair) -> str | None:
    """A module that one of them imports has a class that this one alone uses."""
    reasons = []
    for config, module in _modules_of_one(pair):
        own = [
            value.class_name
            for other in pair.differences
            for value in [other.after if config is pair.after else other.before]
            if isinstance(value, Table) and (value.type == module or value.type.startswith(f"{module}."))
        ]
        if not own:
            return None
        reasons.append(f"{module} registers {', '.join(dict.fromkeys(own))}")
    return "; ".join(reasons) or "the same modules, in another order"


def _modules_of_one(pair: Pair) -> Iterator[tuple[Table, str]]:
    for config, other in ((pair.before, pair.after), (pair.after, pair.before)):
        there = _modules(other)
        for module in _modules(config):
            if module not in there:
                yield config, module


def _modules(config: Table) -> Sequence[str]:
    imports = config.dig("custom_imports", "imports")
    if isinstance(imports, Row):
        return [item.value for item in imports.items if isinstance(item, Leaf) and isinstance(item.value, str)]
    return [imports.value] if isinstance(imports, Leaf) and isinstance(imports.value, str) else []


def _end_of_the_run(difference: Difference, pair: Pair) -> str | None:
    """A scheduler that ends with the run, in both."""
    ends = [(value.value if isinstance(value, Leaf) else None) for value in (difference.before, difference.after)]
    if difference.key.endswith(".end") and ends == [_length(pair.before), _length(pair.after)]:
        return "the schedule ends with the run"
    return None


def _length(config: Table) -> object:
    loop = config.get("train_cfg")
    for name in ("max_iters", "max_epochs"):
        length = loop.get(name) if isinstance(loop, Table) else None
        if isinstance(length, Leaf) and length.value is not None:
            return length.value
    return None


def _own_schedule(difference: Difference, pair: Pair) -> str | None:
    """The model's warmup and shape of decay; where the decay ends is the run's."""
    if difference.key.endswith(".end") and _length(pair.before) in (
        value.value for value in difference.values if isinstance(value, Leaf)
    ):
        return None
    return "each model has a warmup and a decay of its own"


def _set_losses(difference: Difference, pair: Pair) -> str | None:
    """A head that is trained on sets of masks has no loss of pixels but what is added to it."""
    if "loss_decode" not in difference.key or (difference.before is not None) == (difference.after is not None):
        return None
    without = pair.after if difference.after is None else pair.before
    head = without.dig("model", "decode_head")
    if isinstance(head, Table) and head.get("loss_mask") is not None:
        return f"{head.class_name} is trained by set losses in its place"
    return None


def _absent_head(difference: Difference, pair: Pair) -> str | None:
    """A weight schedule of a head that the other model does not have."""
    if ".schedules[" not in difference.key or (difference.before is not None) == (difference.after is not None):
        return None
    (schedule,) = difference.values
    other = pair.before if difference.before is None else pair.after
    head = schedule.get("head") if isinstance(schedule, Table) else None
    if isinstance(head, Leaf) and isinstance(head.value, str) and not _has_head(other, head.value):
        return f"the other model has no {head.value}"
    return None


def _has_head(config: Table, key: str) -> bool:
    name, _, index = key.partition("[")
    heads = config.dig("model", name)
    if isinstance(heads, Row):
        return int(index.rstrip("]") or 0) < len(heads.items) if index.rstrip("]").isdecimal() or not index else False
    return isinstance(heads, Table)


_EXPLAINED_BY_ANY: Final[dict[Factor, Explain]] = {Factor.IMPORTS: _imported_class}

_TABLE: Final[tuple[tuple[Factor, Factor, Explain], ...]] = (
    (Factor.MODEL, Factor.OPTIMIZER, _always("each model is trained by an optimizer of its own")),
    (Factor.MODEL, Factor.SCHEDULE, _own_schedule),
    (Factor.MODEL, Factor.WEIGHTS, _always("each model starts from weights of its own")),
    (Factor.MODEL, Factor.EVALUATION, _if_key("test_cfg", "the model sets how a whole image is taken")),
    (Factor.MODEL, Factor.EVALUATION, _if_key((".size_divisor", ".mode"), "the model sets how a whole image is taken")),
    (Factor.MODEL, Factor.PRIMARY_LOSS, _set_losses),
    (Factor.MODEL, Factor.AUXILIARY_LOSS, _absent_head),
    (Factor.DATASET, Factor.AUGMENTATION, _if_key(".scale", "each dataset has a scale of its own")),
    (Factor.DATASET, Factor.EVALUATION, _if_key(".scale", "each dataset has a scale of its own")),
    (Factor.DATASET, Factor.EVALUATION, _if_key(".ignore_index", "each dataset has an ignored label of its own")),
    (Factor.DATASET, Factor.PRIMARY_LOSS, _if_key(".class_weight", "classes are weighted as the dataset holds them")),
    (Factor.DATASET, Factor.AUXILIARY_LOSS, _if_key(".class_weight", "classes are weighted as the dataset holds them")),
    (Factor.CROP, Factor.EVALUATION, _if_key((".crop_size", ".stride"), "the window that slides is the crop")),
    (Factor.LENGTH, Factor.SCHEDULE, _end_of_the_run),
    (Factor.LENGTH, Factor.STOPPING, _if_key("checkpoint.interval", "checkpoints are written at the validations")),
    (Factor.AUXILIARY_LOSS, Factor.AUXILIARY_LOSS, copied_to_auxiliary_head),
    (Factor.PRIMARY_LOSS, Factor.PRIMARY_LOSS, copied_to_auxiliary_head),
)
"""What is declared, what differs too, and why that follows."""
