from __future__ import annotations

from itertools import islice
from typing import Any
from unittest import mock

import pytest
from mmseg.registry import DATA_SAMPLERS

REAL, GENERATED = 7, 20


class Joined:
    """Two datasets, as `ConcatDataset` has them."""

    def __init__(self, *sizes: int) -> None:
        self.datasets = [range(size) for size in sizes]

    def __len__(self) -> int:
        return sum(map(len, self.datasets))


def sampler(share: float, *sizes: int, rank: int = 0, processes: int = 1) -> Any:
    with mock.patch("mmengine.dataset.sampler.get_dist_info", return_value=(rank, processes)):
        return DATA_SAMPLERS.build(
            {"type": "GeneratedShareSampler", "share": share},
            default_args={"dataset": Joined(*(sizes or (REAL, GENERATED))), "seed": 3},
        )


def batches(drawn: Any, size: int, number: int) -> list[list[int]]:
    indices = iter(drawn)
    return [list(islice(indices, size)) for _ in range(number)]


@pytest.mark.parametrize(("share", "size", "counts"), [(0.5, 4, {2}), (0.25, 8, {2}), (0.3, 4, {1, 2}), (1.0, 4, {4})])
def test_every_batch_has_the_share(share: float, size: int, counts: set[int]) -> None:
    drawn = batches(sampler(share), size, 200)
    assert {sum(index >= REAL for index in batch) for batch in drawn} == counts
    generated = sum(index >= REAL for batch in drawn for index in batch)
    assert generated == pytest.approx(share * 200 * size, abs=1)


def test_both_datasets_are_gone_through_before_they_start_anew() -> None:
    indices = list(islice(iter(sampler(0.5)), 2 * GENERATED))
    assert sorted(index for index in indices if index >= REAL) == list(range(REAL, REAL + GENERATED))
    real = [index for index in indices if index < REAL]
    assert sorted(real[:REAL]) == sorted(real[REAL : 2 * REAL]) == list(range(REAL))
    assert real[:REAL] != real[REAL : 2 * REAL]


def test_each_process_has_the_share_and_images_of_its_own() -> None:
    ranks = [list(islice(iter(sampler(0.5, rank=rank, processes=2)), 8)) for rank in range(2)]
    assert [sum(index >= REAL for index in indices) for indices in ranks] == [4, 4]
    generated = [{index for index in indices if index >= REAL} for indices in ranks]
    assert not generated[0] & generated[1]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_resumed_run_goes_on_where_it_was(processes: int) -> None:
    whole = list(islice(iter(sampler(0.3, processes=processes)), 100))
    resumed = sampler(0.3, processes=processes)
    resumed.skip(37)
    assert list(islice(iter(resumed), 63)) == whole[37:]


def test_mmengines_loop_skips_without_reading_an_image() -> None:
    from mmengine.runner.loops import _InfiniteDataloaderIterator
    from torch.utils.data import DataLoader

    read: list[int] = []

    class Watched(Joined):
        def __getitem__(self, index: int) -> int:
            read.append(index)
            return index

    drawn = sampler(0.5)
    batches = _InfiniteDataloaderIterator(DataLoader(Watched(REAL, GENERATED), batch_size=4, sampler=drawn))
    batches.skip_iter(1000)
    assert read == []
    assert next(batches).tolist() == list(islice(iter(sampler(0.5)), 4000, 4004)) == read


@pytest.mark.parametrize(
    ("share", "sizes", "message"),
    [
        (1.5, (7, 20), "share is 1.5, must be in"),
        (0.5, (7, 0), "there are no generated images"),
        (0.5, (0, 7), "there are no real images"),
        (0.5, (7,), "two joined datasets, and there are 1"),
    ],
)
def test_what_cannot_be_drawn_from_is_refused(share: float, sizes: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sampler(share, *sizes)
