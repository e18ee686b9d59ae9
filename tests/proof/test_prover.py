"""Proofs of whole configs, each in a process of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from provecfg.findings import Severity
from tests.training.small_cell import write_small_cell

pytestmark = [
    pytest.mark.stack,
    pytest.mark.slow,  # builds models
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked"),
]

pytest.importorskip("mmseg", reason="mmseg is not installed")

PSPNET = "pspnet_r50_bdd10k_focal.py"


@pytest.fixture
def write(tmp_path: Path, project: Path):
    """Write a config that inherits from a generated one."""

    def written(name: str, text: str, base: str = PSPNET) -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(f"_base_ = {str(project / 'generated' / base)!r}\n{text}")
        return path

    return written


def proofs(*paths: Path, **options: Any):
    from provecfg.proof.prover import ProofOptions, prove_configs

    return list(prove_configs(paths, ProofOptions(device="cpu", **options)))


def test_a_generated_config_is_proved_by_every_check_with_nothing_to_say(project: Path) -> None:
    (proof,) = proofs(project / "generated" / PSPNET)
    assert proof.findings == ()
    assert proof.is_proved
    sections = {timed.section.name: timed.section for timed in proof.sections}
    assert set(sections) == {
        "declared",
        "equation",
        "gradients",
        "clock",
        "early stopping",
        "data",
        "augmentation",
        "prediction",
        "forecast",
        "effect",
    }
    for name, section in sections.items():
        assert section.is_proved or name == "data", (name, section.not_judged)
    (equation,) = [line for line in sections["equation"].lines if line.startswith("total = ")]
    assert equation.count("+") == 3


def test_a_crash_and_what_does_not_load_are_their_own_and_the_others_are_proved(write, tmp_path: Path) -> None:
    (tmp_path / "prover_test_crash.py").write_text("import os\nos._exit(3)\n")
    crashing = write("crashing", "custom_imports = dict(imports=['prover_test_crash'], allow_failed_imports=False)\n")
    broken = write("broken", "raise SystemError('no')\n")
    sound = write("sound", "")
    outcome = proofs(crashing, broken, sound)
    assert [[finding.code for finding in proof.findings] for proof in outcome] == [["PROOF112"], ["PROOF110"], []]
    assert "exit code 3" in outcome[0].findings[0].message


@pytest.mark.parametrize("raised", ["SystemExit('not here')", "AssertionError('needs torch 1')"])
def test_what_a_module_of_the_config_raises_is_said_with_its_line(write, tmp_path: Path, raised: str) -> None:
    (tmp_path / "prover_test_refusing.py").write_text(f"import os\nraise {raised}\n")
    path = write("refusing", "custom_imports = dict(imports=['prover_test_refusing'], allow_failed_imports=False)\n")
    (proof,) = proofs(path)
    (finding,) = proof.findings
    assert (finding.code, finding.key) == ("PROOF110", "custom_imports")
    name, _, text = raised.removesuffix("')").partition("('")
    assert f"{name}: {text} (prover_test_refusing.py, line 2: `raise {raised}`)" in finding.message


def test_what_hangs_is_ended_in_time(write, tmp_path: Path) -> None:
    (tmp_path / "prover_test_hang.py").write_text("import time\ntime.sleep(600)\n")
    hanging = write("hanging", "custom_imports = dict(imports=['prover_test_hang'], allow_failed_imports=False)\n")
    (proof,) = proofs(hanging, seconds=2.0)
    assert [finding.code for finding in proof.findings] == ["PROOF113"]
    assert 2.0 <= proof.seconds < 10.0  # its own, not what it might have taken


def test_a_config_that_does_not_import_the_plugin_has_none_of_its_classes(write) -> None:
    (proof,) = proofs(write("bare", "custom_imports = dict(_delete_=True, imports=['mmseg'])\n"))
    assert not proof.is_proved
    assert any(
        "SoftmaxFocalLoss" in finding.message for finding in proof.findings if finding.severity is Severity.ERROR
    )


def test_a_module_of_the_users_that_imports_the_plugin_brings_its_classes(write, tmp_path: Path) -> None:
    (tmp_path / "prover_test_lane_plugins.py").write_text("import provecfg.plugin\n")
    imports = "custom_imports = dict(_delete_=True, imports=['prover_test_lane_plugins'])\n"
    (proof,) = proofs(write("own", imports))
    assert [finding.message for finding in proof.findings] == []
    assert proof.packages == ("prover_test_lane_plugins",)


def test_a_check_that_fails_by_itself_is_said_and_hides_no_other(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from provecfg.proof.clock import check as clock

    def fail(*_: object) -> None:
        raise ZeroDivisionError("of the test")

    monkeypatch.setattr(clock, "check", fail)
    (proof,) = proofs(project / "generated" / PSPNET)
    (outcome,) = proof.findings
    assert outcome.code == "PROOF111"
    assert "ZeroDivisionError: of the test" in outcome.message
    assert {timed.section.name for timed in proof.sections} >= {"equation", "early stopping", "forecast"}


def test_what_follows_from_an_optimizer_that_is_not_installed_is_folded_under_it(tmp_path: Path) -> None:
    path = write_small_cell(tmp_path / "lion.py")
    path.write_text(
        f"{path.read_text()}optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Lion', lr=1e-4))\n"
    )
    (proof,) = proofs(path)
    (cause,) = (finding for finding in proof.findings if finding.caused_by is None)
    assert (cause.code, cause.key, cause.message) == (
        "PROOF048",
        "optim_wrapper.optimizer.type",
        "no optimizer is registered as 'Lion'",
    )
    assert cause.hint == "mmengine registers it where the package 'lion_pytorch' is installed"
    consequences = [finding for finding in proof.findings if finding is not cause]
    assert consequences
    assert {finding.caused_by for finding in consequences} == {(cause.code, cause.key)}


def test_a_package_that_is_missing_is_one_finding_that_says_so(write) -> None:
    imports = "custom_imports = dict(imports=['no_such_package'], allow_failed_imports=False)\n"
    (proof,) = proofs(write("missing", f"{imports}model = dict(decode_head=dict(type='HeadOfTheirs'))\n"))
    (finding,) = proof.findings
    assert (finding.code, finding.key) == ("PROOF110", "custom_imports")
    assert "No module named 'no_such_package'" in finding.message
    assert finding.hint == "'no_such_package' has to be installed, on PYTHONPATH or beside the config"


def test_a_comment_silences_a_code_on_its_line(write) -> None:
    text = "custom_hook = [dict(type='EarlyStoppingHook')]"
    (loud,) = proofs(write("loud", f"{text}\n"))
    (code,) = {finding.code for finding in loud.findings}
    (silent,) = proofs(write("silent", f"{text}  # provecfg: ignore[{code}] kept for later\n"))
    assert silent.findings == ()


def test_nothing_is_left_in_the_folder_it_is_called_from(
    write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("tidy", "")
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    proofs(path)
    assert list(empty.iterdir()) == []
