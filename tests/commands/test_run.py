"""`provecfg run` as it is typed, in a process of its own."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from provecfg.training.record import read_record
from tests.command_server import CommandServer, RunningCommand

pytestmark = pytest.mark.stack

Start = Callable[..., RunningCommand]

PSPNET = "pspnet_r50_bdd10k_ce"
THINNER = {
    "depth=50,": "depth=50, base_channels=4,",
    "in_channels=2048,": "in_channels=128,",
    "in_channels=1024,": "in_channels=64,",
    " channels=512,": " channels=16,",
    " channels=256,": " channels=16,",
}
"""A sixteenth of the channels: what is said here of a run holds of any model, and this one trains in a second."""


@pytest.fixture
def config(project: Path, tmp_path: Path) -> Path:
    """A generated config with fewer channels, in a folder of its own that is stood in."""
    text = (project / "generated" / f"{PSPNET}.py").read_text()
    for wide, thin in THINNER.items():
        assert text.count(wide) == 1
        text = text.replace(wide, thin)
    path = tmp_path / f"{PSPNET}.py"
    path.write_text(text)
    return path


@pytest.fixture
def start(config: Path, command_server: CommandServer, command_environment: dict[str, str]) -> Start:
    """Start `provecfg run` in the config's folder."""
    run = ("run", config.name, "--device", "cpu")
    return lambda *words: command_server.start((*run, *words), config.parent, command_environment)


