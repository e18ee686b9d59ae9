"""Codes PROOF060 to PROOF079: early stopping and the best checkpoint."""

from __future__ import annotations

from provecfg.findings import Problem, Severity

EVALUATOR_FAILS = Problem(
    "PROOF060",
    "evaluator-fails",
    "The evaluator cannot be built, or fails on predictions that were made for it.",
    "The first validation ends the run, after hours of training: `iou_metrics=['IoU']`, or two metrics of one name.",
)
MONITOR_MISSING = Problem(
    "PROOF061",
    "monitor-not-evaluated",
    "Early stopping watches a metric that the real evaluator does not return.",
    "The hook warns once a validation and never stops; with `strict=True` the first validation ends the run.",
)
BEST_MISSING = Problem(
    "PROOF062",
    "best-not-evaluated",
    "The best checkpoint is chosen by a metric that the real evaluator does not return.",
    "The first validation ends the run with a KeyError.",
)
WRONG_RULE = Problem(
    "PROOF063",
    "wrong-direction",
    "By the hook's rule, a perfect prediction is scored as worse than a poor one.",
    "Early stopping ends the run while it improves, and the worst checkpoint is kept as the best.",
)
THRESHOLD_MET = Problem(
    "PROOF064",
    "threshold-met-at-once",
    "A prediction that is wrong almost everywhere meets the stopping threshold.",
    "The first validation ends the run. Mostly the threshold is a fraction, and the metric counts to 100.",
)
THRESHOLD_NEVER_MET = Problem(
    "PROOF065",
    "threshold-never-met",
    "A perfect prediction does not meet the stopping threshold.",
    "The run never stops at it.",
)
DELTA_OFF_SCALE = Problem(
    "PROOF066",
    "min-delta-off-scale",
    "`min_delta` does not fit the range of the metric that the evaluator returns.",
    "Noise counts as progress, so that the run never stops; or progress counts as none, and a good run is stopped.",
    Severity.WARNING,
)
FALL_IS_PROGRESS = Problem(
    "PROOF067",
    "getting-worse-counts-as-progress",
    "A metric that gets worse with every validation counts as progress.",
    "The run never stops, and the best score follows the metric down: `min_delta` is negative.",
)
FLAT_IS_PROGRESS = Problem(
    "PROOF068",
    "standing-still-counts-as-progress",
    "A metric that stays exactly the same counts as progress.",
    "A run whose model is dead, so that the metric never changes, goes on to its end.",
    Severity.NOTE,
)
OTHER_PATIENCE = Problem(
    "PROOF069",
    "patience-not-as-declared",
    "A flat metric does not stop the run after exactly `patience` validations without progress.",
    "A patience of 0 or less behaves as 1.",
)
NEVER_STOPS = Problem(
    "PROOF070",
    "never-stops",
    "A metric that never improves does not stop the run before its end.",
    "Early stopping has no effect: there are not more validations than it has patience for.",
)
NO_VALIDATION = Problem(
    "PROOF071",
    "early-stopping-without-validation",
    "Early stopping is declared, and no validation falls within the run.",
    "The hook is never asked, and the run never stops early.",
)
FORGOTTEN = Problem(
    "PROOF072",
    "early-stopping-forgotten-on-resume",
    "A run that is killed and resumed does not stop where one in a piece does, and the config resumes.",
    "Best score and wait count are in no checkpoint: each resume begins the patience anew.",
    Severity.WARNING,
)
FORGETS = Problem(
    "PROOF073",
    "early-stopping-would-be-forgotten",
    "If this run were killed and resumed, it would not stop where one in a piece does.",
    "Best score and wait count are in no checkpoint: each resume begins the patience anew.",
    Severity.NOTE,
)
BEST_IS_FIRST = Problem(
    "PROOF074",
    "best-by-the-first-metric",
    "`save_best='auto'` keeps the best checkpoint by whichever metric the evaluator returns first.",
    "For mmseg's IoUMetric that is pixel accuracy, which hardly moves when small classes are lost.",
    Severity.WARNING,
)
BEST_UNNAMED = Problem(
    "PROOF075",
    "best-checkpoint-not-named",
    "The checkpoint hook counts epochs, and the loop iterations: the best checkpoints all have one name.",
    "No file says which iteration it is of, and there is no other checkpoint before the end of the run.",
)
BEST_LOST = Problem(
    "PROOF076",
    "best-not-kept",
    "When the run is over, no checkpoint of its best validation is left.",
    "Its best weights are gone. Without `save_best` only the last ones are kept.",
    Severity.WARNING,
)
SAVING_FAILS = Problem(
    "PROOF077",
    "hook-fails-in-the-run",
    "A hook of early stopping or checkpoints cannot be built, or fails when its moment comes.",
    "The run ends with an exception: at its start, at the first checkpoint or at the first validation.",
)
BEST_UNVALIDATED = Problem(
    "PROOF078",
    "best-without-validation",
    "The best checkpoint is to be kept, and no validation falls within the run.",
    "There is no best checkpoint.",
    Severity.WARNING,
)
IMPROVING_STOPS = Problem(
    "PROOF079",
    "improving-run-is-stopped",
    "A metric that improves by more than `min_delta` with every validation stops the run.",
    "A good run is ended before its time.",
)
