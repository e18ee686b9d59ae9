"""The channels and classes of heads, among themselves."""

from __future__ import annotations

from collections.abc import Iterator

from provecfg.facts.facts import Facts
from provecfg.facts.numbers import number
from provecfg.findings import Severity
from provecfg.rules.edits import fix, removed, replaced
from provecfg.rules.rule import Mark, rule


@rule("HEAD001", Severity.ERROR)
def channels_against_classes(facts: Facts) -> Iterator[Mark]:
    """The head has neither one channel a class nor, for two classes, one channel.

    Why it matters: one channel can tell background from one foreground class. With more classes, labels above 1 fail in
    a cross-entropy at the first iteration; losses that clamp them (Dice, Tversky, Lovasz) train without a word, and all
    other classes are never predicted. Any other number fails when the model is built.

    Bad:
        model = dict(
            decode_head=dict(
                num_classes=4, out_channels=1, loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))

    Good:
        model = dict(
            decode_head=dict(
                num_classes=2, out_channels=1, threshold=0.5,
                loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))

    Source: mmsegmentation 1.2.2, models/decode_heads/decode_head.py, `BaseDecodeHead.__init__`.
    """
    for head in facts.heads:
        channels, classes = facts.value(head.node, "out_channels"), head.num_classes
        if head.out_channels is None or not isinstance(channels, int) or classes is None or channels == classes:
            continue
        if channels == 1 and classes <= 2:
            continue
        node = head.at("out_channels")
        yield Mark(
            node,
            f"{channels} output channel{'s' if channels != 1 else ''} for {classes} classes",
            "leave out_channels out (one channel a class); one channel is for num_classes=2",
            fix("predict one channel a class", removed(node), safe=False)
            if "threshold" not in head.node.value
            else None,
        )


@rule("HEAD002", Severity.ERROR)
def threshold_out_of_range(facts: Facts) -> Iterator[Mark]:
    """The threshold of a binary head is not between 0 and 1.

    Why it matters: it is compared with a sigmoid. At 1 or more, foreground is never predicted, at 0 or less always.

    Bad:
        model = dict(decode_head=dict(num_classes=2, out_channels=1, threshold=50))

    Good:
        model = dict(decode_head=dict(num_classes=2, out_channels=1, threshold=0.5))

    Source: mmsegmentation 1.2.2, models/segmentors/base.py, `postprocess_result`.
    """
    for head in facts.heads:
        value = number(facts.value(head.node, "threshold"))
        if value is not None and not 0 < value < 1 and head.out_channels in (1, None):
            always = "foreground is never predicted" if value >= 1 else "everything is predicted as foreground"
            node = head.at("threshold")
            fraction = value / 100
            yield Mark(
                node,
                f"threshold {value:g} is compared with a probability: {always}",
                "give a fraction between 0 and 1",
                fix(f"write {fraction:g}", replaced(node, fraction), safe=False) if 1 < value < 100 else None,
            )


@rule("HEAD003", Severity.WARNING)
def threshold_without_use(facts: Facts) -> Iterator[Mark]:
    """A head of several channels ignores its threshold.

    Why it matters: it predicts the arg max of its channels. The threshold is read only where there is one channel.

    Bad:
        model = dict(decode_head=dict(num_classes=2, threshold=0.5))

    Good:
        model = dict(decode_head=dict(num_classes=2, out_channels=1, threshold=0.5))

    Source: mmsegmentation 1.2.2, models/segmentors/base.py, `postprocess_result`.
    """
    for head in facts.heads:
        channels = head.out_channels
        if channels is not None and channels > 1 and number(facts.value(head.node, "threshold")) is not None:
            node = head.at("threshold")
            yield Mark(
                node,
                f"the threshold is not used: the head predicts the arg max of {channels} channels",
                "set out_channels=1 for a binary head, or drop the threshold",
                fix("drop the threshold", removed(node), safe=False),
            )


@rule("HEAD004", Severity.WARNING)
def more_classes_than_main_head(facts: Facts) -> Iterator[Mark]:
    """A head has more classes than the one that predicts.

    Why it matters: it trains classes that no label has. Mostly its number was forgotten when the other was changed.

    Bad:
        model = dict(decode_head=dict(num_classes=4), auxiliary_head=dict(num_classes=19))

    Good:
        model = dict(decode_head=dict(num_classes=4), auxiliary_head=dict(num_classes=4))

    Source: mmsegmentation pull request 488.
    """
    yield from _against_main_head(facts, more=True)


def _against_main_head(facts: Facts, *, more: bool) -> Iterator[Mark]:
    main = facts.main_head
    if main is None or main.num_classes is None or main.has_own_outputs:
        return
    classes = main.num_classes
    for head in facts.heads:
        own = head.num_classes
        if head is main or own is None or own == classes or (own > classes) is not more:
            continue
        if head.has_own_outputs:
            continue
        if head.kind == "STDCHead":  # trains edges: 2 classes, boundary_threshold
            continue
        node = head.at("num_classes")
        yield Mark(
            node,
            f"{own} classes, the {main.node.key} has {classes}",
            f"set num_classes={classes}",
            fix(f"set num_classes={classes}", replaced(node, classes), safe=not more),
        )


@rule("HEAD005", Severity.ERROR)
def fewer_classes_than_main_head(facts: Facts) -> Iterator[Mark]:
    """A head has fewer classes than the one that predicts.

    Why it matters: all heads see the same labels. The first image with a higher label fails with an IndexError on the
    CPU, a device-side assert on the GPU, maybe hours into training.

    Bad:
        model = dict(decode_head=dict(num_classes=4), auxiliary_head=dict(num_classes=2))

    Good:
        model = dict(decode_head=dict(num_classes=4), auxiliary_head=dict(num_classes=4))

    Source: mmsegmentation issues 1553 and 390.
    """
    yield from _against_main_head(facts, more=False)
