from __future__ import annotations

import threading

import pytest

from provecfg.errors import ProvecfgError
from provecfg.training import srun
from provecfg.training.srun import SlurmTask, slurm_task

STEP = {
    "SLURM_JOB_ID": "77",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_TASKS_PER_NODE": "4(x2)",
    "SLURM_STEP_NODELIST": "gpu[03-04]",
    "SLURM_NODEID": "1",
    "SLURM_LOCALID": "3",
}


def test_a_task_knows_its_place_by_what_srun_says() -> None:
    assert slurm_task(STEP) == SlurmTask("77", "0", 2, 1, 4, 3, "gpu[03-04]")


def test_nodes_with_different_numbers_of_tasks_are_refused() -> None:
    with pytest.raises(ProvecfgError, match=r"different numbers of tasks \(4,3\)") as error:
        slurm_task({**STEP, "SLURM_STEP_TASKS_PER_NODE": "4,3"})
    assert error.value.hint == "srun --ntasks-per-node=N"


def test_outside_of_srun_there_is_no_task() -> None:
    with pytest.raises(ProvecfgError, match="for processes that srun starts, and this one was not"):
        slurm_task({name: value for name, value in STEP.items() if name != "SLURM_STEP_ID"})


@pytest.mark.parametrize(("told", "code"), [([75], 75), ([0], 0), ([], 1)])
def test_the_other_tasks_of_a_node_end_as_the_first_one_does(told: list[int], code: int) -> None:
    task = slurm_task({**STEP, "SLURM_STEP_NUM_NODES": "1"})
    codes: list[int] = []
    followers = [threading.Thread(target=lambda: codes.append(task.follow())) for _ in range(3)]
    for follower in followers[:2]:  # before the first one has begun
        follower.start()
    with task.leading() as output:
        followers[2].start()
        for follower in followers:
            follower.join(1)
        assert codes == []
        output += told
    for follower in followers:
        follower.join(10)
    assert codes == [code] * 3
    assert task.rendezvous() == {}


def test_a_first_task_that_never_begins_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(srun, "_FIRST_BEGINS_SECONDS", 0.3)
    with pytest.raises(ProvecfgError, match="the first task of this node has not begun"):
        slurm_task({**STEP, "SLURM_JOB_ID": "78"}).follow()
