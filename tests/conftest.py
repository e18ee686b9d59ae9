from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import hypothesis
import pytest

from tests.command_server import CommandServer
from tests.engines.cluster import missing_for_slurm

# On a busy machine a process waits for its turn: time says nothing about the code.
hypothesis.settings.register_profile("provecfg", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("provecfg")

PROJECT = Path(__file__).parents[1]
GPU = "gpu"
"""Marker of the tests that cannot do without a GPU: they run with `--cuda`; without it no test sees one."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cuda", action="store_true", help="run tests/gpu on the CUDA card, not in its dry form")
    parser.addoption("--no-skips", action="store_true", help="fail where a test was skipped")
    parser.addoption("--exhaustive", action="store_true", help="also what a sample stands for in CI")


def pytest_configure(config: pytest.Config) -> None:
    if not config.option.cuda:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    if hasattr(config, "workerinput"):  # a worker of pytest-xdist: a core is all that it has
        os.environ["OMP_NUM_THREADS"] = "1"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    absent = [] if config.option.cuda else [GPU]
    if not config.option.exhaustive:
        absent.append("exhaustive")
    if os.geteuid() != 0:
        absent.append("root")
    if missing_for_slurm() is not None:
        absent.append("slurm")
    if shutil.which("chromium") is None:
        absent.append("browser")
    if find_spec("mlflow") is None or find_spec("wandb") is None:
        absent.append("trackers")
    left_out = [item for item in items if any(map(item.get_closest_marker, absent))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A skip fails the session where it may not be: the reasons are in the summary."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.option.no_skips and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = exitstatus or pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def project() -> Path:
    """The checkout's top folder."""
    return PROJECT


@pytest.fixture
def provecfg(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: (exit code, standard output, standard error)."""
    from provecfg.cli import run

    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return call


@pytest.fixture(scope="session")
def command_server() -> Iterator[CommandServer]:
    """Runs the command line in processes of their own, which need not import the stack."""
    server = CommandServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def command_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a command in a process of its own: this checkout's code, one cache of drawn data."""
    return {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "PYTHONWARNINGS": "ignore",
        "PROVECFG_HOME": str(tmp_path_factory.getbasetemp() / "provecfg-home"),
        "OMP_NUM_THREADS": "1",
    }
