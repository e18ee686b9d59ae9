"""Mistakes in the data and in what is measured on it."""

from __future__ import annotations

from tests.proof.mutation_changes import (
    PIPELINE,
    VAL_PIPELINE,
    adds,
    drops,
    either,
    exchanged,
    misspelt,
    misspelt_keys,
    pooled,
    sets,
    swaps,
    without,
)
from tests.proof.mutations import Operator

OPERATORS: tuple[Operator, ...] = (
    # Data
    Operator("images not padded", "fails at the first iteration", drops("model.data_preprocessor.size")),
    Operator(
        "images padded twice",
        "fails at the first iteration",
        adds(
            "model.data_preprocessor",
            "size_divisor=32",
        ),
    ),
    Operator(
        "padded to less than a crop",
        "fails at the first iteration",
        sets(
            "model.data_preprocessor.size",
            "(256, 256)",
        ),
    ),
    Operator(
        "padded to far more than a crop",
        "trains on padding mostly",
        sets(
            "model.data_preprocessor.size",
            "(2048, 2048)",
        ),
    ),
    Operator(
        "padding labelled as a class",
        "trains padding as that class",
        sets(
            "model.data_preprocessor.seg_pad_val",
            "0",
            "19",
        ),
    ),
    Operator(
        "channels in another order",
        "normalises red by the mean of blue",
        sets(
            "model.data_preprocessor.bgr_to_rgb",
            "False",
        ),
    ),
    Operator(
        "mean and deviation of images in 0..1",
        "shows the model numbers a hundred times too large",
        sets(
            "model.data_preprocessor.mean",
            "[0.485, 0.456, 0.406]",
        ),
    ),
    Operator(
        "deviation zero", "shows the model infinities", sets("model.data_preprocessor.std", "[58.395, 0.0, 57.375]")
    ),
    Operator("preprocessor argument misspelt", "fails to build", misspelt_keys("model.data_preprocessor.*")),
    Operator("no labels loaded", "fails at the first iteration", without(PIPELINE, "LoadAnnotations")),
    Operator(
        "no images loaded",
        "fails at the first iteration",
        either(
            without(PIPELINE, "LoadImageFromFile"),
            without(VAL_PIPELINE, "LoadImageFromFile"),
        ),
    ),
    Operator(
        "results not packed",
        "fails at the first batch",
        either(
            without(PIPELINE, "PackSegInputs"),
            without(VAL_PIPELINE, "PackSegInputs"),
        ),
    ),
    Operator(
        "labels loaded after the crop",
        "trains images against other labels",
        either(
            exchanged(PIPELINE, "LoadAnnotations", "RandomCrop"),
            exchanged(PIPELINE, "LoadAnnotations", "RandomFlip"),
            exchanged(PIPELINE, "LoadAnnotations", "RandomResize"),
        ),
    ),
    Operator(
        "packed before the crop", "fails, or trains uncropped", exchanged(PIPELINE, "RandomCrop", "PackSegInputs")
    ),
    Operator(
        "validation labels resized",
        "fails at the first validation",
        exchanged(
            VAL_PIPELINE,
            "Resize",
            "LoadAnnotations",
        ),
    ),
    Operator(
        "crops not padded to one size",
        "fails to stack a batch",
        either(
            without(PIPELINE, "RandomCrop"),
            sets(f"{PIPELINE}[*].crop_size", "(1024, 1024)"),
        ),
    ),
    Operator(
        "crops smaller than the padding",
        "trains on padding mostly",
        sets(
            f"{PIPELINE}[*].crop_size",
            "(256, 256)",
        ),
    ),
    Operator(
        "images normalised twice",
        "shows the model other numbers",
        sets(
            f"{PIPELINE}[6]",
            "dict(type='Normalize', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]), "
            "dict(type='PackSegInputs')",
        ),
    ),
    Operator("transform misspelt", "fails to build", misspelt("*_dataloader.dataset.pipeline[*].type")),
    Operator("transform argument misspelt", "fails to build", misspelt_keys(f"{PIPELINE}[*].*")),
    Operator(
        "label zero dropped",
        "drops the first class",
        either(
            adds("*_dataloader.dataset", "reduce_zero_label=True"),
            adds(f"{PIPELINE}[1]", "reduce_zero_label=True"),
        ),
    ),
    Operator(
        "trained on the validation images",
        "measures what it was trained on",
        sets(
            "train_dataloader.dataset.data_prefix",
            "dict(img_path='images/10k/val', seg_map_path='labels/sem_seg/masks/val')",
        ),
    ),
    Operator(
        "validated on the training images",
        "measures what it was trained on",
        sets(
            "val_dataloader.dataset.data_prefix",
            "dict(img_path='images/10k/train', seg_map_path='labels/sem_seg/masks/train')",
        ),
    ),
    Operator(
        "labels of another split",
        "finds no labels",
        either(
            sets("train_dataloader.dataset.data_prefix.seg_map_path", "'labels/sem_seg/masks/val'"),
            sets("val_dataloader.dataset.data_prefix.seg_map_path", "'labels/sem_seg/masks/train'"),
        ),
    ),
    Operator(
        "images and labels exchanged",
        "finds no images",
        either(
            swaps("train_dataloader.dataset.data_prefix.img_path", "train_dataloader.dataset.data_prefix.seg_map_path"),
            swaps("val_dataloader.dataset.data_prefix.img_path", "val_dataloader.dataset.data_prefix.seg_map_path"),
        ),
    ),
    Operator(
        "data prefix misspelt",
        "finds no images or labels",
        misspelt_keys(
            "*_dataloader.dataset.data_prefix.*",
        ),
    ),
    Operator(
        "dataset of other classes",
        "has labels that the heads have no class for",
        sets(
            "*_dataloader.dataset.type",
            "'ADE20KDataset'",
            "'PascalVOCDataset'",
        ),
    ),
    Operator("dataset misspelt", "fails to build", misspelt("*_dataloader.dataset.type")),
    Operator(
        "a few of the classes",
        "maps the others to ignored",
        either(
            adds("train_dataloader.dataset", "metainfo=dict(classes=('road', 'car', 'person'))"),
            adds("val_dataloader.dataset", "metainfo=dict(classes=('road', 'car', 'person'))"),
        ),
    ),
    Operator(
        "no batch",
        "fails to build, or has nothing to train on",
        sets(
            "train_dataloader.batch_size",
            "0",
            "-2",
        ),
    ),
    Operator(
        "batch of one under batch norm",
        "fails at the first iteration",
        pooled(
            sets("train_dataloader.batch_size", "1"),
        ),
    ),
    Operator("workers that persist, and none", "fails to build", sets("*_dataloader.num_workers", "0")),
    Operator(
        "training sampler that ends",
        "sleeps two seconds after each pass",
        sets(
            "train_dataloader.sampler.type",
            "'DefaultSampler'",
        ),
    ),
    Operator(
        "validation sampler that never ends",
        "never comes back from the first validation",
        sets(
            "val_dataloader.sampler.type",
            "'InfiniteSampler'",
        ),
    ),
    Operator(
        "training images not shuffled",
        "sees them in the order of the disk",
        sets(
            "train_dataloader.sampler.shuffle",
            "False",
        ),
    ),
    Operator("no sampler", "fails to build", drops("*_dataloader.sampler")),
    Operator("loader key misspelt", "fails to build", misspelt_keys("*_dataloader.*")),
    Operator(
        "validation by chance",
        "measures other crops each time",
        sets(
            f"{VAL_PIPELINE}[1]",
            "dict(type='RandomCrop', crop_size=(512, 512))",
            "dict(type='RandomFlip', prob=0.5)",
        ),
    ),
    # Evaluation
    Operator(
        "metric without its prefix",
        "stops never, and fails at the best checkpoint",
        either(
            drops("val_evaluator.prefix"),
            sets("val_evaluator.prefix", "'valid'"),
        ),
    ),
    Operator(
        "other metrics than are watched",
        "stops never, and fails at the best checkpoint",
        sets(
            "val_evaluator.iou_metrics",
            "['mDice']",
            "['mFscore']",
        ),
    ),
    Operator(
        "metric that does not exist",
        "fails at the end of the first validation",
        sets(
            "val_evaluator.iou_metrics",
            "['IoU']",
            "['miou']",
        ),
    ),
    Operator("evaluator misspelt", "fails to build", misspelt("*_evaluator.type")),
    Operator("evaluator argument misspelt", "fails to build", misspelt_keys("val_evaluator.*")),
    Operator("evaluator ignores a class", "does not measure the class", adds("val_evaluator", "ignore_index=0")),
    Operator(
        "two evaluators of one name",
        "fails at the first validation",
        sets(
            "val_evaluator",
            "[dict(type='IoUMetric', prefix='val'), dict(type='IoUMetric', prefix='val')]",
        ),
    ),
    Operator("validation half declared", "fails to build", drops("val_evaluator", "val_cfg", "val_dataloader")),
    Operator("training half declared", "fails to build", drops("train_cfg", "train_dataloader", "optim_wrapper")),
)
