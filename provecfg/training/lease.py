"""The right to train in a work dir: one process has it, on whatever machine, and everybody can see who.

A lease is a file `lease.N`, N counting up from 1; the file of the highest number is the lease. It is made by linking a
file that is written already, which is atomic on NFS, too, and fails for all but one of those who try the same number.
Afterwards only its holder writes it, and nobody removes it before there is one of a higher number. So no claim ever
depends on a file being removed, and a process that looked before others acted can only lose. A lease that was given
back stays, with a word that it was.

A holder that is gone is told from one that lives by what is known best:

- the same job of a scheduler with a higher restart count: the scheduler has ended the holder;
- another job, of which the scheduler says that it has ended: who has asked it names the holder in `ENDED_HOLDER`;
- on the same machine (host name, boot and namespace of process numbers): there is no process of that number, or it
  started at another time;
- else the heartbeat, by its file's time of change and a file's written now, both by the file server's clock: silent for
  `SILENCE_SECONDS`.

Nothing heavy is imported.
"""

from __future__ import annotations

import dataclasses
import enum
import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from provecfg.errors import ExitCode, ProvecfgError
from provecfg.training import heartbeat
from provecfg.training.job import Job, current_job
from provecfg.training.json_file import BrokenFileError, read_json_file, write_json_file
from provecfg.training.record import now

SILENCE_SECONDS = 600.0
"""After this long without a heartbeat, a holder on another machine is taken to be gone."""

ENDED_HOLDER = "PROVECFG_ENDED_HOLDER"
"""In the environment: the token of a holder that is known to be gone."""

_NAME = re.compile(r"lease\.([1-9][0-9]{0,8})")
_MADE = ".lease.{}"  # by its token: what is linked
_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a lease.

    Args:
        token: Random; different for each lease.
        host: The machine's name.
        boot: Identity of the machine's present boot, or None where the system tells none.
        namespace: Of process numbers: containers on one machine have their own. None where the system tells none.
        pid: Process number.
        started: When that process started, in the system's ticks since the boot; None where the system tells none.
        job: Of a scheduler, or None.
        since: ISO 8601, UTC.
        released: Whether the lease was given back.
    """

    token: str
    host: str
    boot: str | None
    namespace: str | None
    pid: int
    started: int | None
    job: Job | None
    since: str
    released: bool = False

    def __str__(self) -> str:
        job = f" ({self.job})" if self.job else ""
        return f"process {self.pid} on {self.host}{job}"

    @classmethod
    def this_process(cls, token: str) -> Holder:
        """This process, from now on."""
        return cls(
            token=token,
            host=socket.gethostname(),
            boot=_boot(),
            namespace=_pid_namespace(),
            pid=os.getpid(),
            started=process_start(os.getpid()),
            job=current_job(),
            since=now(),
        )

    def is_on_this_machine(self) -> bool:
        """Whether its process number means the same here."""
        return (self.host, self.boot, self.namespace) == (socket.gethostname(), _boot(), _pid_namespace())

    def is_running(self) -> bool:
        """Whether its process runs; only for a holder on this machine."""
        if self.started is not None:
            return process_start(self.pid) == self.started
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # somebody else's process
            return True
        return True


class Tenancy(enum.Enum):
    """What a look at a work dir's lease says."""

    FREE = "free"
    """There is none, or it was given back."""
    HELD = "held"
    GONE = "gone"
    """Whoever has it is no more."""
    REQUEUED = "requeued"
    """Its scheduler has ended it, and started the same job again as this process."""


@dataclass(frozen=True, slots=True)
class LeaseState:
    """A work dir's lease at a moment.

    Args:
        tenancy: Whether it can be had.
        generation: Its number; 0 where there is none.
        holder: Who has or had it; None where there is none or its file is broken.
        silent_seconds: How long it has given no sign of life, by the file server's clock; 0 where that was not looked
            at.
    """

    tenancy: Tenancy
    generation: int = 0
    holder: Holder | None = None
    silent_seconds: float = 0.0


class LeaseHeldError(ProvecfgError):
    """Another process trains in the work dir.

    Args:
        work_dir: The folder.
        state: Its lease.
    """

    def __init__(self, work_dir: Path, state: LeaseState) -> None:
        self.state = state
        super().__init__(
            holder_message(work_dir, state), hint=holder_hint(work_dir, state), exit_code=ExitCode.FINDINGS
        )


