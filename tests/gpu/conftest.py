"""What holds on a CUDA machine, and what it costs there: `make gpu`.

The tests marked `gpu` run where they are asked for (`-m gpu`), on the card that torch sees. With `PROVECFG_GPU_DRY`
naming a folder that is there they run in their dry form: on the CPU, small, with the host's clock; and they write into that
folder what they would write into docs/gpu.md.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

HERE = Path(__file__).parent
DRY_FOLDER = os.environ.get("PROVECFG_GPU_DRY")
CALLS_FILE = "calls.json"
"""In the dry form's folder: file and first line of every function of this folder that was called."""

if importlib.util.find_spec("mmseg") is None:
    collect_ignore_glob = ["*"]
else:
    with warnings.catch_warnings():
        # torch deprecates torch.jit.script, which torchvision's and mmdet's modules use when they are imported.
        warnings.simplefilter("ignore")
        import provecfg.plugin  # noqa: F401, I001  (first: upstream's mmseg needs what it installs)
        import mmseg.models  # noqa: F401

    from tests.gpu.figures import FOLDER, Figures, read_all
    from tests.gpu.machine import Machine, machine_for, missing_cuda
    from tests.gpu.page import PAGE, write_page

_FIGURES = pytest.StashKey["Figures"]()
_CALLS: set[tuple[str, int]] = set()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `gpu`, unless `-m` speaks of it."""
    if "gpu" in (config.option.markexpr or ""):
        return
    left_out = [item for item in items if item.get_closest_marker("gpu")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("gpu")]


@pytest.fixture(scope="session")
def machine() -> Machine:
    """The card, or the CPU in its place; a test without either is skipped."""
    missing = missing_cuda()
    if missing is not None and DRY_FOLDER is None:
        pytest.skip(missing)
    return machine_for(dry=DRY_FOLDER is not None)


@pytest.fixture(scope="session")
def figures(machine: Machine, pytestconfig: pytest.Config) -> Figures:
    """What is measured; written when the tests have ended."""
    return pytestconfig.stash.setdefault(_FIGURES, Figures(machine.identity()))


@pytest.fixture(autouse=True)
def _outcomes_are_counted(request: pytest.FixtureRequest) -> None:
    """Have the figures there from the first test on, so that outcomes are counted though nothing is measured."""
    if request.node.get_closest_marker("gpu"):
        request.getfixturevalue("figures")


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn data goes to a folder of the test run, which the tests share."""
    monkeypatch.setenv("PROVECFG_HOME", str(tmp_path_factory.getbasetemp() / "provecfg-home"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Count how the tests ended."""
    report: pytest.TestReport = yield
    figures = item.config.stash.get(_FIGURES, None)
    if figures is not None and item.get_closest_marker("gpu") and (report.when == "call" or not report.passed):
        name = getattr(item, "originalname", item.name).removeprefix("test_").replace("_", " ")
        reason = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
        figures.count(name, report.outcome, str(reason).removeprefix("Skipped: "))
    return report


def _note_call(frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
    if frame.f_code.co_filename.startswith(str(HERE)):
        _CALLS.add((Path(frame.f_code.co_filename).name, frame.f_code.co_firstlineno))
    return None  # its lines are of no interest


if DRY_FOLDER is not None:
    sys.settrace(_note_call)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the figures: those of a card to docs/gpu.md, a dry form's to its own folder."""
    figures = session.config.stash.get(_FIGURES, None)
    if figures is None:
        return
    if DRY_FOLDER is None:
        figures.write(FOLDER)
        write_page(PAGE, read_all())
        return
    folder = Path(DRY_FOLDER)
    page = Path(shutil.copy(PAGE, folder / PAGE.name))
    figures.write(folder / "figures")
    figures.write(folder / "figures")  # a second run on the same machine
    write_page(page, read_all(folder / "figures"))
    sys.settrace(None)
    (folder / CALLS_FILE).write_text(json.dumps(sorted(_CALLS)), encoding="utf-8")
