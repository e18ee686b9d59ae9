"""Codes PROOF100 to PROOF109: the first validation, and the test."""

from __future__ import annotations

from provecfg.findings import Problem, Severity

NOT_PREDICTED = Problem(
    "PROOF100",
    "image-not-predicted",
    "An image of the size that the validation or the test reads cannot be predicted.",
    "The first validation ends the run, after hours of training: the model takes other sizes than its pipeline yields.",
)
PREDICTION_REFUSED = Problem(
    "PROOF101",
    "prediction-refused",
    "The evaluator fails on what the model predicts.",
    "The first validation, or the test, ends with an error, and nothing is measured.",
)
AUGMENTED_TEST_FAILS = Problem(
    "PROOF102",
    "augmented-test-fails",
    "The test with augmented images fails, in its pipeline or in what averages the predictions.",
    "`tools/test.py --tta` ends with an error.",
    Severity.WARNING,
)
