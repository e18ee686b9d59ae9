"""Mistakes in the loop, the schedulers, the optimizer, and the file as a whole."""

from __future__ import annotations

from tests.proof.mutation_changes import (
    adds,
    appends,
    drops,
    either,
    misspelt,
    misspelt_keys,
    quotes,
    renames,
    sets,
    where,
)
from tests.proof.mutations import Operator

OPERATORS: tuple[Operator, ...] = (
    # Loop
    Operator(
        "loop of epochs over endless data",
        "never ends its first epoch",
        sets(
            "train_cfg",
            "dict(type='EpochBasedTrainLoop', max_epochs=50, val_interval=1)",
            "dict(by_epoch=True, max_epochs=50)",
        ),
    ),
    Operator(
        "loop of another kind",
        "fails to build",
        either(
            sets("train_cfg.type", "'EpochBasedTrainLoop'"),
            adds("train_cfg", "by_epoch=False"),
        ),
    ),
    Operator("loop misspelt", "fails to build", either(misspelt("*_cfg.type"), misspelt_keys("train_cfg.*"))),
    Operator("no iterations", "trains nothing", sets("train_cfg.max_iters", "0", "-1")),
    Operator("shorter than its schedule", "never decays", sets("train_cfg.max_iters", "20000", "8000")),
    Operator(
        "longer than its schedule",
        "trains most of the run at the last rate",
        sets(
            "train_cfg.max_iters",
            "320000",
            "800000",
        ),
    ),
    Operator(
        "validated never",
        "has no best checkpoint and no early stop",
        sets(
            "train_cfg.val_interval",
            "100000",
            "80000",
            "800000",
        ),
    ),
    Operator("validated every 0 iterations", "fails at the first iteration", sets("train_cfg.val_interval", "0")),
    Operator(
        "validated after the end", "has no best checkpoint and no early stop", adds("train_cfg", "val_begin=90000")
    ),
    Operator("validations too few for the patience", "never stops", sets("train_cfg.val_interval", "20000", "16000")),
    # Schedulers
    Operator("decay after the end", "never decays", sets("param_scheduler[*].end", "160000", "800000")),
    Operator(
        "decay long before the end",
        "trains most of the run at the last rate",
        sets(
            "param_scheduler[*].end",
            "8000",
            "2000",
        ),
    ),
    Operator(
        "decay by epochs",
        "never steps",
        either(
            sets("param_scheduler[*].by_epoch", "True"),
            drops("param_scheduler[*].by_epoch"),
        ),
    ),
    Operator(
        "decay that does not decay",
        "trains at the first rate",
        either(
            sets("param_scheduler[*].power", "0.0"),
            sets("param_scheduler[*].power", "-0.9"),
            sets("param_scheduler[*].eta_min", "0.1"),
        ),
    ),
    Operator("decay that begins at the end", "never decays", sets("param_scheduler[*].begin", "80000", "79999")),
    Operator(
        "schedulers that do not meet",
        "jumps, or stands still",
        either(
            sets("param_scheduler[1].begin", "3000", "500"),
            where(
                lambda node: node.value == 1500,
                sets("param_scheduler[0].end", "1000"),
            ),
        ),
    ),
    Operator(
        "warmup as long as the run",
        "never reaches the rate",
        where(
            lambda node: node.value == 1500,
            sets("param_scheduler[0].end", "80000", "100000"),
        ),
    ),
    Operator("warmup from nothing or above", "fails to build", sets("param_scheduler[0].start_factor", "0", "1.5")),
    Operator("scheduler misspelt", "fails to build", misspelt("param_scheduler[*].type")),
    Operator("scheduler argument misspelt", "fails to build", misspelt_keys("param_scheduler[*].*")),
    # Optimizer
    Operator("no learning rate", "trains nothing", sets("optim_wrapper.optimizer.lr", "0.0")),
    Operator(
        "learning rate negative",
        "fails to build, or drives the loss up",
        sets(
            "optim_wrapper.optimizer.lr",
            "-0.01",
        ),
    ),
    Operator("learning rate as text", "fails to build", quotes("optim_wrapper.optimizer.lr")),
    Operator(
        "weight decay negative",
        "fails to build, or lets weights grow",
        sets(
            "optim_wrapper.optimizer.weight_decay",
            "-0.01",
        ),
    ),
    Operator(
        "momentum that keeps everything",
        "diverges",
        either(
            sets("optim_wrapper.optimizer.momentum", "1.0", "9.0"),
            sets("optim_wrapper.optimizer.betas", "(0.9, 1.999)"),
        ),
    ),
    Operator("optimizer misspelt", "fails to build", misspelt("optim_wrapper.**.type")),
    Operator("optimizer argument misspelt", "fails to build", misspelt_keys("optim_wrapper.optimizer.*")),
    Operator("optimizer left out", "fails to build", drops("optim_wrapper.optimizer")),
    Operator(
        "group of a name that nothing has",
        "trains it at the base rate",
        either(
            misspelt_keys("optim_wrapper.paramwise_cfg.custom_keys.*"),
        ),
    ),
    Operator(
        "group option misspelt",
        "trains the group at the base rate",
        either(
            renames("optim_wrapper.paramwise_cfg.custom_keys.*.lr_mult", "lr_mul"),
            renames("optim_wrapper.paramwise_cfg.custom_keys.*.decay_mult", "wd_mult"),
            renames("optim_wrapper.paramwise_cfg.custom_keys", "custom_key"),
        ),
    ),
    Operator(
        "gradients clipped away",
        "trains nothing",
        either(
            sets("optim_wrapper.clip_grad.max_norm", "0.0", "-0.01"),
            adds("optim_wrapper", "clip_grad=dict(max_norm=0)"),
        ),
    ),
    Operator(
        "gradients never applied",
        "fails to build, or steps once",
        adds(
            "optim_wrapper",
            "accumulative_counts=0",
            "accumulative_counts=100000",
        ),
    ),
    Operator("optimizer wrapper misspelt", "fails, or has no effect", misspelt_keys("optim_wrapper.*")),
    # The file
    Operator("top-level key misspelt", "has no effect, or fails", misspelt_keys("*")),
    Operator(
        "key of mmseg 0.x",
        "has no effect",
        appends(
            "optimizer = dict(type='SGD', lr=0.1)",
            "lr_config = dict(policy='poly', power=0.9)",
            "evaluation = dict(interval=1000, metric='mIoU')",
            "data = dict(samples_per_gpu=4)",
            "checkpoint_config = dict(by_epoch=False, interval=4000)",
            "runner = dict(type='IterBasedRunner')",
        ),
    ),
    Operator(
        "classes not imported",
        "fails to build",
        either(
            drops("custom_imports"),
            sets("custom_imports.imports", "['provecfg.plugins']", "[]"),
        ),
    ),
    Operator(
        "another scope", "fails to build", either(drops("default_scope"), sets("default_scope", "'mmsegmentation'"))
    ),
    Operator("model misspelt", "fails to build", misspelt("model.type")),
    Operator("model key misspelt", "fails to build", misspelt_keys("model.*")),
    Operator(
        "environment that does not exist",
        "fails to start",
        either(
            misspelt("env_cfg.mp_cfg.mp_start_method"),
            misspelt("log_level"),
            quotes("randomness.seed"),
        ),
    ),
    Operator("nothing to write curves with", "leaves no curve", sets("visualizer.vis_backends", "[]", "None")),
    Operator("visualizer misspelt", "fails to build", misspelt("visualizer.**type")),
)
