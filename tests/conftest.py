from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.command_server import CommandServer

PROJECT = Path(__file__).parents[1]


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
