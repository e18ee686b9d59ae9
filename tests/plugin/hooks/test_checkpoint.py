"""Checkpoints of real runs: what torch's safe loading says of them, and what is on disk at any moment."""

from __future__ import annotations

import inspect
import logging
import os
import signal
import subprocess
from collections import deque
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import HistoryBuffer

from provecfg.checksums import ChecksumError, verify_checksum
from provecfg.plugin.hooks import PlainCheckpointHook
from provecfg.plugin.hooks.atomic_backend import AtomicLocalBackend

pytestmark = pytest.mark.stack

RISING = [10.0, 20.0, 30.0, 40.0, 50.0]


class OddState(Hook):
    """Fills the message hub and the checkpoint with what safe loading refuses."""

    def before_train(self, runner):
        runner.message_hub.update_info("odd", {"score": np.float64(0.5), "palette": np.arange(3), "path": Path("a")})
        runner.message_hub.update_info("queue", deque([1]))

    def before_save_checkpoint(self, runner, checkpoint):
        checkpoint["meta"]["palette"] = np.arange(3)


def kill_process(*_) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def safely_loaded(path: Path) -> dict:
    with torch.serialization.safe_globals([]):
        assert torch.serialization.get_unsafe_globals_in_checkpoint(path) == []
        return torch.load(path, weights_only=True)


def assert_everything_on_disk_is_whole(run) -> None:
    for path in run.work_dir.glob("*.pth"):
        safely_loaded(path)
        verify_checksum(path)
    assert Path((run.work_dir / "last_checkpoint").read_text()).is_file()


def test_safe_loading_takes_every_file_with_no_allow_list(toy_run):
    run = toy_run(scores=RISING, max_iters=4)
    run.extra_hooks = [OddState()]
    run.train()
    assert run.files() == ["best_val_mIoU_iter_4.pth", "iter_2.pth", "iter_4.pth", "last_checkpoint"]
    assert_everything_on_disk_is_whole(run)
    assert all(verify_checksum(path) for path in run.work_dir.glob("*.pth"))


def test_resuming_restores_what_was_made_plain(toy_run):
    run = toy_run(scores=RISING, max_iters=4)
    run.extra_hooks = [OddState()]
    before = run.train().message_hub.get_scalar("train/loss").data
    run.max_iters, run.extra_hooks = 8, []
    runner = run.train(resume=True)
    history = runner.message_hub.get_scalar("train/loss")
    assert isinstance(history, HistoryBuffer)
    np.testing.assert_array_equal(history.data[0][:4], before[0])
    assert len(history.data[0]) == 8
    odd = runner.message_hub.get_info("odd")
    assert odd["score"] == 0.5
    np.testing.assert_array_equal(odd["palette"], np.arange(3))


def test_a_resumed_run_ends_with_the_weights_of_one_in_a_piece(toy_run, at):
    whole = toy_run("whole", scores=RISING, max_iters=8)
    cut = toy_run("cut", scores=RISING, max_iters=8)
    cut.extra_hooks = [at("after_train_iter", 5, kill_process, priority="LOWEST")]
    assert cut.train_in_child() == -signal.SIGKILL
    cut.extra_hooks = []
    resumed, straight = cut.train(resume=True), whole.train()
    for name, value in straight.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name
    assert resumed.optim_wrapper.get_lr() == straight.optim_wrapper.get_lr()
    assert cut.files() == whole.files()


def test_what_cannot_be_plain_is_left_out_of_the_message_hub_and_said_once(toy_run, caplog):
    run = toy_run(scores=RISING, max_iters=4)
    run.extra_hooks = [OddState()]
    run.overrides = {"log_level": "WARNING"}
    runner = run.runner()
    runner.logger.addHandler(caplog.handler)
    with caplog.at_level(logging.WARNING):
        runner.train()
    messages = [record.getMessage() for record in caplog.records if "plain data" in record.getMessage()]
    assert messages == ["message_hub.runtime_info.queue is a collections.deque, which is not plain data: not saved"]
    assert "queue" not in safely_loaded(run.work_dir / "iter_4.pth")["message_hub"]["runtime_info"]


