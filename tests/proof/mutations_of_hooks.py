"""Mistakes in early stopping, checkpoints and logs."""

from __future__ import annotations

from tests.proof.mutation_changes import CHECKPOINT, STOPPING, adds, drops, either, misspelt, misspelt_keys, sets
from tests.proof.mutations import Operator

OPERATORS: tuple[Operator, ...] = (
    # Early stopping
    Operator(
        "monitor that is not measured",
        "never stops",
        sets(
            f"{STOPPING}.monitor",
            "'mIoU'",
            "'val/mIOU'",
            "'loss'",
            "'val/mDice'",
        ),
    ),
    Operator("stops at progress", "ends a run that improves", sets(f"{STOPPING}.rule", "'less'")),
    Operator("rule that does not exist", "fails to build", sets(f"{STOPPING}.rule", "'max'", "'higher'")),
    Operator(
        "no patience",
        "stops at the first validation that is not better",
        sets(
            f"{STOPPING}.patience",
            "0",
            "-5",
        ),
    ),
    Operator("patience that outlasts the run", "never stops", sets(f"{STOPPING}.patience", "50", "5000")),
    Operator("min_delta negative", "counts a falling metric as progress", sets(f"{STOPPING}.min_delta", "-0.1", "-1")),
    Operator(
        "min_delta of another scale",
        "counts real progress as none",
        sets(
            f"{STOPPING}.min_delta",
            "10.0",
            "50.0",
        ),
    ),
    Operator("threshold as a fraction", "stops at the first validation", adds(STOPPING, "stopping_threshold=0.8")),
    Operator("hook misspelt", "fails to build", misspelt("custom_hooks[*].type")),
    Operator("hook argument misspelt", "fails to build", misspelt_keys("custom_hooks[*].*")),
    Operator(
        "hooks that are no list",
        "fails to build",
        sets(
            "custom_hooks",
            "dict(type='ResumableEarlyStoppingHook', monitor='val/mIoU', rule='greater')",
        ),
    ),
    # Checkpoints
    Operator(
        "best by a metric that is not measured",
        "fails at the first validation",
        sets(
            f"{CHECKPOINT}.save_best",
            "'mIoU'",
            "'val/mIOU'",
            "'val/mDice'",
        ),
    ),
    Operator(
        "best by whichever metric is first",
        "keeps the best pixel accuracy",
        sets(
            f"{CHECKPOINT}.save_best",
            "'auto'",
        ),
    ),
    Operator("best not kept", "spends the patience and loses what it waited for", drops(f"{CHECKPOINT}.save_best")),
    Operator("best is the worst", "keeps the worst checkpoint", sets(f"{CHECKPOINT}.rule", "'less'")),
    Operator(
        "checkpoints by epochs",
        "saves at the end alone",
        either(
            sets(f"{CHECKPOINT}.by_epoch", "True"),
            drops(f"{CHECKPOINT}.by_epoch"),
        ),
    ),
    Operator(
        "checkpoints never",
        "saves at the end alone, or never",
        sets(
            f"{CHECKPOINT}.interval",
            "100000",
            "0",
            "-1",
        ),
    ),
    Operator(
        "checkpoint option misspelt",
        "fails to build, or at the first checkpoint",
        either(
            misspelt_keys(f"{CHECKPOINT}.*"),
            adds(CHECKPOINT, "max_keep_ckpt=3"),
        ),
    ),
    Operator("no checkpoint hook of its own", "saves by epochs, and no best", drops(CHECKPOINT)),
    Operator(
        "default hook misspelt",
        "fails to build, or runs beside the default",
        either(
            misspelt("default_hooks.*.type"),
            misspelt_keys("default_hooks.*"),
        ),
    ),
    Operator("rates never stepped", "trains at the first rate", sets("default_hooks.param_scheduler", "None")),
    Operator(
        "nothing logged",
        "leaves no curve",
        either(
            sets("default_hooks.logger.interval", "100000"),
            sets("default_hooks.logger", "None"),
        ),
    ),
    Operator(
        "logged by epochs",
        "logs every validation at one step",
        either(
            sets("default_hooks.logger.log_metric_by_epoch", "True"),
            sets("log_processor.by_epoch", "True"),
        ),
    ),
)
