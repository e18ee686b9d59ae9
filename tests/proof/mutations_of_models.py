"""Mistakes in losses, heads and the rest of the model."""

from __future__ import annotations

from tests.proof.mutation_changes import (
    HEADS,
    LOSSES,
    adds,
    drops,
    either,
    has_siblings,
    has_softmax_beside,
    is_of_mask_head,
    misspelt,
    misspelt_keys,
    quotes,
    renames,
    sets,
    where,
)
from tests.proof.mutations import Operator

CLASS_WEIGHTS = ", ".join(["1.0"] * 19)

OPERATORS: tuple[Operator, ...] = (
    # Losses
    Operator("loss dropped", "trains without a term of its equation", where(has_siblings, drops(LOSSES))),
    Operator("auxiliary head dropped", "trains without the terms of that head", drops("model.auxiliary_head")),
    Operator("no losses", "fails, or trains a head on nothing", sets(f"{HEADS}.loss_decode", "[]")),
    Operator(
        "another loss in its place",
        "trains another term than its equation says",
        either(
            sets(f"{LOSSES}", "dict(type='DiceLoss', use_sigmoid=False, loss_weight=0.3)"),
            sets(f"{LOSSES}", "dict(type='SegBoundaryLoss', loss_weight=0.2)"),
        ),
    ),
    Operator(
        "loss named without 'loss'",
        "is logged and never trained",
        either(
            sets(f"{LOSSES}.loss_name", "'focal'", "'aux'"),
            adds(LOSSES, "loss_name='ce'"),
        ),
    ),
    Operator(
        "two losses of one name",
        "are summed under one key of the log",
        either(
            where(has_siblings, sets(f"{LOSSES}.loss_name", "'loss_ce'")),
            where(is_of_mask_head, sets(f"{LOSSES}.loss_name", "'loss_cls'", "'loss_dice'")),
        ),
    ),
    Operator("loss weight zero", "trains without the loss", sets(f"{LOSSES}.loss_weight", "0.0")),
    Operator(
        "loss weight negative",
        "drives the loss up",
        either(
            sets(f"{LOSSES}.loss_weight", "-0.3"),
            sets("model.decode_head.loss_*.loss_weight", "-1.0"),
        ),
    ),
    Operator(
        "loss weight other than its equation",
        "trains another total than the file says",
        sets(
            f"{LOSSES}.loss_weight",
            "0.7",
        ),
    ),
    Operator("loss weight as text", "fails at the first iteration", quotes(f"{LOSSES}.loss_weight")),
    Operator(
        "loss weight left out",
        "trains at weight 1",
        where(
            lambda node: node.value != 1.0,
            drops(f"{LOSSES}.loss_weight"),
        ),
    ),
    Operator("loss misspelt", "fails to build", misspelt(f"{LOSSES}.type")),
    Operator(
        "loss that the head cannot call",
        "fails at the first iteration",
        sets(
            LOSSES,
            "dict(type='OhemCrossEntropy', loss_weight=0.3)",
            "dict(type='BoundaryLoss', loss_weight=0.3)",
        ),
    ),
    Operator("loss argument misspelt", "fails to build, or is trained with the default", misspelt_keys(f"{LOSSES}.*")),
    Operator(
        "loss argument out of range",
        "fails, or turns the loss round",
        either(
            sets(f"{LOSSES}.alpha", "1.5", "-0.5"),
            sets(f"{LOSSES}.gamma", "-2.0"),
        ),
    ),
    Operator(
        "class weights too few",
        "fails at the first iteration",
        adds(
            f"{LOSSES}",
            f"class_weight=[{CLASS_WEIGHTS[:-5]}]",
        ),
    ),
    Operator(
        "class weights all zero",
        "trains nothing",
        where(
            lambda node: node.type == "CrossEntropyLoss",
            adds(LOSSES, "class_weight=[0.0] * 19"),
        ),
    ),
    Operator(
        "class weight negative",
        "drives the loss of a class up",
        where(
            lambda node: node.type == "CrossEntropyLoss",
            adds(LOSSES, f"class_weight=[-1.0, {CLASS_WEIGHTS[5:]}]"),
        ),
    ),
    Operator(
        "loss summed",
        "is 100000 times as large",
        either(
            sets(f"{LOSSES}.reduction", "'sum'"),
            where(lambda node: node.type == "CrossEntropyLoss", adds(LOSSES, "reduction='sum'")),
        ),
    ),
    Operator(
        "loss not reduced as known",
        "fails at the first iteration",
        either(
            sets(f"{LOSSES}.reduction", "'avg'"),
            adds(LOSSES, "reduction='average'"),
        ),
    ),
    Operator(
        "sigmoids beside a softmax",
        "trains one head to two meanings of its scores",
        where(
            has_softmax_beside,
            sets(f"{LOSSES}.use_sigmoid", "True"),
        ),
    ),
    Operator(
        "use_mask in a decode head",
        "fails at the first iteration",
        where(
            lambda node: node.type == "CrossEntropyLoss",
            adds(LOSSES, "use_mask=True"),
        ),
    ),
    Operator(
        "loss ignores another label",
        "trains on padding, or never on a class",
        where(
            lambda node: str(node.type).startswith("S"),
            adds(LOSSES, "ignore_index=0", "ignore_index=254"),
        ),
    ),
    Operator(
        "losses under a misspelt key",
        "fails to build, or trains without them",
        renames(
            f"{HEADS}.loss_decode",
            "losses_decode",
        ),
    ),
    Operator("loss weight on the head", "fails to build, or has no effect", adds(HEADS, "loss_weight=0.4")),
    Operator(
        "head that drops pixel losses",
        "trains without them",
        where(
            lambda node: node.value == "Mask2FormerPixelLossHead",
            sets(f"{HEADS}.type", "'Mask2FormerHead'"),
        ),
    ),
    Operator(
        "mask loss without its weight",
        "trains without the loss",
        sets(
            "model.decode_head.loss_*.loss_weight",
            "0.0",
        ),
    ),
    Operator(
        "mask class weights of another length",
        "fails at the first iteration",
        sets(
            "model.decode_head.loss_cls.class_weight",
            f"[{CLASS_WEIGHTS}]",
        ),
    ),
    Operator("mask class weights left out", "fails to build", drops("model.decode_head.loss_cls.class_weight")),
    Operator(
        "mask loss of the wrong kind",
        "fails, or compares masks with the wrong scores",
        either(
            sets("model.decode_head.loss_mask.use_sigmoid", "False"),
            sets("model.decode_head.loss_cls.use_sigmoid", "True"),
            sets("model.decode_head.loss_dice.activate", "False"),
        ),
    ),
    # Heads and model
    Operator(
        "fewer classes than labels",
        "fails at the first label of the last class",
        sets(
            f"{HEADS}.num_classes",
            "18",
            "9",
        ),
    ),
    Operator("more classes than labels", "trains classes that no label has", sets(f"{HEADS}.num_classes", "150", "20")),
    Operator(
        "one channel for all classes",
        "can predict two classes",
        where(
            lambda node: not str(node.type).startswith("Mask2Former"),
            adds(HEADS, "out_channels=1"),
        ),
    ),
    Operator("head ignores a class", "never trains the class, and counts it", sets(f"{HEADS}.ignore_index", "0")),
    Operator(
        "head ignores no padding",
        "fails, or trains on padding",
        sets(
            f"{HEADS}.ignore_index",
            "254",
            "-1",
            "None",
        ),
    ),
    Operator(
        "threshold on several channels",
        "has no effect",
        where(
            lambda node: not str(node.type).startswith("Mask2Former"),
            adds(HEADS, "threshold=0.5"),
        ),
    ),
    Operator("feature map that is not there", "fails at the first iteration", sets(f"{HEADS}.in_index", "4", "5")),
    Operator("another feature map", "fails at the first iteration", sets("model.auxiliary_head.in_index", "0", "1")),
    Operator(
        "channels of another backbone",
        "fails at the first iteration",
        sets(
            f"{HEADS}.in_channels",
            "256",
            "[32, 64, 160, 256]",
            "768",
        ),
    ),
    Operator("several inputs without a transform", "fails to build", drops(f"{HEADS}.input_transform")),
    Operator("input transform misspelt", "fails to build", misspelt(f"{HEADS}.input_transform")),
    Operator("head misspelt", "fails to build", misspelt(f"{HEADS}.type")),
    Operator("backbone misspelt", "fails to build", misspelt("model.backbone.type")),
    Operator("head argument misspelt", "fails to build, or is swallowed", misspelt_keys(f"{HEADS}.*")),
    Operator("backbone argument misspelt", "fails to build, or is swallowed", misspelt_keys("model.backbone.*")),
    Operator("head under a misspelt key", "fails to build", misspelt_keys("model.*_head")),
    Operator("normalisation misspelt", "fails to build", misspelt("model.**.norm_cfg.type")),
    Operator("everything dropped out", "trains on noise", sets(f"{HEADS}.dropout_ratio", "1.0", "10")),
    Operator("weights named twice", "fails to build", adds("model", "pretrained='open-mmlab://resnet50_v1c'")),
    Operator(
        "backbone gives fewer maps",
        "fails at the first iteration",
        sets(
            "model.backbone.out_indices",
            "(0, 1, 2)",
            "(0,)",
        ),
    ),
    Operator(
        "inference not set up",
        "fails at the first validation",
        either(
            sets("model.test_cfg.mode", "'slide'", "'hole'"),
            drops("model.test_cfg"),
        ),
    ),
    Operator(
        "sampler that keeps all pixels",
        "mines no hard pixels",
        where(
            lambda node: not str(node.type).startswith("Mask2Former"),
            adds(HEADS, "sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=1000000)"),
        ),
    ),
    Operator(
        "sampler on a head without one",
        "has no effect, or fails",
        where(
            lambda node: str(node.type).startswith("Mask2Former"),
            adds(HEADS, "sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=10000)"),
        ),
    ),
)
