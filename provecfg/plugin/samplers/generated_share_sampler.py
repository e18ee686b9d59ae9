"""Real and generated images in fixed shares: as many generated ones in each batch as in any other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from mmengine.dataset import InfiniteSampler
from mmseg.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class GeneratedShareSampler(InfiniteSampler):
    """Draws from two joined datasets, real images and generated ones, without end.

    Of any n images in a row, and so of each batch of n, n * share are generated: rounded up in some and down in others
    where that is no whole number. Each of the two datasets is gone through in an order by chance, then in another.

    With several processes each has that share in its own batches, and no two of them draw the same image before the
    dataset starts anew.

    Args:
        dataset: `ConcatDataset` of two: the real images, then the generated ones.
        share: Of generated images in a batch, in [0, 1].
        seed: Decides the order; the same in all processes. None draws one.

    Raises:
        ValueError: `share` is out of its range, the dataset is not one of two, or one of them that is drawn from is
            empty.
    """

    def __init__(self, dataset: Any, share: float, seed: int | None = None) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"share is {share}, must be in [0, 1]")
        parts: Sequence[Any] = getattr(dataset, "datasets", ())
        if len(parts) != 2:
            raise ValueError(f"GeneratedShareSampler draws from two joined datasets, and there are {len(parts)}")
        self.share = share
        self.sizes = (len(parts[0]), len(parts[1]))
        for size, drawn, what in zip(self.sizes, (share < 1, share > 0), ("real", "generated"), strict=True):
            if drawn and not size:
                raise ValueError(f"there are no {what} images")
        super().__init__(dataset, shuffle=True, seed=seed)

    def _indices_of_rank(self) -> Iterator[int]:
        real = islice(self._passes(0, 0), self.rank, None, self.world_size)
        generated = islice(self._passes(1, self.sizes[0]), self.rank, None, self.world_size)
        position = 0
        while True:
            # 0.5: of a batch of one, too, the first is real where the share is less than a half
            is_generated = int((position + 1) * self.share + 0.5) > int(position * self.share + 0.5)
            yield next(generated if is_generated else real)
            position += 1

    def _passes(self, part: int, first: int) -> Iterator[int]:
        """The indices of one of the datasets, all of them in an order by chance, again and again."""
        generator = torch.Generator()
        generator.manual_seed(2 * self.seed + part)
        while True:
            yield from (torch.randperm(self.sizes[part], generator=generator) + first).tolist()

    def skip(self, num_samples: int) -> None:
        """Go on after so many images of this process: a resume reads none of those again.

        mmengine calls it from 0.10.12 on, before the first batch is read.

        Args:
            num_samples: Images since the beginning of the run, >= 0.
        """
        if num_samples < 0:
            raise ValueError(f"num_samples is {num_samples}, must be >= 0")
        self.indices = islice(self._indices_of_rank(), num_samples, None)