def test_only_the_newest_are_kept_and_the_best_one(toy_run):
    run = toy_run(scores=[10.0, 40.0, 30.0, 20.0, 10.0], max_iters=10)
    run.checkpoint = {"max_keep_ckpts": 2}
    run.train()
    assert run.files() == ["best_val_mIoU_iter_4.pth", "iter_10.pth", "iter_8.pth", "last_checkpoint"]


def test_rule_less_keeps_the_lowest(toy_run):
    run = toy_run(scores=[10.0, 40.0, 5.0, 20.0], max_iters=8)
    run.checkpoint = {"rule": "less"}
    run.train()
    assert "best_val_mIoU_iter_6.pth" in run.files()


# The calls of os.replace in a run that keeps one checkpoint and finds a new best in each of two validations, in order.
REPLACEMENTS = [
    *("iter_2.pth", "last_checkpoint", "best_val_mIoU_iter_2.pth", "iter_2.pth", "last_checkpoint"),
    *("iter_4.pth", "last_checkpoint", "best_val_mIoU_iter_4.pth", "iter_4.pth", "last_checkpoint"),
]


@pytest.mark.parametrize("number", range(len(REPLACEMENTS)))
def test_killed_before_any_rename_it_leaves_whole_files_and_resumes(toy_run, monkeypatch, number):
    run = toy_run(scores=RISING, max_iters=4)
    run.checkpoint = {"max_keep_ckpts": 1}
    replace, done = os.replace, []

    def kill_or_replace(source, target):
        assert Path(target).name == REPLACEMENTS[len(done)]
        if len(done) == number:
            kill_process()
        done.append(target)
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", kill_or_replace)
        assert run.train_in_child() == -signal.SIGKILL

    left = run.files()
    assert [name for name in left if name.endswith(".partial")] == [REPLACEMENTS[number] + ".partial"]
    if "last_checkpoint" in left:
        assert_everything_on_disk_is_whole(run)
        # The one before is removed only when this one is there.
        assert {"iter_2.pth", "iter_4.pth"} & set(left)
    run.train(resume=True)
    assert run.files() == ["best_val_mIoU_iter_4.pth", "iter_4.pth", "last_checkpoint"]


def test_killed_before_it_removes_the_old_ones_it_removes_them_on_resume(toy_run, monkeypatch):
    run = toy_run(scores=[10.0, 9.0, 8.0, 7.0], max_iters=8, patience=9)
    run.checkpoint = {"max_keep_ckpts": 1}
    with monkeypatch.context() as patch:
        patch.setattr(AtomicLocalBackend, "remove", kill_process)
        assert run.train_in_child() == -signal.SIGKILL
    assert run.files() == ["best_val_mIoU_iter_2.pth", "iter_2.pth", "iter_4.pth", "last_checkpoint"]
    run.train(resume=True)
    assert run.files() == ["best_val_mIoU_iter_2.pth", "iter_8.pth", "last_checkpoint"]


def test_a_run_that_goes_on_from_another_ones_checkpoint_leaves_its_files_alone(toy_run):
    first = toy_run("first", scores=RISING, max_iters=4)
    first.train()
    files = first.files()
    second = toy_run("second", scores=RISING, max_iters=8)
    second.train(resume=True, load_from=str(first.work_dir / "iter_4.pth"))
    assert first.files() == files
    assert second.files() == ["best_val_mIoU_iter_8.pth", "iter_6.pth", "iter_8.pth", "last_checkpoint"]


