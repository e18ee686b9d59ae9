"""The data section: samples through the real pipelines, those of the user where they are, and synthetic ones anyway."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from provecfg.findings import Finding, Severity
from provecfg.proof.built import Built
from provecfg.proof.data.batch_checks import Batch, BatchMaker, check_batches, check_contrast, check_padding
from provecfg.proof.data.label_heads import LabelHead, label_heads
from provecfg.proof.data.label_moves import check_moves
from provecfg.proof.data.picture_files import declared_bits
from provecfg.proof.data.problems import BATCH_FAILS
from provecfg.proof.data.sample_checks import (
    check_classes,
    check_ignored,
    check_ignored_class,
    check_samples,
    failure,
    ignored_share,
    labels_in,
)
from provecfg.proof.data.sample_reader import Sample, SampledDataset, read_samples
from provecfg.proof.data.split_overlap import check_overlap, image_files
from provecfg.proof.data.synthetic_images import SIZES, synthetic_dataset
from provecfg.proof.exceptions import described
from provecfg.proof.image_shape import image_channels
from provecfg.proof.section import Section
from provecfg.proof.subject import Subject, nothing_printed
from provecfg.spelling import first_few as some
from provecfg.training.adapt import datasets_of, with_data_root
from provecfg.training.data_checks import check_data
from provecfg.training.problems import ENLARGED_IMAGES

_SPLITS = (("train", "train_dataloader"), ("val", "val_dataloader"))
_SAMPLES = 8
"""Samples of the user's data that are read of each split."""
_SECONDS = 4.0
"""After this time no further sample of a split is read, and no further file compared."""


NAME = "data"


def check(subject: Subject, built: Built) -> Section:
    """Read samples through the real pipelines, and hold what comes out against the model and the metric.

    Synthetic images are read in any case: what is wrong with a pipeline shows on them. The user's
    data is read where a data root was named, or the config's own is there.
    """
    channels = image_channels(built.model) if built.model is not None else 3
    data = _DataCheck(subject, label_heads(subject.config, built.model), channels)
    scope = subject.config.get("default_scope") or "mmengine"
    with DefaultScope.overwrite_default_scope(scope):
        for split, loader in _SPLITS:
            if _has_dataset(subject.config, loader):
                data.check_synthetic(split, loader)
        data.check_real()
    data.findings += check_ignored_class(subject.config, data.heads)
    return data.section()


def _has_dataset(config: Config, loader: str) -> bool:
    part = config.get(loader)
    return isinstance(part, dict) and isinstance(part.get("dataset"), dict)


