"""Codes PROOF001 to PROOF019: what is declared and never read or built."""

from __future__ import annotations

from provecfg.findings import Problem, Severity

NOT_BUILT = Problem(
    "PROOF001",
    "not-built",
    "A part of the config cannot be built by the class that it names.",
    "Training fails before its first iteration, or where the part is first needed.",
)
SWALLOWED = Problem(
    "PROOF002",
    "swallowed-key",
    "A class takes a key in its **kwargs and hands it to nobody.",
    "What the key declares does not happen, without a word: a loss is never trained, a misspelt option stays as it is.",
)
REFUSED_LATER = Problem(
    "PROOF003",
    "refused-later",
    "A class keeps a key to hand it on later, to a function that does not take it.",
    "It is built without a word, and fails when the function is first called, maybe after hours.",
)
UNREAD_TOP_LEVEL = Problem(
    "PROOF004",
    "unread-top-level-key",
    "A top-level key looks as if it were for the runner, and nothing reads it.",
    "The runner takes the keys that it knows and ignores the others without a word.",
)
UNUSED_OVERRIDE = Problem(
    "PROOF005",
    "override-without-effect",
    "A config sets a variable of its base anew, and only the base's own code reads the variable.",
    "The base has used its own value by then: training goes on with that one.",
)
UNREAD_KEY = Problem(
    "PROOF006",
    "unread-key",
    "The code that reads a part of the config never asks for one of its keys.",
    "What the key declares does not happen, without a word.",
)
NO_SUCH_PARAMETER = Problem(
    "PROOF007",
    "no-such-parameter",
    "A learning rate or weight decay is set for parameters of a name that no parameter of the model has.",
    "Every parameter trains at the base rate.",
)
DOES_NOT_PREDICT = Problem(
    "PROOF008",
    "does-not-predict",
    "The model can be built, and fails to predict an image.",
    "The first validation fails.",
)
INHERITED_ARGUMENT = Problem(
    "PROOF009",
    "inherited-argument",
    "A config puts another loss in the place of its base's, and keeps arguments of the old one.",
    "A dict merges into its base's: the new loss is built with what was chosen for the old one.",
    Severity.WARNING,
)
DROPPED_HOOK = Problem(
    "PROOF010",
    "dropped-hook",
    "A config sets a list of hooks, and its base's list had a hook that is not among them.",
    "A list replaces its base's whole: the base's hook does not run.",
    Severity.WARNING,
)
NOT_IMPORTED = Problem(
    "PROOF011",
    "not-imported",
    "A class is registered only because this process has imported it; the config imports nothing.",
    "mmseg's own tools do not find the class, and fail while they build it.",
)
HOOK_FAILS_AT_START = Problem(
    "PROOF013",
    "hook-fails-at-start",
    "A hook fails when the run begins, or where one epoch ends and the next begins.",
    "Training ends before its first iteration, or after its first epoch: an average that begins after the run's end, "
    "say.",
)
BACKEND_MISSING = Problem(
    "PROOF014",
    "backend-missing",
    "A backend of the visualizer needs a package that is not installed.",
    "It is imported when the first number is logged, where training ends.",
)
AVERAGE_OF_NOTHING = Problem(
    "PROOF015",
    "average-of-nothing",
    "An average of the weights takes over most of the newest ones with each update.",
    "It is validated and saved as an average, and is the last step.",
    Severity.WARNING,
)
NOT_RESUMED = Problem(
    "PROOF016",
    "checkpoint-not-resumed",
    "A checkpoint of the run cannot be written, or the run not be resumed from it.",
    "It is written after thousands of iterations, and read after the run was killed.",
)
SCOPE_WITHOUT_PACKAGE = Problem(
    "PROOF017",
    "scope-without-package",
    "`default_scope` names a package that cannot be imported.",
    "mmengine logs it and looks names up elsewhere: they are not found, or are other classes than were meant.",
    Severity.WARNING,
)
LEFTOVER = Problem(
    "PROOF018",
    "leftover-key",
    "A key is for an ancestor of a class that the class does not initialise.",
    "It is taken in **kwargs, and nothing is done with it.",
    Severity.NOTE,
)
NOTHING_LOADED = Problem(
    "PROOF019",
    "nothing-loaded",
    "None of the weights that `load_from` names is one of the model's.",
    "mmengine loads what fits, logs the rest, and trains from random weights.",
)
