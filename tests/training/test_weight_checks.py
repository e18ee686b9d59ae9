from __future__ import annotations

import io
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer

from provecfg.plugin.hooks.atomic_backend import AtomicLocalBackend
from provecfg.training import problems, weight_checks
from provecfg.training.weight_checks import (
    check_checkpoint,
    check_resumed,
    check_weights,
    foreign_globals,
    with_whole_checkpoint,
)
from provecfg.training.work_dir import WorkDir

pytestmark = pytest.mark.stack

PLAIN = {"state_dict": OrderedDict(weight=torch.ones(2)), "meta": {"iter": 3}}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch's hub cache, empty."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


def asking_for(checkpoint: str) -> Config:
    return Config({"model": {"backbone": {"init_cfg": {"type": "Pretrained", "checkpoint": checkpoint}}}})


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def test_a_config_that_starts_at_random_needs_no_weights() -> None:
    assert check_weights(Config({"model": {"type": "EncoderDecoder"}})) == []


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    (finding,) = check_weights(asking_for(str(tmp_path / "none.pth")))
    assert finding.problem is problems.WEIGHTS_MISSING
    assert finding.message == f"weights {str(tmp_path / 'none.pth')!r} do not exist"
    assert finding.key == "model.backbone.init_cfg.checkpoint"
    assert "--no-pretrained" in str(finding.hint)


def test_a_file_in_the_cache_is_enough(cache: Path) -> None:
    saved(cache / "resnet50_v1c-2cccc1ad.pth", PLAIN)
    assert check_weights(asking_for("open-mmlab://resnet50_v1c")) == []
    assert check_weights(asking_for("https://nowhere.invalid/some/resnet50_v1c-2cccc1ad.pth")) == []


def test_weights_that_cannot_be_fetched_say_what_to_put_where(cache: Path) -> None:
    (finding,) = check_weights(asking_for("https://nowhere.invalid/some/weights.pth"))
    assert finding.problem is problems.WEIGHTS_MISSING
    assert "https://nowhere.invalid/some/weights.pth" in str(finding.hint)
    assert str(cache / "weights.pth") in str(finding.hint)
    assert "--no-pretrained" in str(finding.hint)


def test_an_alias_is_resolved_to_its_address() -> None:
    address = weight_checks._address("open-mmlab://resnet50_v1c")
    assert address is not None
    assert address.endswith("/resnet50_v1c-2cccc1ad.pth")


def test_plain_data_is_loaded(tmp_path: Path) -> None:
    assert check_checkpoint("load_from", saved(tmp_path / "plain.pth", PLAIN), resumed=True) == []


def test_a_checkpoint_with_more_than_data_is_refused_by_what_it_holds(tmp_path: Path) -> None:
    path = saved(tmp_path / "foreign.pth", {**PLAIN, "message_hub": {"loss": HistoryBuffer([1.0], [1])}})
    (finding,) = check_checkpoint("", path)
    assert finding.problem is problems.NOT_PLAIN_DATA
    assert "mmengine.logging.history_buffer.HistoryBuffer" in finding.message
    assert "--trust-checkpoint" in str(finding.hint)
    assert check_checkpoint("", path, trusted=True) == []


