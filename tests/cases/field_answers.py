"""The right answer to every config of `field/`, and where the judges do not give it yet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Judge(Enum):
    """Who has to give the answer."""

    VALIDATE = "validate"
    """The text decides."""
    PROVE = "prove"
    """Only what is built and run decides; what `validate` says already counts as well."""


@dataclass(frozen=True, slots=True)
class Faulty:
    """A config with one mistake: an error or warning points at it, with a code that its correct twin does not give.

    Args:
        file: Below `field/`.
        mistake: What is wrong.
        source: The report.
        keys: Dotted paths where the finding may point; none where it is about the file as a whole.
        judge: Who has to find it.
        says: What the finding's message or hint contains.
        alone: Whether nothing else may be said, since all else would only follow from it.
        folder: The folder below `field/` that one stands in.
        gpu_memory: Of the GPU that `prove` is asked about, or None.
        not_yet: What is said instead today, or None.
    """

    file: str
    mistake: str
    source: str
    keys: tuple[str, ...] = ()
    judge: Judge = Judge.VALIDATE
    says: str = ""
    alone: bool = False
    folder: str = "."
    gpu_memory: str | None = None
    not_yet: str | None = None

    @property
    def twin(self) -> str | None:
        """The closest correct config, where there is one."""
        folder, _, _ = self.file.partition("/")
        return None if folder == "wild" else f"{folder}/good.py"


@dataclass(frozen=True, slots=True)
class Correct:
    """A config without a mistake, or with none at certain keys: no error and no warning says otherwise.

    Args:
        file: Below `field/`.
        reason: What is right about it.
        judge: Who must not accuse it.
        keys: Dotted paths that nothing may point at; everywhere unless given.
        codes: What must not be said; nothing may be unless given.
        folder: The folder below `field/` that one stands in.
        gpu_memory: Of the GPU that `prove` is asked about, or None.
        not_yet: What is said of it today, or None.
    """

    file: str
    reason: str
    judge: Judge = Judge.VALIDATE
    keys: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    folder: str = "."
    gpu_memory: str | None = None
    not_yet: str | None = None


TRAIN, VAL = "train_dataloader.dataset", "val_dataloader.dataset"
GPU_MEMORY = "24GiB"

FAULTY = (
    Faulty(
        "R01/bad.py",
        "a head reads gt_edge_map, and no GenerateEdge in its pipeline makes it",
        "mmseg#3350",
        (f"{TRAIN}.dataset.pipeline",),
        says="GenerateEdge",
    ),
    Faulty(
        "R02/bad.py",
        "a RepeatDataset is merged over the base's dataset, whose arguments stay",
        "mmseg#3180",
        (TRAIN,),
        says="_delete_=True",
        alone=True,
    ),
    Faulty(
        "R04/bad.py",
        "a mosaic without MultiImageMixDataset has no images to mix",
        "mmseg#1677",
        (f"{TRAIN}.pipeline[2]", TRAIN),
        says="MultiImageMixDataset",
    ),
    Faulty(
        "R05/bad.py",
        "labels are loaded in the dataset and again in its wrapper, and transformed twice",
        "mmseg#2452",
        (f"{TRAIN}.pipeline[0]", f"{TRAIN}.pipeline[1]"),
    ),
    Faulty(
        "R05/bad2.py",
        "labels are loaded twice in one pipeline, and transformed twice",
        "mmseg#2452",
        (f"{TRAIN}.pipeline[1]", f"{TRAIN}.pipeline[2]"),
    ),
    Faulty(
        "R07/bad.py",
        "the validation loads no labels: the run dies at its first one",
        "mmseg#3061",
        (f"{VAL}.pipeline",),
        says="LoadAnnotations",
    ),
    Faulty(
        "R08/bad.py",
        "a metric writes predictions by the image's path, which SegTTAModel does not hand on",
        "mmseg#3025, mmseg#3064",
        ("test_evaluator", "tta_model"),
        Judge.PROVE,
        not_yet="nothing: with OneDL's set, which is installed here, SegTTAModel does hand it on",
    ),
    Faulty(
        "R08/bad2.py",
        "a tta_pipeline of mmseg 0.x",
        "mmseg#3025",
        ("tta_pipeline[1]",),
    ),
    Faulty(
        "R10/bad.py",
        "a UNet takes multiples of 16, and whole images of 320x213 are predicted",
        "mmseg#1712",
        (f"{VAL}.pipeline", "model.test_cfg", "model.backbone"),
        Judge.PROVE,
    ),
    Faulty(
        "R10/bad2.py",
        "a UNet takes multiples of 16, and the size of a whole image depends on the image",
        "mmseg#1712, mmseg#2035",
        (f"{VAL}.pipeline", "model.test_cfg", "model.backbone"),
        Judge.PROVE,
    ),
    Faulty(
        "R11/bad.py",
        "sliding-window settings in the top-level test_cfg",
        "mmseg#1958",
        ("test_cfg",),
        says="model.test_cfg",
        alone=True,
    ),
    Faulty(
        "R13/bad.py",
        "Albu's keymap moves the image and not the label map",
        "mmseg#3179",
        (f"{TRAIN}.pipeline[2]",),
        says="gt_seg_map",
    ),
    Faulty(
        "R13/bad2.py",
        "Albu's keymap names a label map that mmseg has under another name",
        "mmseg#1922",
        (f"{TRAIN}.pipeline[2].keymap",),
        says="gt_seg_map",
    ),
    Faulty("R14/bad.py", "optimizer_config of mmcv 1.x is not read", "mmdet#11232", ("optimizer_config",), alone=True),
    Faulty(
        "R16/bad.py",
        "the layer-decay constructor does not read custom_keys",
        "mmseg#1623",
        ("optim_wrapper.paramwise_cfg.custom_keys",),
        Judge.PROVE,
    ),
    Faulty(
        "R16/bad2.py",
        "a layer-decay constructor that does not know the backbone",
        "mmseg#1623",
        ("optim_wrapper.constructor", "optim_wrapper", "model.backbone"),
        Judge.PROVE,
    ),
    Faulty(
        "R17/bad.py",
        "an import that fails although allow_failed_imports=False: the package has another name now",
        "mmseg#2991",
        ("custom_imports",),
        Judge.PROVE,
        says="mmpretrain",
    ),
    Faulty(
        "R19/bad.py",
        "the scores of one validation image, 194 x 6144 x 8192 of four bytes, are 36 GiB",
        "mmseg#1432, mmseg#2108",
        (f"{VAL}.pipeline", "val_dataloader", "model.test_cfg"),
        Judge.PROVE,
        gpu_memory=GPU_MEMORY,
    ),
    Faulty(
        "R22/bad.py",
        "an average that begins by epochs, in a loop of iterations",
        "mmcv#2195",
        ("custom_hooks[0].begin_epoch",),
        Judge.PROVE,
    ),
    Faulty(
        "R22/bad2.py",
        "an average that begins after the end of the run",
        "mmcv#2195",
        ("custom_hooks[0].begin_iter",),
        Judge.PROVE,
    ),
    Faulty(
        "R22/bad3.py",
        "a momentum written as torch's decay: the average is the last step",
        "mmcv#2195",
        ("custom_hooks[0].momentum",),
        Judge.PROVE,
    ),
    Faulty(
        "R23/bad.py",
        "every validation repeats its images a hundred times",
        "mmseg#1063",
        (VAL,),
    ),
    Faulty(
        "R25/bad.py",
        "control characters in a path that was meant to have backslashes",
        "mmseg#2145",
        (f"{TRAIN}.data_root", "root"),
    ),
    Faulty(
        "R26/bad.py",
        "a base that is not there, and that mmseg ships",
        "mmseg#3621",
        says="mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py",
        alone=True,
    ),
    Faulty(
        "R28/bad.py",
        "a plateau of what no evaluator gives",
        "mmpretrain#1934",
        ("param_scheduler[0].monitor",),
    ),
    Faulty(
        "R28/bad2.py",
        "a plateau that counts iterations is never stepped by a validation",
        "mmpretrain#1934",
        ("param_scheduler[0].by_epoch",),
    ),
    Faulty(
        "R28/bad3.py",
        "a plateau of a metric that grows, with the rule for one that falls",
        "mmpretrain#1934",
        ("param_scheduler[0].rule",),
    ),
    Faulty(
        "R29/bad.py",
        "ClassBalancedDataset over a dataset that cannot count its classes",
        "mmdet#3478",
        (TRAIN,),
        Judge.PROVE,
    ),
    Faulty(
        "R31/bad.py",
        "a BEiT takes its own size, and whole images of another are predicted",
        "mmseg#2904",
        (f"{VAL}.pipeline", "model.test_cfg", "model.backbone"),
        Judge.PROVE,
    ),
    Faulty(
        "R32/bad.py",
        "load_from of a backbone's weights alone: nothing of them is loaded",
        "mmseg#1954",
        ("load_from",),
        Judge.PROVE,
        folder="R32",
    ),
    Faulty(
        "wild/h/missing_base.py",
        "a missing base: nothing that follows from it is judged",
        "public repositories",
        alone=True,
        folder="wild/h",
    ),
    Faulty(
        "wild/p/badimp.py",
        "an import that fails inside the user's package: the cause is its exception with its line",
        "public repositories",
        ("custom_imports",),
        Judge.PROVE,
        says="needs torch 1",
        folder="wild/p",
    ),
    Faulty(
        "wild/p/lazy2.py",
        "an import of a package that is not installed",
        "public repositories",
        judge=Judge.PROVE,
        says="notinstalledpkg",
        folder="wild/p",
    ),
    Faulty(
        "wild/p/inidx.py",
        "a scope whose package is not installed",
        "public repositories",
        ("default_scope",),
        Judge.PROVE,
        says="notinstalledscope",
        folder="wild/p",
    ),
    Faulty(
        "wild/p/owc.py",
        "a constructor that nothing registers: keys that it would have read are not called dead",
        "public repositories",
        ("optim_wrapper.constructor",),
        Judge.PROVE,
        says="NotInstalledConstructor",
        alone=True,
        folder="wild/p",
    ),
)

CORRECT = (
    Correct(
        "wild/a/configs/m.py",
        "the repository's own package registers the class, and its tools/train.py imports it",
        folder="wild/a",
    ),
    Correct(
        "wild/b/hook_scope.py",
        "another scope's hook is not mmseg's to judge",
        folder="wild/b",
    ),
    Correct(
        "wild/b/loop_scope.py",
        "another scope's loop is not mmseg's to judge",
        folder="wild/b",
    ),
    Correct(
        "wild/b/torgb.py",
        "another scope's preprocessor is not mmseg's to judge",
        folder="wild/b",
    ),
    Correct(
        "wild/c/same_name.py",
        "a class that replaces the one of its own name has that one as its parent",
        folder="wild/c",
    ),
    Correct(
        "wild/e/init_cfg_kept.py",
        "a backbone of the user's with its own `pretrained`",
        keys=("model.backbone.pretrained",),
        folder="wild/e",
    ),
    Correct(
        "wild/g/wd.py",
        "mmengine copies every key of a custom_keys entry into the parameter group",
        folder="wild/g",
    ),
    Correct("wild/h/ann_file.py", "lists of files with the folders they are in", folder="wild/h"),
    Correct(
        "wild/h/dice_ignore.py",
        "neither ignore label is a class: the loss is the same",
        keys=("model.decode_head.loss_decode[1]",),
        folder="wild/h",
    ),
    Correct(
        "wild/h/hiera.py",
        "more outputs than classes, with a loss of the user's that wants them",
        keys=("model.decode_head.num_classes", "model.auxiliary_head.num_classes"),
        folder="wild/h",
    ),
    Correct(
        "wild/h/syncbn.py",
        "SyncBN with one image a process, on sixteen processes",
        folder="wild/h",
    ),
    Correct(
        "wild/n/configs/cat_seg/leaf.py",
        "a folder configs/cat_seg is not the package cat_seg",
        folder="wild/n",
    ),
    Correct("wild/n2/configs/leaf.py", "a package beside the folder of the configs", folder="wild/n2"),
    Correct(
        "wild/p/ns.py",
        "custom_imports two namespace packages deep, as mmseg's own `projects`",
        Judge.PROVE,
        folder="wild/p",
    ),
    Correct(
        "wild/p/wild.py",
        "default_scope names a package, which mmengine imports by itself",
        Judge.PROVE,
        codes=("PROOF011", "REG001"),
        folder="wild/p",
    ),
    Correct(
        "wild/p/scopehook.py",
        "default_scope names a package, which mmengine imports by itself",
        Judge.PROVE,
        codes=("PROOF011", "REG001"),
        folder="wild/p",
    ),
)

NOT_INSTALLED = {"R13": "albumentations", "R17": "mmpretrain"}
"""Cases whose correct twin needs a package that is not installed with this project, so that it cannot be built here."""

TWINS_NOT_YET = {}

TWINS = tuple(
    Correct(
        f"{name}/good.py",
        "the closest correct config",
        judge,
        folder=name if name == "R32" else ".",
        gpu_memory=GPU_MEMORY if name == "R19" else None,
        not_yet=TWINS_NOT_YET.get((judge, name)),
    )
    for name in sorted({case.file.partition("/")[0] for case in FAULTY} - {"wild"})
    for judge in Judge
    if judge is Judge.VALIDATE or name not in NOT_INSTALLED
)