class LeaseLostError(ProvecfgError):
    """Another process has taken the work dir over from this one."""

    def __init__(self, work_dir: Path) -> None:
        state = look_at_lease(work_dir, time.time)
        taker = f"{state.holder} has it since {state.holder.since}" if state.holder else "its lease is gone"
        super().__init__(
            f"{str(work_dir)!r} is not this process's any more: {taker}; nothing more is written there",
            hint="a run that gives no sign of life for "
            f"{SILENCE_SECONDS / 60:.0f} minutes may be taken over: was this machine, or its file server, stopped?",
            exit_code=ExitCode.FINDINGS,
        )


def holder_message(work_dir: Path, state: LeaseState) -> str:
    """Who trains in a work dir, in words."""
    if state.holder is None:
        return f"{str(work_dir)!r} is in use: {lease_path(work_dir, state.generation).name} cannot be read"
    silence = (
        f", silent for {state.silent_seconds:.0f} s" if state.silent_seconds > 2 * heartbeat.INTERVAL_SECONDS else ""
    )
    return f"{state.holder} has been training in {str(work_dir)!r} since {state.holder.since}{silence}"


def holder_hint(work_dir: Path, state: LeaseState) -> str:
    """What to do about it."""
    path = lease_path(work_dir, state.generation)
    if state.holder is not None and state.holder.is_on_this_machine():
        return "wait for it or end it, or choose another --work-dir"
    return (
        "wait for it or end it, or choose another --work-dir; it is taken to be gone after "
        f"{SILENCE_SECONDS / 60:.0f} minutes of silence, and where you know that it is, remove {path}"
    )


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that this process has, or shares with the process that it was started by.

    Args:
        work_dir: The folder.
        generation: The lease's number.
        token: The holder's.
        replaced: What `acquire` found there.
    """

    work_dir: Path
    generation: int
    token: str
    replaced: Tenancy = Tenancy.FREE

    @property
    def path(self) -> Path:
        """Its file."""
        return lease_path(self.work_dir, self.generation)

    def is_held(self) -> bool:
        """Whether it still is the work dir's lease.

        Raises:
            OSError: The file server does not answer.
        """
        if lease_path(self.work_dir, self.generation + 1).exists():
            return False
        # That answer may come from NFS's memory. The file itself is opened, for which NFS looks at the server: whoever
        # has the next one removes it.
        try:
            holder = read_json_file(self.path, Holder)
        except BrokenFileError:
            return True
        return holder is not None and holder.token == self.token

    def check(self) -> None:
        """Stop before writing into a work dir that is another's.

        Raises:
            LeaseLostError: It is.
        """
        if not self.is_held():
            raise LeaseLostError(self.work_dir)

    def adopt(self) -> None:
        """Be the process that the lease names: the one that trains, where another took the lease for it.

        Raises:
            LeaseLostError: Another has taken it in between.
        """
        self.check()
        write_json_file(self.path, Holder.this_process(self.token))

    def release(self) -> None:
        """Give it back. What cannot be written now, others find out by themselves."""
        with suppress(OSError, BrokenFileError):
            holder = read_json_file(self.path, Holder)
            if holder is not None and holder.token == self.token:
                write_json_file(self.path, dataclasses.replace(holder, released=True))


def lease_path(work_dir: Path, generation: int) -> Path:
    """The file of a lease."""
    return work_dir / f"lease.{generation}"


def acquire(work_dir: Path) -> Lease:
    """Take a work dir's lease for this process.

    Args:
        work_dir: The folder; made if it is not there.

    Raises:
        LeaseHeldError: Another process has it.
        OSError: The folder cannot be made or written to.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    holder = Holder.this_process(secrets.token_hex(8))
    made = work_dir / _MADE.format(holder.token)
    try:
        write_json_file(made, holder)
        replaced = LeaseState(Tenancy.FREE)
        for _ in range(_ROUNDS):
            state = _look(work_dir, lambda: _touched(made))
            if state.holder is not None and state.holder.token == holder.token:
                for generation in _generations(work_dir):
                    if generation < state.generation:
                        lease_path(work_dir, generation).unlink(missing_ok=True)
                return Lease(work_dir, state.generation, holder.token, replaced.tenancy)
            if state.tenancy is Tenancy.HELD:
                raise LeaseHeldError(work_dir, state)
            path, replaced = lease_path(work_dir, state.generation + 1), state
            if _claim(made, path) and max(_generations(work_dir)) > state.generation + 1:
                # Others were two steps ahead, and had removed the file of this number already.
                path.unlink(missing_ok=True)
        raise OSError(f"{work_dir}: the lease changes hands faster than it can be read")
    finally:
        with suppress(OSError):
            made.unlink(missing_ok=True)


