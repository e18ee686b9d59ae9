"""The first validation and the test: one image through the real pipeline, the real model and the real evaluator."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from mmseg.evaluation import IoUMetric
from mmseg.registry import MODELS, TRANSFORMS

from provecfg.findings import Finding, Problem
from provecfg.plugin.mmcv_ops import MissingOpError
from provecfg.proof.built import Built
from provecfg.proof.data.picture_files import declared_bits
from provecfg.proof.data.sample_reader import leaves
from provecfg.proof.declared.training_images import training_transforms
from provecfg.proof.exceptions import described
from provecfg.proof.image_shape import Size, image_channels
from provecfg.proof.prediction.predicted import cut, predictions, shown_size, size_of
from provecfg.proof.prediction.problems import AUGMENTED_TEST_FAILS, NOT_PREDICTED, PREDICTION_REFUSED
from provecfg.proof.prediction.read_image import StepFailure, UnreadableError, read_image
from provecfg.proof.section import Section
from provecfg.proof.subject import Subject, nothing_printed

NAME = "prediction"


def check(subject: Subject, built: Built) -> Section:
    """Predict what the pipelines of the validation and the test yield, and have the evaluators process it.

    Args:
        subject: The config.
        built: With its model, and the loops of its runner.
    """
    declaration, model = built.declaration, built.model
    if declaration is None or model is None:
        return Section(NAME, not_judged="the model cannot be built")
    if declaration.prediction_error is not None:
        return Section(NAME, not_judged="the model predicts no image at all")
    prediction = _PredictionCheck(subject, built)
    scope = subject.config.get("default_scope") or "mmseg"
    with nothing_printed(), warnings.catch_warnings(), DefaultScope.overwrite_default_scope(scope):
        warnings.simplefilter("ignore")  # numpy's, of classes that are in no prediction
        loops = {name: getattr(declaration.parts.runner, f"built_{name}_loop", None) for name in ("val", "test")}
        prediction.check_loop("val", loops["val"])
        if not _same_data(subject.config):
            prediction.check_loop("test", loops["test"])
        if subject.config.get("tta_pipeline") is not None and subject.config.get("tta_model") is not None:
            prediction.check_augmented(loops["test"])
    return prediction.section()


def _same_data(config: Any) -> bool:
    return all(config.get(f"val_{part}") == config.get(f"test_{part}") for part in ("dataloader", "evaluator"))


@dataclass(slots=True)
class _PredictionCheck:
    """What has been seen so far of one config."""

    subject: Subject
    built: Built
    lines: list[str] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def section(self) -> Section:
        """All of it."""
        absent = "no image could be predicted" if self.lines else "no image is validated or tested here"
        reason = None if self.evidence or self.findings else absent
        return Section(NAME, tuple(self.lines), self.evidence, tuple(self.findings), reason)

    def check_loop(self, name: str, loop: Any) -> None:
        """One image of the validation (`val`) or the test, predicted and measured."""
        dataset = getattr(getattr(loop, "dataloader", None), "dataset", None)
        if dataset is None:
            return
        leaf, key = next(leaves(dataset, f"{name}_dataloader.dataset"))
        sample = self._read(name, training_transforms(dataset), leaf)
        if isinstance(sample, StepFailure):  # where the pipeline is at fault, the data section has a finding of it
            self._pass_over(name, f"{sample.name} fails on a made image: {described(sample.error)}")
            return
        if sample is None:
            return
        inputs, data_sample = sample["inputs"], sample["data_samples"]
        real = size_of(inputs)
        if name == "val":
            self.built.validation_size = real
        shown = self._shown(real)
        if shown is None:
            self._pass_over(name, f"an image of {_text(real)} is padded to a size of its own")
            return
        inputs, data_sample = cut(inputs, data_sample, shown)
        batch = pseudo_collate([{"inputs": inputs, "data_samples": data_sample}])
        try:
            predicted = predictions(self._model, copy.deepcopy(batch))
        except Exception as error:  # the config's own classes raise what they like
            what = f"an image of {_text(real)}, as the {_LONG[name]} pipeline yields it"
            self._fail(NOT_PREDICTED, what, shown, error, f"{key}.pipeline")
            return
        self.evidence[name] = {"image": list(real), "shown": list(shown)}
        self.lines.append(f"{_LONG[name]}: an image of {_text(real)} is predicted{self._shown_as(real, shown)}")
        self._measure(name, loop, predicted, batch, PREDICTION_REFUSED, None)

    def check_augmented(self, loop: Any) -> None:
        """One image of the test, in the variants of `tta_pipeline`, their predictions averaged and measured."""
        config = self.subject.config
        dataset = getattr(getattr(loop, "dataloader", None), "dataset", None)
        try:
            pipeline = copy.deepcopy(config.tta_pipeline)
            listed = isinstance(pipeline, (list, tuple))
            transforms = Compose(pipeline).transforms if listed else [TRANSFORMS.build(pipeline)]
            model = MODELS.build(copy.deepcopy(config.tta_model), default_args={"module": self._model})
        except Exception:  # the first section says so
            return
        leaf = next(leaves(dataset, ""), (None, ""))[0] if dataset is not None else None
        sample = self._read("tta", transforms, leaf)
        if isinstance(sample, StepFailure):
            if sample.by_stack:
                message = f"{sample.name} fails on a made image: {described(sample.error)}"
                self.findings.append(Finding(AUGMENTED_TEST_FAILS, message, f"tta_pipeline[{sample.index}]"))
            return
        if sample is None or not isinstance(sample["inputs"], (list, tuple)):
            return
        variants = list(zip(sample["inputs"], sample["data_samples"], strict=True))
        shown = []
        for inputs, data_sample in variants if self.subject.thorough else (variants[0], variants[-1]):
            size = self._shown(size_of(inputs))
            if size is None:
                return
            shown.append(cut(inputs, data_sample, size))
        original = shown[0][1].ori_shape
        for _, data_sample in shown:
            data_sample.set_metainfo({"ori_shape": original})  # of one image, whatever was cut off its variants
        batch = pseudo_collate([{"inputs": [pair[0] for pair in shown], "data_samples": [pair[1] for pair in shown]}])
        try:
            predicted = predictions(model, copy.deepcopy(batch))
        except Exception as error:
            self._fail(
                AUGMENTED_TEST_FAILS, "the average over augmented images", size_of(shown[0][0]), error, "tta_model"
            )
            return
        self.evidence["tta"] = {"variants": len(variants)}
        self.lines.append(
            f"test with augmented images: {len(shown)} of {len(variants)} variants predicted and averaged"
        )
        hint = "what averages hands on less than a plain test does: leave out what the metric writes"
        self._measure("test", loop, predicted, batch, AUGMENTED_TEST_FAILS, hint)

    def _read(self, name: str, transforms: Sequence[Any], dataset: Any) -> Any:
        """The packed sample of one image; or why there is none, which is said."""
        model, folder = self._model, self.subject.work_dir / f"predicted-{name}"
        try:
            otherwise = _ANY_SIZE if name == "tta" else None
            sample = read_image(
                transforms,
                dataset,
                image_channels(model),
                folder,
                bits=declared_bits(self.subject.config),
                otherwise=otherwise,
            )
        except UnreadableError as error:
            self._pass_over(name, str(error))
            return None
        if isinstance(sample, StepFailure) or (
            isinstance(sample, dict) and {"inputs", "data_samples"} <= sample.keys()
        ):
            return sample
        self._pass_over(name, "its pipeline does not end in an image and a label map")
        return None

    def _pass_over(self, name: str, reason: str) -> None:
        self.lines.append(f"{_LONG[name]}: not predicted: {reason}")

    def _measure(
        self, name: str, loop: Any, predicted: Sequence[Any], batch: Any, problem: Problem, hint: str | None
    ) -> None:
        evaluator = getattr(loop, "evaluator", None)
        if evaluator is None or not all("gt_sem_seg" in sample for sample in _flat(batch["data_samples"])):
            return  # without labels: that is the data section's to say
        evaluator = copy.deepcopy(evaluator)
        is_known = all(isinstance(metric, IoUMetric) for metric in evaluator.metrics)
        try:
            evaluator.process(data_samples=predicted, data_batch=batch)
            if is_known:
                evaluator.evaluate(1)
        except Exception as error:
            # Another metric may look for files beside an image that is none of its data.
            if is_known or isinstance(error, (KeyError, AttributeError, TypeError)):
                message = f"the evaluator fails on the model's prediction: {described(error)}"
                self.findings.append(Finding(problem, message, f"{name}_evaluator", hint))

    def _fail(self, problem: Problem, what: str, shown: Size, error: Exception, key: str) -> None:
        if isinstance(error, (MissingOpError, NotImplementedError)):
            self.lines.append(f"{what} is not predicted: {described(error)}")
            return
        message = f"{what}, cannot be predicted (tried at {_text(shown)}): {described(error)}"
        hint = "predict by a sliding window (model.test_cfg), or scale and pad to sizes that the model takes"
        self.findings.append(Finding(problem, message, key, hint if problem is NOT_PREDICTED else None))

    def _shown(self, real: Size) -> Size | None:
        """The size that an image is shown at; None where the preprocessor makes it larger than it can be shown here."""
        model = self.subject.config.get("model") or {}
        padding = dict.get(model.get("data_preprocessor") or {}, "test_cfg") or {}
        target = padding.get("size")
        padded = tuple(map(max, zip(real, target, strict=True))) if isinstance(target, (list, tuple)) else real
        shown = shown_size((padded[0], padded[1]), self._declared_test_cfg, self.built.crop)
        if shown[0] <= real[0] and shown[1] <= real[1]:
            return shown
        return real if padded == real else None

    def _shown_as(self, real: Size, shown: Size) -> str:
        return "" if real == shown else f", shown as one of {_text(shown)}"

    @property
    def _model(self) -> Any:
        return self.built.model

    @property
    def _declared_test_cfg(self) -> Any:
        model = self.subject.config.get("model") or {}
        return model.get("test_cfg")


_ANY_SIZE: Size = (512, 512)
"""(height, width) in pixels of an image that is only scaled by factors."""
_LONG = {"val": "validation", "test": "test", "tta": "test with augmented images"}


def _flat(samples: Any) -> list[Any]:
    """The samples of a batch, those of its variants too."""
    return [part for item in samples for part in (item if isinstance(item, (list, tuple)) else [item])]


def _text(size: Size) -> str:
    height, width = size
    return f"{width}x{height}"
