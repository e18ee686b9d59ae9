from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer

from provecfg.training import problems, weight_checks
from provecfg.training.weight_checks import check_checkpoint, check_weights, foreign_globals

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
