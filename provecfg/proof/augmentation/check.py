"""Augmentations of the training images, each drawn many times on real samples, alone and as the config has it."""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, DefaultScope
from mmseg.datasets.transforms import PackSegInputs
from mmseg.registry import MODELS, TRANSFORMS

from provecfg.findings import Finding
from provecfg.proof.augmentation.draws import DRAWS, Draws, Picture, counted, is_apart
from provecfg.proof.augmentation.problems import NOTHING_CHANGED, SHARE_APART
from provecfg.proof.built import Built
from provecfg.proof.classes import class_of
from provecfg.proof.data.label_heads import label_heads
from provecfg.proof.data.sample_reader import OF_THE_STACK, leaves, own_randomness, read_samples
from provecfg.proof.data.synthetic_images import synthetic_dataset
from provecfg.proof.exceptions import described
from provecfg.proof.image_shape import image_channels
from provecfg.proof.section import Section
from provecfg.proof.subject import Subject, nothing_printed
from provecfg.training.adapt import datasets_of, with_data_root

NAME = "augmentation"

_SIDE = 64
"""Pixels of a side of what is drawn on, cut out of the sample: shares are those of the whole, in a small part of the
time."""
_IMAGES = 4
_FIRST_DRAWS = 8
"""After as many, what has changed nothing and names no probability is left alone."""
_DRAWS_OF_HOOKS = 20
_LOADER = "train_dataloader"


def check(subject: Subject, built: Built) -> Section:
    """Draw every transform that acts by chance, and the mixing of batches, and hold their shares against what they say.

    Args:
        subject: The config. Samples are of its data where that is there, else of made images.
        built: With its model.
    """
    if not isinstance((subject.config.get(_LOADER) or {}).get("dataset"), dict):
        return Section(NAME, not_judged="there is no training data")
    heads = label_heads(subject.config, built.model)
    drawing = _AugmentationCheck(subject.config, heads[0].ignored if heads else 255)
    scope = subject.config.get("default_scope") or "mmengine"
    with nothing_printed(), _one_thread(), own_randomness(), DefaultScope.overwrite_default_scope(scope):
        channels = image_channels(built.model) if built.model is not None else 3
        reason = drawing.check_pipelines(_readable(subject, channels, drawing.ignored))
        if drawing.samples:
            drawing.check_hooks(built)
            drawing.check_preprocessor()
    if reason is not None:
        return Section(NAME, not_judged=reason)
    if not drawing.lines:
        drawing.lines.append("no transform of the training images that keeps their size acts by chance")
    return Section(NAME, tuple(drawing.lines), drawing.evidence, tuple(drawing.findings))


def _readable(subject: Subject, channels: int, ignored: int) -> Any:
    """The training dataset's dict on data that is there; None where no images can be made for it."""
    config = subject.config if subject.data_root is None else with_data_root(subject.config, subject.data_root)
    roots = [dataset.get("data_root") for key, dataset in datasets_of(config) if key.startswith(_LOADER)]
    if all(isinstance(root, str) and root and os.path.isdir(root) for root in roots):
        return config[_LOADER].dataset
    made = synthetic_dataset(subject.config, _LOADER, subject.work_dir / "augmented", 2, ignored, channels)
    return None if made.reason is not None else made.dataset


