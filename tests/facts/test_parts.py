"""What is known of a dict and its class, and of whom it is asked once only."""

from __future__ import annotations

from pathlib import Path

from provecfg.facts.facts import Facts
from provecfg.facts.parts import Part
from provecfg.mmconfig import read_config
from provecfg.registry import Fate

BASE = """
default_scope = 'mmseg'
model = dict(
    type='EncoderDecoder',
    backbone=dict(type='ResNet', depth=50, strides=(1, 2, 2, 2)),
    decode_head=dict(type='FCNHead', in_channels=2048, channels=512, num_classes=19))
"""


def parts_of(folder: Path, name: str, text: str) -> dict[str, Part]:
    if not (folder / "base.py").exists():
        (folder / "base.py").write_text(BASE)
    (folder / name).write_text(f"_base_ = 'base.py'\n{text}")
    return {typed.node.key: part for typed, part in Facts(read_config(folder / name)).parts}


def test_configs_of_one_base_share_what_is_known_of_the_parts_that_neither_changes(tmp_path: Path) -> None:
    first = parts_of(tmp_path, "one.py", "model = dict(decode_head=dict(num_classes=2))")
    second = parts_of(tmp_path, "other.py", "model = dict(decode_head=dict(num_classes=7))")
    assert first["model.backbone"] is second["model.backbone"]
    assert first["model.decode_head"] is not second["model.decode_head"]


def test_what_a_child_changes_is_judged_anew(tmp_path: Path) -> None:
    good = parts_of(tmp_path, "good.py", "")
    bad = parts_of(tmp_path, "bad.py", "model = dict(decode_head=dict(num_clases=2, channels='many'))")
    assert good["model.decode_head"].unused("decode_head") == ()
    assert good["model.decode_head"].misfits == ()
    assert good["model.decode_head"].texts == ()
    assert bad["model.decode_head"].unused("decode_head") == (("num_clases", Fate.REFUSED),)
    assert [(key, path) for key, path, _ in bad["model.decode_head"].misfits] == [("channels", "")]
    assert bad["model.decode_head"].texts == ("channels",)


def test_a_dict_that_stands_at_two_places_is_a_part_once(tmp_path: Path) -> None:
    text = "loader = dict(batch_size=1, dataset=dict(type='CityscapesDataset'))\n"
    parts = parts_of(tmp_path, "twice.py", f"{text}val_dataloader = loader\ntest_dataloader = loader\n")
    assert [key for key in parts if key.endswith("dataset")] == ["val_dataloader.dataset"]
