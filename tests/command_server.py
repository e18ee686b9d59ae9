"""Commands in processes forked from one that has imported the stack, which takes a fresh process eight seconds.

Each command has a process of its own, with the folder, environment, streams, signals and end of `python -m provecfg`:
only the imports are shared. What a test says of the start of a process itself needs a fresh one.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

STACK = ("provecfg.plugin", "mmseg.datasets", "mmseg.models", "mmseg.engine", "mmseg.evaluation", "mmseg.visualization")
LONGEST_MESSAGE = 1 << 20


class RunningCommand:
    """A command that was started.

    Args:
        server: What it was forked from.
        pid: Its process.
        output: The file that its standard output goes to.
        errors: The end of the pipe that its standard error comes from.
    """

    def __init__(self, server: CommandServer, pid: int, output: IO[bytes], errors: IO[str]) -> None:
        self._server, self._pid, self._output, self._errors = server, pid, output, errors

    def wait_for(self, text: str) -> None:
        """Read standard error up to a line that holds `text`.

        Raises:
            AssertionError: It ended before.
        """
        for line in self._errors:
            if text in line:
                return
        raise AssertionError(f"ended before it said {text!r}")

    def send_signal(self, signum: int) -> None:
        """Send the process a signal."""
        os.kill(self._pid, signum)

    def finished(self, seconds: float = 600) -> tuple[int, str, str]:
        """Wait for its end; after `seconds` it is killed.

        Returns:
            The exit code (of a signal, its number negated), standard output, and what was not read of standard error.
        """
        deadline = threading.Timer(seconds, self.send_signal, [signal.SIGKILL])
        deadline.start()
        with self._errors, self._output:
            errors = self._errors.read()
            code = self._server.exit_code(self._pid)
            deadline.cancel()
            self._output.seek(0)
            return code, self._output.read().decode(), errors


class CommandServer:
    """The process that commands are forked from: it imports the stack as it starts, for the CPU and with one thread."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", __file__, str(theirs.fileno())],
                env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "OMP_NUM_THREADS": "1"},
                cwd=Path(__file__).parents[1],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def start(self, words: Sequence[object], folder: Path, environment: Mapping[str, str]) -> RunningCommand:
        """Start `provecfg WORDS...` in a folder, with this environment and nothing else in it."""
        reading, writing = os.pipe()
        output = tempfile.TemporaryFile()  # noqa: SIM115  (closed when the command has finished)
        request = {"words": [str(word) for word in words], "folder": str(folder), "environment": dict(environment)}
        pid = self._answer(request, output.fileno(), writing)
        os.close(writing)
        return RunningCommand(self, pid, output, open(reading, encoding="utf-8", errors="replace"))

    def run(self, words: Sequence[object], folder: Path, environment: Mapping[str, str]) -> tuple[int, str, str]:
        """Run `provecfg WORDS...` to its end: exit code, standard output, standard error."""
        return self.start(words, folder, environment).finished()

    def exit_code(self, pid: int) -> int:
        """Wait for the end of a command's process; a signal's number is negated."""
        return self._answer({"wait_for": pid})

    def close(self) -> None:
        """End the server."""
        self._socket.close()
        self._process.wait(30)

    def _answer(self, request: Mapping[str, Any], *files: int) -> int:
        socket.send_fds(self._socket, [json.dumps(request).encode()], files)
        answer = self._socket.recv(LONGEST_MESSAGE)
        if not answer:
            raise RuntimeError("the server of commands ended; what it said is on standard error")
        return int(answer)


def serve(connection: socket.socket) -> list[str] | None:
    """Answer requests until the connection is closed.

    Returns:
        In a process forked for a command, the command's words; in the server, None at the end.
    """
    for module in STACK:
        importlib.import_module(module)
    gc.freeze()  # what is here already is not looked through, and so not copied, in every process
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the tests, which then close the connection
    while True:
        message, files, _, _ = socket.recv_fds(connection, LONGEST_MESSAGE, 2)
        if not message:
            return None
        request = json.loads(message)
        if "wait_for" in request:
            _, status = os.waitpid(request["wait_for"], 0)
            connection.send(str(os.waitstatus_to_exitcode(status)).encode())
            continue
        pid = os.fork()
        if pid == 0:
            connection.close()
            become_command(request, *files)
            words: list[str] = request["words"]
            return words
        for file in files:
            os.close(file)
        connection.send(str(pid).encode())


def become_command(request: Mapping[str, Any], output: int, errors: int) -> None:
    """Make this process what `python -m provecfg` would be at its start, but for what has been imported."""
    import numpy as np

    signal.signal(signal.SIGINT, signal.default_int_handler)
    for file, standard in ((output, 1), (errors, 2)):
        os.dup2(file, standard)
        os.close(file)
    # Streams of their own: those that were there know of the server's files whether one can seek in them.
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  (for the process's life)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[1:] = request["words"]
    sys.path[0] = request["folder"]
    random.seed()
    np.random.seed()


def main() -> None:
    """Serve; in a forked process, run the command to its own end."""
    words = serve(socket.socket(fileno=int(sys.argv[1])))
    if words is not None:
        from provecfg.cli import main as run_command

        run_command(words)


if __name__ == "__main__":
    sys.path[0] = os.getcwd()  # as `python -m` has it, not this file's folder
    main()
