"""The equation that a generated config is headed by and the name it goes by, against the losses that it declares."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, Final, NamedTuple

from provecfg.catalog.losses import PLUGIN_LOSSES
from provecfg.equation import terms_of
from provecfg.facts.facts import Facts
from provecfg.facts.lookup import entries
from provecfg.facts.model import Head, Loss
from provecfg.facts.numbers import number
from provecfg.findings import Severity
from provecfg.header import Header
from provecfg.mmconfig import Node
from provecfg.rules.rule import Mark, rule

_STAND_IN: Final = PLUGIN_LOSSES["SegCrossEntropyLoss"]
"""The plugin's cross-entropy, which a study trains where mmseg's own does not take what it asks for."""

_SETS: Final = {"loss_cls": "class CE", "loss_mask": "mask BCE", "loss_dice": "mask Dice"}


class _Term(NamedTuple):
    """A term of the equation."""

    title: str
    weight: float


class _Declared(NamedTuple):
    """A loss that the config declares.

    Args:
        node: Its dict.
        kind: Its class.
        title: What the equation calls it; None for a class of which only a study knows.
        weight: Its weight; nan where that is not known.
    """

    node: Node
    kind: str
    title: str | None
    weight: float

    def can_be(self, term: _Term) -> bool:
        """Whether the term may be this loss's: it has its title, or this loss's is not known and it is no other's."""
        if self.title is not None:
            return term.title == self.title
        title = term.title
        for loss in PLUGIN_LOSSES.values():
            if loss.wraps_loss:
                title = title.removeprefix(f"{loss.title} ")
        return all(title != loss.title for loss in PLUGIN_LOSSES.values())


@rule("CFG033", Severity.WARNING)
def equation_not_as_written(facts: Facts) -> Iterator[Mark]:
    """The losses are others than the equation at the head of the file says.

    Why it matters: a generated config says what it trains in its first lines, and whoever reads or cites the run
    believes them. A loss that was dropped, put in another's place or weighted anew by hand trains another total.

    Bad:
        # total = 1 CE[decode] + 0.3 Dice[decode]
        #
        # Written by provecfg 0.1.0 from the study loss-study (d83ea14f1a8de8ec).
        custom_imports = dict(imports=['provecfg.plugin'], allow_failed_imports=False)
        model = dict(decode_head=dict(loss_decode=[
            dict(type='CrossEntropyLoss', loss_weight=1.0),
            dict(type='SegDiceLoss', loss_weight=0.5, loss_name='loss_dice')]))

    Good:
        # total = 1 CE[decode] + 0.3 Dice[decode]
        #
        # Written by provecfg 0.1.0 from the study loss-study (d83ea14f1a8de8ec).
        custom_imports = dict(imports=['provecfg.plugin'], allow_failed_imports=False)
        model = dict(decode_head=dict(loss_decode=[
            dict(type='CrossEntropyLoss', loss_weight=1.0),
            dict(type='SegDiceLoss', loss_weight=0.3, loss_name='loss_dice')]))

    Known problems: of a weight that changes over the run only the start is compared. A config that inherits from a
    generated one may change its losses, and has no equation of its own.

    Source: provecfg's header.py and equation.py.
    """
    written = _written(facts)
    if written is None:
        return
    # the file's own values: --cfg-options changes a run, not what the file says
    values = facts.view.layers[0].values
    own = facts
    if values != facts.view.values:
        own = Facts(dataclasses.replace(facts.view, values=values), facts.registry)
    heads = [head for head in own.heads if head.role == "auxiliary"]
    of_decoders = [*(f"decode {index}" for index in range(len(own.decode_heads) - 1)), "decode"]  # of a cascade
    names = [name for name in written if name not in ("queries", *of_decoders)]
    for name, head in zip(of_decoders, own.decode_heads, strict=False):
        if head.is_mask_head:
            yield from _differences("queries", head.node, list(_set_losses(head)), written.get("queries", []))
        if head.calls_losses_plainly or head.is_mask_head:
            yield from _differences(name, head.node, list(_losses(head)), written.get(name, []))
    for name, head in zip_longest(names, heads):
        if head is None and own.model is not None:
            yield Mark(own.model, f"the equation has terms of a head {name!r}, and the model has no such head", _HINT)
        elif head is not None:
            yield from _differences(name or "auxiliary", head.node, list(_losses(head)), written.get(name, []))


_HINT: Final = "change the study and generate the config anew; if the change is meant, correct the equation"


def _written(facts: Facts) -> dict[str, list[_Term]] | None:
    """The terms of the file's equation by head, in order; None where it has none."""
    if len(facts.view.layers) != 1:
        return None
    header = Header.of(facts.view.layers[0].source.text)
    terms = terms_of(header.equation) if header is not None else None
    if terms is None:
        return None
    by_head: dict[str, list[_Term]] = {}
    for term in terms:
        by_head.setdefault(term.head, []).append(_Term(term.title, term.weight))
    return by_head


def _losses(head: Head) -> Iterator[_Declared]:
    """The losses that the head is trained by: all that it lists, and no default."""
    for loss in head.losses:
        if not loss.is_default:
            yield _Declared(loss.node, loss.kind, _title(loss), _weight(loss.get("loss_weight")))


