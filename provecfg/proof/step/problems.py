"""Codes PROOF020 to PROOF039: the total loss and the gradients of one training step."""

from __future__ import annotations

from provecfg.findings import Problem, Severity

STEP_FAILS = Problem(
    "PROOF020",
    "training-step-fails",
    "One training step on a batch made for the config raises an error.",
    "Training fails in its first iteration, or in the first one with such labels.",
)
VOID_IMAGE = Problem(
    "PROOF021",
    "ignored-image-breaks-loss",
    "An image whose pixels are all ignored makes the step fail, or its loss no finite number.",
    "A crop that shows nothing labelled does it; on a loss that is NaN, every weight becomes NaN.",
    Severity.NOTE,
)
NOT_FINITE = Problem(
    "PROOF022",
    "not-finite",
    "A loss or a gradient is NaN or infinite on an ordinary batch.",
    "One such step makes every weight NaN, and all that follows is lost.",
)
NEVER_COMPUTED = Problem(
    "PROOF023",
    "declared-loss-not-computed",
    "A loss that the config declares is not computed in a training step.",
    "It is never trained, and nothing says so: the run trains another objective than the config declares.",
)
NOT_IN_TOTAL = Problem(
    "PROOF024",
    "loss-not-in-total",
    "A loss is computed, and is not part of the total that is optimised.",
    "mmengine adds up what has `loss` in its log key; anything else is logged and not trained.",
)
UNDECLARED_TERM = Problem(
    "PROOF025",
    "undeclared-term",
    "The total that is optimised has a part that no declared loss explains.",
    "The run trains another objective than the config declares.",
)
WRONG_WEIGHT = Problem(
    "PROOF026",
    "weight-not-as-declared",
    "A loss counts in the total with another weight than the config declares.",
    "The run trains another objective than the config declares; comparing weights compares something else.",
)
NOT_POSITIVE = Problem(
    "PROOF027",
    "weight-not-positive",
    "A loss has weight 0, or less.",
    "At 0 it trains nothing; below 0 the loss is made larger: predictions are pushed away from the labels.",
)
SAME_LOG_KEY = Problem(
    "PROOF028",
    "losses-share-log-key",
    "Two losses of a head are logged under one key, as their sum.",
    "The log cannot show the share of either: whether an auxiliary loss helps or does nothing is not seen.",
    Severity.WARNING,
)
TRAINS_NOTHING = Problem(
    "PROOF029",
    "loss-trains-nothing",
    "A loss does not move the parameters of its head, or none of the backbone.",
    "It is logged, and has no effect: its value does not depend on what the head predicts, or is cut off.",
)
UNUSED_PARAMETERS = Problem(
    "PROOF030",
    "unused-parameters",
    "Trainable parameters take no part in any loss.",
    "They stay as they were initialised; on several GPUs, DistributedDataParallel stops in the second iteration.",
)
PREFERS_WRONG = Problem(
    "PROOF031",
    "loss-prefers-wrong",
    "A loss is lower for a wrong prediction than for the correct one.",
    "It trains the inverse of the labels, against the other losses.",
)
LEARNS_IGNORED = Problem(
    "PROOF032",
    "loss-learns-ignored-pixels",
    "Pixels that the head ignores move a loss.",
    "Unlabelled pixels and padding are trained towards some class, or away from all.",
)
TWO_ACTIVATIONS = Problem(
    "PROOF033",
    "sigmoid-beside-softmax",
    "One loss of a head reads its logits by softmax, another by a sigmoid per class, and could by softmax.",
    "Inference takes the largest: the two pull the same logits towards different meanings.",
    Severity.WARNING,
)
FALLS_WITH_PADDING = Problem(
    "PROOF034",
    "loss-falls-with-ignored-share",
    "A loss is averaged over all pixels, ignored ones too, and the pipeline pads much of its smallest images.",
    "The more of a crop is padding, the less the rest of it counts: learning slows down where it should not.",
    Severity.WARNING,
)
SUMMED = Problem(
    "PROOF035",
    "loss-grows-with-pixels",
    "A loss is summed over pixels, not averaged.",
    "At the real crop it is some 100000 times larger than the others: they do not count, and training diverges.",
    Severity.WARNING,
)
CLASS_NOT_TRAINED = Problem(
    "PROOF036",
    "class-not-trained",
    "No loss of a head answers to the pixels of a class that is evaluated.",
    "The class is never learned, and its IoU of 0 drags the mean down.",
)
CLASSES_NEVER_LABELLED = Problem(
    "PROOF037",
    "classes-never-labelled",
    "A head tells apart more classes than the dataset has.",
    "The rest is never labelled: outputs are wasted, and its weights fit no other head of this dataset.",
    Severity.WARNING,
)
TOO_FEW_CLASSES = Problem(
    "PROOF038",
    "too-few-classes",
    "A head tells apart fewer classes than its labels have.",
    "The labels are out of range, or silently taken for another class, which no one sees.",
)
NO_EFFECT = Problem(
    "PROOF039",
    "setting-has-no-effect",
    "A setting of a head or loss is never read, or makes it do nothing, or always the same.",
    "The config declares something that training or inference does not do.",
)
