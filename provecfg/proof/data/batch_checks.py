"""Samples made a batch by the real collate function and the real data preprocessor."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from mmengine.config import Config
from mmengine.registry import FUNCTIONS
from mmseg.registry import MODELS

from provecfg.findings import Finding
from provecfg.proof.data.label_heads import LabelHead
from provecfg.proof.data.problems import BATCH_FAILS, LABELS_OUTSIDE, NEARLY_CONSTANT, SIZES_MIXED
from provecfg.proof.data.sample_reader import Sample
from provecfg.proof.exceptions import described

_CONSTANT = 0.05
"""Standard deviation of what reaches the model below which hardly a picture is left. Normalised once, a picture that
fills its range has about 1 (or 0.24, divided by 255 alone), and normalised twice 1/58."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What reaches the model.

    Args:
        shape: (N, C, H, W).
        mean: Of all values.
        deviation: Standard deviation of the values of a channel, the largest of all channels.
    """

    shape: tuple[int, ...]
    mean: float
    deviation: float


class BatchMaker:
    """Makes batches as a loader and the model's data preprocessor do.

    Args:
        config: The config.
        loader: `train_dataloader` or `val_dataloader`.

    Raises:
        Exception: Whatever building the data preprocessor or the collate function raises.
    """

    def __init__(self, config: Config, loader: str) -> None:
        self._training = loader == "train_dataloader"
        self._loader = loader
        model = config.get("model") or {}
        declared = model.get("data_preprocessor") or config.get("data_preprocessor")
        self.key = "model.data_preprocessor" if model.get("data_preprocessor") else "data_preprocessor"
        # A base that was named by its scope, `mmseg::...`, has its dicts built in that one, whatever the default is.
        with MODELS.switch_scope_and_registry(model.get("_scope_")) as models:
            self.preprocessor = models.build(copy.deepcopy(declared or {"type": "BaseDataPreprocessor"}))
        collate = dict(config[loader].get("collate_fn") or {"type": "pseudo_collate"})
        kind = collate.pop("type")
        self._collate = functools.partial(FUNCTIONS.get(kind) if isinstance(kind, str) else kind, **collate)
        size = config[loader].get("batch_size", 1)
        self.size = size if isinstance(size, int) else 1

    def make(self, samples: Sequence[Sample]) -> Batch | None:
        """The batch of these samples; raises what the real one would. None where the model is given no one tensor."""
        collated = self._collate([copy.deepcopy(sample.packed) for sample in samples])
        processed = self.preprocessor(collated, self._training)
        inputs = processed.get("inputs") if isinstance(processed, dict) else None
        if not isinstance(inputs, torch.Tensor) or inputs.ndim != 4:
            return None
        values = inputs[..., ::4, ::4].float()  # a sixteenth of the pixels tells as much
        deviation = values.transpose(0, 1).flatten(1).std(dim=1).max()
        return Batch(tuple(inputs.shape), float(values.mean()), float(deviation))

    def failure(self, error: Exception, samples: Sequence[Sample], images: str) -> Finding:
        """The finding of a batch that cannot be made."""
        what = "training" if self._training else "validation"
        return Finding(
            BATCH_FAILS,
            f"{len(samples)} {images} of {_sizes(samples)} do not become a batch of the {what}: {described(error)}",
            self.key if self._training else f"{self._loader}.batch_size",
            hint="crop or pad the training images to one size, that of the data preprocessor"
            if self._training
            else "validate with batch_size=1, or resize every image to one size",
        )


def check_batches(
    batches: BatchMaker, same: Sequence[Sample], mixed: Sequence[Sample], images: str
) -> Iterator[Finding | Batch]:
    """Make batches of samples; what is wrong with them, and what they are.

    Args:
        batches: Makes them.
        same: Samples of images of one size, at least one.
        mixed: Samples of images of different shape, or none.
        images: What they are, as "made images".
    """
    count = max(1, min(batches.size, len(same)))
    try:
        batch = batches.make(same[:count])
    except Exception as error:  # the config's own classes raise what they like
        yield batches.failure(error, same[:count], images)
        return
    if batch is not None:
        yield batch if math.isfinite(batch.deviation) else _not_finite(batches, images)
    if batches.size < 2 or len(mixed) < 2:
        return
    try:
        batches.make(mixed[:2])
    except Exception as error:
        finding = batches.failure(error, mixed[:2], f"{images} of different shape,")
        yield replace(finding, problem=SIZES_MIXED)


def _not_finite(batches: BatchMaker, images: str) -> Finding:
    return Finding(
        BATCH_FAILS,
        f"{images} reach the model as values that are not finite",
        f"{batches.key}.std",
        hint="a std of 0 divides by nothing",
    )


def check_contrast(batch: Batch, key: str, has_normalize: str | None, bits: int = 8) -> Iterator[Finding]:
    """Whether pictures that fill the range of brightness still do.

    Args:
        batch: Of made images.
        key: Dotted path of the data preprocessor.
        has_normalize: Dotted path of a transform that normalises, too, or None.
        bits: Of a channel of the images.
    """
    once = "normalise in one place: mean and std of the data preprocessor, without Normalize in the pipeline"
    whole = f"leave out what makes 8 bits of {bits}: a color_type other than 'unchanged', or PhotoMetricDistortion"
    if batch.deviation < _CONSTANT:
        yield Finding(
            NEARLY_CONSTANT,
            f"images that fill the range of brightness reach the model as {batch.mean:.2f} with a deviation of "
            f"{batch.deviation:.3f}; normalised once, it is about 1",
            has_normalize or key,
            hint=whole if bits > 8 and has_normalize is None else once,
        )


def check_padding(
    batches: BatchMaker, batch: Batch, samples: Sequence[Sample], heads: Sequence[LabelHead]
) -> Iterator[Finding]:
    """Whether what the data preprocessor pads with is left out of the training.

    Args:
        batches: Made the batch.
        batch: Of made images.
        samples: What it was made of.
        heads: Those that are trained on the labels.
    """
    label = getattr(batches.preprocessor, "seg_pad_val", None)
    images = [sample.inputs for sample in samples if sample.inputs is not None]
    if not isinstance(label, int) or all(image.shape[1:] == batch.shape[2:] for image in images):
        return
    for head in heads:
        if label != head.ignored:
            yield Finding(
                LABELS_OUTSIDE,
                f"padding gets label {label}, which {head.key} "
                + ("trains as a class" if 0 <= label <= head.largest else "cannot take")
                + f"; it ignores {head.ignored}",
                f"{batches.key}.seg_pad_val",
                hint=f"seg_pad_val={head.ignored}",
            )


def _sizes(samples: Sequence[Sample]) -> str:
    sizes = [tuple(sample.inputs.shape[1:]) for sample in samples if isinstance(sample.inputs, torch.Tensor)]
    return ", ".join(dict.fromkeys(f"{width}x{height}" for height, width in sizes))
