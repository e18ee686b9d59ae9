"""The data of a run as a whole: held against its fingerprint, and what only all of its files together show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from mmengine.config import Config

from provecfg.catalog.datasets import PAIRED, Dataset, Split
from provecfg.data.fingerprint import changes_between, fingerprint_of, survey_of
from provecfg.data.layouts import Layout, paired_layout
from provecfg.data.observations import observations_of
from provecfg.data.recorded_fingerprint import read_fingerprint
from provecfg.errors import ProvecfgError
from provecfg.findings import Finding, Problem
from provecfg.training.adapt import catalog_dataset, datasets_of
from provecfg.training.problems import (
    CHANGED_DATA,
    LABELS_MADE_WRONGLY,
    MOSTLY_IGNORED,
    SHARED_IMAGES,
    TESTED_ON_VALIDATION,
)

_OF_KIND: Final[Mapping[str, Problem]] = {
    "channel order": LABELS_MADE_WRONGLY,
    "ignored": MOSTLY_IGNORED,
    "mapped twice": LABELS_MADE_WRONGLY,
}
"""Kind of an observation -> its code. Others are found file by file, by `data_checks`; notes by `init` alone."""


def check_survey(config: Config, recorded: Path | None) -> list[Finding]:
    """What is wrong with the data as a whole; nothing where a loader joins datasets, or one is of an unknown class.

    Args:
        config: The config.
        recorded: The fingerprint that the data is held against, or None.
    """
    declared = declared_dataset(config)
    if declared is None:
        return []
    dataset, root = declared
    if not root.is_dir():
        return []
    survey = survey_of(dataset, root)
    if survey.problems:
        return []  # said file by file
    findings = list(_shared(survey.shared(), config))
    for observation in observations_of(survey):
        problem = _OF_KIND.get(observation.kind)
        if problem is not None:
            split = observation.split or "train"
            place = f"{split}: " if observation.split else ""
            key = f"{split}_dataloader.dataset"
            findings.append(Finding(problem, f"{place}{observation.message}", key, hint=observation.hint or None))
    if recorded is not None:
        findings += _changes(recorded, fingerprint_of(survey))
    return findings


def _shared(shared: Mapping[tuple[str, str], list[tuple[str, str]]], config: Config) -> Iterator[Finding]:
    chooses = any(
        hook.get("save_best") or "EarlyStopping" in str(hook.get("type"))
        for hook in [*(config.get("default_hooks") or {}).values(), *(config.get("custom_hooks") or [])]
        if isinstance(hook, dict)
    )
    for (first, second), both in shared.items():
        key = f"{second}_dataloader.dataset"
        message = f"{len(both)} images of {second} are in {first}, too, {both[0][1]} for one"
        if first == "train":
            yield Finding(SHARED_IMAGES, message, key, hint="what is measured there was seen in training")
        elif chooses:
            yield Finding(TESTED_ON_VALIDATION, message, key)


def _changes(recorded: Path, now: Mapping[str, Any]) -> Iterator[Finding]:
    try:
        before = read_fingerprint(recorded)
    except ProvecfgError as error:
        yield Finding(CHANGED_DATA, error.message, "train_dataloader.dataset", hint=error.hint)
        return
    for change in changes_between(before, now):
        yield Finding(
            CHANGED_DATA,
            f"{change} (fingerprint {recorded})",
            "train_dataloader.dataset",
            hint="cells of a study see the same data: take the change back, or make a new study with `provecfg init`",
        )


def declared_dataset(config: Config) -> tuple[Dataset, Path] | None:
    """The one dataset that the loaders of a config read, split by split, and its root; None where it is not one."""
    leaves: dict[str, Any] = {}
    for key, dataset in datasets_of(config):
        split = key.partition("_dataloader")[0]
        if dataset.get("manifest") is not None:
            continue  # of the same label maps
        if split in leaves:
            return None
        leaves[split] = dataset
    if not {"train", "val"} <= leaves.keys() or len({str(leaf.get("data_root")) for leaf in leaves.values()}) != 1:
        return None
    train = leaves["train"]
    root = Path(train.get("data_root") or "")
    if any(leaf.get("backend_args") or leaf.get("indices") is not None for leaf in leaves.values()):
        return None
    layouts = {split: paired_layout(leaf) for split, leaf in leaves.items()}
    if layouts["train"] is not None:
        return _of_layouts({split: layout for split, layout in layouts.items() if layout is not None}, root)
    return _of_mmseg(leaves, root)


def _of_layouts(layouts: Mapping[str, Layout], root: Path) -> tuple[Dataset, Path] | None:
    train = layouts["train"]
    if "val" not in layouts or any(replace(part, selection=train.selection) != train for part in layouts.values()):
        return None  # splits whose labels mean different things
    splits = {
        name: Split(s.images, s.labels, s.files, s.only, s.share, s.share_seed, s.group)
        for name, layout in layouts.items()
        for s in (layout.selection,)
    }
    test = splits.get("test")
    return (
        Dataset(
            name="data",
            title="data",
            type=PAIRED,
            root=str(root),
            root_variable="",
            train=splits["train"],
            val=splits["val"],
            test=None if test == splits["val"] else test,
            image_suffix="",
            label_suffix="",
            source="the config",
            classes=train.classes,
            encoding=train.encoding,
            channel_order=train.channel_order,
            mapping=train.mapping,
        ),
        root,
    )


def _of_mmseg(leaves: Mapping[str, Any], root: Path) -> tuple[Dataset, Path] | None:
    known = catalog_dataset(leaves["train"])
    if known is None or any(leaf.get("type") != leaves["train"].get("type") for leaf in leaves.values()):
        return None
    own = {"reduce_zero_label", "img_suffix", "seg_map_suffix", "metainfo"}
    if any(own & leaf.keys() for leaf in leaves.values()):
        return None  # a config that reads the class's files in a way of its own
    splits = {}
    for name, leaf in leaves.items():
        prefix = leaf.get("data_prefix") or {}
        if not {"img_path", "seg_map_path"} <= prefix.keys():
            return None
        splits[name] = Split(prefix["img_path"], prefix["seg_map_path"], leaf.get("ann_file") or None)
    test = splits.get("test")
    changed = known._replace(train=splits["train"], val=splits["val"], test=None if test == splits["val"] else test)
    return changed, root
