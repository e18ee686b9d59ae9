from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from provecfg.engines import slurm
from provecfg.engines.engine import engine_named
from provecfg.engines.lsf import tasks_in_bjobs
from provecfg.engines.profile import profile_of, read_profile
from provecfg.engines.slurm import tasks_in_sacct, tasks_in_squeue
from provecfg.engines.submitting import submission_of
from provecfg.errors import ProvecfgError
from provecfg.ledger.cell import Cell
from provecfg.ledger.cell_status import TaskState
from provecfg.ledger.study_folder import Study, engine_jobs_of, write_study

CELLS = tuple(Cell(f"{name}-0", name, "0", f"configs/{name}.py", f"{name}.py", {}) for name in "abcde")
STUDY = Study("loss", "2026-01-01T00:00:00+00:00", CELLS, (), {}, {})
PROFILE = {
    "slurm_partition": "gpu",
    "gpus_per_node": 1,
    "cpus_per_task": 8,
    "mem_gb": 48,
    "timeout_min": 720,
    "array_parallelism": 2,
    "python": "/venv/bin/python",
    "setup": ["module load cuda/12.4"],
    "slurm_additional": {"mail-type": "FAIL", "exclusive": True},
}


def script(study_dir: Path, engine: str = "slurm", **settings: object) -> str:
    profile = profile_of({**PROFILE, "engine": engine, **settings})
    submission = submission_of(STUDY, [cell.id for cell in CELLS], profile)
    return engine_named(engine).script(study_dir, submission)


def test_the_slurm_script_is_what_a_person_would_write() -> None:
    assert script(Path("/studies/loss")) == (
        "#!/bin/bash\n"
        "# Submission 1 of the study loss: 5 cells in 5 tasks.\n"
        "# By hand: sbatch 0001.sh [FIRST], task N being task FIRST + N.\n"
        "#SBATCH --job-name=loss\n"
        "#SBATCH --array=0-4%2\n"
        "#SBATCH --output=/studies/loss/logs/0001_%A_%a.out\n"
        "#SBATCH --open-mode=append\n"
        "#SBATCH --nodes=1\n"
        "#SBATCH --ntasks-per-node=1\n"
        "#SBATCH --gres=gpu:1\n"
        "#SBATCH --cpus-per-task=8\n"
        "#SBATCH --mem=49152M\n"
        "#SBATCH --time=720\n"
        "#SBATCH --partition=gpu\n"
        "#SBATCH --requeue\n"
        "#SBATCH --signal=B:USR1@300\n"
        "#SBATCH --mail-type=FAIL\n"
        "#SBATCH --exclusive\n"
        "\n"
        "trap 'scontrol requeue ${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID; exit 75' USR1\n"
        "module load cuda/12.4\n"
        "exec /venv/bin/python -m provecfg cell /studies/loss 1 $((${1:-0} + SLURM_ARRAY_TASK_ID))\n"
    )


@pytest.mark.parametrize(("engine", "settings"), [("slurm", {}), ("slurm", {"nodes": 2}), ("lsf", {})])
def test_every_script_is_right_to_bash(tmp_path: Path, engine: str, settings: dict[str, object]) -> None:
    text = script(tmp_path, engine, **settings)
    assert subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=True).stderr == ""


def test_several_nodes_start_the_cell_on_each_by_srun() -> None:
    text = script(Path("/studies/loss"), nodes=2, gpus_per_node=4)
    assert "#SBATCH --nodes=2\n" in text
    assert "#SBATCH --signal=USR1@300\n" in text  # to every process of the step, not to the script
    assert 'export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)\n' in text
    assert "export MASTER_PORT=$(/venv/bin/python -c 'import socket; " in text
    assert "srun --kill-on-bad-exit=0 bash -c 'export NODE_RANK=$SLURM_NODEID; exec /venv/bin/python" in text


def test_arrays_are_split_at_the_sites_limit_one_after_the_other(tmp_path: Path, monkeypatch) -> None:
    asked: list[list[str]] = []

    def sbatch(words: list[str], text: str | None = None) -> str:
        asked.append(words)
        return f"{100 + len(asked)};cluster\n"

    monkeypatch.setattr(slurm, "output_of", sbatch)
    write_study(tmp_path, STUDY)
    submission = submission_of(STUDY, [cell.id for cell in CELLS], profile_of({**PROFILE, "max_array_size": 2}))
    jobs = slurm.ENGINE.submit(tmp_path, submission)
    path = str(tmp_path / "submissions" / "0001.sh")
    assert asked == [
        ["sbatch", "--parsable", "--array=0-1%2", path, "0"],
        ["sbatch", "--parsable", "--array=0-1%2", "--dependency=afterany:101", path, "2"],
        ["sbatch", "--parsable", "--array=0-0%2", "--dependency=afterany:102", path, "4"],
    ]
    assert [(job.id, job.first, job.tasks) for job in jobs.jobs] == [("101", 0, 2), ("102", 2, 2), ("103", 4, 1)]
    assert engine_jobs_of(tmp_path, submission) == ()  # that is for who submits to write down


def test_short_cells_are_packed_into_tasks() -> None:
    submission = submission_of(STUDY, [cell.id for cell in CELLS], profile_of({"cells_per_task": 2}))
    assert submission.tasks == (("a-0", "b-0"), ("c-0", "d-0"), ("e-0",))


