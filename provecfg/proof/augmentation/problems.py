"""Codes PROOF120 to PROOF129: the augmentations of the training images."""

from __future__ import annotations

from provecfg.findings import Problem

SHARE_APART = Problem(
    "PROOF120",
    "augmented-share-apart",
    "An augmentation changes another share of the images, or batches, than its probability says.",
    "The run compares a strategy that is not the one that it names.",
)
NOTHING_CHANGED = Problem(
    "PROOF121",
    "augmentation-without-effect",
    "An augmentation with a probability changes no image.",
    "The run trains on images that are not augmented, under the name of a strategy: what it shows of that is nothing.",
)