def look_at_lease(work_dir: Path, clock: Callable[[], float] | None = None) -> LeaseState:
    """Who has a work dir's lease.

    Args:
        work_dir: The folder, which may not be there.
        clock: Tells its file server's time, in seconds since the epoch, and is asked only where that decides. None for
            `server_time_of`, which writes a file there and removes it.
    """
    return _look(work_dir, clock or (lambda: server_time_of(work_dir)))


def server_time_of(folder: Path) -> float:
    """The clock of a folder's file server, in seconds since the epoch; this machine's where nothing can be written."""
    probe = folder / _MADE.format(secrets.token_hex(8))
    try:
        probe.touch()
        try:
            return _touched(probe)
        finally:
            probe.unlink(missing_ok=True)
    except OSError:
        return time.time()


def left_behind(work_dir: Path) -> Iterable[Path]:
    """Files of claims that were never made, because the process was killed that made them."""
    server_time = server_time_of(work_dir)
    for path in work_dir.glob(_MADE.format("*")):
        with suppress(OSError):
            if server_time - path.stat().st_mtime > SILENCE_SECONDS:
                yield path


def process_start(pid: int) -> int | None:
    """When a process started, in the system's ticks since its boot; None if there is none, or it has ended.

    Source: proc(5), /proc/[pid]/stat, fields 3 and 22.
    """
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = status[status.rindex(b")") + 2 :].split()  # the second field, a name, may hold anything
    if fields[0] in (b"Z", b"X"):  # ended, and not yet waited for
        return None
    return int(fields[19])


def _look(work_dir: Path, clock: Callable[[], float]) -> LeaseState:
    for _ in range(_ROUNDS):
        generations = _generations(work_dir)
        if not generations:
            return LeaseState(Tenancy.FREE)
        generation = max(generations)
        path = lease_path(work_dir, generation)
        try:
            holder = read_json_file(path, Holder)
        except BrokenFileError:
            return _by_silence(work_dir, generation, None, clock)
        if holder is not None:  # else it was replaced between the two looks
            return _judged(work_dir, generation, holder, clock)
    raise OSError(f"{work_dir}: the lease changes hands faster than it can be read")


def _judged(work_dir: Path, generation: int, holder: Holder, clock: Callable[[], float]) -> LeaseState:
    job = current_job()
    if holder.released:
        return LeaseState(Tenancy.FREE, generation, holder)
    if job is not None and job.is_later_life_of(holder.job):
        return LeaseState(Tenancy.REQUEUED, generation, holder)
    if holder.token == os.environ.get(ENDED_HOLDER):
        return LeaseState(Tenancy.GONE, generation, holder)
    if holder.is_on_this_machine():
        return LeaseState(Tenancy.HELD if holder.is_running() else Tenancy.GONE, generation, holder)
    return _by_silence(work_dir, generation, holder, clock)


def _by_silence(work_dir: Path, generation: int, holder: Holder | None, clock: Callable[[], float]) -> LeaseState:
    signs = []
    for path in (lease_path(work_dir, generation), work_dir / heartbeat.FILENAME):
        with suppress(OSError):
            signs.append(path.stat().st_mtime)
    silent = max(0.0, clock() - max(signs, default=0.0))
    return LeaseState(Tenancy.GONE if silent > SILENCE_SECONDS else Tenancy.HELD, generation, holder, silent)


def _generations(work_dir: Path) -> list[int]:
    try:
        names = os.listdir(work_dir)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [int(match[1]) for name in names if (match := _NAME.fullmatch(name))]


def _claim(made: Path, path: Path) -> bool:
    """Give a finished file its name, unless somebody has the name already."""
    try:
        os.link(made, path)
    except FileExistsError:
        # Or it was done, and only the file server's answer was lost: the next look finds that out.
        return False
    except OSError:
        return _claim_without_links(made, path)
    return True


def _claim_without_links(made: Path, path: Path) -> bool:
    """The same on a file system that has no links: the name at once, what is in it a moment later."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return False
    with open(descriptor, "wb") as stream:
        stream.write(made.read_bytes())
    return True


def _touched(path: Path) -> float:
    os.utime(path)  # with no time given, the file server takes its own
    return path.stat().st_mtime


@cache
def _boot() -> str | None:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return None


@cache
def _pid_namespace() -> str | None:
    with suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return None
