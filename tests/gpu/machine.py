"""The machine that is measured: a CUDA card, or in the dry form the CPU in its place."""

from __future__ import annotations

import contextlib
import gc
import importlib.metadata
import importlib.util
import os
import platform
import random
import shutil
import statistics
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from tests.gpu.stub_cuda import StubCuda

PACKAGES = ("triton", "mmengine", "mmcv", "mmsegmentation", "mmdet")
"""Whose versions are written beside the figures; each may be installed as `onedl-...`."""


@dataclass(frozen=True)
class Workload:
    """How much is measured.

    Args:
        logits: Sizes (N, C, H, W) of logits that losses are timed on, in pixels.
        checked_logits: The size that values and gradients are compared at.
        rounds: Timed rounds.
        calls: Of a loss between two events of a round.
        compiles: Whether `torch.compile` compiles, or hands on what it is given.
        models: Of the catalog, trained.
        auxiliary_losses: Names as in a study.
        amp: Whether in mixed precision; mmengine has none on a CPU.
        crop: (height, width) in pixels of a training crop.
        images: (width, height) in pixels of what is drawn.
        iterations: Of a run.
        batches: Images in a batch, for the forecast.
        most_images: A larger batch is not tried.
        attention: (images, height, width) in pixels of what Mask2Former's deformable attention is timed for.
    """

    logits: tuple[tuple[int, int, int, int], ...]
    checked_logits: tuple[int, int, int, int]
    rounds: int
    calls: int
    compiles: bool
    models: tuple[str, ...]
    auxiliary_losses: tuple[str, ...]
    amp: tuple[bool, ...]
    crop: tuple[int, int]
    images: tuple[int, int]
    iterations: int
    batches: tuple[int, ...]
    most_images: int
    attention: tuple[int, int, int]


REAL = Workload(
    logits=((2, 19, 512, 1024), (8, 19, 512, 512), (2, 150, 512, 512)),
    checked_logits=(2, 19, 512, 1024),
    rounds=15,
    calls=5,
    compiles=True,
    models=(
        "deeplabv3plus_r50",
        "pspnet_r50",
        "segformer_mit-b3",
        "segnext_mscan-b",
        "hrnet_hr48",
        "mask2former_swin-b",
    ),
    auxiliary_losses=("none", "focal", "lovasz", "boundary"),
    amp=(False, True),
    crop=(512, 512),
    images=(1280, 720),
    iterations=20,
    batches=(2, 4, 8),
    most_images=512,
    attention=(2, 512, 512),
)

DRY = Workload(
    logits=((2, 5, 8, 10),),
    checked_logits=(2, 5, 8, 10),
    rounds=1,
    calls=1,
    compiles=False,  # it takes longer than all else together, and tests/plugin/losses compiles every loss on the CPU
    models=("pspnet_r50",),
    auxiliary_losses=("focal",),
    amp=(False,),
    crop=(64, 64),
    images=(128, 72),
    iterations=4,
    batches=(2,),
    most_images=2,
    attention=(1, 64, 64),
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
        reserved: The most that torch's allocator held of the card.
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
        cuda: `torch.cuda`, or what stands in for it.
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

    def missing_compiler(self) -> str | None:
        """What `torch.compile` lacks on this machine; None where nothing is, or where it is not to compile."""
        if not self.work.compiles:
            return None
        if importlib.util.find_spec("triton") is None:
            return "torch.compile needs triton, which comes with torch's CUDA wheels for Linux"
        compilers = [os.environ.get("CC", ""), "gcc", "clang"]
        if not any(shutil.which(name) for name in compilers if name):
            return "torch.compile needs a C compiler: there is neither gcc nor clang, nor what CC names"
        return None

    @property
    def memory(self) -> int:
        """Bytes of the card."""
        return int(self.cuda.get_device_properties(0).total_memory)

    def identity(self) -> dict[str, str]:
        """What the figures are of: card, driver and versions."""
        properties = self.cuda.get_device_properties(0)
        versions = {name: version for name in PACKAGES if (version := _version_of(name)) is not None}
        return {
            "card": str(properties.name),
            "memory": f"{properties.total_memory / 2**30:.1f} GiB",
            "compute capability": f"{properties.major}.{properties.minor}",
            "cards": str(self.cuda.device_count()),
            "driver": _driver_version(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "CUDA of torch": str(torch.version.cuda),
            "cuDNN": str(torch.backends.cudnn.version()),
            **versions,
        }

    def times(self, runs: Mapping[str, Callable[[], object]]) -> dict[str, Timing]:
        """The median time of each, in rounds of all of them in an order that changes."""
        for run in runs.values():
            for _ in range(2):  # compiled code, kernels that are loaded when first used, memory that is first asked for
                run()
        seen: dict[str, list[Timing]] = {name: [] for name in runs}
        for _ in range(self.work.rounds):
            for name in self._order.sample(list(runs), len(runs)):
                seen[name].append(self._timing(runs[name]))
        return {
            name: Timing(
                statistics.median(timing.device_ms for timing in timings),
                statistics.median(timing.host_ms for timing in timings),
            )
            for name, timings in seen.items()
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
        """Have torch raise an error where the host would wait for the device."""
        before = self.cuda.get_sync_debug_mode()
        self.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            self.cuda.set_sync_debug_mode(before)


def machine_for(*, dry: bool) -> Machine:
    """The card that torch sees, or the CPU in its place."""
    return Machine("cpu", StubCuda(), DRY) if dry else Machine("cuda", torch.cuda, REAL)


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


def _version_of(name: str) -> str | None:
    for distribution in (name, f"onedl-{name}", f"onedl-{name.replace('mmdet', 'mmdetection')}", f"{name}-lite"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return f"{importlib.metadata.version(distribution)} ({distribution})"
    return None


def _driver_version() -> str:
    """As `nvidia-smi` says it, which comes with every driver."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return "not known: no nvidia-smi"
    return answer.splitlines()[0].strip() if answer.strip() else "not known: nvidia-smi names none"
