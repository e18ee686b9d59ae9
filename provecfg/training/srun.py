"""`--launcher slurm`: a run that `srun` has started once for each GPU, as mmseg's own tools are started.

Of the tasks on a node the first one starts the node's processes, through torchrun as everywhere else, and the others
wait for it and end as it ends, since Slurm counts on tasks that end together. So one process has the work dir, and
signals, which srun sends to every task, do what they do without Slurm.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from provecfg.errors import ExitCode, ProvecfgError

_TASKS = re.compile(r"(\d+)(?:\(x(\d+)\))?")
_FIRST_BEGINS_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class SlurmTask:
    """A task of a step of Slurm's.

    Args:
        job, step: Of the task.
        nodes: Of the step.
        node: Which of them, from 0.
        tasks_per_node: Of the step.
        index_on_node: Which of them, from 0.
        node_list: The step's nodes, as Slurm abbreviates them.
    """

    job: str
    step: str
    nodes: int
    node: int
    tasks_per_node: int
    index_on_node: int
    node_list: str

    def rendezvous(self) -> dict[str, str]:
        """The variables by which the nodes of a run find each other, see `launch.torchrun_command`."""
        if self.nodes == 1:
            return {}
        named = subprocess.run(["scontrol", "show", "hostnames", self.node_list], capture_output=True, text=True)
        if named.returncode != 0:
            raise ProvecfgError(f"scontrol show hostnames {self.node_list}: {named.stderr.strip()}")
        return {
            "MASTER_ADDR": named.stdout.split()[0],
            "MASTER_PORT": os.environ.get("MASTER_PORT", str(20000 + int(self.job) % 20000)),
            "NODE_RANK": str(self.node),
        }

    @property
    def _address(self) -> str:
        return f"\0provecfg-{self.job}-{self.step}-{self.node}"  # of the kernel's own, in no folder

    @contextmanager
    def leading(self) -> Iterator[list[int]]:
        """Have the node's other tasks end when this context does, with the exit code that the list holds then."""
        code: list[int] = []
        followers: list[socket.socket] = []
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
            listening.bind(self._address)
            listening.listen(self.tasks_per_node)

            def accept() -> None:
                with suppress(OSError):
                    while True:
                        followers.append(listening.accept()[0])

            accepting = threading.Thread(target=accept, name="provecfg-srun", daemon=True)
            accepting.start()
            try:
                yield code
            finally:
                listening.shutdown(socket.SHUT_RDWR)  # ends `accept`
                accepting.join()
                for follower in followers:
                    with suppress(OSError), follower:
                        follower.sendall(bytes(code[:1] or [ExitCode.FINDINGS]))

    def follow(self) -> int:
        """Wait for the first task of this node; returns its exit code."""
        until = time.monotonic() + _FIRST_BEGINS_SECONDS
        while True:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as leader:
                try:
                    leader.connect(self._address)
                except OSError:
                    if time.monotonic() > until:
                        raise ProvecfgError(
                            f"the first task of this node has not begun in {_FIRST_BEGINS_SECONDS:.0f} s",
                            exit_code=ExitCode.FINDINGS,
                        ) from None
                    time.sleep(_POLL_SECONDS)
                    continue
                told = leader.recv(1)
                return told[0] if told else ExitCode.FINDINGS


def slurm_task(environment: Mapping[str, str] | None = None) -> SlurmTask:
    """The task that this process is.

    Args:
        environment: Its variables; those of this process unless said.

    Raises:
        ProvecfgError: srun has not started it, or its nodes have different numbers of tasks.

    Source: Slurm's srun(1), OUTPUT ENVIRONMENT VARIABLES.
    """
    environment = os.environ if environment is None else environment
    if "SLURM_STEP_ID" not in environment or "SLURM_LOCALID" not in environment:
        raise ProvecfgError(
            "--launcher slurm is for processes that srun starts, and this one was not",
            hint="srun --ntasks-per-node=N provecfg run CONFIG --launcher slurm; or --gpus N without srun",
        )
    told = environment["SLURM_STEP_TASKS_PER_NODE"]
    counts = {int(match[1]) for match in _TASKS.finditer(told)}
    if len(counts) != 1:
        raise ProvecfgError(
            f"the nodes of this step have different numbers of tasks ({told})", hint="srun --ntasks-per-node=N"
        )
    return SlurmTask(
        job=environment["SLURM_JOB_ID"],
        step=environment["SLURM_STEP_ID"],
        nodes=int(environment["SLURM_STEP_NUM_NODES"]),
        node=int(environment["SLURM_NODEID"]),
        tasks_per_node=counts.pop(),
        index_on_node=int(environment["SLURM_LOCALID"]),
        node_list=environment["SLURM_STEP_NODELIST"],
    )
