"""Data loaders: samplers, workers, batch sizes and the arguments of torch's loader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provecfg.facts.arguments import is_for_the_runner
from provecfg.facts.facts import Facts
from provecfg.facts.numbers import count
from provecfg.findings import Severity
from provecfg.mmconfig import DottedName
from provecfg.rules.edits import fix, renamed, replaced
from provecfg.rules.rule import Mark, rule
from provecfg.spelling import nearest_names


@rule("DATA014", Severity.WARNING)
def no_sampler(facts: Facts) -> Iterator[Mark]:
    """The data loader has no sampler.

    Why it matters: mmengine's loader then goes through the data in file order: training is not shuffled, and each of
    several processes has the same images, which a metric counts as often.

    Bad:
        train_dataloader = dict(batch_size=2, dataset=dict(type='CityscapesDataset'))

    Good:
        train_dataloader = dict(
            batch_size=2,
            sampler=dict(type='InfiniteSampler', shuffle=True),
            dataset=dict(type='CityscapesDataset'))

    Source: mmengine 0.10.7, runner/runner.py, `build_dataloader`; config/config.py, `ConfigDict.pop`.
    """
    for loader in facts.loaders:
        dataset = loader.node.get("dataset")
        if dataset is None or dataset.type is None or "sampler" in loader.node.value:
            continue
        if "batch_sampler" not in loader.node.value:
            kind = "InfiniteSampler" if loader.split == "train" else "DefaultSampler"
            yield Mark(
                loader.node,
                "the data loader has no sampler: its data comes in file order, to every process alike",
                f"set sampler=dict(type='{kind}', shuffle={loader.split == 'train'})",
                missing="sampler",
            )


_BUILT_OF_DICTS: Final = ("dataset", "sampler", "batch_sampler")


@rule("DATA037", Severity.ERROR)
def part_of_a_loader_is_no_dict(facts: Facts) -> Iterator[Mark]:
    """A dataset or a sampler is a list or a text, or a dataset None, where a dict is built.

    Why it matters: mmengine builds a dict and takes anything else for the object itself, which has nothing of a dataset
    or a sampler: the run fails when the loader is made or goes through it.

    Bad:
        val_dataloader = dict(
            sampler=[dict(type='DefaultSampler', shuffle=False)], dataset=dict(type='CityscapesDataset'))

    Good:
        val_dataloader = dict(
            sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(type='CityscapesDataset'))

    Source: mmengine 0.10.7, runner/runner.py, `build_dataloader`.
    """
    for loader in facts.loaders:
        for key in _BUILT_OF_DICTS:
            part = loader.node.get(key)
            if part is None or isinstance(part.value, DottedName):
                continue
            is_taken_away = key == "dataset" and part.value is None and facts.is_whole_run
            if is_taken_away or isinstance(part.value, (list, tuple, str, int, float)):
                yield Mark(part, f"{key} is {part.value!r:.60}, and no dict that can be built", "give it as one dict")


@rule("DATA015", Severity.ERROR)
def workers_that_do_not_exist(facts: Facts) -> Iterator[Mark]:
    """Options for workers, and no workers.

    Why it matters: torch's DataLoader refuses `persistent_workers=True` and `prefetch_factor` with `num_workers=0`.

    Bad:
        train_dataloader = dict(num_workers=0, persistent_workers=True)

    Good:
        train_dataloader = dict(num_workers=0, persistent_workers=False)

    Source: torch.utils.data.DataLoader.
    """
    for loader in facts.loaders:
        workers = facts.value(loader.node, "num_workers", 0)
        node = loader.node.get("persistent_workers")
        if workers == 0 and node is not None and node.value is True:
            yield Mark(
                node,
                "persistent_workers=True with num_workers=0",
                "set num_workers, or persistent_workers=False",
                fix("set persistent_workers=False", replaced(node, False), safe=False),
            )
        node = loader.node.get("prefetch_factor")
        if workers == 0 and node is not None and isinstance(node.value, int):
            yield Mark(node, "prefetch_factor with num_workers=0", "set num_workers, or drop it")


@rule("DATA033", Severity.WARNING)
def not_shuffled(facts: Facts) -> Iterator[Mark]:
    """Training images are not shuffled.

    Why it matters: batches hold neighbours on the disk, frames of one drive, say, in the same order in every pass. The
    gradients of a batch agree with each other more than with the data's, and batch norm sees one scene at a time.

    Bad:
        train_dataloader = dict(sampler=dict(type='InfiniteSampler', shuffle=False))

    Good:
        train_dataloader = dict(sampler=dict(type='InfiniteSampler', shuffle=True))

    Source: mmengine 0.10.7, dataset/sampler.py.
    """
    node = facts.get("train_dataloader.sampler.shuffle")
    if node is not None and node.value is False:
        yield Mark(
            node,
            "training images come in the order of the disk",
            "set shuffle=True",
            fix("shuffle them", replaced(node, True), safe=False),
        )


@rule("DATA045", Severity.WARNING)
def validated_repeatedly(facts: Facts) -> Iterator[Mark]:
    """A validation goes through its images several times.

    Why it matters: nothing is drawn in a validation, so that each pass gives the same scores: it takes several times as
    long for the same numbers.

    Bad:
        val_dataloader = dict(
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='RepeatDataset', times=100, dataset=dict(type='CityscapesDataset')))

    Good:
        val_dataloader = dict(
            sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(type='CityscapesDataset'))

    Source: mmengine 0.10.7, dataset/dataset_wrapper.py, `RepeatDataset`; mmsegmentation issue 1063.
    """
    for loader in facts.loaders:
        dataset = loader.node.get("dataset")
        if loader.split == "train" or dataset is None:
            continue
        for node in dataset.walk():
            info = facts.class_of(node, "dataset") if node.type == "RepeatDataset" else None
            times = count(node.value.get("times")) if info is not None and not info.is_of_user else None
            if times is not None and times > 1:
                yield Mark(
                    node.get("times") or node,
                    f"the images are gone through {times} times, for the same scores",
                    "leave RepeatDataset out",
                )


LOADER_KEYS: Final = frozenset(
    {
        # torch 2.4, utils/data/dataloader.py, `DataLoader.__init__`
        "batch_sampler",
        "batch_size",
        "collate_fn",
        "dataset",
        "drop_last",
        "generator",
        "in_order",
        "multiprocessing_context",
        "num_workers",
        "persistent_workers",
        "pin_memory",
        "pin_memory_device",
        "prefetch_factor",
        "sampler",
        "shuffle",
        "timeout",
        "worker_init_fn",
        # mmengine 0.10.7, runner/runner.py, `build_dataloader`
        "disable_subprocess_warning",
        "num_batch_per_epoch",
    }
)


@rule("DATA034", Severity.ERROR)
def unknown_loader_key(facts: Facts) -> Iterator[Mark]:
    """A data loader does not take this key.

    Why it matters: mmengine hands what it does not know to torch's DataLoader, which refuses it.

    Bad:
        train_dataloader = dict(batch_sze=2, sampler=dict(type='InfiniteSampler', shuffle=True))

    Good:
        train_dataloader = dict(batch_size=2, sampler=dict(type='InfiniteSampler', shuffle=True))

    Source: mmengine 0.10.7, runner/runner.py, `build_dataloader`; torch 2.4, utils/data/dataloader.py.
    """
    for loader in facts.loaders:
        for child in loader.node:
            if (
                child.name in LOADER_KEYS
                or child.name.startswith("_")
                or not is_for_the_runner(facts, loader.node.name)
            ):
                continue
            near = [name for name in nearest_names(child.name, LOADER_KEYS) if name not in loader.node.value]
            yield Mark(
                child,
                f"a data loader has no {child.name!r}",
                f"did you mean {near[0]!r}?" if near else "leave it out",
                fix(f"rename it to {near[0]!r}", renamed(child, near[0]), safe=len(near) == 1) if near else None,
                at_key=True,
            )