@dataclass(slots=True)
class _DataCheck:
    """What has been seen so far of one config."""

    subject: Subject
    heads: list[LabelHead]
    channels: int = 3
    lines: list[str] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def section(self) -> Section:
        """All of it; of findings that say the same of both splits, one."""
        distinct = {(finding.problem, finding.message, finding.key): finding for finding in self.findings}
        return Section(
            NAME,
            tuple(self.lines),
            self.evidence,
            tuple(distinct.values()),
            None if self.evidence else "nothing of it could be read: no dataset of images and label maps, and no data",
        )

    def check_synthetic(self, split: str, loader: str) -> None:
        """Run the split's pipeline, and the data preprocessor, on synthetic images."""
        config, key = self.subject.config, f"{loader}.dataset"
        ignored = self.heads[0].ignored if self.heads else 255
        classes = max((head.classes for head in self.heads), default=2)
        with nothing_printed():
            synthetic = synthetic_dataset(
                config, loader, self.subject.work_dir / f"images-{split}", classes, ignored, self.channels
            )
        if synthetic.reason is not None:
            self.lines.append(f"{split}: not run on made images: {synthetic.reason}")
            return
        several = split == "train" or config[loader].get("batch_size", 1) != 1
        read = read_samples(synthetic.dataset, key, range(len(SIZES)) if several else [0])
        if read.failure is not None:
            if read.failure.by_stack:
                self.findings.append(failure(read.failure, "made images"))
                self.evidence[f"made_{split}"] = {"read": len(read.samples)}
            else:
                self.lines.append(f"{split}: {read.failure.what} on made images, by a class of the config's own")
            return
        if not read.samples or not read.is_segmentation:
            self.lines.append(f"{split}: its pipeline does not end in an image and a label map")
            return
        self._check_classes(split, key, read)
        wrong = list(check_samples(split, key, read.samples, self.heads, is_real=False))
        if not wrong:
            with nothing_printed():
                wrong += check_moves(read.dataset, key, self.subject.work_dir / f"fields-{split}")
        self.findings += wrong
        batch = None if wrong else self._batch(split, loader, read.samples[:2], read.samples[1:], "made images")
        self._tell_synthetic(split, read.samples, batch)

    def _check_classes(self, split: str, key: str, read: SampledDataset) -> None:
        """A head that disagrees with the training's classes and with the validation's is reported once."""
        reported = {(finding.problem, finding.key) for finding in self.findings}
        wrong = check_classes(self.subject.config, split, key, read, self.heads)
        self.findings += [finding for finding in wrong if (finding.problem, finding.key) not in reported]

    def _batch(
        self, split: str, loader: str, same: Sequence[Sample], mixed: Sequence[Sample], images: str
    ) -> Batch | None:
        with nothing_printed(), torch.no_grad():
            try:
                batches = BatchMaker(self.subject.config, loader)
            except Exception as error:  # the config's own classes raise what they like
                reason = f"no batch of the {split} data can be made: {described(error)}"
                self.findings.append(Finding(BATCH_FAILS, reason, "model.data_preprocessor"))
                return None
            # With the user's own data, whether its sizes differ is seen there.
            results = list(check_batches(batches, same, () if self._data_config() is not None else mixed, images))
        self.findings += [result for result in results if isinstance(result, Finding)]
        batch = next((result for result in results if isinstance(result, Batch)), None)
        if batch is not None and images == "made images":
            steps = list(_steps(self.subject.config, loader))
            normalize = next((key for key, step in steps if "Normalize" in _type(step)), None)
            self.findings += check_contrast(batch, batches.key, normalize, declared_bits(self.subject.config))
            if split == "train":
                self.findings += check_padding(batches, batch, same, self.heads)
        return batch

    def _tell_synthetic(self, split: str, samples: Sequence[Sample], batch: Batch | None) -> None:
        labels = sorted(labels_in(samples))
        text = f"{split}: made images come through the pipeline with labels {_range(labels, self._ignored)}"
        evidence: dict[str, Any] = {"read": len(samples), "labels": labels}
        if batch is not None:
            text += f"; the model is given {_shape(batch.shape)}, {batch.mean:.2f} +- {batch.deviation:.2f}"
            evidence |= {"batch": list(batch.shape), "mean": batch.mean, "deviation": batch.deviation}
        self.lines.append(text)
        self.evidence[f"made_{split}"] = evidence

    @property
    def _ignored(self) -> int:
        return self.heads[0].ignored if self.heads else 255

    def _data_config(self) -> Config | None:
        """The config with the data root of the user's data, or None where there is none."""
        if self.subject.data_root is not None:
            return with_data_root(self.subject.config, self.subject.data_root)
        roots = [
            dataset.get("data_root")
            for key, dataset in datasets_of(self.subject.config)
            if not key.startswith("test_dataloader")
        ]
        there = bool(roots) and all(isinstance(root, str) and root and os.path.isdir(root) for root in roots)
        return self.subject.config if there else None

    def check_real(self) -> None:
        """Look at the user's files, and read samples of them."""
        config = self._data_config()
        if config is None:
            self.lines.append("no data root given (--data-root), and the config's own is not there: no file was read")
            return
        with nothing_printed():
            # a few small files serve for a proof; whether the data to train on is as small is for `run` to say
            raw = [
                finding
                for finding in check_data(config)
                if finding.problem.severity is not Severity.NOTE and finding.problem is not ENLARGED_IMAGES
            ]
        self.findings += raw
        broken = [finding.key for finding in raw if finding.problem.severity is Severity.ERROR]
        reads: dict[str, SampledDataset] = {}
        for split, loader in _SPLITS:
            if not _has_dataset(config, loader):
                continue
            if any(key.startswith(loader) for key in broken):
                self.lines.append(f"{split}: its files are at fault, so its pipeline was not run on them")
                continue
            reads[split] = read_samples(config[loader].dataset, f"{loader}.dataset", _SAMPLES, _SECONDS)
            self._check_split(split, loader, reads[split])
        if all(split in reads and reads[split].dataset is not None for split, _ in _SPLITS):
            self._check_overlap(reads["train"], reads["val"])

    def _check_split(self, split: str, loader: str, read: SampledDataset) -> None:
        key = f"{loader}.dataset"
        if read.failure is not None:
            self.findings.append(failure(read.failure, "the data"))
            self.evidence[split] = {"read": len(read.samples)}
            return
        if not read.samples or not read.is_segmentation:
            self.lines.append(f"{split}: its pipeline does not end in an image and a label map")
            return
        self._check_classes(split, key, read)
        wrong = list(check_samples(split, key, read.samples, self.heads, is_real=True))
        self.findings += wrong
        if split == "train":
            self.findings += check_ignored(key, read.samples, self._ignored)
        if not wrong:
            self._batch(split, loader, read.samples, (), "images of the data")
        self._tell_split(split, read)

    def _tell_split(self, split: str, read: SampledDataset) -> None:
        labels = labels_in(read.samples) - {self._ignored}
        share = ignored_share(read.samples, self._ignored)
        classes = list((getattr(read.dataset, "metainfo", None) or {}).get("classes") or ())
        absent = [name for value, name in enumerate(classes) if value not in labels]
        number = len(read.dataset)
        self.lines.append(
            f"{split}: {number} images, {len(read.samples)} read through the pipeline: labels "
            f"{_range(sorted(labels), self._ignored)}, {share or 0:.0%} of the pixels ignored"
        )
        if absent:
            self.lines.append(f"{split}: {len(absent)} of {len(classes)} classes absent in these: {some(absent, 8)}")
        self.evidence[split] = {
            "images": number,
            "read": len(read.samples),
            "labels": sorted(labels),
            "ignored": share,
            "absent": absent,
        }

    def _check_overlap(self, train: SampledDataset, val: SampledDataset) -> None:
        files = [image_files(read.dataset, "") for read in (train, val)]
        if not all(files):
            return
        shared = list(check_overlap(files[0], files[1], "val_dataloader.dataset", _SECONDS))
        self.findings += shared
        self.evidence["disjoint"] = not shared
        if not shared:
            self.lines.append(f"train and val share no image ({len(files[0])} and {len(files[1])} files)")


def _steps(config: Config, loader: str) -> Iterator[tuple[str, Any]]:
    for key, dataset in datasets_of(config):
        if key.startswith(loader):
            for index, step in enumerate(dataset.get("pipeline") or ()):
                if isinstance(step, dict):
                    yield f"{key}.pipeline[{index}]", step


def _type(step: Any) -> str:
    kind = step.get("type")
    return kind if isinstance(kind, str) else getattr(kind, "__name__", "")


def _range(labels: Sequence[int], ignored: int) -> str:
    held = [label for label in labels if label != ignored]
    text = "none" if not held else f"{held[0]} to {held[-1]}" if len(held) > 1 else str(held[0])
    return f"{text} and {ignored}, which is ignored" if ignored in labels else text


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
