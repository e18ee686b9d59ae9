"""The run as a timeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from provecfg.facts.facts import Facts
from provecfg.facts.schedule import Schedule
from provecfg.mmconfig import read_config


def schedule_of(folder: Path, loop: str) -> Schedule:
    (folder / "config.py").write_text(f"val_dataloader = dict(batch_size=1)\ntrain_cfg = dict({loop})\n")
    return Facts(read_config(folder / "config.py")).schedule


@pytest.mark.parametrize(
    ("loop", "validations"),
    [
        ("type='IterBasedTrainLoop', max_iters=100, val_interval=30", (30, 60, 90)),
        ("type='IterBasedTrainLoop', max_iters=90, val_interval=30", (30, 60, 90)),
        ("type='IterBasedTrainLoop', max_iters=100, val_interval=30, val_begin=60", (60, 90)),
        ("type='IterBasedTrainLoop', max_iters=100, val_interval=30, val_begin=61", (90,)),
        (
            "type='IterBasedTrainLoop', max_iters=100, val_interval=40, dynamic_intervals=[(60, 10)]",
            (40, 60, 70, 80, 90, 100),
        ),
        ("type='IterBasedTrainLoop', max_iters=20, val_interval=30", ()),
        ("type='EpochBasedTrainLoop', max_epochs=3", (1, 2, 3)),
        ("by_epoch=True, max_epochs=4, val_interval=2", (2, 4)),
    ],
)
def test_validations_fall_where_the_loop_makes_them(tmp_path: Path, loop: str, validations: tuple[int, ...]) -> None:
    assert schedule_of(tmp_path, loop).validations == validations


def test_a_billion_validations_are_not_counted_out(tmp_path: Path) -> None:
    when = schedule_of(
        tmp_path, "type='IterBasedTrainLoop', max_iters=10**12, val_interval=1, val_begin=10**9"
    ).validations
    assert when is not None
    assert when[:2] == (10**9, 10**9 + 1)
    assert len(when) == 1000


def test_an_unknown_length_gives_no_timeline(tmp_path: Path) -> None:
    assert schedule_of(tmp_path, "type='IterBasedTrainLoop', max_iters='many'").validations is None
