"""What can be done to a place of a config: the ways that kinds of mistakes are put together from."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from provecfg.mmconfig import Node
from tests.proof.mutations import Change, Original

Changes = Callable[[Original], Iterator[Change]]

HEADS = "model.*_head"
LOSSES = "model.*_head.loss_decode[*]"
PIPELINE = "train_dataloader.dataset.pipeline"
VAL_PIPELINE = "val_dataloader.dataset.pipeline"
STOPPING = "custom_hooks[1]"
CHECKPOINT = "default_hooks.checkpoint"


# --- What can be done to a place ------------------------------------------------------------------------------------


def sets(pattern: str, *sources: str) -> Changes:
    """Write each of some values in the place of each that the pattern matches."""

    def changes(original: Original) -> Iterator[Change]:
        for node in original.matching(pattern):
            for source in sources:
                if source != original.written(node):
                    yield Change(node.key, f"{original.written(node)} -> {source}", original.set(node, source))

    return changes


def adds(pattern: str, *items: str) -> Changes:
    """Write each of some items into each dict or list that the pattern matches."""

    def changes(original: Original) -> Iterator[Change]:
        for node in original.matching(pattern):
            for item in items:
                if (node.is_dict or node.is_list) and node.get(item.partition("=")[0]) is None:
                    yield Change(node.key, f"+ {item}", original.add(node, item))

    return changes


def drops(*patterns: str) -> Changes:
    """Leave out what a pattern matches."""

    def changes(original: Original) -> Iterator[Change]:
        for pattern in patterns:
            for node in original.matching(pattern):
                yield Change(node.key, "left out", original.drop(node))

    return changes


def renames(pattern: str, name: str) -> Changes:
    """Give what the pattern matches another key."""

    def changes(original: Original) -> Iterator[Change]:
        for node in original.matching(pattern):
            yield Change(node.key, f"called {name}", original.rename(node, name))

    return changes


def quotes(*patterns: str) -> Changes:
    """Write numbers as text."""

    def changes(original: Original) -> Iterator[Change]:
        for pattern in patterns:
            for node in original.matching(pattern):
                source = f"'{original.written(node)}'"
                yield Change(node.key, f"{original.written(node)} -> {source}", original.set(node, source))

    return changes


def swaps(first_key: str, second_key: str) -> Changes:
    """Exchange two values of one config."""

    def changes(original: Original) -> Iterator[Change]:
        first, second = original.view.dig(first_key), original.view.dig(second_key)
        if first is not None and second is not None:
            yield Change(first.key, f"exchanged with {second.key}", original.swap(first, second))

    return changes


def appends(*statements: str) -> Changes:
    """Set another variable at the end of the file."""

    def changes(original: Original) -> Iterator[Change]:
        for statement in statements:
            yield Change(statement.partition(" ")[0], f"+ {statement}", original.append(statement))

    return changes


def either(*several: Changes) -> Changes:
    """All places of several ways."""

    def changes(original: Original) -> Iterator[Change]:
        for way in several:
            yield from way(original)

    return changes


def misspelt(pattern: str) -> Changes:
    """Leave out one letter of a text, so that no dot or slash is lost."""

    def changes(original: Original) -> Iterator[Change]:
        for node in original.matching(pattern):
            if isinstance(node.value, str):
                short = _shortened(node.value)
                yield Change(node.key, f"{node.value} -> {short}", original.set(node, repr(short)))

    return changes


def misspelt_keys(pattern: str) -> Changes:
    """Leave out one letter of each key that the pattern matches."""

    def changes(original: Original) -> Iterator[Change]:
        for node in original.matching(pattern):
            if isinstance(node.step, str):
                yield Change(node.key, f"called {_shortened(node.step)}", original.rename(node, _shortened(node.step)))

    return changes


def _shortened(name: str) -> str:
    place = len(name) - 3
    while not name[place].isalpha():
        place += 1
    return name[:place] + name[place + 1 :]


def where(of: Callable[[Node], bool], changes: Changes) -> Changes:
    """Only the changes at places of which something is true."""

    def kept(original: Original) -> Iterator[Change]:
        for change in changes(original):
            node = original.view.dig(change.key)
            if node is not None and of(node):
                yield change

    return kept


def without(pipeline: str, *types: str) -> Changes:
    """Leave transforms out of a pipeline."""

    def changes(original: Original) -> Iterator[Change]:
        for node in original.matching(f"{pipeline}[*]"):
            if node.type in types:
                yield Change(node.key, f"without {node.type}", original.drop(node))

    return changes


def exchanged(pipeline: str, first_step: str, second_step: str) -> Changes:
    """Exchange two transforms of a pipeline."""

    def changes(original: Original) -> Iterator[Change]:
        steps = {node.type: node for node in original.matching(f"{pipeline}[*]")}
        if first_step in steps and second_step in steps:
            first, second = sorted((steps[first_step], steps[second_step]), key=lambda node: int(node.name))
            what = f"{first.type} and {second.type} exchanged"
            yield Change(first.key, what, original.swap(first, second))

    return changes


def has_siblings(node: Node) -> bool:
    """Whether the loss, or the one that an argument belongs to, is not the only one of its head."""
    loss = node if isinstance(node.step, int) else node.parent
    return loss is not None and loss.parent is not None and len(list(loss.parent)) > 1


def is_of_mask_head(node: Node) -> bool:
    losses = node.parent.parent if node.parent is not None else None
    return losses is not None and losses.parent is not None and str(losses.parent.type).startswith("Mask2Former")


def has_softmax_beside(node: Node) -> bool:
    """Whether a loss beside this one takes the softmax of the scores."""
    losses = node.parent.parent if node.parent is not None else None
    return losses is not None and any(str(loss.type).startswith("Softmax") for loss in losses)


def pooled(changes: Changes) -> Changes:
    """Only in configs whose decode head normalises features that are pooled to one pixel."""

    def kept(original: Original) -> Iterator[Change]:
        if original.view.values["model"]["decode_head"]["type"] in ("PSPHead", "DepthwiseSeparableASPPHead"):
            yield from changes(original)

    return kept
