from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from provecfg.engines.study_status import statuses_of
from provecfg.ledger.study_folder import submissions_of
from tests.engines.cluster import Cluster
from tests.engines.submitted_study import SubmittedStudy, provecfg

pytestmark = [
    pytest.mark.root,
    pytest.mark.slurm,
    pytest.mark.long,
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="slurm", ignore_cleanup_errors=True) as folder:
        running = Cluster(Path(folder))
        yield running
        running.stop()


def test_an_array_is_throttled_and_the_failure_of_one_task_ends_no_other(
    cluster: Cluster, tmp_path: Path, configs
) -> None:
    study = SubmittedStudy(
        cluster, tmp_path, configs("quick1", "quick2", "nan", "finding", "quick3"), array_parallelism=2
    )
    at_once: list[int] = []

    def are_over() -> bool:
        listed = subprocess.run(
            ["squeue", "--noheader", "--array", f"--jobs={study.job()}", "--format=%T"], capture_output=True, text=True
        ).stdout.split()
        at_once.append(listed.count("RUNNING"))
        return not listed

    cluster.wait_until(are_over, "the end of the array")
    assert max(at_once) == 2
    assert study.states() == {
        **dict.fromkeys(("quick1", "quick2", "quick3"), "finished"), **dict.fromkeys(("nan", "finding"), "failed")
    }  # fmt: skip
    reasons = {status.id.rpartition("-")[0]: status.reason for status in statuses_of(study.dir)}
    assert reasons["nan"] == "the loss is nan in iteration 1"
    assert reasons["finding"].endswith("error LOSS003 two activations")
    job = study.record("quick1").attempts[0].job
    assert job is not None
    assert (job.scheduler, job.id, job.array_index) == ("slurm", study.job(), 0)

    assert provecfg("resume", study.dir) == 0  # nothing to do: what has failed would fail again
    assert len(submissions_of(study.dir)) == 1
    assert provecfg("resume", study.dir, "--failed") == 0
    assert submissions_of(study.dir)[1].tasks == tuple(
        (status.id,) for status in statuses_of(study.dir) if status.id.startswith(("nan", "finding"))
    )
    study.cluster.wait_until(lambda: len(study.record("nan").attempts) == 2, "another attempt")


def test_a_cell_goes_on_where_it_was_after_the_warning_of_a_time_limit_and_after_preemption(
    cluster: Cluster, tmp_path: Path, configs
) -> None:
    study = SubmittedStudy(cluster, tmp_path, configs("ages", "long"))
    study.wait_for_iteration("ages", 2)
    study.wait_for_iteration("long", 3)
    assert study.states() == {"ages": "running", "long": "running"}
    subprocess.run(["scancel", "--batch", "--signal=USR1", f"{study.job()}_1"], check=True)
    study.wait_for(long="queued")
    urgent = ["sbatch", "--partition=urgent", "--gres=gpu:2", "--output=/dev/null", "--wrap=sleep 1"]
    subprocess.run(urgent, check=True, capture_output=True)
    study.wait_for(long="finished")
    assert study.lives("long") == ["interrupted", "finished"]
    cluster.wait_until(lambda: len(study.record("ages").attempts) == 2, "another attempt")
    assert provecfg("cancel", study.dir) == 0
    study.wait_for(ages="interrupted")
    assert study.lives("ages") == ["interrupted", "interrupted"]
    warned, preempted = (study.record(name).attempts for name in ("long", "ages"))
    assert [warned[0].requeue, preempted[0].requeue] == [True, False]
    assert [attempts[1].job and attempts[1].job.restarts for attempts in (warned, preempted)] == [1, 1]


def test_cancel_writes_checkpoints_and_resume_goes_on(cluster: Cluster, tmp_path: Path, configs) -> None:
    study = SubmittedStudy(cluster, tmp_path, configs("long1", "long2", "quick"), array_parallelism=1)
    study.wait_for_iteration("long1", 2)
    assert study.states() == {"long1": "running", "long2": "queued", "quick": "queued"}
    assert provecfg("cancel", study.dir) == 0
    study.wait_for(long1="interrupted", long2="waiting", quick="waiting")
    assert provecfg("resume", study.dir) == 0
    study.wait_for(quick="queued")
    cluster.wait_until(lambda: len(study.record("long1").attempts) == 2, "another attempt")
    assert provecfg("cancel", study.dir) == 0
    cluster.wait_until(lambda: study.states()["long1"] == "interrupted", "the end of it")
    assert study.lives("long1") == ["interrupted", "interrupted"]


def test_what_is_killed_is_started_again_by_its_task(cluster: Cluster, tmp_path: Path, configs) -> None:
    study = SubmittedStudy(cluster, tmp_path, configs("oom", "quick"), cells_per_task=2)
    study.wait_for(oom="finished", quick="finished")
    assert study.lives("oom") == ["lost", "finished"]
    assert "killed by SIGKILL; it is started again" in study.printed()


def test_a_task_that_is_killed_ends_its_cell_at_a_checkpoint_and_resume_goes_on(
    cluster: Cluster, tmp_path: Path, configs
) -> None:
    study = SubmittedStudy(cluster, tmp_path, configs("ages"))
    study.wait_for_iteration("ages", 2)
    subprocess.run(["scancel", "--batch", "--signal=KILL", f"{study.job()}_0"], check=True)
    study.wait_for(ages="interrupted")
    assert provecfg("resume", study.dir) == 0
    cluster.wait_until(lambda: len(study.record("ages").attempts) == 2, "another attempt")
    assert provecfg("cancel", study.dir) == 0
    study.wait_for(ages="interrupted")
    assert study.lives("ages") == ["interrupted", "interrupted"]


def test_three_equal_failures_stop_the_submission(cluster: Cluster, tmp_path: Path, configs) -> None:
    names = [f"nan{number}" for number in range(3)]
    study = SubmittedStudy(cluster, tmp_path, configs(*names, "quick1", "quick2"), array_parallelism=1)
    study.wait_for(**dict.fromkeys(names, "failed"))
    cluster.wait_until(lambda: "queued" not in study.states().values(), "the end of what waited")
    assert "3 cells have failed alike: the loss is nan in iteration 1" in study.printed()
    assert not list(study.work_dir("quick2").iterdir())