def test_states_are_read_as_slurm_prints_them() -> None:
    text = "7|0|RUNNING|None\n7|1|PENDING|JobArrayTaskLimit\n7|2|FAILED|NonZeroExitCode\n8|N/A|COMPLETED|None\n"
    told = {key: (task.state, task.reason) for key, task in tasks_in_squeue(text)}
    assert told == {
        ("7", 0): (TaskState.RUNNING, ""),
        ("7", 1): (TaskState.QUEUED, "JobArrayTaskLimit"),
        ("7", 2): (TaskState.ENDED, "FAILED NonZeroExitCode"),
    }
    accounted = "7_0|COMPLETED|0:0\n7_1|CANCELLED by 1000|0:15\n7_[2-4%2]|PENDING|0:0\n7_5|OUT_OF_MEMORY|0:125\n"
    assert {key[1]: task.reason for key, task in tasks_in_sacct(accounted)} == {
        0: "COMPLETED",
        1: "CANCELLED exit code 0:15",
        5: "OUT_OF_MEMORY exit code 0:125",
    }


def test_the_lsf_script_has_the_same_of_bsub() -> None:
    text = script(Path("/studies/loss"), "lsf", lsf_queue="gpu", lsf_project="vision", lsf_additional=["-B"])
    assert text == (
        "#!/bin/bash\n"
        "# Submission 1 of the study loss: 5 cells in 5 tasks.\n"
        "# By hand: bsub < 0001.lsf\n"
        '#BSUB -J "loss[1-5]%2"\n'
        "#BSUB -o /studies/loss/logs/0001_%J_%I.out\n"
        "#BSUB -n 8\n"
        "#BSUB -R span[hosts=1]\n"
        "#BSUB -r\n"
        "#BSUB -gpu num=1\n"
        "#BSUB -M 49152MB\n"
        "#BSUB -W 720\n"
        "#BSUB -wa USR1 -wt 5\n"
        "#BSUB -q gpu\n"
        "#BSUB -P vision\n"
        "#BSUB -B\n"
        "\n"
        "module load cuda/12.4\n"
        "exec /venv/bin/python -m provecfg cell /studies/loss 1 $((LSB_JOBINDEX - 1))\n"
    )


def test_states_are_read_as_lsf_documents_them() -> None:
    text = (
        "101|RUN|loss[1]|-|-\n"
        "101|PEND|loss[2]|-|Job array has reached its running element limit;\n"
        "101|EXIT|loss[3]|130|-\n"
        "101|DONE|loss[4]|-|-\n"
        "101|UNKWN|loss[5]|-|-\n"
    )
    told = {index: (task.state, task.reason) for index, task in tasks_in_bjobs(text)}
    assert told == {
        0: (TaskState.RUNNING, ""),
        1: (TaskState.QUEUED, "Job array has reached its running element limit;"),
        2: (TaskState.ENDED, "EXIT exit code 130"),
        3: (TaskState.ENDED, "DONE"),
        4: (TaskState.RUNNING, "its host does not answer"),
    }


def test_the_kubernetes_manifest_is_an_indexed_job() -> None:
    job = kubernetes_job(Path("/studies/loss_2"))
    assert (job["apiVersion"], job["kind"], job["metadata"]) == ("batch/v1", "Job", {"name": "loss-1"})
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 5, 2)
    (container,) = spec["template"]["spec"]["containers"]
    assert container["command"][-1].splitlines() == [
        "module load cuda/12.4",
        "exec provecfg cell /mnt/studies/loss_2 1 $JOB_COMPLETION_INDEX",
    ]
    assert container["resources"] == {"limits": {"nvidia.com/gpu": 1, "cpu": "8", "memory": "49152Mi"}}
    with pytest.raises(ProvecfgError, match="only the manifest"):
        engine_named("kubernetes").submit(Path("/studies/loss"), submission_of(STUDY, ["a-0"], profile_of({})))


def kubernetes_job(study_dir: Path, **settings: object) -> dict[str, Any]:
    settings = {"kubernetes_image": "lab/provecfg:1", "kubernetes_volume_claim": "studies", **settings}
    return yaml.safe_load(script(study_dir, "kubernetes", **settings))


# The first release that has all of it for good, and the newest that the package knows.
@pytest.mark.parametrize("release", ["1.33", kubernetes_validate.latest_version()])
@pytest.mark.parametrize(
    "settings", [{}, {"kubernetes_namespace": "vision", "gpus_per_node": 0, "setup": [], "array_parallelism": None}]
)
def test_the_kubernetes_manifest_is_right_to_kubernetes_own_schema(release: str, settings: dict[str, object]) -> None:
    job = kubernetes_job(Path("/studies/loss"), **settings)
    kubernetes_validate.validate(job, release, strict=True)
    job["spec"]["completionModes"] = job["spec"].pop("completionMode")
    with pytest.raises(kubernetes_validate.ValidationError, match="completionModes"):
        kubernetes_validate.validate(job, release, strict=True)


def test_a_profile_takes_submitits_names_and_names_what_it_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("slurm_array_parallelism: 8\nslurm_signal_delay_s: 120\nslurm_setup: [module load cuda]\n")
    profile = read_profile(path, array_parallelism=None, engine="lsf")
    assert (profile.array_parallelism, profile.signal_delay_s, profile.setup) == (8, 120, ("module load cuda",))
    assert profile.engine == "lsf"
    assert read_profile(path, array_parallelism=4).array_parallelism == 4
    path.write_text("slurm_partion: gpu\n")
    with pytest.raises(ProvecfgError, match=r"cluster\.yaml: unknown setting 'slurm_partion'.*slurm_partition"):
        read_profile(path)
    path.write_text("timeout_min: 5\n")
    with pytest.raises(ProvecfgError, match="signal_delay_s is 300: a task of 5 minutes would be told to end"):
        read_profile(path)
    path.write_text("gpus_per_node: many\n")
    with pytest.raises(ProvecfgError, match="gpus_per_node is 'many'"):
        read_profile(path)
    path.write_text("- 1\n")
    with pytest.raises(ProvecfgError, match="holds no settings"):
        read_profile(path)
