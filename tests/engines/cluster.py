"""A real Slurm of one machine on the loopback: munged, slurmctld, and a slurmd for each of its nodes.

For root, without systemd. Its GPUs are second /dev/null devices, so they test placement alone. Several nodes have host
names of their own, as machines that share a file system, but one network and one table of processes.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from provecfg.training.lease import process_start

_COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")

# Slurm starts a requeued job two minutes later, but for cred_expire (seconds). A machine that is busy with other things
# answers late: by the usual MessageTimeout (10), TCPTimeout (2) and BatchStartTimeout (10) Slurm would give it up.
_CONF = """\
ClusterName=provecfgtest
SlurmctldHost={host}(127.0.0.1)
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={dir}/munge/socket,cred_expire=10
SlurmUser=root
SlurmdUser=root
StateSaveLocation={dir}/state
SlurmdSpoolDir={dir}/spool/%n
SlurmctldPidFile={dir}/slurmctld.pid
SlurmdPidFile={dir}/%n.pid
SlurmctldLogFile={dir}/log/slurmctld.log
SlurmdLogFile={dir}/log/%n.log
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=1,sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
MinJobAge=3600
MessageTimeout=60
TCPTimeout=20
BatchStartTimeout=60
KillWait=5
JobRequeue=1
MaxArraySize=1001
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes=ALL Default=YES MaxTime=60 DefaultTime=10 State=UP PriorityTier=1 GraceTime=10
PartitionName=urgent Nodes=ALL MaxTime=60 DefaultTime=10 State=UP PriorityTier=10 PreemptMode=off
"""
_NODE = """\
NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=8 RealMemory=4000 Gres=gpu:{gpus} State=UNKNOWN
"""
_CONTROLLER = "slurmctld"


def missing_for_slurm() -> str | None:
    """What this machine lacks for a Slurm of its own, or None."""
    missing = [name for name in _COMMANDS if _which(name) is None]
    if missing:
        return f"no {missing[0]}: apt-get install slurm-wlm munge"
    return None if os.geteuid() == 0 else "only root starts daemons"


class Cluster:
    """A Slurm that runs.

    Args:
        folder: For all of its files; of a short path, munge's socket being in it.
        gpus: Of each node.
        nodes: How many.
    """

    def __init__(self, folder: Path, gpus: int = 2, nodes: int = 1) -> None:
        self.folder = folder
        self.nodes = [f"node{number}" for number in range(nodes)]
        host = socket.gethostname().split(".")[0]
        for name in ("munge", "state", "spool", "log", "dev"):
            (folder / name).mkdir(parents=True)
        (folder / "hosts").write_text(f"127.0.0.1 localhost {' '.join(self.nodes)}\n")
        (folder / "munge").chmod(0o700)
        key = folder / "munge" / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        conf = folder / "slurm.conf"
        port, *ports = _free_ports(1 + nodes)
        lines = [_CONF.format(host=host, dir=folder, port=port)]
        lines += [
            _NODE.format(name=name, host=host, port=own, gpus=gpus) for name, own in zip(self.nodes, ports, strict=True)
        ]
        conf.write_text("".join(lines))
        devices = []
        for number in range(gpus):
            device = folder / "dev" / f"gpu{number}"
            os.mknod(device, 0o600 | 0o020000, os.makedev(1, 3))
            devices.append(f"NodeName={','.join(self.nodes)} Name=gpu File={device}\n")
        (folder / "gres.conf").write_text("".join(devices))
        os.environ["SLURM_CONF"] = str(conf)
        munge = folder / "munge"
        files = [f"--{name}-file={munge / name}" for name in ("key", "pid", "seed", "log")]
        _run("munged", "--force", f"--socket={munge / 'socket'}", *files)
        for daemon in self.daemons:
            self.start(daemon)
        self.wait_until_idle()

    @property
    def daemons(self) -> tuple[str, ...]:
        """What can be killed and started: the controller, and a node's slurmd by the name of the node."""
        return (_CONTROLLER, *self.nodes)

    def wait_until_idle(self) -> None:
        """Wait until every node is there and has nothing to do."""
        idle = ["idle"] * len(self.nodes)
        words = ["sinfo", "--noheader", "--Node", "--partition=main", "--format=%T"]
        self.wait_until(lambda: _run(*words).split() == idle, "idle nodes")

    def start(self, daemon: str) -> None:
        """Start the controller or a node."""
        words = ["slurmctld", "-i"] if daemon == _CONTROLLER else ["slurmd", "-N", daemon]
        if daemon != _CONTROLLER and len(self.nodes) > 1:
            named = f'mount --bind {self.folder / "hosts"} /etc/hosts && hostname {daemon} && exec "$@"'
            words = ["unshare", "--uts", "--mount", "sh", "-c", named, "sh", _which(words[0]) or words[0], *words[1:]]
        _run(*words)

    def kill(self, daemon: str, signum: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the controller or a node's slurmd, and wait for its end. What it has started lives on."""
        process = self._process_of(daemon)
        os.kill(process, signum)
        self.wait_until(lambda: process_start(process) is None, f"the end of {daemon}")

    def drain(self, node: str) -> None:
        """Let nothing begin on a node."""
        _run("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=drained")

    def undrain(self, node: str) -> None:
        """Let jobs begin there again."""
        _run("scontrol", "update", f"NodeName={node}", "State=RESUME")

    def mend(self) -> None:
        """As an administrator: resume nodes that Slurm has drained, and release jobs that it holds, after a kill."""
        for line in _run("sinfo", "--noheader", "--Node", "--partition=main", "--format=%N %T").splitlines():
            node, state = line.split()
            if state.startswith("drain"):
                self.undrain(node)
        for line in _run("squeue", "--noheader", "--array", "--format=%i|%r").splitlines():
            job, _, reason = line.partition("|")
            if "held" in reason:
                _run("scontrol", "release", job)

    def lose(self, node: str) -> None:
        """Kill everything on one of several nodes at once, as a power cut does, and tell the controller."""
        machine = os.readlink(f"/proc/{self._process_of(node)}/ns/uts")
        for process in self._processes():
            with suppress(OSError):  # one that ended meanwhile
                if os.readlink(f"/proc/{process}/ns/uts") == machine:
                    os.kill(process, signal.SIGKILL)
        _run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=lost")

    def _process_of(self, daemon: str) -> int:
        return int((self.folder / f"{daemon}.pid").read_text())

    def stop(self) -> None:
        """End all jobs, then the daemons; returns when none of their processes is left."""
        with suppress(subprocess.SubprocessError):
            _run("scancel", "--user=root")
            _run("scontrol", "shutdown")
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in self._processes():
                with suppress(ProcessLookupError):
                    os.kill(process, number)
            until = time.monotonic() + 5
            while self._processes() and time.monotonic() < until:
                time.sleep(0.1)
        os.environ.pop("SLURM_CONF", None)

    def _processes(self) -> list[int]:
        """What was started with this cluster's settings: daemons, the steps of jobs, and what those run."""
        mark = f"SLURM_CONF={self.folder / 'slurm.conf'}".encode()
        processes = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):  # one that ended meanwhile
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    processes.append(int(entry.name))
        return [process for process in processes if process != os.getpid()]

    @staticmethod
    def wait_until(claim, what: str, seconds: float = 120.0) -> None:
        """Wait until something is so.

        Raises:
            AssertionError: It is not after `seconds`.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with suppress(subprocess.SubprocessError):
                if claim():
                    return
            time.sleep(0.4)
        listed = _run("squeue", "--array", "--states=all")
        raise AssertionError(f"waited {seconds:.0f} s for {what}:\n{listed}")


def _which(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def _run(*words: str) -> str:
    return subprocess.run(
        [_which(words[0]) or words[0], *words[1:]], capture_output=True, text=True, timeout=60, check=True
    ).stdout


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
