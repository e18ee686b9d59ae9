"""Codes PROOF080 to PROOF089: the data through the real pipeline."""

from __future__ import annotations

from provecfg.findings import Problem, Severity

PIPELINE_FAILS = Problem(
    "PROOF080",
    "pipeline-fails",
    "A dataset cannot be built, or a sample does not come through its pipeline.",
    "The loader's process stops at the first batch; in the validation's pipeline, at the first validation.",
)
NO_LABEL_MAP = Problem(
    "PROOF081",
    "no-label-map",
    "A sample comes out of the pipeline without its label map.",
    "The loss, or the metric, fails on it.",
)
SIZES_APART = Problem(
    "PROOF082",
    "image-and-labels-apart",
    "An image and its label map do not have the sizes that are compared, or do not show the same places.",
    "In training, labels are trained on the wrong pixels, or the loss fails. In a validation, the prediction has the "
    "size of the image as it was read, so the label map has to be loaded after the image is resized.",
)
LABELS_OUTSIDE = Problem(
    "PROOF083",
    "labels-outside-head",
    "A label that reaches the model is no class of a head, and is not ignored.",
    "On a GPU the loss stops with a device-side assert; some losses count the label as another class instead.",
)
BATCH_FAILS = Problem(
    "PROOF084",
    "batch-fails",
    "Samples do not become a batch by the real collate function and data preprocessor.",
    "Training stops at the first batch, or the run at its first validation.",
)
SIZES_MIXED = Problem(
    "PROOF085",
    "sizes-cannot-be-mixed",
    "Images of different shape do not become a batch.",
    "It works as long as all images of the dataset have one size; at the first other one the run stops.",
    Severity.WARNING,
)
NEARLY_CONSTANT = Problem(
    "PROOF086",
    "normalised-twice",
    "Pictures that fill the range of brightness reach the model as almost one value.",
    "They are normalised twice, by a transform of the pipeline and by the data preprocessor, or as if they had 16 bits "
    "after a transform has made 8 of them. The model trains on what is left of the contrast, and nothing fails.",
)
CLASSES_DISAGREE = Problem(
    "PROOF087",
    "classes-disagree",
    "The dataset, the heads and the metric do not mean the same classes.",
    "The metric counts by the dataset's class names: it fails at the first validation, or reports classes that were "
    "never trained.",
)
MOSTLY_IGNORED = Problem(
    "PROOF088",
    "mostly-ignored",
    "Nearly all pixels of the training's label maps are ignored. A sample is read.",
    "Little of each batch is trained on, and a loss that takes its mean over all pixels shrinks with it.",
    Severity.WARNING,
)
SPLITS_OVERLAP = Problem(
    "PROOF089",
    "splits-overlap",
    "Training and validation share images.",
    "The metric rewards what was learnt by heart, and early stopping and the best checkpoint follow it.",
)
