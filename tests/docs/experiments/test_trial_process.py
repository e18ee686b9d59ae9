"""Trials in processes of their own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from docs.generate.experiments.inference import Outcome
from docs.generate.experiments.trial_process import TrialProcess
from docs.generate.experiments.variations import Values

pytestmark = pytest.mark.slow  # processes that hang


def steps(values: Values) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    def build() -> Any:
        match values["what"]:
            case "crash":
                os._exit(1)
            case "hang":
                time.sleep(60)
            case "exit":
                raise SystemExit(3)
            case "write":
                Path(values["path"]).write_text("x", encoding="utf-8")
            case "memory":
                bytearray(1 << 34)
        return int(values["what"] == "used")

    return build, lambda built: 1 // (1 - built)


def test_every_end_is_an_outcome_and_the_next_trial_is_made(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    whats = ["crash", "fine", "hang", "exit", "used", "write", "memory", "fine"]
    (tmp_path / "scratch").mkdir()
    process = TrialProcess(steps, tmp_path / "scratch", seconds=1.0)
    outcomes = process.concluded(lambda attempt: [attempt({"what": what, "path": str(outside)}) for what in whats])
    assert outcomes is not None
    refused = Outcome(is_accepted=False, is_built=False)
    assert outcomes[:5] == [
        refused,
        Outcome(is_accepted=True),
        refused,
        Outcome(is_accepted=False, is_built=False, error="SystemExit", words="3"),
        Outcome(is_accepted=False, error="ZeroDivisionError", words="integer division or modulo by zero"),
    ]
    assert outcomes[5].error == "PermissionError"
    assert not outside.exists()
    assert outcomes[6:] == [refused, Outcome(is_accepted=True)]


def test_a_class_that_ends_every_process_is_given_up(tmp_path: Path) -> None:
    process = TrialProcess(lambda values: (lambda: os._exit(1), lambda built: None), tmp_path, seconds=1.0)
    assert process.concluded(lambda attempt: [attempt({"n": n}) for n in range(20)]) is None
