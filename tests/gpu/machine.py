"""The machine that is measured: a CUDA card, or in the dry form the CPU in its place."""

from __future__ import annotations

import contextlib
import gc
import importlib.metadata
import platform
import random
import shutil
import statistics
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

import torch

from provecfg.catalog.models import MODELS

PACKAGES = ("triton", "mmengine", "onedl-mmengine", "mmcv", "onedl-mmcv", "mmcv-lite", "mmsegmentation")
PACKAGES += ("onedl-mmsegmentation", "mmdet", "onedl-mmdetection")
"""Whose versions are written beside the figures, those that are installed."""
GIB, MIB = 2**30, 2**20


@dataclass(frozen=True)
class Workload:
    """How much is measured.

    Args:
        logits: Sizes (N, C, H, W) in pixels of the logits that losses are timed on; values are compared at the first.
        rounds: Timed rounds.
        calls: Of what is timed, between two events of a round.
        compiles: Whether `torch.compile` compiles, or hands on what it is given.
        models: Of the catalog, trained.
        amp: Whether in mixed precision; mmengine has none on a CPU.
        smaller: Text of a config that makes of those models smaller ones.
        losses: Auxiliary ones, as in a study.
        crop: (height, width) in pixels of a training crop.
        images: (width, height) in pixels of what is drawn.
        workers: Processes that load data.
        iterations: Of a run.
        batches: Images in a batch, for the forecast.
        most_images: A larger batch is not tried.
    """

    logits: tuple[tuple[int, int, int, int], ...]
    rounds: int
    calls: int
    compiles: bool
    models: tuple[str, ...]
    amp: tuple[bool, ...]
    smaller: str
    losses: tuple[str, ...]
    crop: tuple[int, int]
    images: tuple[int, int]
    workers: int
    iterations: int
    batches: tuple[int, ...]
    most_images: int


REAL = Workload(
    logits=((2, 19, 512, 1024), (8, 19, 512, 512), (2, 150, 512, 512)),
    rounds=15,
    calls=5,
    compiles=True,
    models=tuple(MODELS),
    amp=(False, True),
    smaller="",
    losses=("none", "focal", "lovasz", "boundary"),
    crop=(512, 512),
    images=(1280, 720),
    workers=2,
    iterations=20,
    batches=(2, 4, 8),
    most_images=512,
)
DRY = Workload(
    logits=((2, 5, 8, 10),),
    rounds=1,
    calls=1,
    compiles=False,  # it takes longer than all else together, and tests/plugin/losses compiles every loss on the CPU
    models=("pspnet_r50",),
    amp=(False,),
    # An eighth of the channels: its checkpoints of 375 MB would take more time than all else together.
    smaller="""
model = dict(
    backbone=dict(base_channels=8),
    decode_head=dict(in_channels=256, channels=16),
    auxiliary_head=dict(in_channels=128, channels=16),
)
""",
    losses=("focal",),
    crop=(64, 64),
    images=(128, 72),
    workers=0,
    iterations=4,
    batches=(2,),
    most_images=2,
)


@dataclass(frozen=True)
class Timing:
    """Milliseconds of a call: on the device from its first kernel to its last, and until the host had asked for all."""

    device_ms: float
    host_ms: float


@dataclass
class MemoryUse:
    """Bytes, filled in when watching ends.

    Args:
        allocated: The most that tensors took at a time, beside those that were there before.
        reserved: The most that torch's allocator held for them.
        outside: What the card had in use beside that, at the end: CUDA's context and libraries.
    """

    allocated: int = 0
    reserved: int = 0
    outside: int = 0


