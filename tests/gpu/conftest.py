"""What holds on a CUDA card and what it costs there: `make gpu`, which is `pytest tests/gpu --cuda`.

Without `--cuda` the same tests run in their dry form: on the CPU, small, with a stand-in for `torch.cuda`. It keeps
them from rotting, and measures nothing.
"""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import pytest

from tests.gpu.figures import Figures, write_figures

PAGE = Path(__file__).parents[2] / "docs" / "gpu.md"

if importlib.util.find_spec("mmseg") is None:
    collect_ignore_glob = ["*"]
else:
    with warnings.catch_warnings():
        # torch deprecates torch.jit.script, which torchvision's and mmdet's modules use when they are imported.
        warnings.simplefilter("ignore")
        import provecfg.plugin  # noqa: F401, I001  (first: upstream's mmseg needs what it installs)
        import mmseg.models  # noqa: F401
        import torch

    from tests.gpu.machine import DRY, REAL, Machine, dry_machine, gpu_machine, missing_cuda

_FIGURES = pytest.StashKey[Figures]()


@pytest.fixture(scope="session")
def machine(pytestconfig: pytest.Config) -> Machine:
    """The card, or without `--cuda` the CPU in its place; where there is no card the tests are skipped."""
    if not pytestconfig.option.cuda:
        torch.set_num_threads(1)  # at these sizes threads cost more than they bring
        return dry_machine()
    if (missing := missing_cuda()) is not None:
        pytest.skip(missing)
    return gpu_machine()


@pytest.fixture(scope="session")
def figures(machine: Machine, pytestconfig: pytest.Config) -> Figures:
    """What is measured."""
    return pytestconfig.stash.setdefault(_FIGURES, Figures(machine.identity()))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each model, without and with mixed precision: as many as the workload has."""
    work = REAL if metafunc.config.option.cuda else DRY
    if "model" in metafunc.fixturenames:
        metafunc.parametrize("model", work.models)
    if "amp" in metafunc.fixturenames:
        metafunc.parametrize("amp", work.amp, ids=["AMP" if amp else "full precision" for amp in work.amp])


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn data goes to a folder of the test run, which the tests share."""
    monkeypatch.setenv("PROVECFG_HOME", str(tmp_path_factory.getbasetemp() / "provecfg-home"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what a card measured to docs/gpu.md, with how many tests ended how."""
    figures = session.config.stash.get(_FIGURES, None)
    if figures is None or not session.config.option.cuda:
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    stats = reporter.stats if reporter is not None else {}
    figures.outcome = ", ".join(f"{len(stats.get(end, []))} {end}" for end in ("passed", "failed", "skipped"))
    write_figures(PAGE, figures)
