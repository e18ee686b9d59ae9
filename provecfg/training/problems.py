"""What can stand in the way of a training run before its first iteration: the `RUN1xx` codes.

One `Problem` per code: the table from which their documentation is made. Nothing heavy is imported here.
"""

from __future__ import annotations

from provecfg.findings import Problem, Severity

NO_DATA_ROOT = Problem(
    "RUN101",
    "no-data-root",
    "The folder that the config reads its data from does not exist.",
    "mmengine finds no file, and fails with a message that names none.",
)
NO_DATA_FOLDER = Problem(
    "RUN102",
    "no-data-folder",
    "The data root exists, and the folder of a split in it does not, or its annotation file does not.",
    "mmengine finds no file, and fails with a message that names none.",
)
EMPTY_SPLIT = Problem(
    "RUN103",
    "empty-split",
    "A folder of images holds no file with the suffix that the dataset class looks for.",
    "mmengine fails with 'need at least one array to concatenate'.",
)
IMAGE_WITHOUT_LABEL = Problem(
    "RUN104",
    "image-without-label",
    "Images have no label map.",
    "The loader fails when it comes to the first of them, maybe after hours.",
)
LABEL_WITHOUT_IMAGE = Problem(
    "RUN105",
    "label-without-image",
    "Label maps have no image.",
    "They are never used: the set is smaller than it looks.",
    Severity.WARNING,
)
UNREADABLE_IMAGE = Problem(
    "RUN106",
    "unreadable-image",
    "An image or label map cannot be decoded.",
    "The loader fails when it comes to it, or trains on the grey that stands for its missing part.",
)
LABEL_OUTSIDE_CLASSES = Problem(
    "RUN107",
    "label-outside-classes",
    "A label map holds a value that is no class and not the ignored label.",
    "On a GPU the loss stops with a device-side assert; some losses count the value as another class instead.",
)
SIZES_DIFFER = Problem(
    "RUN108",
    "sizes-differ",
    "An image and its label map have different sizes.",
    "Labels are trained on the wrong pixels, or a crop of one has no counterpart in the other.",
)
LABEL_WITH_COLOURS = Problem(
    "RUN109",
    "label-with-colours",
    "A label map has several channels: it holds colours where class numbers are read.",
    "The loss fails on its shape.",
)
NOTHING_LABELLED = Problem(
    "RUN110",
    "nothing-labelled",
    "In every label map of a split, all pixels that are not ignored belong to one class, or there are none.",
    "With one class there is nothing to tell apart: masks of 0 and 255 are often meant as two classes, and 255 is "
    "ignored. With none, the loss is 0 or not a number.",
    Severity.WARNING,
)
DATA_NOT_CHECKED = Problem(
    "RUN111",
    "data-not-checked",
    "The data is of a kind that is not checked before training: another storage, or a dataset class of another kind.",
    "Nothing by itself; what is wrong with the data shows when the loader comes to it.",
    Severity.NOTE,
)
CHANGED_DATA = Problem(
    "RUN112",
    "changed-data",
    "The data is not what the fingerprint beside the study says.",
    "Cells of one study would be trained or measured on different data, and their differences mean nothing.",
)
SHARED_IMAGES = Problem(
    "RUN113",
    "images-in-two-splits",
    "Images that are validated or tested on are trained on, too: by name, or by content.",
    "What is measured there was learnt by heart: the metric is too good, and over-fitting is not seen.",
    Severity.WARNING,
)
TESTED_ON_VALIDATION = Problem(
    "RUN114",
    "tested-on-validation",
    "A test split of its own shares images with validation, by which early stopping or the best checkpoint is chosen.",
    "The test's figure is of images that the choice was made on, and is too good.",
    Severity.WARNING,
)
MOSTLY_IGNORED = Problem(
    "RUN115",
    "mostly-ignored",
    "More than half of a split's pixels are ignored.",
    "Label maps that were mapped wrongly look like this; a model of them says little.",
    Severity.WARNING,
)
LABELS_MADE_WRONGLY = Problem(
    "RUN116",
    "labels-made-wrongly",
    "The classes that are left are those that a known mistake leaves: ids mapped twice, or colours read in the wrong "
    "channel order.",
    "Most classes are never learnt, and nothing in training says so.",
    Severity.WARNING,
)
ONE_IMAGE_TO_NORMALISE = Problem(
    "RUN117",
    "one-image-to-normalise",
    "SyncBN normalises features that are pooled to one pixel, over one image of one process.",
    "With one process it is a batch norm, which needs more than one value per channel: the first iteration fails. On "
    "several processes the config is right.",
)
DEEP_IMAGES = Problem(
    "RUN118",
    "deep-images",
    "Images have 16 bits a channel, and are loaded as 8.",
    "mmcv's loader keeps the upper 8 bits. What was recorded with 12, as X-ray and satellite images often are, is left "
    "with 16 grey values, nearly black.",
    Severity.WARNING,
)
ENLARGED_IMAGES = Problem(
    "RUN119",
    "enlarged-images",
    "The pipeline resizes most images to twice their size or more, on each side, before it crops them.",
    "The scale is that of another dataset: crops show a corner of an image, blurred, and most of the time goes into "
    "pixels that were made up.",
    Severity.WARNING,
)
WEIGHTS_MISSING = Problem(
    "RUN121",
    "weights-missing",
    "Weights that the config starts from are neither on this machine nor to be had over the network.",
    "mmengine fails while it builds the model.",
)
NOT_PLAIN_DATA = Problem(
    "RUN122",
    "checkpoint-not-plain-data",
    "A checkpoint to be loaded holds more than plain data.",
    "Loading it can run any code that whoever wrote the file put there. torch's safe loading refuses it.",
)
CHECKPOINT_UNREADABLE = Problem(
    "RUN123",
    "checkpoint-unreadable",
    "A checkpoint to be loaded is missing, cut off, or not a checkpoint.",
    "mmengine fails after the model has been built.",
)
CHECKPOINT_WITH_CODE = Problem(
    "RUN124",
    "checkpoint-with-code",
    "A checkpoint to resume from carries a config as text under `meta.config`.",
    "mmengine executes that text as Python when it resumes, whatever it says.",
)
CHECKPOINT_BROKEN = Problem(
    "RUN125",
    "checkpoint-broken",
    "A checkpoint of the run is cut off, or does not hold what was written, and an older one is whole.",
    "The run goes on from the older one and makes the iterations since then again. The broken file is kept, under "
    "another name.",
    Severity.WARNING,
)
LOAD_FROM_DROPPED = Problem(
    "RUN126",
    "load-from-dropped",
    "The config loads a checkpoint with `load_from`, and --no-pretrained asks for random weights.",
    "The run starts from nothing, where the config starts from a trained model.",
    Severity.WARNING,
)
NO_SUCH_DEVICE = Problem(
    "RUN131",
    "no-such-device",
    "The device that was asked for is not there, or there are fewer than processes.",
    "mmengine trains on another one silently, or fails.",
)
AMP_ON_CPU = Problem(
    "RUN132",
    "amp-on-cpu",
    "The config trains in mixed precision, and the device is the CPU.",
    "mmengine's AmpOptimWrapper refuses to be built without an accelerator.",
)
LITTLE_DISK = Problem(
    "RUN133",
    "little-disk",
    "The disk of the work dir has too little room for the checkpoints.",
    "The run fails when the disk is full, maybe after hours.",
)
WORK_DIR_NOT_WRITABLE = Problem(
    "RUN134",
    "work-dir-not-writable",
    "The work dir cannot be written to.",
    "mmengine fails while it makes its folders.",
)
NO_SUCH_OPTIMIZER = Problem(
    "RUN135",
    "no-such-optimizer",
    "No optimizer of the config's name is registered: the package that brings it is not installed here.",
    "mmengine builds the model, and fails with 'None is not a callable object'.",
)
OTHER_RUN = Problem(
    "RUN141",
    "work-dir-of-another-run",
    "The work dir holds a run that trains something else.",
    "Resuming would go on with the other run's weights and schedule, and overwrite its checkpoints.",
)
USED_WORK_DIR = Problem(
    "RUN142",
    "used-work-dir",
    "The work dir holds a run, and --no-resume asks for a fresh one.",
    "Its checkpoints would be overwritten one by one.",
)
RUNNING_THERE = Problem(
    "RUN143",
    "work-dir-in-use",
    "Another process, on this machine or another, has the lease of the work dir: it trains there.",
    "The two would overwrite each other's checkpoints. A process that is gone blocks nothing: on its own machine that "
    "is seen at once, elsewhere after ten minutes without a heartbeat.",
)
UNKNOWN_ORIGIN = Problem(
    "RUN144",
    "checkpoints-of-unknown-origin",
    "The work dir holds checkpoints and no record of the run that wrote them.",
    "The run goes on from them; whether they are this config's cannot be told.",
    Severity.WARNING,
)

PROBLEMS: tuple[Problem, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Problem))
"""All of them, by code."""