def test_help_needs_no_stack(command_environment: dict[str, str]) -> None:
    blocked = "import sys; sys.modules.update(dict.fromkeys(['torch', 'numpy', 'mmengine', 'mmseg', 'rich']))\n"
    script = f"{blocked}from provecfg.cli import main; main(['run', '--help'])"
    done = subprocess.run([sys.executable, "-c", script], env=command_environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for option in ("--smoke", "--data-root", "--device", "--no-resume", "--trust-checkpoint", "--fail-fast"):
        assert option in done.stdout


def test_without_the_stack_the_extra_is_named(command_environment: dict[str, str], config: Path) -> None:
    script = f"import sys; sys.modules['mmseg'] = None\nfrom provecfg.cli import main; main(['run', {str(config)!r}])"
    done = subprocess.run([sys.executable, "-c", script], env=command_environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "training needs mmseg: pip install 'provecfg[train]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_config_that_does_not_exist_is_wrong_usage(provecfg: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = provecfg("run", "no_such.py")
    assert (code, out) == (2, "")
    assert "no_such.py does not exist" in err


@pytest.mark.parametrize(("command", "verb"), [("run", "train"), ("eval", "evaluate")])
def test_a_study_is_told_from_what_is_made_of_it(
    provecfg: Callable[..., tuple[int, str, str]], tmp_path: Path, command: str, verb: str
) -> None:
    study = tmp_path / "study.yaml"
    study.write_text("name: x\nmodels: [pspnet_r50]\n")
    code, out, err = provecfg(command, study)
    assert (code, out) == (2, "")
    assert f"{study} is a study" in err
    assert f"provecfg generate {study}, then {verb} what that writes" in err


@pytest.mark.parametrize("words", [["--device", "tpu"], ["--gpus", "0"], ["--max-iters", "0"], ["--cfg-options", "a"]])
def test_wrong_options_are_wrong_usage(
    provecfg: Callable[..., tuple[int, str, str]], config: Path, words: list
) -> None:
    code, _, err = provecfg("run", config, *words)
    assert code == 2
    assert words[0] in err


def test_what_validation_finds_stops_the_run(provecfg: Callable[..., tuple[int, str, str]], config: Path) -> None:
    config.write_text(config.read_text().replace("dict(type='CrossEntropyLoss'", "dict(type='CrossEntropyLos'", 1))
    code, out, err = provecfg("run", config, "--smoke")
    assert (code, out) == (1, "")
    assert "CrossEntropyLos" in err
    assert "not trained" in err


@pytest.mark.slow
def test_everything_that_is_missing_is_said_at_once(start: Start, config: Path) -> None:
    code, out, err = start("--cfg-options", "model.backbone.init_cfg.checkpoint=no/such.pth").finished()
    assert (code, out) == (1, "")
    assert err.count("RUN101") == 2  # the training and the validation data
    assert "RUN121" in err
    assert "Traceback" not in err
    assert not (config.parent / "work_dirs").exists()


@pytest.mark.slow
def test_a_dry_run_builds_what_it_can(start: Start, config: Path) -> None:
    (config.parent / "dry_run_backbones.py").write_text(
        "from mmseg.models import ResNetV1c\n"
        "from mmseg.registry import MODELS\n\n\n"
        "@MODELS.register_module()\n"
        "class RefusingResNet(ResNetV1c):\n"
        "    def __init__(self, **kwargs):\n"
        "        raise ValueError('not today')\n"
    )
    text = config.read_text()
    imports = "imports=['dry_run_backbones', "
    assert text.count("imports=[") == text.count("'ResNetV1c'") == 1
    config.write_text(text.replace("imports=[", imports).replace("'ResNetV1c'", "'RefusingResNet'"))
    code, _, err = start("--smoke", "--dry-run").finished()
    assert code == 1
    assert "PROOF001 RefusingResNet cannot be built: ValueError: not today" in err


@pytest.mark.slow
def test_a_dry_run_says_what_would_run_and_writes_nothing(start: Start, config: Path) -> None:
    code, out, _ = start("--smoke", "--dry-run").finished()
    assert code == 0
    assert out.splitlines()[:5] == [
        PSPNET,
        "  loss      total = 1 CE[decode] + 0.4 CE[auxiliary]",
        "  length    4 iterations, validation every 2",
        "  batch     2 x 1 on cpu",
        out.splitlines()[4],
    ]
    assert f"  work dir  work_dirs/smoke/{PSPNET}" in out
    assert not (config.parent / "work_dirs").exists()


@pytest.mark.slow
def test_a_smoke_run_in_a_fresh_process_says_how_it_went(config: Path, command_environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "provecfg", "run", config.name, "--device", "cpu", "--smoke"]
    done = subprocess.run(command, cwd=config.parent, env=command_environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    lines = done.stderr.splitlines()
    assert all(line.startswith(PSPNET) for line in lines), done.stderr
    assert "iter 1/4  loss " in lines[0]
    assert f"{PSPNET}: finished at iteration 4 of 4" in lines[-1]


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_writes_a_checkpoint_and_the_same_command_goes_on(
    start: Start, config: Path, signum: signal.Signals
) -> None:
    words = ("--smoke", "--work-dir", "run")
    command = start(*words)
    command.wait_for("iter 1/4")
    command.send_signal(signum)
    code, _, err = command.finished()
    assert code == 130, err
    assert f"{PSPNET}: interrupted at iteration" in err
    work_dir = config.parent / "run"
    assert list(work_dir.glob("iter_*.pth"))

    code, _, err = start(*words).finished()
    assert code == 0, err
    record = read_record(work_dir)
    assert record is not None
    assert [attempt.state for attempt in record.attempts] == ["interrupted", "finished"]
    assert record.attempts[1].first_iter == record.attempts[0].last_iter
    assert record.attempts[1].last_iter == 4


@pytest.mark.slow
def test_two_processes_train_together_and_stop_together(start: Start, config: Path) -> None:
    words = ("--smoke", "--gpus", 2, "--work-dir", "run")
    command = start(*words)
    command.wait_for("iter 1/4")
    command.send_signal(signal.SIGTERM)
    code, _, err = command.finished()
    assert code == 130, err

    code, _, err = start(*words).finished()
    assert code == 0, err
    record = read_record(config.parent / "run")
    assert record is not None
    assert [(attempt.state, attempt.processes) for attempt in record.attempts] == [("interrupted", 2), ("finished", 2)]
    assert record.attempts[1].last_iter == 4


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_from_its_last_checkpoint(start: Start, config: Path) -> None:
    words = ("--smoke", "--work-dir", "run")
    command = start(*words)
    command.wait_for("val/mIoU")
    command.send_signal(signal.SIGKILL)
    assert command.finished()[0] == -signal.SIGKILL
    code, _, err = start(*words).finished()
    assert code == 0, err
    record = read_record(config.parent / "run")
    assert record is not None
    assert [(attempt.state, attempt.first_iter) for attempt in record.attempts] == [("lost", 0), ("finished", 2)]


def test_several_configs_are_all_tried_unless_told_to_stop_at_the_first_failure(start: Start, config: Path) -> None:
    names = [PSPNET, "second", "third"]
    for name in names[1:]:
        shutil.copy(config, config.parent / f"{name}.py")
    broken = "train_dataloader.dataset.type=ADE20KDataset"  # 150 classes, and heads for 19
    code, _, err = start("second.py", "third.py", "--cfg-options", broken).finished()
    assert code == 1
    assert [name for name in names if f"{name}: not trained" in err] == names
    assert f"3 of 3 failed: {', '.join(names)}" in err
    code, _, err = start("second.py", "third.py", "--fail-fast", "--cfg-options", broken).finished()
    assert code == 1
    assert [name for name in names if f"{name}: not trained" in err] == names[:1]
