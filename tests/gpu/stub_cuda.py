"""What the scripts of this folder ask of `torch.cuda`, on a machine without CUDA.

Times are the host's clock's, and bytes are made up: they show that the scripts run, and are written nowhere but in a
dry form's own folder. `test_stub_cuda.py` holds the names and arguments against torch's.
"""

from __future__ import annotations

import time
from types import SimpleNamespace

_MIB = 2**20
_SYNC_MODES = {"default": 0, "warn": 1, "error": 2}


class Event:
    """`torch.cuda.Event`, of a device that has always done all that it was asked to."""

    def __init__(self, enable_timing: bool = False) -> None:
        self.enable_timing = enable_timing
        self.seconds = 0.0

    def record(self, stream: object = None) -> None:
        self.seconds = time.perf_counter()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to another."""
        return 1e3 * (end_event.seconds - self.seconds)


class StubCuda:
    """`torch.cuda` of one card of 4 GiB, whose peaks grow by 64 MiB from one reading to the next."""

    Event = Event

    def __init__(self) -> None:
        self._mode = 0
        self._peak = 512 * _MIB

    def synchronize(self, device: object = None) -> None:
        pass

    def empty_cache(self) -> None:
        pass

    def reset_peak_memory_stats(self, device: object = None) -> None:
        self._peak += 64 * _MIB

    def memory_allocated(self, device: object = None) -> int:
        return 256 * _MIB

    def memory_reserved(self, device: object = None) -> int:
        return 288 * _MIB

    def max_memory_allocated(self, device: object = None) -> int:
        return self._peak

    def max_memory_reserved(self, device: object = None) -> int:
        return self._peak + 32 * _MIB

    def mem_get_info(self, device: object = None) -> tuple[int, int]:
        """Bytes that are free, and that there are."""
        return 3 * 1024 * _MIB, 4 * 1024 * _MIB

    def get_device_properties(self, device: object = None) -> SimpleNamespace:
        return SimpleNamespace(name="dry form", total_memory=4 * 1024 * _MIB, major=0, minor=0)

    def device_count(self) -> int:
        return 2

    def get_sync_debug_mode(self) -> int:
        return self._mode

    def set_sync_debug_mode(self, debug_mode: int | str) -> None:
        self._mode = _SYNC_MODES[debug_mode] if isinstance(debug_mode, str) else debug_mode

    def set_per_process_memory_fraction(self, fraction: float, device: object = None) -> None:
        pass
