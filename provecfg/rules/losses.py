"""Losses and their arguments: what fails, what trains something else, what never reaches the total."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from provecfg.facts.facts import Facts
from provecfg.facts.model import Loss, all_losses
from provecfg.facts.numbers import number
from provecfg.facts.padding import padding
from provecfg.findings import Fix, Severity
from provecfg.rules.edits import fix, put, removed, replaced
from provecfg.rules.rule import Mark, rule

_REDUCTIONS: Final = ("none", "mean", "sum")
_OWN_IGNORE: Final = {
    # mmsegmentation 1.2.2, models/losses: losses that do not take the head's value
    "DiceLoss": "ignore_index",
    "TverskyLoss": "ignore_index",
    "HuasdorffDisstanceLoss": "ignore_index",
    "OhemCrossEntropy": "ignore_label",
}
_WEIGHTED: Final = frozenset(
    {"CrossEntropyLoss", "FocalLoss", "TverskyLoss", "LovaszLoss", "HuasdorffDisstanceLoss"}
    | {"SegCrossEntropyLoss", "SegLovaszLoss"}
)


def _losses(facts: Facts, *kinds: str) -> Iterator[Loss]:
    for head in facts.heads:
        for loss in head.losses:
            if not kinds or loss.kind in kinds:
                yield loss


def _any_losses(facts: Facts, *kinds: str) -> Iterator[Loss]:
    """For rules about the loss itself, whoever calls it."""
    return (loss for loss in all_losses(facts) if not kinds or loss.kind in kinds)


def _set(loss: Loss, name: str, value: Any, message: str, *, safe: bool) -> Fix | None:
    return None if loss.is_default else fix(message, put(loss.node, name, value), safe=safe)


def _weights(loss: Loss) -> list[float] | None:
    """The class weights that the config spells out, or None."""
    value = loss.get("class_weight")
    if not isinstance(value, (list, tuple)) or not value or any(number(item) is None for item in value):
        return None
    return list(value)


@rule("LOSS001", Severity.ERROR)
def name_without_loss(facts: Facts) -> Iterator[Mark]:
    """The loss is logged and never trained on: its name does not contain "loss".

    Why it matters: mmengine sums the logged values whose key contains "loss" and back-propagates the sum. Under another
    name a loss is computed, shown in the log, and left out. If no loss of the model is left, training fails at its
    first iteration; if only an auxiliary head's are gone, its parameters get no gradient, and a distributed run stops
    at the second iteration because of them.

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', loss_name='ce')))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', loss_name='loss_ce')))

    Source: mmengine 0.10.7, model/base_model/base_model.py, `parse_losses`.
    """
    for loss in _losses(facts):
        name = loss.get("loss_name")
        if isinstance(name, str) and "loss" not in name:
            better = f"loss_{name}"
            yield Mark(
                loss.at("loss_name"),
                f"loss name {name!r} does not contain 'loss': the loss is logged and never trained on",
                f"name it {better!r}",
                _set(loss, "loss_name", better, f"name it {better!r}, so that it is trained on", safe=False),
            )


@rule("LOSS002", Severity.WARNING)
def same_loss_name(facts: Facts) -> Iterator[Mark]:
    """Two losses of one head have the same name.

    Why it matters: the head adds their values under the one key, so the log shows neither. The total is right, unless
    one of them has `reduction='none'`: then a map and a number are added.

    Bad:
        model = dict(
            decode_head=dict(
                loss_decode=[
                    dict(type='CrossEntropyLoss'),
                    dict(type='TverskyLoss', loss_name='loss_ce'),
                ]))

    Good:
        model = dict(
            decode_head=dict(
                loss_decode=[
                    dict(type='CrossEntropyLoss'),
                    dict(type='TverskyLoss', loss_name='loss_tversky'),
                ]))

    Source: mmsegmentation 1.2.2, models/decode_heads/decode_head.py, `loss_by_feat`.
    """
    for head in facts.heads:
        seen: dict[str, Loss] = {}
        taken = {name for loss in head.losses if isinstance(name := loss.get("loss_name"), str)}
        for loss in head.losses:
            name = loss.get("loss_name")
            if not isinstance(name, str):
                continue
            first = seen.setdefault(name, loss)
            if first is loss:
                continue
            known = facts.class_of(loss.node)
            parameter = known.parameters.get("loss_name") if known is not None else None
            own = parameter.default if parameter is not None and isinstance(parameter.default, str) else ""
            free = own if own and own not in taken else f"{name}_2"
            yield Mark(
                loss.at("loss_name"),
                f"{name!r} is the name of {first.node.key} too: their values are added under one key of the log",
                f"give it a name of its own that contains 'loss', such as {free!r}",
                _set(loss, "loss_name", free, f"name it {free!r}", safe=True),
            )


@rule("LOSS003", Severity.ERROR)
def dice_of_one_channel(facts: Facts) -> Iterator[Mark]:
    """DiceLoss on a head of one channel rewards the background.

    Why it matters: it makes one-hot labels with as many channels as the prediction has and keeps channel 0, which is
    the background. The one channel of a binary head means the foreground: Dice pulls it towards the inverse of what a
    binary cross-entropy beside it asks for. A right mask costs 0.99995, an inverted one 0.00003.

    Bad:
        model = dict(
            decode_head=dict(
                num_classes=2,
                out_channels=1,
                loss_decode=[
                    dict(type='CrossEntropyLoss', use_sigmoid=True),
                    dict(type='DiceLoss'),
                ]))

    Good:
        model = dict(
            decode_head=dict(
                num_classes=2,
                out_channels=1,
                loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))

    Source: mmsegmentation 1.2.2, models/losses/dice_loss.py, `_expand_onehot_labels_dice`.
    """
    for loss in _losses(facts, "DiceLoss"):
        if loss.head.out_channels == 1:
            yield Mark(
                loss.at("type"),
                "DiceLoss takes the one channel of this head for the background and trains its inverse",
                "predict two channels (num_classes=2, no out_channels) with use_sigmoid=False, or drop the Dice loss",
            )


@rule("LOSS004", Severity.WARNING)
def dice_counts_ignored_pixels(facts: Facts) -> Iterator[Mark]:
    """DiceLoss is the head's only loss, and it does not leave out ignored pixels.

    Why it matters: pixels of `ignore_index` (padding, void labels) get an all-zero label and still count in the
    denominator: a prediction that is perfect on all valid pixels of a half-ignored image costs 0.33 instead of 0, and
    the cheapest way to lower it is to predict no class there. A label that is out of range is taken for void, too.

    Bad:
        model = dict(
            decode_head=dict(num_classes=4, ignore_index=255, loss_decode=dict(type='DiceLoss', use_sigmoid=False)))

    Good:
        model = dict(
            decode_head=dict(
                num_classes=4,
                ignore_index=255,
                loss_decode=[
                    dict(type='CrossEntropyLoss'),
                    dict(type='DiceLoss', use_sigmoid=False),
                ]))

    Known problems: data without a single ignored or padded pixel trains as it should.

    Source: mmsegmentation 1.2.2, models/losses/dice_loss.py, `dice_loss`.
    """
    for head in facts.heads:
        kinds = [loss.kind for loss in head.losses]
        if kinds and set(kinds) == {"DiceLoss"} and head.out_channels != 1:
            yield Mark(
                head.losses[0].node,
                "DiceLoss alone: ignored pixels count in its denominator, and nothing else trains this head",
                "put a cross-entropy beside it",
            )


@rule("LOSS005", Severity.WARNING)
def dice_of_sigmoids(facts: Facts) -> Iterator[Mark]:
    """DiceLoss takes sigmoids of the scores that another loss of the head takes the softmax of.

    Why it matters: `use_sigmoid` is True unless said otherwise. The cross-entropy trains one distribution over the
    classes, Dice trains each class by itself on the same scores, and the prediction is their arg max.

    Bad:
        model = dict(
            decode_head=dict(num_classes=4, loss_decode=[dict(type='CrossEntropyLoss'), dict(type='DiceLoss')]))

    Good:
        model = dict(
            decode_head=dict(
                num_classes=4,
                loss_decode=[dict(type='CrossEntropyLoss'), dict(type='DiceLoss', use_sigmoid=False)]))

    Source: mmsegmentation 1.2.2, models/losses/dice_loss.py, `DiceLoss.__init__`.
    """
    for loss in _losses(facts, "DiceLoss"):
        head = loss.head
        if head.out_channels == 1 or loss.is_softmax is not False or loss.get("activate") is False:
            continue
        others = [other.kind for other in head.losses if other.is_softmax]
        if others:
            yield Mark(
                loss.at("use_sigmoid"),
                f"DiceLoss takes sigmoids of the scores that {others[0]} takes the softmax of",
                "set use_sigmoid=False",
                _set(loss, "use_sigmoid", False, "take the softmax here too", safe=False),
            )


@rule("LOSS006", Severity.ERROR)
def own_ignore_index(facts: Facts) -> Iterator[Mark]:
    """The loss ignores another label than its head.

    Why it matters: DiceLoss, TverskyLoss and HuasdorffDisstanceLoss take an `ignore_index` of their own, 255 unless
    said otherwise, and drop the one that the head hands them. The head's ignored label is then trained on as a class.

    Bad:
        model = dict(
            decode_head=dict(
                ignore_index=254,
                loss_decode=[dict(type='CrossEntropyLoss'), dict(type='TverskyLoss')]))

    Good:
        model = dict(
            decode_head=dict(
                ignore_index=254,
                loss_decode=[dict(type='CrossEntropyLoss'), dict(type='TverskyLoss', ignore_index=254)]))

    Source: mmsegmentation 1.2.2, models/losses/tversky_loss.py and dice_loss.py, `forward`.
    """
    for loss in _any_losses(facts):
        name = _OWN_IGNORE.get(loss.kind)
        if name is None:
            continue
        own, heads = loss.get(name), loss.head.get("ignore_index")
        if isinstance(heads, int) and isinstance(own, int) and own != heads:
            yield Mark(
                loss.at(name),
                f"{loss.kind} ignores label {own}, its head ignores {heads}; the head's value does not reach it",
                f"set {name}={heads} on the loss",
                _set(loss, name, heads, f"ignore label {heads} here too", safe=False),
            )


@rule("LOSS007", Severity.ERROR)
def tversky_weights(facts: Facts) -> Iterator[Mark]:
    """The weights of a TverskyLoss do not add up to 1.

    Why it matters: the loss asserts that `alpha + beta` equals 1.0 exactly, and fails when the model is built.

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='TverskyLoss', alpha=0.3, beta=0.3)))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='TverskyLoss', alpha=0.3, beta=0.7)))

    Source: mmsegmentation 1.2.2, models/losses/tversky_loss.py.
    """
    for loss in _any_losses(facts, "TverskyLoss"):
        alpha, beta = number(loss.get("alpha")), number(loss.get("beta"))
        if alpha is not None and beta is not None and alpha + beta != 1.0:
            yield Mark(
                loss.node.get("alpha") or loss.at("beta"),
                f"alpha + beta is {alpha + beta:g}, must be 1",
                f"set beta={round(1 - alpha, 10):g}, or alpha={round(1 - beta, 10):g}",
            )


@rule("LOSS008", Severity.ERROR)
def negative_loss_weight(facts: Facts) -> Iterator[Mark]:
    """The weight of a loss is negative.

    Why it matters: nothing refuses it, and training goes up the loss instead of down.

    Bad:
        model = dict(auxiliary_head=dict(loss_decode=dict(type='CrossEntropyLoss', loss_weight=-0.4)))

    Good:
        model = dict(auxiliary_head=dict(loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)))

    Source: mmsegmentation 1.2.2, models/losses: each loss multiplies by it.
    """
    for typed in facts.typed:
        weight = typed.node.get("loss_weight") if typed.registry == "model" else None
        value = number(weight.value) if weight is not None else None
        if weight is not None and value is not None and value < 0:
            yield Mark(
                weight,
                f"loss weight {value:g} is negative: training goes up this loss",
                f"set loss_weight={-value:g}",
                fix("make the weight positive", replaced(weight, -value), safe=False),
            )


@rule("LOSS009", Severity.WARNING)
def zero_loss_weight(facts: Facts) -> Iterator[Mark]:
    """The weight of a loss is zero.

    Why it matters: the loss is computed at every iteration and trains nothing. If it is the only one of its head, the
    head stays as it was initialised.

    Bad:
        model = dict(auxiliary_head=dict(loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.0)))

    Good:
        model = dict(auxiliary_head=dict(loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)))

    Source: mmsegmentation 1.2.2, models/losses: each loss multiplies by it.
    """
    for typed in facts.typed:
        weight = typed.node.get("loss_weight") if typed.registry == "model" else None
        if weight is not None and number(weight.value) == 0:
            yield Mark(weight, "loss weight 0: the loss is computed and trains nothing", "leave the loss out")


@rule("LOSS010", Severity.ERROR)
def class_weight_length(facts: Facts) -> Iterator[Mark]:
    """There are not as many class weights as classes.

    Why it matters: a cross-entropy fails at the first iteration. FocalLoss, TverskyLoss and LovaszLoss take a list of
    one weight for all classes, or use the first weights of a list that is too long, without a word.

    Bad:
        model = dict(
            decode_head=dict(num_classes=4, loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0, 1.0])))

    Good:
        model = dict(
            decode_head=dict(
                num_classes=4, loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0, 1.0, 1.0])))

    Source: mmsegmentation 1.2.2, models/losses/cross_entropy_loss.py, focal_loss.py.
    """
    for loss in _losses(facts, *_WEIGHTED):
        weights, channels = _weights(loss), loss.head.out_channels
        if weights is None or channels is None or len(weights) == channels:
            continue
        if loss.kind == "CrossEntropyLoss" and loss.is_softmax is not True:
            continue  # LOSS011
        yield Mark(
            loss.at("class_weight"),
            f"{len(weights)} class weights for {channels} channels",
            f"give {channels} weights, one for each class",
        )


@rule("LOSS011", Severity.ERROR)
def class_weight_of_sigmoids(facts: Facts) -> Iterator[Mark]:
    """Class weights of a cross-entropy of sigmoids meet the width of the image.

    Why it matters: they become `pos_weight` of torch's binary cross-entropy, which is broadcast from the last axis: the
    columns of the image, not the classes. Training fails at the first iteration, or, where image width and number of
    weights happen to agree, weights the columns.

    Bad:
        model = dict(
            decode_head=dict(
                num_classes=2, loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True, class_weight=[1.0, 2.0])))

    Good:
        model = dict(
            decode_head=dict(num_classes=2, loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0])))

    Source: mmsegmentation 1.2.2, models/losses/cross_entropy_loss.py, `binary_cross_entropy`.
    """
    for loss in _losses(facts, "CrossEntropyLoss"):
        weights = _weights(loss)
        if weights is not None and len(weights) > 1 and loss.get("use_sigmoid") is True:
            yield Mark(
                loss.at("class_weight"),
                f"{len(weights)} class weights of a sigmoid cross-entropy are applied to the image's columns",
                "use the softmax (use_sigmoid=False), or one weight for all",
            )


@rule("LOSS012", Severity.ERROR)
def class_weight_with_avg_non_ignore(facts: Facts) -> Iterator[Mark]:
    """CrossEntropyLoss cannot have class weights and `avg_non_ignore` at once.

    Why it matters: it indexes the weights of the valid pixels, a flat list, by the map of ignored pixels, and fails
    with an IndexError at the first iteration.

    Bad:
        model = dict(
            decode_head=dict(
                num_classes=2,
                loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0], avg_non_ignore=True)))

    Good:
        model = dict(
            decode_head=dict(num_classes=2, loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0])))

    Known problems: upstream 1.2.2 fails only where labels hold the ignored one.

    Source: onedl-mmsegmentation 1.4.2, models/losses/cross_entropy_loss.py, `cross_entropy`.
    """
    for loss in _losses(facts, "CrossEntropyLoss"):
        weighted = isinstance(loss.get("class_weight"), (list, tuple, str))
        if weighted and loss.is_softmax and loss.get("avg_non_ignore") is True and loss.get("reduction") == "mean":
            node = loss.at("avg_non_ignore")
            yield Mark(
                node,
                "class_weight together with avg_non_ignore=True fails at the first iteration",
                "drop avg_non_ignore: the mean is then over the weights of the pixels",
                fix("drop avg_non_ignore", removed(node), safe=True) if node is not loss.node else None,
            )


@rule("LOSS013", Severity.WARNING)
def class_weight_meets_ignored(facts: Facts) -> Iterator[Mark]:
    """In this release, class weights are looked up for ignored pixels too.

    Why it matters: mmsegmentation 1.2.2 indexes the weights by every label, the ignored 255 included: an IndexError on
    the CPU, a device-side assert on the GPU. Padding alone makes such pixels.

    Bad:
        model = dict(
            decode_head=dict(num_classes=2, loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0])))

    Good:
        model = dict(decode_head=dict(num_classes=2, loss_decode=dict(type='CrossEntropyLoss')))

    Known problems: judged for the upstream release only (openmmlab); onedl-mmsegmentation 1.4 looks up valid pixels.

    Source: mmsegmentation 1.2.2, models/losses/cross_entropy_loss.py, `cross_entropy`; mmsegmentation issue 3864.
    """
    for loss in _losses(facts, "CrossEntropyLoss"):
        ignored, channels = loss.head.get("ignore_index"), loss.head.out_channels
        if (
            loss.is_softmax
            and _weights(loss) is not None
            and loss.get("reduction") == "mean"
            and isinstance(ignored, int)
            and channels is not None
            and ignored >= channels
            and facts.registry.snapshot.release == "openmmlab"
        ):
            yield Mark(
                loss.at("class_weight"),
                f"mmsegmentation 1.2 looks up a class weight for the ignored label {ignored}, and fails",
                "train without class weights, or with onedl-mmsegmentation",
            )


@rule("LOSS014", Severity.ERROR)
def worthless_class_weights(facts: Facts) -> Iterator[Mark]:
    """All class weights are zero, or one is negative.

    Why it matters: with zeros the loss is 0 and trains nothing (an epsilon in the mean hides the 0/0); with a negative
    one training goes up that class's loss. Nothing refuses either.

    Bad:
        model = dict(
            decode_head=dict(num_classes=2, loss_decode=dict(type='CrossEntropyLoss', class_weight=[0.0, 0.0])))

    Good:
        model = dict(
            decode_head=dict(num_classes=2, loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0])))

    Source: mmsegmentation 1.2.2, models/losses/utils.py, `weight_reduce_loss`.
    """
    for loss in _any_losses(facts):
        weights = _weights(loss)
        if weights is not None and (not any(weights) or min(weights) < 0):
            said = "all class weights are 0: the loss trains nothing"
            if min(weights) < 0:
                said = f"class weight {min(weights):g} is negative: training goes up the loss of that class"
            yield Mark(loss.at("class_weight"), said, "give positive weights")


@rule("LOSS015", Severity.WARNING)
def class_without_weight(facts: Facts) -> Iterator[Mark]:
    """A class has weight zero and is never trained.

    Why it matters: its pixels cost nothing whatever is predicted there, and the metric counts them all the same.

    Bad:
        model = dict(
            decode_head=dict(num_classes=2, loss_decode=dict(type='CrossEntropyLoss', class_weight=[0.0, 1.0])))

    Good:
        model = dict(
            decode_head=dict(num_classes=2, loss_decode=dict(type='CrossEntropyLoss', class_weight=[0.1, 1.0])))

    Source: torch.nn.functional.cross_entropy, `weight`.
    """
    for loss in _any_losses(facts):
        weights = _weights(loss)
        if weights is not None and 0 in weights and any(weights) and min(weights) >= 0:
            without = ", ".join(str(index) for index, weight in enumerate(weights) if weight == 0)
            yield Mark(
                loss.at("class_weight"),
                f"class {without} has weight 0 and is never trained",
                "give it a small weight, or label its pixels with the ignored label",
            )


@rule("LOSS016", Severity.ERROR)
def softmax_of_one_channel(facts: Facts) -> Iterator[Mark]:
    """A loss takes the softmax over one channel.

    Why it matters: the softmax of one number is 1. The loss is constant and trains nothing (a cross-entropy shows loss
    0 and accuracy 100), and fails as soon as a label is 1.

    Bad:
        model = dict(decode_head=dict(num_classes=1, loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False)))

    Good:
        model = dict(
            decode_head=dict(
                num_classes=2, out_channels=1, loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))

    Source: mmsegmentation 1.2.2, models/losses/cross_entropy_loss.py, lovasz_loss.py; mmsegmentation issue 2201.
    """
    argument = {"CrossEntropyLoss": "use_sigmoid", "LovaszLoss": "loss_type"}
    for loss in _losses(facts):
        if loss.head.out_channels != 1 or loss.kind == "DiceLoss" or not loss.is_softmax:
            continue
        hint = {
            "CrossEntropyLoss": "set use_sigmoid=True, or predict two channels",
            "LovaszLoss": "set loss_type='binary', or predict two channels",
        }.get(loss.kind, "predict two channels (num_classes=2, no out_channels)")
        repair = None
        if loss.kind == "CrossEntropyLoss" and _weights(loss) is None:
            repair = _set(loss, "use_sigmoid", True, "take the sigmoid", safe=False)
        elif loss.kind == "LovaszLoss":
            repair = _set(loss, "loss_type", "binary", "use the binary Lovasz hinge", safe=False)
        yield Mark(
            loss.at(argument.get(loss.kind, "type")) if not loss.is_default else loss.node,
            f"{loss.kind} takes the softmax over the head's one channel, which is always 1",
            hint,
            repair,
        )


@rule("LOSS017", Severity.ERROR)
def binary_lovasz_of_many_channels(facts: Facts) -> Iterator[Mark]:
    """The binary Lovasz hinge gets a prediction of several channels.

    Why it matters: it compares the flattened scores with the flattened labels, which are fewer, and fails at the first
    iteration.

    Bad:
        model = dict(
            decode_head=dict(
                num_classes=4, loss_decode=dict(type='LovaszLoss', loss_type='binary', per_image=True)))

    Good:
        model = dict(
            decode_head=dict(
                num_classes=4, loss_decode=dict(type='LovaszLoss', loss_type='multi_class', per_image=True)))

    Source: mmsegmentation 1.2.2, models/losses/lovasz_loss.py, `lovasz_hinge`.
    """
    for loss in _losses(facts, "LovaszLoss"):
        channels = loss.head.out_channels
        if loss.is_softmax is False and channels is not None and channels > 1:
            yield Mark(
                loss.at("loss_type"),
                f"the binary Lovasz hinge on a head of {channels} channels",
                "set loss_type='multi_class'",
                _set(loss, "loss_type", "multi_class", "use the multi-class Lovasz loss", safe=True),
            )


@rule("LOSS018", Severity.WARNING)
def averaged_over_padding(facts: Facts) -> Iterator[Mark]:
    """The loss is averaged over ignored pixels, and there are many of them.

    Why it matters: with `avg_non_ignore=False` the mean divides by all pixels, padding included. An image padded to
    four times its size weighs a quarter of one that fills the crop, and the loss of the whole batch shrinks with it.

    Bad:
        model = dict(
            data_preprocessor=dict(type='SegDataPreProcessor', size=(1024, 1024)),
            decode_head=dict(loss_decode=dict(type='CrossEntropyLoss')))
        train_dataloader = dict(
            dataset=dict(pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='RandomCrop', crop_size=(512, 512)),
                dict(type='PackSegInputs'),
            ]))

    Good:
        model = dict(
            data_preprocessor=dict(type='SegDataPreProcessor', size=(512, 512)),
            decode_head=dict(loss_decode=dict(type='CrossEntropyLoss')))
        train_dataloader = dict(
            dataset=dict(pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='RandomCrop', crop_size=(512, 512)),
                dict(type='PackSegInputs'),
            ]))

    Known problems: the smallest image is estimated from the scale of RandomResize, as if images had its shape. A
    value that is left at its default is reported only where every image is padded, as mmseg's own configs leave it so.

    Source: mmsegmentation 1.2.2, models/losses/cross_entropy_loss.py; mmsegmentation pull request 1409.
    """
    losses = [loss for loss in _losses(facts, "CrossEntropyLoss") if loss.get("avg_non_ignore") is False]
    if not losses:
        return
    padded = padding(facts)
    if padded is None:
        return
    for loss in losses:
        said = "avg_non_ignore" in loss.values
        share = padded.worst if said else padded.least
        if share < 0.4 or loss.get("reduction") != "mean":
            continue
        if loss.get("class_weight") is not None:
            continue  # divides by the weights of the valid pixels
        yield Mark(
            loss.at("avg_non_ignore"),
            f"the mean divides by padding too, which is {'up to ' if said else ''}{share:.0%} of the {padded.height} x "
            f"{padded.width} pixels",
            "set avg_non_ignore=True, or pad less",
            _set(loss, "avg_non_ignore", True, "average over valid pixels", safe=False),
        )


@rule("LOSS019", Severity.WARNING)
def summed_loss(facts: Facts) -> Iterator[Mark]:
    """The loss is summed over the pixels.

    Why it matters: it is some 100,000 times the mean, which acts like a learning rate that much higher; other losses of
    the head vanish beside it. With a pixel sampler it raises ValueError.

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', reduction='sum')))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', reduction='mean')))

    Source: mmsegmentation 1.2.2, models/losses/utils.py, `weight_reduce_loss`.
    """
    for loss in _any_losses(facts):
        if loss.values.get("reduction") == "sum":
            yield Mark(
                loss.at("reduction"),
                "the loss is summed over all pixels: some 100,000 times its mean",
                "set reduction='mean'",
                _set(loss, "reduction", "mean", "average over the pixels", safe=False),
            )


@rule("LOSS020", Severity.ERROR)
def unknown_reduction(facts: Facts) -> Iterator[Mark]:
    """There is no such reduction.

    Why it matters: most losses notice it in their first forward pass only.

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', reduction='avg')))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', reduction='mean')))

    Source: torch.nn.functional, `_Reduction.get_enum`; mmsegmentation 1.2.2, models/losses/utils.py.
    """
    for typed in facts.typed:
        kind = typed.node.type or ""
        node = typed.node.get("reduction") if typed.registry == "model" and "Loss" in kind else None
        if node is not None and isinstance(node.value, str) and node.value not in _REDUCTIONS:
            known = facts.class_of(typed.node)
            if known is None or known.record.module.partition(".")[0] not in ("mmseg", "mmdet", "provecfg"):
                continue
            yield Mark(
                node,
                f"no reduction {node.value!r}",
                "use 'mean'",
                fix("average over the pixels", replaced(node, "mean"), safe=True),
            )


@rule("LOSS021", Severity.ERROR)
def mask_loss_in_head(facts: Facts) -> Iterator[Mark]:
    """`use_mask` is for mask heads of instance segmentation.

    Why it matters: the loss then expects one mask an object, and fails at the first iteration ("BCE loss does not
    support ignore_index").

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', use_mask=True)))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))

    Source: mmsegmentation 1.2.2, models/losses/cross_entropy_loss.py, `mask_cross_entropy`.
    """
    for loss in _losses(facts, "CrossEntropyLoss"):
        if loss.get("use_mask") is True:
            node = loss.at("use_mask")
            yield Mark(
                node,
                "use_mask=True does not work in a segmentation head",
                "drop it, or set use_sigmoid=True for one sigmoid a class",
                fix("drop use_mask", removed(node), safe=True) if not loss.is_default else None,
            )


@rule("LOSS022", Severity.ERROR)
def softmax_focal_loss(facts: Facts) -> Iterator[Mark]:
    """FocalLoss works on sigmoids only.

    Why it matters: `use_sigmoid=False` fails an assertion when the model is built.

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='FocalLoss', use_sigmoid=False)))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='FocalLoss', use_sigmoid=True)))

    Source: mmsegmentation 1.2.2, models/losses/focal_loss.py, `FocalLoss.__init__`.
    """
    for loss in _any_losses(facts, "FocalLoss"):
        node = loss.at("use_sigmoid")
        if "use_sigmoid" in loss.values and loss.get("use_sigmoid") is not True and node.value in (False, 0, None):
            yield Mark(
                node,
                "FocalLoss knows sigmoids only, not the softmax",
                "set use_sigmoid=True, or use provecfg's SoftmaxFocalLoss",
                _set(loss, "use_sigmoid", True, "use sigmoids", safe=False),
            )


@rule("LOSS023", Severity.ERROR)
def focal_loss_needs_floats(facts: Facts) -> Iterator[Mark]:
    """FocalLoss asks for floats and lists by type.

    Why it matters: it asserts `isinstance(gamma, float)`, so `gamma=2` fails when the model is built.

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='FocalLoss', gamma=2)))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='FocalLoss', gamma=2.0)))

    Source: mmsegmentation 1.2.2, models/losses/focal_loss.py, `FocalLoss.__init__`.
    """
    for loss in _any_losses(facts, "FocalLoss"):
        for name in ("gamma", "loss_weight", "alpha"):
            value = loss.values.get(name)
            if type(value) is int:
                node = loss.at(name)
                yield Mark(
                    node,
                    f"FocalLoss takes a float for {name}, not the int {value}",
                    f"write {float(value)!r}",
                    fix(f"write {float(value)!r}", replaced(node, float(value)), safe=True),
                )
        for name in ("class_weight", "alpha"):
            if isinstance(loss.values.get(name), tuple):
                yield Mark(
                    loss.at(name), f"FocalLoss takes a list for {name}, not a tuple", "write it in square brackets"
                )


@rule("LOSS024", Severity.ERROR)
def lovasz_reduction(facts: Facts) -> Iterator[Mark]:
    """LovaszLoss over the batch cannot be reduced.

    Why it matters: its own defaults, `per_image=False` with `reduction='mean'`, fail its assertion when the model is
    built.

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='LovaszLoss')))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='LovaszLoss', per_image=True)))

    Source: mmsegmentation 1.2.2, models/losses/lovasz_loss.py, `LovaszLoss.__init__`.
    """
    for loss in _any_losses(facts, "LovaszLoss"):
        reduction = loss.get("reduction")
        if loss.get("per_image") is False and isinstance(reduction, str) and reduction != "none":
            yield Mark(
                loss.node.get("per_image") or loss.at("reduction"),
                f"LovaszLoss with per_image=False needs reduction='none', not {reduction!r}",
                "set per_image=True (a mean over images), or reduction='none' (one value for the batch)",
                _set(loss, "per_image", True, "compute it for each image", safe=True),
            )


@rule("LOSS025", Severity.ERROR)
def loss_not_callable_by_head(facts: Facts) -> Iterator[Mark]:
    """The head cannot call this loss.

    Why it matters: heads call each of their losses with `weight` and `ignore_index`. BoundaryLoss, OhemCrossEntropy and
    others, made for one special head, take neither: TypeError at the first iteration.

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='OhemCrossEntropy')))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='CrossEntropyLoss')))

    Source: mmsegmentation 1.2.2, models/decode_heads/decode_head.py, `loss_by_feat`.
    """
    for loss in _losses(facts):
        known = None if loss.is_default else facts.class_of(loss.node)
        forward = known.forward if known is not None else None
        if forward is None or known is None or not (loss.head.kind or loss.kind in _CALLED_OTHERWISE):
            continue
        head = facts.class_of(loss.head.node)
        if head is not None and head.is_of_user:
            continue  # it may call its losses as it likes
        takes_all = any(parameter.kind.name == "VAR_KEYWORD" for parameter in forward.values())
        lacking = [name for name in ("weight", "ignore_index") if name not in forward and not takes_all]
        if lacking:
            yield Mark(
                loss.at("type"),
                f"{loss.kind} does not take {' and '.join(lacking)}, which {loss.head.kind or 'the head'} gives it",
                "it belongs to a special head (PIDHead, DDRHead); use CrossEntropyLoss, with sampler="
                "dict(type='OHEMPixelSampler') for hard pixels",
            )
        elif known.has_loss_name is False:
            yield Mark(
                loss.at("type"),
                f"{loss.kind} has no loss_name, which {loss.head.kind or 'the head'} reads: AttributeError",
                "use one of mmseg's losses, or give the class a loss_name property",
            )


_CALLED_OTHERWISE: Final = frozenset({"BoundaryLoss", "OhemCrossEntropy", "SiLogLoss", "KLDivLoss"})


@rule("LOSS026", Severity.ERROR)
def huasdorff_class_weight(facts: Facts) -> Iterator[Mark]:
    """HuasdorffDisstanceLoss cannot use class weights.

    Why it matters: its assertion compares the number of dimensions of the weights, 1, with the number of classes, and
    fails at the first iteration.

    Bad:
        model = dict(
            decode_head=dict(
                num_classes=2,
                loss_decode=[
                    dict(type='CrossEntropyLoss'),
                    dict(type='HuasdorffDisstanceLoss', class_weight=[1.0, 2.0]),
                ]))

    Good:
        model = dict(
            decode_head=dict(
                num_classes=2, loss_decode=[dict(type='CrossEntropyLoss'), dict(type='HuasdorffDisstanceLoss')]))

    Source: mmsegmentation 1.2.2, models/losses/huasdorff_distance_loss.py, `hd_loss`.
    """
    for loss in _losses(facts, "HuasdorffDisstanceLoss"):
        if loss.values.get("class_weight") is not None:
            node = loss.at("class_weight")
            yield Mark(
                node,
                "class_weight of HuasdorffDisstanceLoss fails its own assertion at the first iteration",
                "leave it out",
                fix("drop class_weight", removed(node), safe=True),
            )


@rule("LOSS027", Severity.ERROR)
def fractions_out_of_range(facts: Facts) -> Iterator[Mark]:
    """A fraction of a loss lies outside 0 and 1, or an exponent is negative.

    Why it matters: `alpha` of a focal loss weighs foreground against `1 - alpha` of background; outside 0 and 1 one of
    them is negative and training goes up its loss. A negative `gamma` favours pixels that are right already.

    Bad:
        model = dict(decode_head=dict(loss_decode=dict(type='FocalLoss', alpha=25.0)))

    Good:
        model = dict(decode_head=dict(loss_decode=dict(type='FocalLoss', alpha=0.25)))

    Source: Lin et al. 2017, sections 3.1 and 3.2 (arXiv:1708.02002).
    """
    for loss in _any_losses(facts, "FocalLoss", "SoftmaxFocalLoss", "TverskyLoss"):
        for name in ("alpha", "beta"):
            value = number(loss.values.get(name))
            if value is not None and not 0 <= value <= 1:
                yield Mark(loss.at(name), f"{name} {value:g} is not within 0 and 1", "give a fraction")
        gamma = number(loss.values.get("gamma"))
        if gamma is not None and gamma < 0:
            yield Mark(loss.at("gamma"), f"gamma {gamma:g} is negative", "give 0 or more")


@rule("LOSS028", Severity.ERROR)
def no_loss_at_all(facts: Facts) -> Iterator[Mark]:
    """The head has an empty list of losses.

    Why it matters: it is not trained. If no other head has a loss, the first iteration fails; otherwise a distributed
    run stops at the second one, because parameters of this head got no gradient.

    Bad:
        model = dict(auxiliary_head=dict(loss_decode=[]))

    Good:
        model = dict(auxiliary_head=dict(loss_decode=[dict(type='CrossEntropyLoss', loss_weight=0.4)]))

    Source: mmsegmentation 1.2.2, models/decode_heads/decode_head.py; mmsegmentation issue 3737.
    """
    for head in facts.heads:
        node = head.node.get("loss_decode")
        if node is not None and node.is_list and not node.value and head.calls_losses_plainly and not head.is_mask_head:
            yield Mark(node, "an empty list of losses: this head is not trained", "give it a loss, or leave it out")


RULES = (
    name_without_loss,
    same_loss_name,
    dice_of_one_channel,
    dice_counts_ignored_pixels,
    dice_of_sigmoids,
    own_ignore_index,
    tversky_weights,
    negative_loss_weight,
    zero_loss_weight,
    class_weight_length,
    class_weight_of_sigmoids,
    class_weight_with_avg_non_ignore,
    class_weight_meets_ignored,
    worthless_class_weights,
    class_without_weight,
    softmax_of_one_channel,
    binary_lovasz_of_many_channels,
    averaged_over_padding,
    summed_loss,
    unknown_reduction,
    mask_loss_in_head,
    softmax_focal_loss,
    focal_loss_needs_floats,
    lovasz_reduction,
    loss_not_callable_by_head,
    huasdorff_class_weight,
    fractions_out_of_range,
    no_loss_at_all,
)
