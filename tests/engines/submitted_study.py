"""A study that was submitted to a Slurm of the tests' own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from provecfg import cli
from provecfg.engines.study_status import statuses_of
from provecfg.ledger.study_folder import engine_jobs_of, submissions_of
from provecfg.training.record import Record, read_record
from tests.engines.cluster import Cluster

_HERE = Path(__file__).parent


def provecfg(*words: object) -> int:
    """Run a command in this process; its exit code."""
    return cli.run([str(word) for word in words])


class SubmittedStudy:
    """A study that was submitted to a cluster.

    Args:
        cluster: Which.
        folder: For all that is written.
        configs: Of its cells.
        run_options: Of every cell.
        is_fake: Whether its cells are trained by `fake_trainer`.
        profile: Further settings.
    """

    def __init__(
        self,
        cluster: Cluster,
        folder: Path,
        configs: list[Path],
        run_options: str = "",
        *,
        is_fake: bool = True,
        **profile: object,
    ) -> None:
        self.cluster, self.dir = cluster, folder / "study"
        folder.mkdir(exist_ok=True)
        python = folder / "python"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} {_HERE / "fake_python.py"} "$@"\n')
        python.chmod(0o755)
        settings = {
            "python": str(python) if is_fake else sys.executable,
            "gpus_per_node": 1,
            "timeout_min": 30,
            **profile,
        }
        setup = [f"export PYTHONPATH={_HERE.parents[1]} PYTHONWARNINGS=ignore OMP_NUM_THREADS=1"]
        (folder / "cluster.yaml").write_text(json.dumps({**settings, "setup": setup}))
        words = ["--study-dir", self.dir, "--profile", folder / "cluster.yaml", "--no-proof"]
        words += ["--run-options", run_options]
        assert provecfg("submit", *configs, *words) == 0

    def states(self) -> dict[str, str]:
        """Name of each cell -> its state."""
        return {status.id.rpartition("-")[0]: status.state.value for status in statuses_of(self.dir)}

    def wait_for(self, **states: str) -> None:
        """Wait until cells have states."""
        self.cluster.wait_until(lambda: states.items() <= self.states().items(), str(states))

    def job(self, number: int = 1) -> str:
        submission = submissions_of(self.dir)[number - 1]
        return engine_jobs_of(self.dir, submission)[0].id

    def work_dir(self, name: str) -> Path:
        return next((self.dir / "cells").glob(f"{name}-*"))

    def record(self, name: str) -> Record:
        record = read_record(self.work_dir(name))
        assert record is not None
        return record

    def wait_for_iteration(self, name: str, iteration: int) -> None:
        self.cluster.wait_until(
            lambda: (self.work_dir(name) / f"iter_{iteration}.pth").exists(), f"iteration {iteration} of {name}"
        )

    def lives(self, name: str) -> list[str]:
        """How the attempts ended; each begins where the last one ended."""
        attempts = self.record(name).attempts
        assert [each.first_iter for each in attempts] == [0, *(each.last_iter for each in attempts[:-1])]
        return [each.state for each in attempts]

    def printed(self) -> str:
        return "".join(path.read_text() for path in (self.dir / "logs").iterdir())
