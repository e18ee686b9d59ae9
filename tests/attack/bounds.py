"""Doing a piece of work in a process of its own, watched: what it costs, what it prints, what it executes."""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_SECONDS = 1.0
"""Of processor time, for one hostile file."""
MAX_SECONDS_OF_LARGE = 5.0
"""For a config of hundreds of kilobytes, and thousands of keys or findings to print."""
MAX_MEGABYTES = 200
"""Of memory, beyond what the process began with."""
_CUT_SECONDS = 20
_CUT_BYTES = 2 << 30
"""Where work that hangs or grows without end is cut off."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a piece of work.

    Args:
        result: What it returned; None where it did not.
        raised: The traceback of what it raised, or how it died; '' where it did neither.
        seconds: Processor time.
        megabytes: Memory at its peak, beyond what the process began with.
        executed: What it started, connected to or wrote outside of its folder.
    """

    result: Any
    raised: str
    seconds: float
    megabytes: float
    executed: tuple[str, ...] = ()

    def fault(self, max_seconds: float = MAX_SECONDS) -> str | None:
        """What is against it, or None."""
        if self.raised:
            return self.raised
        if self.executed:
            return f"it executed {self.executed}"
        if self.seconds > max_seconds:
            return f"it took {self.seconds:.2f} s"
        if self.megabytes > MAX_MEGABYTES:
            return f"it took {self.megabytes:.0f} MB"
        return None


def measured(work: Callable[[], Any], folder: Path) -> Outcome:
    """Do `work` in a forked process that stands in `folder`, and may write only there."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(_done(work, folder), pipe)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    _, status, usage = os.wait4(child, 0)
    if not data:
        return Outcome(None, f"it was ended with status {status}", usage.ru_utime + usage.ru_stime, 0.0)
    outcome: Outcome = pickle.loads(data)
    return outcome


def _done(work: Callable[[], Any], folder: Path) -> Outcome:
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_CPU, (_CUT_SECONDS, _CUT_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + _CUT_BYTES, resource.RLIM_INFINITY))
    executed = watch(folder)
    before, start = _peak_megabytes(), time.process_time()
    result, raised = None, ""
    try:
        result = work()
    except BaseException:
        raised = traceback.format_exc()[-2000:]
    seconds = time.process_time() - start
    return Outcome(result, raised, seconds, _peak_megabytes() - before, tuple(executed))


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _peak_megabytes() -> float:
    """The most memory that the process has had; unlike ru_maxrss, not what it had before it was forked off."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_STARTS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "socket.connect", "os.startfile")


def watch(folder: Path) -> list[str]:
    """Note what is started, connected to or written outside of a folder from now on, and code of files that is run."""
    executed: list[str] = []
    allowed = (str(folder), tempfile.gettempdir() + "/provecfg-", "/dev/null", "/dev/full")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _STARTS:
            executed.append(f"{event} {arguments[0]!r}")
        elif event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES:
            path = "" if isinstance(arguments[0], int) else os.path.abspath(os.fsdecode(arguments[0]))
            unnamed = path == tempfile.gettempdir()  # a temporary file without a name
            if path and not unnamed and not path.startswith(allowed):
                executed.append(f"write {path}")
        elif event == "exec" and getattr(arguments[0], "co_filename", "").startswith((str(folder), "<config>")):
            executed.append(f"exec {arguments[0].co_filename}")

    sys.addaudithook(hook)
    return executed


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command came to."""

    code: int
    output: str
    errors: str


def run_command(*arguments: str) -> Ran:
    """A provecfg command in this process, its streams caught where the system has them."""
    from provecfg import cli

    with _caught(1) as output, _caught(2) as errors:
        code = cli.run(arguments)
    return Ran(code, output[0], errors[0])


@contextlib.contextmanager
def _caught(descriptor: int) -> Iterator[list[str]]:
    """What is written to a descriptor, and to Python's stream of it; the text is there at the end."""
    text: list[str] = []
    name = {1: "stdout", 2: "stderr"}[descriptor]
    stream, kept = getattr(sys, name), os.dup(descriptor)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), descriptor)
        try:
            # As `cli.main` sets it up.
            with open(descriptor, "w", encoding="utf-8", errors="backslashreplace", closefd=False) as own:
                setattr(sys, name, own)
                yield text
        finally:
            setattr(sys, name, stream)
            os.dup2(kept, descriptor)
            os.close(kept)
            file.seek(0)
            text.append(file.read().decode("utf-8", "surrogateescape"))


def warm_up(folder: Path) -> None:
    """Import and cache what the commands need, so that what follows costs what it costs itself.

    Args:
        folder: Files are made there.
    """
    for command in ("compare", "generate", "list", "report", "rule", "show", "validate"):
        importlib.import_module(f"provecfg.commands.{command}")
    (folder / "s.yaml").write_text("name: x\nmodels: [pspnet_r50]\nlosses: {auxiliary: [none]}\n")
    (folder / "c.py").write_text("model = dict(type='EncoderDecoder')\n")
    (folder / "run").mkdir()
    (folder / "run" / "provecfg.json").write_text("{}")
    here = os.getcwd()
    os.chdir(folder)
    try:
        for words in (
            "validate s.yaml",
            "compare c.py c.py",
            "show c.py --output-format yaml",
            "generate s.yaml --check",
            "report run -o report.html",
        ):
            run_command(*words.split())
    finally:
        os.chdir(here)