def _set_losses(head: Head) -> Iterator[_Declared]:
    for key, title in _SETS.items():
        node = head.node.get(key)
        if node is not None and node.is_dict:
            yield _Declared(node, str(node.type), title, _weight(head.config.argument(node, "loss_weight")))


def _title(loss: Loss) -> str | None:
    """What the equation calls a loss, or None where that is not known."""
    if loss.kind == "CrossEntropyLoss":
        return _STAND_IN.title
    if loss.plugin is None:
        return None
    if loss.wrapped is None:
        return loss.plugin.title
    wrapped = _title(loss.wrapped)
    return None if wrapped is None else f"{loss.plugin.title} {wrapped}"


def _weight(value: Any) -> float:
    finite = number(value)
    return float("nan") if finite is None else float(finite)


def _differences(name: str, head: Node, declared: Sequence[_Declared], written: Sequence[_Term]) -> Iterator[Mark]:
    """What differs in one head; of several terms of one title, those that agree belong together."""
    left = list(written)
    unmatched = []
    for loss in declared:
        equal = next((term for term in left if loss.can_be(term) and term.weight == loss.weight), None)
        if equal is not None:
            left.remove(equal)
        else:
            unmatched.append(loss)
    for loss in unmatched:
        stated = next((term for term in left if loss.can_be(term)), None)
        if stated is not None:
            left.remove(stated)
            message = f"{stated.title}[{name}] has weight {loss.weight:g}, and {stated.weight:g} in the equation"
            if loss.weight == loss.weight:  # not one that cannot be known
                yield Mark(loss.node.get("loss_weight") or loss.node, message, _HINT)
        else:
            yield Mark(loss.node, f"{loss.title or loss.kind}[{name}] is not in the equation", _HINT)
    for term in left:
        message = f"the equation has {term.weight:g} {term.title}[{name}], and the head no such loss"
        yield Mark(head.get("loss_decode") or head, message, _HINT)


_FAMILY: Final = re.compile(r"^(?:Seg|Softmax)|Loss$")


@functools.cache
def _class_parts() -> dict[str, str]:
    """What a study calls its auxiliary losses, and what the names of their classes have in them (mmseg's, too)."""
    return {
        loss.study_name: _FAMILY.sub("", name)
        for name, loss in PLUGIN_LOSSES.items()
        if not loss.wraps_loss and loss.title != _STAND_IN.title
    }


@rule("CFG034", Severity.WARNING)
def losses_not_as_named(facts: Facts) -> Iterator[Mark]:
    """The config is named for other losses than its heads have.

    Why it matters: provecfg names a config, and the folder of its run, for the model, the dataset and the auxiliary
    loss that every head has beside its primary one. Tables of results go by that name.

    Bad:
        work_dir = 'work_dirs/pspnet_r50_bdd10k_focal'
        model = dict(decode_head=dict(loss_decode=[dict(type='CrossEntropyLoss', loss_weight=1.0)]))

    Good:
        work_dir = 'work_dirs/pspnet_r50_bdd10k_ce'
        model = dict(decode_head=dict(loss_decode=[dict(type='CrossEntropyLoss', loss_weight=1.0)]))

    Known problems: judged for the names of provecfg's models, datasets and losses, without numbers in them; any loss
    whose class is called so counts.

    Source: provecfg's generate/cells.py, `Cell.name`.
    """
    label = _label(facts)
    if label is None:
        return
    wanted = [] if label == "ce" else label.split("-")
    for head in facts.heads:
        node = head.node.get("loss_decode")
        kinds = [_inner_kind(loss) for loss in entries(node)]
        for name in wanted:
            if not any(_class_parts()[name] in kind for kind in kinds):
                yield Mark(node or head.node, f"the config is named for {name}, and this head has no such loss", _NAME)
        if not wanted and head.calls_losses_plainly:
            for kind in kinds:
                if "CrossEntropy" not in kind and any(part in kind for part in _class_parts().values()):
                    yield Mark(node or head.node, f"the config is named for no loss beside CE, and has {kind}", _NAME)


_NAME: Final = "train the loss in every head, or give the config and its work_dir another name"


def _label(facts: Facts) -> str | None:
    """The end of the config's name, where it is named as provecfg names one: `focal`, `focal-lovasz`, `ce`."""
    work_dir = facts.value(facts.root, "work_dir")
    names = [facts.view.path.stem, *([work_dir.rstrip("/").rpartition("/")[2]] if isinstance(work_dir, str) else [])]
    for name in names:
        for beginning in _beginnings() if name.endswith(_endings()) else ():
            label = name.removeprefix(beginning)
            if label != name and (label == "ce" or all(part in _class_parts() for part in label.split("-"))):
                return label
    return None


@functools.cache
def _endings() -> tuple[str, ...]:
    return tuple(f"{sign}{part}" for sign in "_-" for part in ("ce", *_class_parts()))


@functools.cache
def _beginnings() -> tuple[str, ...]:
    from provecfg.catalog.datasets import DATASETS  # many rows, which few configs' names call for
    from provecfg.catalog.models import MODELS

    return tuple(f"{model}_{dataset}_" for model in MODELS for dataset in DATASETS)


def _inner_kind(loss: Node) -> str:
    inner = loss.get("loss")
    return _inner_kind(inner) if inner is not None and inner.is_dict else str(loss.type)