@dataclass
class Machine:
    """A device, with what asks it for time and memory.

    Args:
        device: `cuda`, or `cpu` in the dry form.
        cuda: `torch.cuda`, or its stand-in.
        work: How much is measured.
    """

    device: str
    cuda: Any
    work: Workload
    _order: random.Random = field(default_factory=lambda: random.Random(0))

    @property
    def is_dry(self) -> bool:
        """Whether there is no card, and nothing that is measured counts."""
        return self.device == "cpu"

    @property
    def memory(self) -> int:
        """Bytes of the card."""
        return int(self.cuda.get_device_properties(0).total_memory)

    def identity(self) -> dict[str, str]:
        """What the figures are of: card, driver and versions."""
        properties = self.cuda.get_device_properties(0)
        versions = {}
        for name in PACKAGES:
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                versions[name] = importlib.metadata.version(name)
        return {
            "card": str(properties.name),
            "memory": f"{properties.total_memory / GIB:.1f} GiB",
            "compute capability": f"{properties.major}.{properties.minor}",
            "cards": str(self.cuda.device_count()),
            "driver": _driver_version(),
            "Python": platform.python_version(),
            "torch": torch.__version__,
            "its CUDA": str(torch.version.cuda),
            "cuDNN": str(torch.backends.cudnn.version()),
            **versions,
        }

    def times(self, runs: Mapping[str, Callable[[], object]]) -> dict[str, Timing]:
        """The median time of each, in rounds of all of them in an order that changes."""
        for run in runs.values():
            for _ in range(2):  # kernels are loaded when first used, and memory is first asked for
                run()
        timings: dict[str, list[Timing]] = {name: [] for name in runs}
        for _ in range(self.work.rounds):
            for name in self._order.sample(list(runs), len(runs)):
                timings[name].append(self._timing(runs[name]))
        return {
            name: Timing(
                statistics.median(each.device_ms for each in rounds),
                statistics.median(each.host_ms for each in rounds),
            )
            for name, rounds in timings.items()
        }

    def _timing(self, run: Callable[[], object]) -> Timing:
        start, end = (self.cuda.Event(enable_timing=True) for _ in range(2))
        self.cuda.synchronize()
        began = time.perf_counter()
        start.record()
        for _ in range(self.work.calls):
            run()
        end.record()
        host = time.perf_counter() - began
        self.cuda.synchronize()
        return Timing(start.elapsed_time(end) / self.work.calls, 1e3 * host / self.work.calls)

    def peak_bytes(self, run: Callable[[], object]) -> int:
        """By how much tensors' memory grows at most during a call."""
        run()
        self.cuda.synchronize()
        before = self.cuda.memory_allocated()
        self.cuda.reset_peak_memory_stats()
        run()
        self.cuda.synchronize()
        return int(self.cuda.max_memory_allocated() - before)

    @contextlib.contextmanager
    def watching_memory(self) -> Iterator[MemoryUse]:
        """Fill in what is used inside, from an allocator that holds nothing that is not in use."""
        use = MemoryUse()
        gc.collect()
        self.cuda.synchronize()
        self.cuda.empty_cache()
        self.cuda.reset_peak_memory_stats()
        before, held_before = self.cuda.memory_allocated(), self.cuda.memory_reserved()
        yield use
        self.cuda.synchronize()
        use.allocated = self.cuda.max_memory_allocated() - before
        use.reserved = self.cuda.max_memory_reserved() - held_before
        free, total = self.cuda.mem_get_info()
        use.outside = total - free - self.cuda.memory_reserved()

    @contextlib.contextmanager
    def without_synchronising(self) -> Iterator[None]:
        """Have torch raise a RuntimeError where the host would wait for the device."""
        self.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            self.cuda.set_sync_debug_mode("default")


def gpu_machine() -> Machine:
    """The card that torch sees."""
    return Machine("cuda", torch.cuda, REAL)


def dry_machine() -> Machine:
    """The CPU, with a stand-in for what is asked of `torch.cuda`: each function takes what torch's takes."""
    card = SimpleNamespace(name="dry form", total_memory=4 * GIB, major=0, minor=0)
    answers: dict[str, object] = {
        "device_count": 1,
        "empty_cache": None,
        "get_device_properties": card,
        "max_memory_allocated": 512 * MIB,
        "max_memory_reserved": 576 * MIB,
        "mem_get_info": (3 * GIB, 4 * GIB),
        "memory_allocated": 256 * MIB,
        "memory_reserved": 288 * MIB,
        "reset_peak_memory_stats": None,
        "set_per_process_memory_fraction": None,
        "set_sync_debug_mode": None,
        "synchronize": None,
    }
    functions = {name: create_autospec(getattr(torch.cuda, name), return_value=answers[name]) for name in answers}
    event = create_autospec(torch.cuda.Event)
    event.return_value.elapsed_time.return_value = 1.0
    return Machine("cpu", SimpleNamespace(**functions, Event=event), DRY)


def missing_cuda() -> str | None:
    """Why there is no CUDA device; None where there is one."""
    with warnings.catch_warnings(record=True) as warned:  # of a driver that is too old, for one
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            return None
    if torch.version.cuda is None:
        return f"needs CUDA: torch {torch.__version__} is built without it"
    why = "".join(f": {warning.message}" for warning in warned)
    return f"needs a CUDA device: torch {torch.__version__} finds none{why}"


def _driver_version() -> str:
    """As `nvidia-smi` says it, which comes with every driver."""
    if shutil.which("nvidia-smi") is None:
        return "not known"
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()[0]
