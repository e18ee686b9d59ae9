"""Codes PROOF040 to PROOF059: the schedules over the whole run."""

from __future__ import annotations

from provecfg.findings import Problem, Severity

LOOP_FAILS = Problem(
    "PROOF040",
    "training-loop-fails",
    "The training loop, or a hook that it calls, cannot be built or fails on the way.",
    "The run ends with an exception, mostly at its first iteration: `val_interval=0` divides by zero there.",
)
NEVER_ENDS = Problem(
    "PROOF041",
    "loop-never-ends",
    "A loop waits for the end of the data, and its sampler never ends.",
    "The first epoch goes on for ever: no validation, no checkpoint. In a validation, training never goes on.",
)
NOTHING_TRAINED = Problem(
    "PROOF042",
    "nothing-trained",
    "The training loop ends before its first iteration.",
    "The run succeeds, and the model is what it was initialised to.",
)
DATA_STARTS_ANEW = Problem(
    "PROOF043",
    "data-starts-anew",
    "A loop by iterations has a sampler that ends with each pass over the data.",
    "mmengine starts the workers anew and sleeps two seconds at the end of every pass.",
    Severity.WARNING,
)
NOT_VALIDATED = Problem(
    "PROOF044",
    "validated-at-no-time",
    "A validation is declared, and the loop never calls it on the way, or after every single iteration.",
    "Never: there is no best checkpoint and no early stopping, and the first metric comes when the run is over. "
    "Always: a negative interval does not turn validation off, and the run takes months.",
)
NOT_SAVED = Problem(
    "PROOF045",
    "checkpoints-not-saved",
    "The checkpoints that are declared are not written: none on the way, or none at all.",
    "A run that is killed begins again from nothing. `CheckpointHook` counts epochs unless told otherwise, and a "
    "loop by iterations has one.",
)
END_NOT_SAVED = Problem(
    "PROOF046",
    "last-iterations-not-saved",
    "The last iterations are in no checkpoint.",
    "They are trained for nothing: `save_last` is off, and the interval does not divide the run.",
    Severity.WARNING,
)
LOG_LOST = Problem(
    "PROOF047",
    "log-on-the-wrong-clock",
    "Training is never logged, or the metrics of several validations are logged at one step.",
    "There is no curve to look at: points that share a step lie on top of each other.",
    Severity.WARNING,
)
OPTIMIZER_FAILS = Problem(
    "PROOF048",
    "optimizer-fails",
    "The optimizer, its groups, or a scheduler cannot be built, or fails when it is stepped.",
    "The run ends with an exception before its first iteration, or in the middle.",
)
OPTION_IGNORED = Problem(
    "PROOF049",
    "group-option-ignored",
    "An option of the parameter groups is never read by their constructor, or is true of no parameter.",
    "The rates are others than the config says: mmengine looks options up by name and passes over what it does not "
    "know.",
)
NEVER_STEPS = Problem(
    "PROOF050",
    "scheduler-never-steps",
    "A scheduler is never stepped before the run ends.",
    "It counts epochs, of which a loop by iterations has one, or no hook steps it: what it schedules never changes.",
)
UNFINISHED = Problem(
    "PROOF051",
    "scheduler-unfinished",
    "A scheduler is still on its way when the run ends.",
    "The rate never comes down to what was meant. Mostly the run was shortened and `end` was not, or iterations are "
    "written where epochs count.",
)
WARMUP_UNFINISHED = Problem(
    "PROOF052",
    "warmup-unfinished",
    "A warmup never brings the rate up to its base.",
    "Everything is trained at a fraction of the rate: the warmup is longer than the run, or a single step long, which "
    "mmengine's `LinearLR` and `ConstantLR` never leave.",
)
NEVER_DECAYS = Problem(
    "PROOF053",
    "rate-never-decays",
    "A scheduler that decays ran its course, and the rate is what it was.",
    "The rate is constant, and the config says that it decays.",
)
NO_RATE = Problem(
    "PROOF054",
    "no-learning-rate",
    "The learning rate is zero, negative or not a number in a part of the run.",
    "At zero nothing is trained for hours; below it the loss is driven up; what is not a number ruins the weights.",
)
LOW_FOR_LONG = Problem(
    "PROOF055",
    "decay-ends-early",
    "The decay ends long before the run, which goes on at a small part of the rate.",
    "Most of the run changes little. Mostly the run was made longer and `end` was not.",
    Severity.WARNING,
)
DO_NOT_MEET = Problem(
    "PROOF056",
    "schedulers-do-not-meet",
    "Between two schedulers the rate stands still for a moment, or both change it at once.",
    "The curve has a step or a flat part that nobody asked for.",
    Severity.WARNING,
)
RISES = Problem(
    "PROOF057",
    "rate-rises-at-the-end",
    "The rate rises where it should decay.",
    "The run ends in the middle of a restart, or a group's base rate lies below the `eta_min` of its decay.",
    Severity.WARNING,
)
WEIGHTS_FAIL = Problem(
    "PROOF058",
    "loss-schedule-fails",
    "A schedule of a loss weight is none, or names a loss that the model does not have.",
    "The run is refused before its first iteration.",
)
WEIGHTS_UNFINISHED = Problem(
    "PROOF059",
    "loss-schedule-unfinished",
    "A schedule of a loss weight does not come to its end within the run, or gives the weight 0 throughout.",
    "The loss is trained at other weights than declared, or not at all.",
)
