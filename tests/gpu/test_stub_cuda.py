from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.gpu.machine import DRY, REAL, missing_cuda
from tests.gpu.stub_cuda import Event, StubCuda

pytestmark = pytest.mark.stack

STUBBED = sorted(name for name, value in vars(StubCuda).items() if inspect.isfunction(value) and name[0] != "_")


def required(function: Callable[..., Any]) -> list[str]:
    """The arguments that a call has to give, `self` aside."""
    parameters = inspect.signature(function).parameters.values()
    return [each.name for each in parameters if each.default is each.empty and each.name != "self"]


@pytest.mark.parametrize("name", STUBBED)
def test_torch_has_what_the_stub_has_and_takes_the_same(name: str) -> None:
    stub, real = getattr(StubCuda, name), getattr(torch.cuda, name)
    assert set(inspect.signature(stub).parameters) - {"self"} <= set(inspect.signature(real).parameters)
    assert required(stub) == required(real)


def test_torchs_event_has_what_the_stubs_has() -> None:
    for name in ("record", "elapsed_time"):
        stub, real = getattr(Event, name), getattr(torch.cuda.Event, name)
        assert set(inspect.signature(stub).parameters) == set(inspect.signature(real).parameters)


def test_the_real_workload_is_the_catalogs_at_its_own_size() -> None:
    from provecfg.catalog.models import MODELS

    assert set(REAL.models) == set(MODELS)
    assert REAL.crop == (512, 512)
    assert set(DRY.models) < set(REAL.models)


def test_a_card_that_torch_does_not_find_is_named_with_what_torch_says_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def finds_none() -> bool:
        warnings.warn("The NVIDIA driver on your system is too old", UserWarning, stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", finds_none)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert missing_cuda() == (
        f"needs a CUDA device: torch {torch.__version__} finds none: The NVIDIA driver on your system is too old"
    )
    monkeypatch.setattr(torch.version, "cuda", None)
    assert missing_cuda() == f"needs CUDA: torch {torch.__version__} is built without it"
