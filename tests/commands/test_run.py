"""`provecfg run` as it is typed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from provecfg.training.record import read_record

pytestmark = pytest.mark.stack

PSPNET = "pspnet_r50_bdd10k_ce"


@pytest.fixture
def config(project: Path, tmp_path: Path) -> Path:
    """A copy of a generated config, in a folder of its own that is stood in."""
    return Path(shutil.copy(project / "generated" / f"{PSPNET}.py", tmp_path / f"{PSPNET}.py"))


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.getbasetemp() / "provecfg-home"
    return {**os.environ, "PROVECFG_HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


@pytest.fixture
def start(config: Path, environment: dict[str, str]) -> Callable[..., subprocess.Popen[str]]:
    """Start `provecfg run` as a process of its own in the config's folder."""

    def started(*words: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "provecfg", "run", config.name, "--device", "cpu", *map(str, words)],
            cwd=config.parent,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return started


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"ended before it said {text!r}")


def test_help_needs_no_stack(environment: dict[str, str]) -> None:
    blocked = "import sys; sys.modules.update(dict.fromkeys(['torch', 'numpy', 'mmengine', 'mmseg', 'rich']))\n"
    script = f"{blocked}from provecfg.cli import main; main(['run', '--help'])"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for option in ("--smoke", "--data-root", "--device", "--no-resume", "--trust-checkpoint", "--fail-fast"):
        assert option in done.stdout


def test_without_the_stack_the_extra_is_named(environment: dict[str, str], config: Path) -> None:
    script = f"import sys; sys.modules['mmseg'] = None\nfrom provecfg.cli import main; main(['run', {str(config)!r}])"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "training needs mmseg: pip install 'provecfg[train]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_config_that_does_not_exist_is_wrong_usage(provecfg: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = provecfg("run", "no_such.py")
    assert (code, out) == (2, "")
    assert "no_such.py does not exist" in err


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
def test_everything_that_is_missing_is_said_at_once(start: Callable[..., subprocess.Popen[str]], config: Path) -> None:
    code, out, err = finished(start("--cfg-options", "model.backbone.init_cfg.checkpoint=no/such.pth"))
    assert (code, out) == (1, "")
    assert err.count("RUN101") == 2  # the training and the validation data
    assert "RUN121" in err
    assert "Traceback" not in err
    assert not (config.parent / "work_dirs").exists()


@pytest.mark.slow
def test_a_dry_run_says_what_would_run_and_writes_nothing(
    start: Callable[..., subprocess.Popen[str]], config: Path
) -> None:
    code, out, _ = finished(start("--smoke", "--dry-run"))
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
def test_a_smoke_run_says_how_it_went(start: Callable[..., subprocess.Popen[str]], config: Path) -> None:
    code, out, err = finished(start("--smoke"))
    assert (code, out) == (0, "")
    lines = err.splitlines()
    assert all(line.startswith(PSPNET) for line in lines), err
    assert "iter 1/4  loss " in lines[0]
    assert f"{PSPNET}: finished at iteration 4 of 4" in lines[-1]


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_writes_a_checkpoint_and_the_same_command_goes_on(
    start: Callable[..., subprocess.Popen[str]], config: Path, signum: signal.Signals
) -> None:
    words = ("--smoke", "--work-dir", "run")
    process = start(*words)
    wait_for(process, "iter 1/4")
    process.send_signal(signum)
    code, _, err = finished(process)
    assert code == 130, err
    assert f"{PSPNET}: interrupted at iteration" in err
    work_dir = config.parent / "run"
    assert list(work_dir.glob("iter_*.pth"))

    code, _, err = finished(start(*words))
    assert code == 0, err
    record = read_record(work_dir)
    assert record is not None
    assert [attempt.state for attempt in record.attempts] == ["interrupted", "finished"]
    assert record.attempts[1].first_iter == record.attempts[0].last_iter
    assert record.attempts[1].last_iter == 4


@pytest.mark.slow
def test_two_processes_train_together_and_stop_together(
    start: Callable[..., subprocess.Popen[str]], config: Path
) -> None:
    words = ("--smoke", "--gpus", 2, "--work-dir", "run")
    process = start(*words)
    wait_for(process, "iter 1/4")
    process.send_signal(signal.SIGTERM)
    code, _, err = finished(process)
    assert code == 130, err

    code, _, err = finished(start(*words))
    assert code == 0, err
    record = read_record(config.parent / "run")
    assert record is not None
    assert [(attempt.state, attempt.processes) for attempt in record.attempts] == [("interrupted", 2), ("finished", 2)]
    assert record.attempts[1].last_iter == 4


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_from_its_last_checkpoint(
    start: Callable[..., subprocess.Popen[str]], config: Path
) -> None:
    words = ("--smoke", "--work-dir", "run")
    process = start(*words)
    wait_for(process, "val/mIoU")
    process.kill()
    process.communicate()
    code, _, err = finished(start(*words))
    assert code == 0, err
    record = read_record(config.parent / "run")
    assert record is not None
    assert [(attempt.state, attempt.first_iter) for attempt in record.attempts] == [("running", 0), ("finished", 2)]


def test_several_configs_are_all_tried_unless_told_to_stop_at_the_first_failure(
    start: Callable[..., subprocess.Popen[str]], config: Path
) -> None:
    names = [PSPNET, "second", "third"]
    for name in names[1:]:
        shutil.copy(config, config.parent / f"{name}.py")
    broken = "train_dataloader.dataset.type=ADE20KDataset"  # 150 classes, and heads for 19
    code, _, err = finished(start("second.py", "third.py", "--cfg-options", broken))
    assert code == 1
    assert [name for name in names if f"{name}: not trained" in err] == names
    assert f"3 of 3 failed: {', '.join(names)}" in err
    code, _, err = finished(start("second.py", "third.py", "--fail-fast", "--cfg-options", broken))
    assert code == 1
    assert [name for name in names if f"{name}: not trained" in err] == names[:1]
