"""What a config trains, as digests."""

from __future__ import annotations

from typing import Any

import pytest

from provecfg.training.fingerprint import digests_of, fingerprint_of

CONFIG: dict[str, Any] = {
    "model": {"type": "A", "lr": (1, 2)},
    "train_cfg": {"max_iters": 10, "val_interval": 5},
    "train_dataloader": {"batch_size": 2, "num_workers": 4, "dataset": {"type": "D", "data_root": "here"}},
    "custom_hooks": [{"type": "EarlyStoppingHook", "patience": 5}],
    "work_dir": "w",
}


def changed(digests: dict[str, str], others: dict[str, str]) -> set[str]:
    return {part for part in {*digests, *others} if digests.get(part) != others.get(part)}


def test_what_a_run_may_change_when_it_goes_on_is_no_part_of_its_fingerprint() -> None:
    same = {
        **CONFIG,
        "train_cfg": {"max_iters": 10, "val_interval": 2},
        "train_dataloader": {"batch_size": 2, "num_workers": 0, "dataset": {"type": "D", "data_root": "there"}},
        "custom_hooks": [{"type": "EarlyStoppingHook", "patience": 9}],
        "work_dir": "v",
    }
    assert fingerprint_of(CONFIG) == fingerprint_of(same)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("model", {"type": "B"}),
        ("train_cfg", {"max_iters": 20}),
        ("train_dataloader", {"batch_size": 4}),
        ("randomness", {"seed": 1}),
        ("param_scheduler", [{"type": "PolyLR", "end": 5}]),
    ],
)
def test_a_change_of_what_is_trained_is_named_by_its_part(part: str, value: object) -> None:
    other = {**CONFIG, part: value}
    assert changed(fingerprint_of(CONFIG), fingerprint_of(other)) == {part}
    assert changed(digests_of(CONFIG), digests_of(other)) == {part}


def test_the_digests_of_a_config_leave_out_places_alone() -> None:
    loader = CONFIG["train_dataloader"]
    moved = {**CONFIG, "train_dataloader": {**loader, "dataset": {"data_root": "there", "type": "D"}}, "work_dir": "v"}
    assert digests_of(moved) == digests_of({**CONFIG, "experiment_name": "again"})
    hooks = {**CONFIG, "custom_hooks": [], "train_dataloader": {**loader, "num_workers": 0}}
    assert changed(digests_of(CONFIG), digests_of(hooks)) == {"custom_hooks", "train_dataloader"}