def test_the_best_checkpoint_of_a_moved_folder_is_known_by_its_place_in_the_new_one(toy_run, tmp_path):
    run = toy_run(scores=[30.0, 20.0, 10.0], max_iters=4, patience=9)
    run.train()
    run.work_dir = run.work_dir.rename(tmp_path / "moved")
    run.max_iters = 6
    runner = run.train(resume=True, load_from=str(run.work_dir / "iter_4.pth"))
    best = str(run.work_dir / "best_val_mIoU_iter_2.pth")
    assert runner.message_hub.get_info("best_ckpt") == best
    saved = safely_loaded(run.work_dir / "iter_6.pth")["message_hub"]["runtime_info"]
    assert saved["best_ckpt"] == best


def test_a_run_whose_folder_was_moved_goes_on_in_the_new_one(toy_run, tmp_path):
    run = toy_run(scores=RISING, max_iters=4)
    run.train()
    run.work_dir = run.work_dir.rename(tmp_path / "moved")
    run.max_iters = 8
    run.train(resume=True, load_from=str(run.work_dir / "iter_4.pth"))
    assert run.files() == [
        "best_val_mIoU_iter_8.pth",
        *(f"iter_{step}.pth" for step in (2, 4, 6, 8)),
        "last_checkpoint",
    ]


def test_the_checksum_is_one_that_sha256sum_takes(toy_run):
    run = toy_run(scores=RISING, max_iters=2)
    run.train()
    command = ["sha256sum", "--check", "--strict", "iter_2.pth.sha256", "best_val_mIoU_iter_2.pth.sha256"]
    done = subprocess.run(command, cwd=run.work_dir, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "iter_2.pth: OK\nbest_val_mIoU_iter_2.pth: OK\n")


def test_one_flipped_bit_is_found(tmp_path):
    path = tmp_path / "iter_2.pth"
    AtomicLocalBackend().put(bytes(100_000), path)
    contents = bytearray(path.read_bytes())
    contents[70_000] ^= 1
    path.write_bytes(contents)
    with pytest.raises(ChecksumError, match=r"does not hold what was written: .* iter_2\.pth\.sha256"):
        verify_checksum(path)


def test_a_process_killed_between_a_checkpoint_and_its_checksum_leaves_no_wrong_one(tmp_path, monkeypatch):
    path, backend = tmp_path / "iter_2.pth", AtomicLocalBackend()
    backend.put(b"old", path)

    def fail(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(KeyboardInterrupt):
        backend.put(b"new", path)
    assert path.read_bytes() == b"new"
    assert not verify_checksum(path)


def test_a_checksum_that_finds_no_room_leaves_the_checkpoint(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)
    AtomicLocalBackend().put(b"new", tmp_path / "iter_2.pth")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("iter_2.pth", b"new")]


def test_a_full_disk_leaves_the_old_file_and_no_remains(tmp_path, monkeypatch):
    path = tmp_path / "iter_2.pth"
    backend = AtomicLocalBackend()
    backend.put(b"old", path)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        backend.put(b"new", path)
    assert path.read_bytes() == b"old"
    assert verify_checksum(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["iter_2.pth", "iter_2.pth.sha256"]


def test_published_checkpoints_hold_the_named_keys(toy_run):
    run = toy_run(scores=RISING, max_iters=2)
    run.checkpoint = {"published_keys": ["state_dict"], "save_best": None}
    run.train()
    (published,) = run.work_dir.glob("iter_2-*.pth")
    assert safely_loaded(published).keys() == {"state_dict"}


def test_its_signature_is_the_parents_without_the_keyword_swallower():
    arguments = inspect.signature(PlainCheckpointHook).parameters
    assert [*arguments, "kwargs"] == list(inspect.signature(CheckpointHook).parameters)


def test_an_argument_that_the_hook_does_not_have_is_refused_when_it_is_built():
    with pytest.raises(TypeError, match="unknown argument 'max_keep_ckpt'; did you mean 'max_keep_ckpts'"):
        PlainCheckpointHook(max_keep_ckpt=3)
