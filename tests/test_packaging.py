"""The wheel and the sdist: what is in them, and that an installed provecfg works with what it declares and no more."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import grimp
import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.slow  # builds, and makes an environment

STACK = ("torch", "mmengine", "mmcv", "mmseg", "mmdet", "numpy")
ENTRY_POINTS = (
    "provecfg.__main__",
    "provecfg.api",
    "provecfg.registry.snapshot",
    "provecfg.training.torchrun",
    "provecfg.training.worker",
    "provecfg.plugin",
)
FOUND_BY_NAME = re.compile(
    r"provecfg\.(commands|engines|findings\.reporters|rules\.\w+|plugin\.losses)\.\w+|provecfg\.(\w+\.)+(check|problems)"
)
"""Imported by a name put together: each command's, output format's, rule's and loss's module, and of each room
its check and its codes."""


def build(project: Path, target: str, folder: Path) -> Path:
    """Build the wheel or the sdist of a checkout; the file."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(project, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    """The files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_holds_the_package_its_data_and_the_templates(project: Path, names: list[str]) -> None:
    package = {
        path.relative_to(project).as_posix()
        for path in (project / "provecfg").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    templates = {
        f"provecfg/_{path.relative_to(project).as_posix()}"
        for path in (project / "templates").rglob("*")
        if path.is_file() and path.relative_to(project).parts[1] != "docs"
    }
    assert {name for name in names if ".dist-info/" not in name} == package | templates
    assert {f"provecfg/registry/data/{name}.json" for name in ("onedl", "openmmlab", "plugin")} <= package
    assert {"provecfg/_templates/config.py.j2", "provecfg/_templates/report/page.html.j2"} <= templates
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_no_file_is_in_the_wheel_twice(wheel: Path, names: list[str]) -> None:
    assert len(names) == len(set(names))
    with zipfile.ZipFile(wheel) as archive:
        contents = [content for name in names if len(content := archive.read(name)) > 200]
    assert len(contents) == len(set(contents))


def test_every_module_of_the_wheel_is_reached_from_a_command_or_a_config() -> None:
    """What only a developer runs is in `docs/generate/`."""
    graph = grimp.build_graph("provecfg", cache_dir=None)
    waiting = [module for module in graph.modules if FOUND_BY_NAME.fullmatch(module) or module in ENTRY_POINTS]
    reached: set[str] = set()
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += [*graph.find_modules_directly_imported_by(module), module.rpartition(".")[0] or module]
    assert graph.modules - reached == set()


def test_the_sdist_builds_the_same_wheel(project: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(build(project, "sdist", tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.glob("provecfg-*")
    rebuilt = build(unpacked, "wheel", tmp_path / "wheel")
    with zipfile.ZipFile(wheel) as ours, zipfile.ZipFile(rebuilt) as theirs:
        assert {info.filename: info.CRC for info in ours.infolist()} == {
            info.filename: info.CRC for info in theirs.infolist()
        }


def declared_distributions() -> set[str]:
    """provecfg's dependencies and theirs, extras left out, by name."""
    distributions: set[str] = set()
    waiting = [Requirement(text) for text in importlib.metadata.requires("provecfg") or ()]
    while waiting:
        requirement = waiting.pop()
        if requirement.name not in distributions and (
            not requirement.marker or requirement.marker.evaluate({"extra": ""})
        ):
            distributions.add(requirement.name)
            waiting += [Requirement(text) for text in importlib.metadata.requires(requirement.name) or ()]
    return distributions


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel in it, and of other packages exactly those that it declares; its `bin`.

    Those are copied from the environment of the tests, which needs no network; pip checks that no more is asked for.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in declared_distributions():
        for file in importlib.metadata.files(name) or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                target = packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), target)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True)
    return folder / "bin"


Installed = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Installed:
    """Run the installed command in an empty folder, out of sight of the checkout."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}

    def call(program: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [str(installed / program), *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    return call


def test_it_is_installed_without_the_stack_and_outside_the_checkout(run: Installed, project: Path) -> None:
    program = f"from importlib.util import find_spec\nfor name in ('provecfg', *{STACK!r}): print(find_spec(name))"
    done = run("python", "-c", program)
    assert done.stderr == ""
    own, *stack = done.stdout.splitlines()
    assert "site-packages" in own
    assert str(project) not in own
    assert stack == ["None"] * len(STACK)


def test_an_installed_provecfg_writes_the_loss_study_and_finds_nothing_wrong_with_it(
    run: Installed, project: Path, tmp_path: Path
) -> None:
    done = run("provecfg", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split()[-1] == importlib.metadata.version("provecfg")

    assert (done := run("provecfg", "generate", "--all")).returncode == 0, done.stderr
    written = {path.name: path.read_text() for path in (tmp_path / "generated").iterdir()}
    assert written == {path.name: path.read_text() for path in (project / "generated").iterdir()}

    assert (done := run("provecfg", "validate", "configs", "--strict")).returncode == 0, done.stdout + done.stderr


def test_an_installed_provecfg_names_the_extra_that_training_needs(run: Installed) -> None:
    run("provecfg", "generate", "--all")
    done = run("provecfg", "run", "generated/pspnet_r50_bdd10k_ce.py")
    assert done.returncode == 2
    assert "pip install 'provecfg[train]'" in done.stderr
    assert "Traceback" not in done.stderr