@dataclass(slots=True)
class _AugmentationCheck:
    """What has been drawn so far of one config."""

    config: Config
    ignored: int
    lines: list[str] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)

    def check_pipelines(self, dataset: Any) -> str | None:
        """Draw the transforms of each pipeline once; the reason where none could be read."""
        if dataset is None:
            return "no images can be made for its dataset"
        read = read_samples(dataset, f"{_LOADER}.dataset", [])
        if read.dataset is None:
            return "its dataset cannot be built"
        seen: list[Any] = []
        for (leaf, key), (_, config) in zip(
            leaves(read.dataset, f"{_LOADER}.dataset"), _datasets(self.config), strict=False
        ):
            pipeline = config.get("pipeline")
            steps = list(getattr(getattr(leaf, "pipeline", None), "transforms", ()))
            if pipeline in seen or not isinstance(pipeline, (list, tuple)) or len(steps) != len(pipeline):
                continue
            seen.append(pipeline)
            self._check_steps(leaf, f"{key}.pipeline", steps, pipeline)
        return None

    def _check_steps(self, leaf: Any, key: str, steps: Sequence[Any], configs: Sequence[Any]) -> None:
        samples: list[dict[str, Any]] = []
        for index in range(min(_IMAGES, len(leaf))):
            with own_randomness(index):
                try:
                    samples.append(leaf.get_data_info(index))
                except Exception:  # the data room says why
                    return
        for number, (step, config) in enumerate(zip(steps, configs, strict=True)):
            ready = all(_picture(sample) is not None for sample in samples)
            if ready and not isinstance(step, PackSegInputs):
                self._check_step(f"{key}[{number}]", step, config, [_cut(sample) for sample in samples])
            if isinstance(step, PackSegInputs):
                break
            for index, sample in enumerate(samples):
                with own_randomness(index):
                    try:
                        samples[index] = step(sample)
                    except Exception:  # likewise
                        return
                if not isinstance(samples[index], dict):
                    return
        if not self.samples and all(_picture(sample) is not None for sample in samples):
            self.samples = [_cut(sample) for sample in samples]

    def _check_step(self, key: str, step: Any, config: Any, samples: Sequence[dict[str, Any]]) -> None:
        probability = config.get("prob") if isinstance(config, dict) else None
        try:
            first = self._drawn(step, samples, _FIRST_DRAWS)
            if first is None or (not first.changed and not _is_probability(probability)):
                return  # it makes another size, or leaves all as it is
            own, always = self._drawn(step, samples), None
            if own is None:
                return
            if _is_probability(probability):
                always = self._drawn(TRANSFORMS.build({**copy.deepcopy(config), "prob": 1.0}), samples)
        except Exception:  # a transform of other images; the data room says so where it matters
            return
        self._tell(key, type(step).__name__, own, always, probability, _is_of_stack(step), "images")

    def _drawn(self, step: Any, samples: Sequence[dict[str, Any]], number: int = DRAWS) -> Draws | None:
        def drawn(seed: int) -> tuple[Picture, Picture]:
            sample = copy.deepcopy(samples[seed % len(samples)])
            before, after = _picture(sample), _picture(step(copy.deepcopy(sample)))
            if before is None or after is None or any(a.shape != b.shape for a, b in zip(before, after, strict=True)):
                raise _OtherSizeError
            return before, after

        try:
            return counted(drawn, self.ignored, number)
        except _OtherSizeError:
            return None

    def check_hooks(self, built: Built) -> None:
        """Hand batches to the user's own hooks before an iteration, as the loop does; what they change is said."""
        parts = built.declaration.parts if built.declaration is not None else None
        for index, config in enumerate(self.config.get("custom_hooks") or ()):
            cls = class_of(config, HOOKS)
            if cls is None or cls.__module__.partition(".")[0] in OF_THE_STACK or not _sees_batches(cls):
                continue
            batches = self._packed()

            def drawn(seed: int, config: Any = config, batches: Sequence[dict[str, Any]] = batches) -> Any:
                hook = HOOKS.build(copy.deepcopy(config)) if isinstance(config, dict) else copy.deepcopy(config)
                batch = _collated(batches)
                runner = parts.runner if parts is not None else None
                hook.before_train_iter(runner, batch_idx=seed, data_batch=batch)
                return _batch_picture(_collated(batches)), _batch_picture(batch)

            key = f"custom_hooks[{index}]"
            try:
                seen = counted(drawn, self.ignored, _DRAWS_OF_HOOKS)
            except Exception as error:  # a hook that needs a run around it
                self.lines.append(f"{cls.__name__} was not tried on a batch: {described(error)}")
                continue
            self._tell(key, cls.__name__, seen, None, None, False, f"batches of {len(batches)}")

    def _packed(self) -> list[dict[str, Any]]:
        """The samples of a batch, as the pipeline hands them on."""
        size = self.config[_LOADER].get("batch_size")
        number = min(size if isinstance(size, int) else 2, _IMAGES)
        pack = PackSegInputs(meta_keys=())
        return [pack(copy.deepcopy(self.samples[index % len(self.samples)])) for index in range(number)]

    def check_preprocessor(self) -> None:
        """Draw the mixing of batches, where the data preprocessor declares some."""
        model = self.config.get("model") or {}
        config = copy.deepcopy(model.get("data_preprocessor") or self.config.get("data_preprocessor") or {})
        mixtures = config.get("batch_augments")
        if not mixtures or not all(
            isinstance(entry, dict) and _is_probability(entry.get("prob")) for entry in mixtures
        ):
            return
        if config.get("size") is not None:
            config["size"] = (_SIDE, _SIDE)
        packed = self._packed()
        first = [{**mixtures[0], "prob": 1.0}, *mixtures[1:]]
        key = "model.data_preprocessor" if model.get("data_preprocessor") else "data_preprocessor"
        try:
            with MODELS.switch_scope_and_registry(model.get("_scope_")) as models:
                plain, own, always = (
                    models.build({**config, "batch_augments": entries}) for entries in ([], mixtures, first)
                )
            drawn = [counted(_batches(preprocessor, plain, packed), self.ignored) for preprocessor in (own, always)]
        except Exception:  # a preprocessor of other batches, or one that the data room names
            return
        # the first that is drawn mixes, so none does with the product of what is left of each
        probability = 1.0 - float(np.prod([1.0 - entry["prob"] for entry in mixtures]))
        what = " and ".join(str(entry.get("kind", "batch_augments")) for entry in mixtures)
        self._tell(
            f"{key}.batch_augments",
            f"{type(own).__name__} ({what})",
            drawn[0],
            drawn[1],
            probability,
            _is_of_stack(own),
            f"batches of {len(packed)}",
        )

    def _tell(
        self,
        key: str,
        name: str,
        own: Draws,
        always: Draws | None,
        probability: Any,
        by_stack: bool,
        things: str,
    ) -> None:
        stated = f", said to be {probability:g}" if always is not None else ""
        self.lines.append(f"{name} {own.text()} ({things}{stated})")
        self.evidence[key] = {"name": name, **own.evidence()}
        if always is None or not by_stack:  # what the probability of another's class is one of is not known
            return
        self.evidence[key]["probability"] = float(probability)
        if probability > 0 and not always.changed:
            self.findings.append(
                Finding(
                    NOTHING_CHANGED,
                    f"{name} has a probability of {probability:g}, and changes none of {own.number} {things}",
                    key,
                    hint="a batch of one image has no other to be mixed with: a larger batch_size"
                    if things == "batches of 1"
                    else "its other arguments leave everything as it is",
                )
            )
        elif is_apart(own, always, probability):
            self.findings.append(
                Finding(
                    SHARE_APART,
                    f"{name} has a probability of {probability:g}, and changes {own.share:.0%} of {own.number} {things}"
                    f" ({always.share:.0%} with a probability of 1)",
                    key,
                )
            )


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Have torch use one thread meanwhile: on small images, threads wait for each other longer than they work."""
    number = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(number)


class _OtherSizeError(Exception):
    """What comes out is of another size than what goes in."""


def _datasets(config: Config) -> Iterator[tuple[str, Any]]:
    return ((key, dataset) for key, dataset in datasets_of(config) if key.startswith(_LOADER))


def _batches(
    preprocessor: Any, plain: Any, packed: Sequence[dict[str, Any]]
) -> Callable[[int], tuple[Picture, Picture]]:
    """A batch as a preprocessor that mixes nothing hands it on, and as another does."""

    def processed(by: Any) -> Picture:
        with torch.no_grad():
            return _batch_picture(by(_collated(packed), True))

    before = processed(plain)
    return lambda seed: (before, processed(preprocessor))


def _collated(packed: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A batch, as mmengine's `pseudo_collate` hands it on."""
    data = copy.deepcopy(packed)
    return {name: [sample[name] for sample in data] for name in ("inputs", "data_samples")}


