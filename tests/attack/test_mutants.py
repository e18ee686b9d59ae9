"""Configs of mmseg and studies of ours with something changed in them: no command breaks on them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from tests.attack.bounds import MAX_SECONDS, Outcome, Ran, measured, run_command
from tests.attack.mutants import STUDIES, Mutator, fault_of_config, fault_of_fixes, fault_of_study, lay_out_zoo

COMMANDS_OF_A_MUTANT = 16
"""A mutant is given to so many commands, each of which has a second."""


def zoo() -> Path:
    spec = importlib.util.find_spec("mmseg")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / ".mim" / "configs"


def fault_of_config_mutant(seed: int, folder: Path, slack: float = 1.0) -> str | None:
    """What is wrong with the mutant of a seed; `folder` is laid out by `lay_out_zoo`."""
    originals = sorted(path for path in folder.glob("*/*.py") if path.is_symlink() and path.parent.name != "_base_")
    original = originals[seed % len(originals)]
    mutant = original.with_name(f"mutant{seed}.py")
    text = Mutator(seed).config(original.read_text(encoding="utf-8"))
    mutant.write_text(text, encoding="utf-8", newline="")
    outcome = measured(lambda: fault_of_config(mutant, original), folder)
    mutant.unlink()
    return _said(outcome, folder, slack)


def fault_of_study_mutant(seed: int, folder: Path, slack: float = 1.0) -> str | None:
    """What is wrong with the mutant of a seed of one of `STUDIES`."""
    path = folder / f"study{seed}.yaml"
    path.write_text(Mutator(seed).study(STUDIES[seed % len(STUDIES)]), encoding="utf-8", newline="")
    outcome = measured(lambda: fault_of_study(path), folder)
    path.unlink()
    return _said(outcome, folder, slack)


def _said(outcome: Outcome, folder: Path, slack: float = 1.0) -> str | None:
    if outcome.raised or outcome.executed:
        return outcome.fault()
    if outcome.seconds > MAX_SECONDS * COMMANDS_OF_A_MUTANT * slack:
        return f"it took {outcome.seconds:.1f} s"
    if list(folder.rglob("pwned")):
        return "it was executed"
    return outcome.result or None


@pytest.mark.stack
@pytest.mark.parametrize("first", [0, pytest.param(40, marks=pytest.mark.slow)])
def test_changed_configs_of_mmseg_break_no_command(first: int, tmp_path: Path) -> None:
    lay_out_zoo(zoo(), tmp_path)
    # Steps through the families: neighbours in the list are alike.
    faults = {seed: fault_of_config_mutant(seed, tmp_path) for seed in range(first * 17, (first + 40) * 17, 17 * 2)}
    assert not {seed: fault for seed, fault in faults.items() if fault}


@pytest.mark.parametrize("first", [0, pytest.param(30, marks=pytest.mark.slow)])
def test_changed_studies_break_no_command(first: int, tmp_path: Path) -> None:
    faults = {seed: fault_of_study_mutant(seed, tmp_path) for seed in range(first, first + 30)}
    assert not {seed: fault for seed, fault in faults.items() if fault}


def test_a_fault_would_be_seen(tmp_path: Path) -> None:
    def broken() -> None:
        raise ValueError("a fault")

    def executing() -> None:
        (tmp_path.parent / "pwned").touch()

    assert "a fault" in str(_said(measured(broken, tmp_path), tmp_path))
    assert "pwned" in str(_said(measured(executing, tmp_path), tmp_path))
    (tmp_path / "pwned").touch()
    assert _said(measured(lambda: None, tmp_path), tmp_path) == "it was executed"


def test_a_fix_that_changes_what_is_not_its_own_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.py"
    config.write_text("model = dict(type='EncoderDecoder')\nnorm = 1\n")

    def fix_badly(*arguments: str) -> Ran:
        if "--fix" in arguments:
            config.write_text("model = dict(type='EncoderDecoder')\nnorm = 2\n")
        return run_command(*arguments)

    monkeypatch.setattr("tests.attack.mutants.run_command", fix_badly)
    assert fault_of_fixes(config) == "validate --fix, which mends []: norm was 1, is 2"


def test_a_safe_fix_is_made_and_holds(tmp_path: Path) -> None:
    config = tmp_path / "config.py"
    config.write_text("model = dict(type='EncoderDecoder', backbone=dict(type='ResNetV1c', dept=50))\n")
    assert fault_of_fixes(config) is None
    assert "depth=50" in config.read_text()


@pytest.mark.parametrize("name", ["deeplabv3plus_r50_bdd10k_boundary", "pspnet_r50_bdd10k_lovasz"])
def test_classes_whose_import_was_deleted_are_not_renamed(name: str, project: Path, tmp_path: Path) -> None:
    text = (project / "generated" / f"{name}.py").read_text()
    config = tmp_path / "config.py"
    config.write_text("".join(line for line in text.splitlines(True) if not line.startswith("custom_imports")))
    assert config.read_text() != text
    before = config.read_text()
    assert fault_of_fixes(config) is None
    assert config.read_text() == before


@pytest.mark.parametrize(
    "text",
    [
        # a guess of the class would take its arguments away in the next pass
        "model = dict(type='EncoderDecoder', decode_head=dict(type='FCHead', in_channels=8, num_convs=2))\n",
        "optim_wrapper = dict(type='OptimWraper', optimizer=dict(type='SGD', lr=0.1), paramwise_cfg=dict(bypass=1))\n",
        "optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='OptimWrapper', paramwise_cfg=dict()))\n",
    ],
)
def test_a_wrong_class_loses_none_of_its_arguments(text: str, tmp_path: Path) -> None:
    config = tmp_path / "config.py"
    config.write_text(text)
    assert fault_of_fixes(config) is None
    assert set(re.findall(r"\w+(?==)", text)) == set(re.findall(r"\w+(?==)", config.read_text()))