class Evil:
    """A pickle that would write a file when it is loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (Path.touch, (Path(self.path),))


@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "old format"])
def test_looking_at_a_checkpoint_runs_nothing_of_it(tmp_path: Path, as_zip: bool) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": Evil(str(tmp_path / "ran"))}, path, _use_new_zipfile_serialization=as_zip)
    (finding,) = check_checkpoint("", path)
    assert finding.problem is problems.NOT_PLAIN_DATA
    assert not (tmp_path / "ran").exists()


def test_the_fallback_of_older_torch_names_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "foreign.pth", {"loss": HistoryBuffer([1.0], [1])})
    monkeypatch.delattr(torch.serialization, "get_unsafe_globals_in_checkpoint", raising=False)
    assert foreign_globals(path)
    assert foreign_globals(saved(tmp_path / "plain.pth", PLAIN)) == []


def test_a_config_as_text_would_be_executed_so_it_is_refused_on_resume(tmp_path: Path) -> None:
    path = saved(tmp_path / "texted.pth", {**PLAIN, "meta": {"config": "import os"}})
    (finding,) = check_checkpoint("", path, resumed=True)
    assert finding.problem is problems.CHECKPOINT_WITH_CODE
    assert check_checkpoint("", path) == []
    assert check_checkpoint("", path, resumed=True, trusted=True) == []


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None], ids=["empty", "text", "cut off"])
def test_a_broken_checkpoint_is_said_before_training(tmp_path: Path, content: bytes | None) -> None:
    path = saved(tmp_path / "broken.pth", PLAIN)
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    (finding,) = check_checkpoint("", path, resumed=True)
    assert finding.problem is problems.CHECKPOINT_UNREADABLE
    assert str(path) in finding.message


def test_weights_asked_for_twice_are_said_once(tmp_path: Path) -> None:
    config = asking_for(str(tmp_path / "none.pth"))
    config.load_from = str(tmp_path / "none.pth")
    assert len(check_weights(config)) == 1


def flip_a_bit(path: Path) -> None:
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 1
    path.write_bytes(contents)


@pytest.fixture
def used(tmp_path: Path) -> WorkDir:
    """A work dir with three checkpoints, as PlainCheckpointHook writes them."""
    for step in (2, 4, 6):
        stream = io.BytesIO()
        torch.save({**PLAIN, "noise": torch.rand(100)}, stream)
        AtomicLocalBackend().put(stream.getvalue(), tmp_path / f"iter_{step}.pth")
    return WorkDir(tmp_path, None, tmp_path / "iter_6.pth")


def test_the_newest_checkpoint_is_gone_on_from_where_it_is_whole(used: WorkDir) -> None:
    assert with_whole_checkpoint(used) == used
    assert check_resumed(used) == []


def test_of_broken_checkpoints_the_next_older_whole_one_is_gone_on_from(used: WorkDir) -> None:
    flip_a_bit(used.path / "iter_6.pth")
    (used.path / "iter_4.pth").write_bytes(b"PK\3")
    looked_at = with_whole_checkpoint(used)
    assert looked_at.checkpoint == used.path / "iter_2.pth"
    assert looked_at.newest == used.path / "iter_6.pth"
    findings = check_resumed(looked_at)
    assert [finding.problem for finding in findings] == [problems.CHECKPOINT_BROKEN] * 2
    assert findings[0].message == (
        f"checkpoint {str(used.path / 'iter_6.pth')!r} is broken (it does not hold what was written: its SHA-256 is "
        "not the one in iter_6.pth.sha256); the run goes on from iter_2.pth"
    )


def test_a_checkpoint_without_a_checksum_is_judged_by_whether_it_loads(used: WorkDir) -> None:
    for path in used.path.glob("*.sha256"):
        path.unlink()
    assert with_whole_checkpoint(used) == used
    (used.path / "iter_6.pth").write_bytes((used.path / "iter_6.pth").read_bytes()[:-100])
    assert with_whole_checkpoint(used).checkpoint == used.path / "iter_4.pth"


def test_where_none_is_whole_nothing_is_begun_anew_unasked(used: WorkDir) -> None:
    for step in (2, 4, 6):
        flip_a_bit(used.path / f"iter_{step}.pth")
    looked_at = with_whole_checkpoint(used)
    assert looked_at.resume_from == used.path / "iter_6.pth"
    (finding,) = check_resumed(looked_at)
    assert finding.problem is problems.CHECKPOINT_UNREADABLE
    assert "iter_6.pth (it does not hold" in finding.message
    assert finding.hint == "move them away to begin anew"


def test_weights_with_a_checksum_are_compared_with_it(tmp_path: Path) -> None:
    AtomicLocalBackend().put(saved(tmp_path / "plain", PLAIN).read_bytes(), tmp_path / "weights.pth")
    assert check_weights(asking_for(str(tmp_path / "weights.pth"))) == []
    flip_a_bit(tmp_path / "weights.pth")
    (finding,) = check_weights(asking_for(str(tmp_path / "weights.pth")))
    assert finding.problem is problems.CHECKPOINT_UNREADABLE
    assert "does not hold what was written" in finding.message
