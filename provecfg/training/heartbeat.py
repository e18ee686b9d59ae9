"""The sign of life that a run leaves in its work dir once a minute: how far it is, and how fast.

The file's time of change counts (see `lease`); what is in it is for people and for `status`. Nothing heavy is imported.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from provecfg.training.json_file import BrokenFileError, read_json_file, write_json_file

FILENAME = "heartbeat"
INTERVAL_SECONDS = 60.0

STARTING, TRAINING, VALIDATING = "starting", "training", "validating"
"""The phases."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """How far a run was at a moment.

    Args:
        time: ISO 8601, UTC, by the clock of the machine that trains.
        token: Of the lease that it trains under.
        phase: One of the phases.
        iteration: Iterations done.
        max_iters: To be done, or None before that is known.
        iters_per_second: Since training began or was resumed, validations left out; None before the first.
        seconds_left: To the last iteration, validations included; None before it can be told.
    """

    time: str
    token: str
    phase: str
    iteration: int
    max_iters: int | None = None
    iters_per_second: float | None = None
    seconds_left: float | None = None


def read_heartbeat(work_dir: Path) -> Heartbeat | None:
    """The last heartbeat in a work dir, or None where there is none that can be read."""
    with suppress(BrokenFileError, OSError):
        return read_json_file(work_dir / FILENAME, Heartbeat)
    return None


def write_heartbeat(work_dir: Path, beat: Heartbeat) -> None:
    """Leave a sign of life.

    Raises:
        OSError: It cannot be written.
    """
    write_json_file(work_dir / FILENAME, beat)


class Pulse:
    """Writes heartbeats from a thread of its own, so that a long validation or a slow download is no silence.

    Args:
        work_dir: Where to.
        measure: Makes the heartbeat of the moment.
        is_ours: Whether the work dir is still this run's. Once it is not, nothing more is written, and `lost` is set.
        interval: Seconds between heartbeats.
    """

    def __init__(
        self,
        work_dir: Path,
        measure: Callable[[], Heartbeat],
        is_ours: Callable[[], bool],
        interval: float = INTERVAL_SECONDS,
    ) -> None:
        self.lost = False
        self._work_dir = work_dir
        self._measure = measure
        self._is_ours = is_ours
        self._interval = interval
        self._wake = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._beat_on, name="provecfg-heartbeat", daemon=True)

    def start(self) -> None:
        """Write the first heartbeat, and go on."""
        self._beat()
        self._thread.start()

    def beat_soon(self) -> None:
        """Write one now, from the thread, and go on from there."""
        self._wake.set()

    def stop(self) -> None:
        """Write no more. Waits for one that is being written."""
        self._ended = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _beat_on(self) -> None:
        while not self.lost:
            self._wake.wait(self._interval)
            self._wake.clear()
            if self._ended:
                return
            self._beat()

    def _beat(self) -> None:
        # A file server that is away, or a full disk, is no reason to end; the next heartbeat may be written again.
        with suppress(OSError):
            if self._is_ours():
                write_heartbeat(self._work_dir, self._measure())
            else:
                self.lost = True
