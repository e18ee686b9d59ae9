"""Trials in a process that is forked from one which has the stack, with limits of time and memory."""

from __future__ import annotations

import logging
import multiprocessing
import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, TypeVar

from docs.generate.experiments.inference import Outcome
from docs.generate.experiments.variations import Values
from provecfg.registry.confinement import confine

_MEMORY_BYTES: Final = 4 << 30
"""On top of what the process has when it is forked."""
_GRACE_SECONDS: Final = 10.0
"""After which a process that does not heed its alarm is killed."""
_MOST_ENDS: Final = 8
"""Trials of a class that may end their process."""

Steps = Callable[[Values], tuple[Callable[[], Any], Callable[[Any], None]]]
"""Of the arguments of a class: what builds it, and what uses what was built."""
Attempt = Callable[[Values], Outcome]
T = TypeVar("T")


class _OutOfTimeError(BaseException):
    """No handler of the packages' own may catch it."""


class TrialProcess:
    """Draws a conclusion from trials, in a forked process; one that ends or hangs is an outcome, and another goes on.

    Args:
        steps: What a trial does.
        folder: Where what is tried may write.
        seconds: The longest trial.
    """

    def __init__(self, steps: Steps, folder: Path, seconds: float) -> None:
        self._steps = steps
        self._folder = folder
        self._seconds = seconds
        self._outcomes: dict[str, Outcome] = {}

    def concluded(self, conclude: Callable[[Attempt], T]) -> T | None:
        """What is concluded; None where too many trials ended their process.

        Args:
            conclude: Is given what makes a trial; run from its beginning again after one that ended the process.
        """
        for _ in range(_MOST_ENDS):
            finished, conclusion = self._run(conclude)
            if finished:
                return conclusion
        return None

    def _run(self, conclude: Callable[[Attempt], T]) -> tuple[bool, T | None]:
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=self._conclude, args=(conclude, theirs), daemon=True)
        process.start()
        theirs.close()
        begun = None
        try:
            while ours.poll(self._seconds + _GRACE_SECONDS):
                key, outcome = ours.recv()
                if key is None:
                    return True, outcome
                if outcome is None:
                    begun = key
                else:
                    self._outcomes[key] = outcome
        except (EOFError, OSError):
            pass  # it ended
        finally:
            process.kill()
            process.join()
            ours.close()
        if begun is not None:
            self._outcomes[begun] = Outcome(is_accepted=False, is_built=False)
        return False, None

    def _conclude(self, conclude: Callable[[Attempt], Any], connection: Connection) -> None:
        _silence()
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY_BYTES, used + _MEMORY_BYTES))
        os.chdir(self._folder)
        confine(self._folder)
        signal.signal(signal.SIGALRM, _out_of_time)

        def attempt(values: Values) -> Outcome:
            key = repr(values)
            if key not in self._outcomes:
                connection.send((key, None))
                self._outcomes[key] = self._outcome(values)
                connection.send((key, self._outcomes[key]))
            return self._outcomes[key]

        connection.send((None, conclude(attempt)))
        os._exit(0)

    def _outcome(self, values: Values) -> Outcome:
        is_built = False
        signal.setitimer(signal.ITIMER_REAL, self._seconds)
        try:
            build, use = self._steps(values)
            built = build()
            is_built = True
            use(built)
        except (_OutOfTimeError, MemoryError, KeyboardInterrupt):
            return Outcome(is_accepted=False, is_built=is_built)
        except BaseException as error:
            cause = _first_cause(error)
            if "meta tensor" in str(cause):  # it asks for a value, which there is none of
                return Outcome(is_accepted=False, is_built=is_built)
            return Outcome(is_accepted=False, is_built=is_built, error=type(cause).__name__, words=_text(cause))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return Outcome(is_accepted=True)


def _first_cause(error: BaseException) -> BaseException:
    return error if error.__cause__ is None else _first_cause(error.__cause__)


def _text(error: BaseException) -> str:
    """The text of an exception; mmengine's builder puts the class before it, once for each level."""
    text = str(error)
    while text.startswith("class `") and "`" in text[7:] and ": " in text:
        text = text.partition(": ")[2]
    return text


def _out_of_time(number: int, frame: Any) -> None:
    raise _OutOfTimeError


def _silence() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the process ends
