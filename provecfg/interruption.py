"""The signals that ask a run to end: held back from its first instant, acted on where nothing is lost by it.

Needs the standard library alone and next to nothing of it, so that `hold` can come before every other import: until
Python runs that far (some hundredths of a second), only whoever starts the process can keep a signal from ending it,
by blocking the signals first; what is blocked stays so in the new process, and is received when it listens.
"""

from __future__ import annotations

import enum
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

_STOP_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_REQUEUE_NAMES = ("SIGUSR1", "SIGUSR2")


def _present(names: tuple[str, ...]) -> tuple[signal.Signals, ...]:
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))  # Windows has two of them


STOP_SIGNALS = _present(_STOP_NAMES)
"""They end a run: a checkpoint first, then exit code 130."""

REQUEUE_SIGNALS = _present(_REQUEUE_NAMES)
"""They end it likewise, and ask for it to be started again: exit code 75. Schedulers send them before a time limit."""

SIGNALS = (*STOP_SIGNALS, *REQUEUE_SIGNALS)

_ECHO_SECONDS = 1.0
"""So long after the first signal, another is taken for the same one: a scheduler sends it to a batch script, which
hands it on, and to each of its processes."""


def hold() -> None:
    """Block the signals, in this thread and what it starts, until `StopSignals.listening`."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def asks_requeue(signum: int) -> bool:
    """Whether the signal asks for the run to be started again."""
    return signum in REQUEUE_SIGNALS


class StopRequested(KeyboardInterrupt):
    """A signal that ends what is going on at once. Not an Exception, so that nothing on the way out takes it for one.

    Args:
        signum: The signal.
        requeue: Whether the run is to be started again.
    """

    def __init__(self, signum: int, *, requeue: bool) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum
        self.requeue = requeue


class _Stage(enum.Enum):
    STARTING = enum.auto()
    TRAINING = enum.auto()
    ENDING = enum.auto()


class StopSignals:
    """The signals that this process has got, and what they do at the present stage of its run.

    At first, while there is nothing to save, a signal raises `StopRequested` where the main thread is. After `defer`,
    the first one is only noted, and whoever trains looks at `received` and ends in good order; a second one raises,
    unless it is an echo of the first (see `_ECHO_SECONDS`) or only asks once more to be requeued. After `finish`, when
    the run is being closed, signals are noted and nothing else.

    SIGINT and SIGHUP stay ignored where they were ignored before (`nohup`, a shell's background job). Outside of the
    main thread Python allows no handlers, and `listening` does nothing.

    Args:
        second_ends: Whether a second signal ends the run at once. Not so for one process of several: the one that
            started them decides, and a scheduler's signal reaches each of them twice.
    """

    def __init__(self, *, second_ends: bool = True) -> None:
        self.received: int | None = None
        """The first signal, or None."""
        self._received_at = 0.0
        self._second_ends = second_ends
        self._stage = _Stage.STARTING
        self._previous: dict[int, Any] = {}
        self._pid = os.getpid()

    @property
    def asks_requeue(self) -> bool:
        """Whether the first signal asks for the run to be started again."""
        return self.received is not None and asks_requeue(self.received)

    @property
    def is_listening(self) -> bool:
        """Whether the handlers are in place."""
        return bool(self._previous)

    @contextmanager
    def listening(self) -> Iterator[StopSignals]:
        """Have the handlers in place inside of this context. Signals that `hold` kept back come in at its start."""
        if self.is_listening or threading.current_thread() is not threading.main_thread():
            yield self
            return
        self._pid = os.getpid()
        for number in SIGNALS:
            ignored = signal.getsignal(number) is signal.SIG_IGN
            if not (ignored and number in (signal.SIGINT, getattr(signal, "SIGHUP", None))):
                self._previous[number] = signal.signal(number, self._handle)
        try:
            if hasattr(signal, "pthread_sigmask"):
                signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            yield self
        finally:
            previous, self._previous = self._previous, {}
            for signum, handler in previous.items():
                # None: one that was not set from Python, and cannot be put back from it
                signal.signal(signum, signal.SIG_DFL if handler is None else handler)

    def defer(self) -> None:
        """From now on note the first signal, and leave it to whoever trains to end.

        Raises:
            StopRequested: One came before, and what it raised was lost on the way.
        """
        if self.received is not None:
            raise StopRequested(self.received, requeue=self.asks_requeue)
        self._stage = _Stage.TRAINING

    def finish(self) -> None:
        """From now on note signals, and do nothing."""
        self._stage = _Stage.ENDING

    def start_over(self) -> None:
        """Be as at first, for the next run of this process.

        Raises:
            StopRequested: A signal came while the last run was being closed.
        """
        self._stage = _Stage.STARTING
        if self.received is not None:
            raise StopRequested(self.received, requeue=self.asks_requeue)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            _in_child(signum)
            return
        if self.received is None:
            self.received, self._received_at = signum, time.monotonic()
            if self._stage is _Stage.STARTING:
                raise StopRequested(signum, requeue=self.asks_requeue)
        elif self._stage is not _Stage.ENDING and self._second_ends and not self._is_echo(signum):
            # A time limit that strikes after its warning leaves the wish to be requeued; a person's Ctrl-C does not.
            raise StopRequested(signum, requeue=self.asks_requeue and signum != signal.SIGINT)

    def _is_echo(self, signum: int) -> bool:
        if signum == signal.SIGINT:
            return False  # a terminal sends it once for each time that Ctrl-C is pressed
        return asks_requeue(signum) or time.monotonic() - self._received_at < _ECHO_SECONDS


def _in_child(signum: int) -> None:
    """What a forked child does that has inherited the handler: schedulers and terminals mean its parent."""
    if signum == signal.SIGTERM:  # multiprocessing ends its children by it
        signal.signal(signum, signal.SIG_DFL)
        signal.raise_signal(signum)


def shield_loader_process() -> None:
    """In a data-loading process: leave it to the process that it loads for to end it.

    A terminal, a scheduler and torchrun send signals to whole groups, and the loss of a loader would end the
    iteration that its main process wants to finish. torch's own handler of SIGTERM in a loader ends it whoever sent
    it; here SIGTERM is blocked and waited for in a thread, which is told the sender.
    """
    for signum in SIGNALS:
        if signum != signal.SIGTERM:
            signal.signal(signum, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # Linux
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        threading.Thread(target=_end_when_parent_says, name="provecfg-sigterm", daemon=True).start()


def _end_when_parent_says() -> NoReturn:
    parent = os.getppid()
    while True:
        with suppress(InterruptedError):
            if signal.sigwaitinfo([signal.SIGTERM]).si_pid == parent:
                os._exit(0)


def end_with_parent(signum: int, parent: int) -> None:
    """Have the kernel send this process `signum` when its parent dies, where the kernel can (Linux).

    Args:
        signum: The signal.
        parent: The parent's process number, as the parent has told it. If it has died before, `signum` is sent now.
    """
    import ctypes

    set_parent_death_signal = 1  # PR_SET_PDEATHSIG, linux/prctl.h
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(set_parent_death_signal, signum, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signum)
