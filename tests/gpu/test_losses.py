"""Every loss of the plugin on the card: right, at half precision, without waiting, compiled, and at what cost."""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (torch's own name for it)
from torch import Tensor

from provecfg.plugin import losses as ours
from tests.gpu.figures import Figures, Row
from tests.gpu.loss_cases import LossCase, LossFunction, loss_cases, step_of, value_and_gradient
from tests.gpu.machine import Machine
from tests.gpu.scene import IGNORED, Scene, street

pytestmark = [
    pytest.mark.stack,
    # What torch deprecates or recommends on a card is not what is tried here.
    pytest.mark.filterwarnings("ignore"),
]

CASES = tuple(loss_cases(street((1, 3, 4, 4)), "cpu"))
SizedCases = Callable[[tuple[int, int, int, int]], tuple[Scene, dict[str, LossCase]]]

COST = "Losses at {}, forward and backward: time over `F.cross_entropy`'s / peak memory over the logits' / host ms:"
UNIT, COPY = "F.cross_entropy", "one read and one write"
PATHS = ("own", "own, compiled", "plain", "plain, compiled", "mmseg's")

VALUE = 2e-5
"""Of the value. A card's exp and log are off by up to 2 and 1 units in the last place (CUDA C++ Programming Guide,
mathematical functions), and its sums go another way: both give some 1e-7 of a value, as float32 is from float64 on the
CPU (below 2e-6 at this size for every loss here, also where the net is saturated). Ten times that is allowed."""
GRADIENT = 1e-4
"""Of the gradient's length, likewise; the boundary's square root and Lovasz's order of errors that are equal but for
rounding magnify it."""
LARGEST = 1e-3
"""Of the gradient's largest element, for any one element: one that changes places with its neighbour in Lovasz's order
takes over that one's step."""

HALF = {torch.float16: 2**-11, torch.bfloat16: 2**-8}
"""Rounding of a gradient to the logits' dtype, as a fraction of it."""
SCALE = 2.0**16
"""What a `GradScaler` begins with: without it, most gradients of a mean over pixels are 0 in float16."""


@pytest.fixture(scope="module")
def scenes(machine: Machine) -> dict[str, Scene]:
    """On the CPU."""
    size = machine.work.logits[0]
    return {"half-trained": street(size), "saturated": street(size, saturated=True)}


@pytest.fixture(scope="module")
def cpu_cases(scenes: dict[str, Scene]) -> dict[str, LossCase]:
    """With their constants on the CPU."""
    return loss_cases(scenes["half-trained"], "cpu")


@pytest.fixture(scope="module")
def cases(machine: Machine, scenes: dict[str, Scene]) -> dict[str, LossCase]:
    """With their constants on the card."""
    return loss_cases(scenes["half-trained"], machine.device)


def assert_same(computed: tuple[Tensor, Tensor], wanted: tuple[Tensor, Tensor]) -> None:
    """Values and gradients agree as far as rounding lets them."""
    value, gradient = (tensor.double().cpu() for tensor in computed)
    wanted_value, wanted_gradient = (tensor.double().cpu() for tensor in wanted)
    assert abs(float(value - wanted_value)) <= VALUE * max(abs(float(wanted_value)), 1e-3)
    difference = gradient - wanted_gradient
    assert float(difference.norm()) <= GRADIENT * float(wanted_gradient.norm())
    assert float(difference.abs().max()) <= LARGEST * float(wanted_gradient.abs().max())


def test_every_loss_of_the_plugin_is_measured() -> None:
    losses = {getattr(ours, name) for name in ours.__all__}
    called: set[type] = set()
    handle = torch.nn.modules.module.register_module_forward_hook(lambda module, *_: called.add(type(module)))
    try:
        scene = street((1, 3, 8, 8))
        for case in loss_cases(scene, "cpu").values():
            value_and_gradient(case.own, scene)
    finally:
        handle.remove()
    assert losses <= called


@pytest.mark.parametrize("net", ["half-trained", "saturated"])
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_the_cpus(
    name: str,
    net: str,
    machine: Machine,
    scenes: dict[str, Scene],
    cases: dict[str, LossCase],
    cpu_cases: dict[str, LossCase],
) -> None:
    there = scenes[net].on(machine.device)
    assert_same(value_and_gradient(cases[name].own, there), value_and_gradient(cpu_cases[name].own, scenes[net]))


@pytest.mark.parametrize("name", CASES)
def test_the_plain_form_is_the_same_loss(
    name: str, machine: Machine, scenes: dict[str, Scene], cases: dict[str, LossCase]
) -> None:
    scene, case = scenes["half-trained"].on(machine.device), cases[name]
    if case.plain is not None:
        assert_same(value_and_gradient(case.plain, scene), value_and_gradient(case.own, scene))


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_under_autocast_it_is_the_float32_loss_of_the_same_logits(
    name: str, dtype: torch.dtype, machine: Machine, scenes: dict[str, Scene], cases: dict[str, LossCase]
) -> None:
    """A head's last convolution gives half logits under autocast; the loss takes them as they are."""
    logits, labels = scenes["half-trained"].on(machine.device)
    own = cases[name].own
    classes = logits.shape[1]
    identity = torch.eye(classes, device=machine.device).view(classes, classes, 1, 1)
    leaf = logits.clone().requires_grad_()
    with torch.autocast(machine.device, dtype=dtype):
        half = F.conv2d(leaf, identity)
        half.retain_grad()
        value = own(half, labels)
    (SCALE * value).backward()
    assert half.dtype is dtype
    assert value.dtype is torch.float32
    assert half.grad is not None
    wanted, wanted_gradient = value_and_gradient(own, Scene(half.detach().float(), labels))
    assert abs(float(value - wanted)) <= VALUE * max(abs(float(wanted)), 1e-3)
    scaled = SCALE * wanted_gradient
    # Below float16's normal numbers its rounding is absolute.
    allowed = HALF[dtype] * scaled.abs() + torch.finfo(dtype).tiny * HALF[dtype] + LARGEST * scaled.abs().max()
    assert bool(half.grad.isfinite().all())
    assert bool(((half.grad.float() - scaled).abs() <= allowed).all())


@pytest.mark.parametrize("name", CASES)
def test_the_host_does_not_wait_for_the_device(
    name: str, machine: Machine, scenes: dict[str, Scene], cases: dict[str, LossCase]
) -> None:
    step = step_of(cases[name].own, scenes["half-trained"].on(machine.device))
    step()  # memory and kernels are there from here on
    # A case that need not wait any more is to lose its mark. The CPU has nothing to wait for.
    waits = cases[name].waits and not machine.is_dry
    expected = pytest.raises(RuntimeError, match="synchronizing") if waits else contextlib.nullcontext()
    with machine.without_synchronising(), expected:
        step()


def test_a_label_out_of_range_makes_the_loss_nan(
    machine: Machine, scenes: dict[str, Scene], cases: dict[str, LossCase]
) -> None:
    """On a card; on the CPU it is refused by value."""
    logits, labels = scenes["half-trained"].on(machine.device)
    labels = labels.clone()
    labels[0, 1, 1] = logits.shape[1]
    for case in cases.values():
        if machine.is_dry:
            with pytest.raises(ValueError, match="is outside"):
                case.own(logits, labels)
        else:
            value, gradient = value_and_gradient(case.own, Scene(logits, labels))
            assert bool(value.isnan())
            assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("name", CASES)
def test_compiled_it_is_the_same(
    name: str, machine: Machine, scenes: dict[str, Scene], cases: dict[str, LossCase]
) -> None:
    if machine.work.compiles and shutil.which("gcc") is None:
        pytest.skip("torch.compile needs a C compiler: there is no gcc")
    forget_compiled(machine)
    own = cases[name].own
    again = compiled(own, machine)
    for scene in scenes.values():
        there = scene.on(machine.device)
        assert_same(value_and_gradient(again, there), value_and_gradient(own, there))


@pytest.fixture(scope="module")
def sized_cases(machine: Machine) -> SizedCases:
    """The scene of a size and its cases on the card, made once: distance maps take their time."""

    @functools.cache
    def at(size: tuple[int, int, int, int]) -> tuple[Scene, dict[str, LossCase]]:
        scene = street(size)
        return scene.on(machine.device), loss_cases(scene, machine.device)

    return at


@pytest.mark.parametrize("name", CASES)
def test_what_it_costs(name: str, machine: Machine, figures: Figures, sized_cases: SizedCases) -> None:
    """No bound: which path is the fastest is what is asked."""
    for size in machine.work.logits:
        scene, cases = sized_cases(size)
        case = cases[name]
        runs, errors = runnable({"own": case.own, "plain": case.plain, "mmseg's": case.mmseg}, scene, machine)
        timings = machine.times({**runs, UNIT: step_of(unit_loss, scene), COPY: copying(scene.logits)})
        unit = timings[UNIT].device_ms
        row: Row = {
            "loss": name,
            f"`{UNIT}`, ms": f"{unit:.3f}",
            COPY: f"{timings[COPY].device_ms / unit:.2f}",
            **dict.fromkeys(PATHS, ""),
            **errors,
        }
        for path, run in runs.items():
            peak = machine.peak_bytes(run) / scene.logits.nbytes
            row[path] = f"{timings[path].device_ms / unit:.2f} / {peak:.1f} / {timings[path].host_ms:.2f}"
        row["fastest"] = min(set(runs) - {"mmseg's"}, key=lambda path: timings[path].device_ms, default="none")
        figures.add(COST.format(" x ".join(map(str, size))), row)
        assert "own" not in errors, errors["own"]


def runnable(
    paths: dict[str, LossFunction | None], scene: Scene, machine: Machine
) -> tuple[dict[str, Callable[[], None]], dict[str, str]]:
    """Each path eager and, but for mmseg's, compiled, as far as it runs; and why others do not."""
    forget_compiled(machine)
    runs: dict[str, Callable[[], None]] = {}
    errors: dict[str, str] = {}
    for path, loss in paths.items():
        if loss is None:
            continue
        forms = {path: loss} if path == "mmseg's" else {path: loss, f"{path}, compiled": compiled(loss, machine)}
        for name, form in forms.items():
            step = step_of(form, scene)
            try:
                step()
            except Exception as error:  # of a compiler or of memory: the page says so, and the others go on
                errors[name] = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"[:120]
            else:
                runs[name] = step
    return runs, errors


def forget_compiled(machine: Machine) -> None:
    """Have torch.compile begin anew: it compiles a function a few times only, and many cases share theirs."""
    if machine.work.compiles:
        torch.compiler.reset()


def compiled(loss: LossFunction, machine: Machine) -> LossFunction:
    """The loss by torch.compile; the workload says whether that compiles."""
    return torch.compile(loss, dynamic=False, disable=not machine.work.compiles)


def unit_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """What the others are measured in."""
    return F.cross_entropy(logits, labels, ignore_index=IGNORED)


def copying(logits: Tensor) -> Callable[[], object]:
    """One read and one write of the logits: less than that no loss with a gradient can do."""
    out = torch.empty_like(logits)
    return lambda: out.copy_(logits)
