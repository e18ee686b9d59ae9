"""Two nodes with host names of their own, and cells that are trained for real."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from provecfg.engines.submitting import submit
from provecfg.engines.task_script import profile_in
from provecfg.ledger.study_folder import require_study, submissions_of
from provecfg.training.record import read_record
from tests.engines.cluster import Cluster
from tests.engines.submitted_study import SubmittedStudy, provecfg
from tests.training.small_cell import write_small_cell

pytestmark = [
    pytest.mark.root,
    pytest.mark.slurm,
    pytest.mark.long,
]
PROJECT = Path(__file__).parents[2]
TRAINING_SECONDS = 240.0
COMPLETE = {"finished", "early-stopped"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="slurm", ignore_cleanup_errors=True) as folder:
        running = Cluster(Path(folder), gpus=2, nodes=2)
        yield running
        running.stop()


def test_a_cell_that_trains_on_one_host_is_left_alone_by_a_task_on_another(
    cluster: Cluster, tmp_path: Path, configs
) -> None:
    study = SubmittedStudy(cluster, tmp_path, configs("ages"), gpus_per_node=2)  # all of a node's
    study.wait_for_iteration("ages", 1)
    first = submissions_of(study.dir)[0]
    submit(study.dir, require_study(study.dir), first.tasks[0], profile_in(first))
    cluster.wait_until(lambda: "elsewhere: already being trained by process" in study.printed(), "the second task")
    assert f"on {study.record('ages').attempts[0].host} (slurm job {study.job()}_0)" in study.printed()
    assert provecfg("cancel", study.dir) == 0
    study.wait_for(ages="interrupted")
    assert study.lives("ages") == ["interrupted"]


def test_cells_of_a_node_that_dies_go_on_on_another_whether_slurm_requeues_their_jobs_or_not(
    cluster: Cluster, tmp_path: Path, configs
) -> None:
    node, other = cluster.nodes
    for each in cluster.nodes:
        cluster.drain(each)
    paths = configs("long")
    requeued, lost = (
        SubmittedStudy(cluster, tmp_path / name, paths, slurm_additional=site)
        for name, site in {"requeued": {}, "lost": {"requeue": False, "no-requeue": True}}.items()
    )
    cluster.undrain(node)  # so that both begin there, and at once
    for study in (requeued, lost):
        study.wait_for_iteration("long", 3)
    cluster.undrain(other)
    cluster.lose(node)
    lost.wait_for(long="lost")
    requeued.wait_for(long="queued")
    assert provecfg("resume", lost.dir) == 0
    for study in (requeued, lost):
        study.wait_for(long="finished")
        assert study.lives("long") == ["lost", "finished"]
        first, second = study.record("long").attempts
        assert [first.host, second.host] == [node, other]
        assert second.job is not None
        assert second.job.restarts == int(study is requeued)
    cluster.start(node)
    cluster.wait_until_idle()


@pytest.mark.stack
def test_a_real_array_trains_its_cells_to_their_end_over_a_requeue(cluster: Cluster, tmp_path: Path) -> None:
    paths = [write_small_cell(tmp_path / f"{name}.py", dropout=n / 10) for n, name in enumerate("ab", 1)]
    study = SubmittedStudy(cluster, tmp_path, paths, "--device cpu", is_fake=False)
    cluster.wait_until(lambda: any(study.work_dir("a").glob("iter_*.pth")), "a checkpoint", TRAINING_SECONDS)
    subprocess.run(["scancel", "--batch", "--signal=USR1", f"{study.job()}_0"], check=True)
    cluster.wait_until(lambda: set(study.states().values()) <= COMPLETE, "the end of both", TRAINING_SECONDS)
    first, last = study.lives("a")
    assert first == "interrupted"
    assert {last, *study.lives("b")} <= COMPLETE


@pytest.mark.exhaustive
@pytest.mark.stack
def test_a_cell_of_two_nodes_is_one_run_of_two_processes(cluster: Cluster, tmp_path: Path) -> None:
    config = write_small_cell(tmp_path / "wide.py")
    study = SubmittedStudy(cluster, tmp_path, [config], "--device cpu", is_fake=False, nodes=2, timeout_min=10)
    cluster.wait_until(lambda: any(study.work_dir("wide").glob("iter_*.pth")), "a checkpoint", TRAINING_SECONDS)
    subprocess.run(["scancel", "--signal=USR1", study.job()], check=True)
    cluster.wait_until(lambda: set(study.states().values()) <= COMPLETE, "its end", TRAINING_SECONDS)
    first, last = study.lives("wide")
    assert (first, last in COMPLETE) == ("interrupted", True)
    assert [attempt.processes for attempt in study.record("wide").attempts] == [2, 2]


@pytest.mark.stack
def test_mmsegs_habit_of_launcher_slurm_trains_in_an_allocation(cluster: Cluster, tmp_path: Path) -> None:
    config, work_dir = write_small_cell(tmp_path / "cell.py"), tmp_path / "run"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    run = [sys.executable, "-m", "provecfg", "run", str(config), "--launcher", "slurm", "--device", "cpu"]
    srun = ["srun", "--ntasks=2", "--ntasks-per-node=2", *run, "--work-dir", str(work_dir)]
    allocated = ["salloc", "--quiet", "--nodes=1", "--ntasks=2", *srun]

    printed = tmp_path / "printed.txt"
    with (
        open(printed, "wb") as stream,
        subprocess.Popen(allocated, env=environment, stdout=stream, stderr=stream) as process,
    ):
        try:
            cluster.wait_until(
                lambda: any(work_dir.glob("iter_*.pth")) or process.poll() is not None, "a checkpoint", TRAINING_SECONDS
            )
            assert process.poll() is None, printed.read_text()
            subprocess.run(["scancel", "--signal=USR1", job_in(work_dir)], check=True)
            assert process.wait(TRAINING_SECONDS) == 75, printed.read_text()
        finally:
            process.kill()
    record = read_record(work_dir)
    assert record is not None
    (attempt,) = record.attempts
    assert (attempt.state, attempt.processes, attempt.requeue) == ("interrupted", 2, True)
    assert printed.read_text().count("interrupted at iteration") == 1


def job_in(work_dir: Path) -> str:
    """Slurm's job that trains in a work dir."""
    record = read_record(work_dir)
    assert record is not None
    assert record.attempts[0].job is not None
    return record.attempts[0].job.id


def test_launcher_slurm_outside_of_srun_says_how_it_is_meant(tmp_path: Path, capsys, monkeypatch) -> None:
    for name in [name for name in os.environ if name.startswith("SLURM_") and name != "SLURM_CONF"]:
        monkeypatch.delenv(name)
    assert provecfg("run", write_small_cell(tmp_path / "cell.py"), "--launcher", "slurm") == 2
    assert "--launcher slurm is for processes that srun starts" in capsys.readouterr().err