def _batch_picture(batch: dict[str, Any]) -> Picture:
    images = batch["inputs"]
    labels = torch.stack([sample.gt_sem_seg.data[0] for sample in batch["data_samples"]])
    return (images if isinstance(images, torch.Tensor) else torch.stack(list(images))).numpy(), labels.numpy()


def _sees_batches(cls: Any) -> bool:
    return getattr(cls, "before_train_iter", None) is not Hook.before_train_iter


def _picture(sample: Any) -> Picture | None:
    """The image and its labels, once both are loaded and of one size."""
    if not isinstance(sample, dict):
        return None
    image, labels = sample.get("img"), sample.get("gt_seg_map")
    if not isinstance(image, np.ndarray) or not isinstance(labels, np.ndarray) or labels.ndim != 2:
        return None
    return (image, labels) if image.shape[:2] == labels.shape else None


def _cut(sample: dict[str, Any]) -> dict[str, Any]:
    """The sample with a part of its image, and of its labels, around the middle."""
    image, labels = sample["img"], sample["gt_seg_map"]
    top, left = (max(0, (length - _SIDE) // 2) for length in labels.shape)
    rows, columns = slice(top, top + _SIDE), slice(left, left + _SIDE)
    cut = {**copy.deepcopy({key: value for key, value in sample.items() if key not in ("img", "gt_seg_map")})}
    cut["img"] = np.ascontiguousarray(image[rows, columns])
    cut["gt_seg_map"] = np.ascontiguousarray(labels[rows, columns])
    cut["img_shape"] = cut["img"].shape[:2]
    return cut


def _is_probability(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _is_of_stack(part: Any) -> bool:
    """Whether it, and every transform inside, is of a class of the stack."""
    inner = getattr(getattr(part, "transforms", None), "transforms", ())
    return type(part).__module__.partition(".")[0] in OF_THE_STACK and all(map(_is_of_stack, inner))
