"""Whether a loss is better than the reference, as far as trainings can tell.

The unit is a training, never an image: resampling images tells two checkpoints apart, not two losses. Where a study has
at least `FEWEST_BLOCKS` models, a model is a block: a loss's difference to the reference in each, seeds and datasets
averaged, goes into a paired t-test over the models (Student 1908), and the statement is about such models. With fewer,
the same seeds of both are paired, and the statement is about those models alone; with fewer seeds than `FEWEST_SEEDS`,
there is none. Several losses are corrected for by Holm's method (Holm 1979).

Source: Bouthillier et al. 2021 (arXiv:2103.03098) for what varies between trainings. `make statistics` measures the
errors of all this on studies with known effects.
"""

from __future__ import annotations

import bisect
import enum
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Final, NamedTuple

import numpy as np
from scipy import special

ALPHA: Final = 0.05
"""Chance, at most, that a study without any effect names one of its losses better or worse."""
POWER: Final = 0.8
"""Chance with which an effect is found that counts as one that a study could have found."""
FEWEST_BLOCKS: Final = 4
FEWEST_SEEDS: Final = 5
MOST_SEEDS: Final = 200
"""More seeds than anybody trains: where so many would not do, seeds are no remedy."""
_HALVINGS: Final = 50
"""Until two numbers that are not far apart are the same to twelve digits."""
_MOST_EXACT: Final = 14
"""Differences up to which all 2**n flips of their signs are counted."""


class Observation(NamedTuple):
    """A score of one training.

    Args:
        loss: Its loss.
        block: What the study repeats its comparison over: the model, mostly.
        context: What else the training is in, such as the dataset; averaged within a block.
        seed: Its seed.
        value: The score.
    """

    loss: str
    block: str
    context: str
    seed: str
    value: float


class Design(enum.Enum):
    """What was paired in a comparison."""

    BLOCKS = "blocks"
    SEEDS = "seeds"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A loss against the reference.

    Args:
        loss: It.
        design: What was paired.
        differences: What went into the test, by block or by seed: loss less reference.
        effect: Their mean; NaN if there are none.
        p: Two-sided p-value of the paired t-test, or None.
        p_holm: The same corrected for the number of losses, or None.
        level: Of the interval: the one at which Holm's method judges this loss, so that the interval leaves out 0 where
            the verdict is that there is an effect, and only there.
        interval: Low and high, or None.
        p_sign_flip: Two-sided p-value of the exact test by flips of sign, for comparison; None for many differences.
        reason: Why there is no test, or "".
        run_sd: Standard deviation of a training within its cell, or None where no cell has two seeds.
        seeds: Trainings a cell, on average over the cells.
        contexts: Cells a block, on average over the blocks.
    """

    loss: str
    design: Design
    differences: Mapping[str, float]
    effect: float
    p: float | None = None
    p_holm: float | None = None
    level: float | None = None
    interval: tuple[float, float] | None = None
    p_sign_flip: float | None = None
    reason: str = ""
    run_sd: float | None = None
    seeds: float = 0.0
    contexts: float = 0.0

    @property
    def is_effect(self) -> bool:
        """Whether there is an effect, at `ALPHA` for all losses of the study together."""
        return self.p_holm is not None and self.p_holm <= ALPHA

    @property
    def sd(self) -> float | None:
        """Standard deviation of the differences; None for fewer than two."""
        return math.sqrt(_variance(list(self.differences.values()))) if len(self.differences) > 1 else None

    @property
    def smallest_p_sign_flip(self) -> float:
        """The smallest p-value that flips of sign can have: 2 of 2**n."""
        return float(2.0 ** (1 - len(self.differences)))


def compare_losses(observations: Iterable[Observation], reference: str, block: str = "model") -> list[Comparison]:
    """Compare each loss with the reference.

    Args:
        observations: Finite scores, of at most one training for each loss, block, context and seed.
        reference: The loss that the others are compared with.
        block: What a block is called.

    Returns:
        One comparison for each other loss, in their order of appearance.
    """
    cells: dict[str, dict[tuple[str, str], dict[str, float]]] = {}
    for observation in observations:
        cell = (observation.block, observation.context)
        cells.setdefault(observation.loss, {}).setdefault(cell, {})[observation.seed] = observation.value
    base = cells.get(reference, {})
    return corrected([_compared(loss, own, base, reference, block) for loss, own in cells.items() if loss != reference])


Cells = Mapping[tuple[str, str], Mapping[str, float]]
"""(block, context) -> seed -> score."""


def _compared(loss: str, own: Cells, base: Cells, reference: str, block: str) -> Comparison:
    shared = [cell for cell in own if cell in base]
    sides = [side[cell] for cell in shared for side in (own, base)]
    by_block: dict[str, list[float]] = {}
    for cell in shared:
        difference = fmean(own[cell].values()) - fmean(base[cell].values())
        by_block.setdefault(cell[0], []).append(difference)
    differences = {name: fmean(values) for name, values in by_block.items()}
    comparison = Comparison(
        loss,
        Design.NONE,
        differences,
        fmean(differences.values()) if differences else math.nan,
        run_sd=_run_sd(sides),
        seeds=len(shared) and fmean(map(len, sides)),
        contexts=len(shared) and len(shared) / len(differences),
    )
    if not shared:
        return replace(comparison, reason=f"no {block} was trained with both {loss} and {reference}")
    if len(differences) >= FEWEST_BLOCKS:
        return _tested(replace(comparison, design=Design.BLOCKS))
    seeds = sorted(set.intersection(*(set(own[cell]) & set(base[cell]) for cell in shared)))
    if len(seeds) < FEWEST_SEEDS:
        return replace(
            comparison,
            reason=f"cannot be decided with {_counted(len(seeds), 'seed')} of {_counted(len(differences), block)}: it "
            f"needs {FEWEST_BLOCKS} {block}s, or {FEWEST_SEEDS} seeds that all cells share",
        )
    by_seed = {seed: fmean(own[cell][seed] - base[cell][seed] for cell in shared) for seed in seeds}
    effect = fmean(by_seed.values())
    return _tested(
        replace(comparison, design=Design.SEEDS, differences=by_seed, effect=effect, seeds=float(len(seeds)))
    )


def _tested(comparison: Comparison) -> Comparison:
    values = list(comparison.differences.values())
    if max(values) - min(values) <= 1e-9 * max(1.0, *map(abs, values)):
        return replace(
            comparison,
            reason=f"all {len(values)} differences are {values[0]:.4g} exactly, which trainings do not give: are they "
            "copies of one run?",
        )
    return replace(
        comparison,
        p=t_test_p(values),
        p_sign_flip=sign_flip_p(values) if len(values) <= _MOST_EXACT else None,
    )


def _run_sd(cells: Iterable[Mapping[str, float]]) -> float | None:
    """Standard deviation within cells, pooled by their degrees of freedom."""
    repeated = [list(cell.values()) for cell in cells if len(cell) > 1]
    if not repeated:
        return None
    squares = sum(_variance(values) * (len(values) - 1) for values in repeated)
    return math.sqrt(squares / sum(len(values) - 1 for values in repeated))


def _variance(values: Sequence[float]) -> float:
    """Of a sample of at least two."""
    mean = fmean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons of one family with p-values by Holm's method and the intervals that go with them.

    Args:
        comparisons: All that the family holds. Those without a test are none of it.
    """
    tested = sorted(
        (comparison for comparison in comparisons if comparison.p is not None),
        key=lambda comparison: comparison.p or 0.0,
    )
    judged: dict[int, Comparison] = {}
    highest, divisor, goes_on = 0.0, len(tested), True
    for index, comparison in enumerate(tested):
        p = comparison.p or 0.0
        highest = max(highest, min(1.0, (len(tested) - index) * p))
        # After the first that is no effect, Holm's method judges no further: its level stays.
        divisor = len(tested) - index if goes_on else divisor
        goes_on = goes_on and highest <= ALPHA
        level = 1 - ALPHA / divisor
        judged[id(comparison)] = replace(comparison, p_holm=highest, level=level, interval=_interval(comparison, level))
    return [judged.get(id(comparison), comparison) for comparison in comparisons]


def _interval(comparison: Comparison, level: float) -> tuple[float, float]:
    count, sd = len(comparison.differences), comparison.sd or 0.0
    reach = float(special.stdtrit(count - 1, (1 + level) / 2)) * sd / math.sqrt(count)
    return comparison.effect - reach, comparison.effect + reach


def t_test_p(differences: Sequence[float]) -> float:
    """Two-sided p-value of the paired t-test, of differences that are not all the same (Student 1908)."""
    count = len(differences)
    t = fmean(differences) / math.sqrt(_variance(differences) / count)
    return 2 * float(special.stdtr(count - 1, -abs(t)))


def sign_flip_p(differences: Sequence[float]) -> float:
    """Two-sided p-value of the exact test that flips the signs of paired differences (Fisher 1935)."""
    values = np.asarray(differences, np.float64)
    signs = 1 - 2 * ((np.arange(2 ** len(values))[:, None] >> np.arange(len(values))) & 1)
    means = np.abs(signs @ values)
    observed = abs(values.sum())
    return float(np.mean(means >= observed * (1 - 1e-12)))


def power(effect: float, sd: float, count: int, alpha: float = ALPHA) -> float:
    """Chance that a two-sided t-test of differences finds an effect.

    Args:
        effect: Their mean.
        sd: Their standard deviation, > 0.
        count: How many, at least 2.
        alpha: Level of the test.
    """
    critical = float(special.stdtrit(count - 1, 1 - alpha / 2))
    shift = abs(effect) / sd * math.sqrt(count)
    # Like scipy.stats.nct, whose import takes longer than a report's tests, it is NaN where it is next to nothing.
    missed, turned = (_or_zero(special.nctdtr(count - 1, shift, bound)) for bound in (critical, -critical))
    return 1.0 - missed + turned


def _or_zero(chance: float) -> float:
    return float(chance) if math.isfinite(chance) else 0.0


def smallest_effect(sd: float, count: int, alpha: float = ALPHA) -> float:
    """The smallest effect that a two-sided t-test of differences finds with `POWER`; arguments as of `power`."""
    critical = float(special.stdtrit(count - 1, 1 - alpha / 2))
    # In units of sd: next to nothing, and what is found nearly for certain. To import scipy.optimize takes longer than
    # to halve what is between them.
    low, high = 0.0, (2 * critical + 10.0) / math.sqrt(count)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if power(middle, 1.0, count, alpha) < POWER:
            low = middle
        else:
            high = middle
    return high * sd


def smallest_effect_of(comparison: Comparison) -> float | None:
    """The smallest effect that this comparison would have found with `POWER`; None where there was no test."""
    if comparison.p is None or comparison.level is None or comparison.sd is None:
        return None
    return smallest_effect(comparison.sd, len(comparison.differences), 1 - comparison.level)


def seeds_to_find(effect: float, comparison: Comparison) -> int | None:
    """How many seeds a cell a study like this one would need to find an effect with `POWER`.

    What differs between models beyond the noise of training stays however many seeds there are; it is what the
    differences' variance is more than the seeds explain.

    Args:
        effect: The effect, not 0.
        comparison: The comparison as it is now.

    Returns:
        At most `MOST_SEEDS`; None if so many are not enough, or if nothing is known of the noise of training.
    """
    if comparison.p is None or comparison.level is None or comparison.sd is None or effect == 0:
        return None
    alpha, count = 1 - comparison.level, len(comparison.differences)
    if comparison.design is Design.SEEDS:
        sd = comparison.sd
        return _fewest(FEWEST_SEEDS, lambda seeds: power(effect, sd, seeds, alpha))
    if comparison.run_sd is None:
        return None
    of_a_seed = 2 * comparison.run_sd**2 / comparison.contexts
    rest = max(0.0, comparison.sd**2 - of_a_seed / comparison.seeds)
    return _fewest(1, lambda seeds: power(effect, math.sqrt(rest + of_a_seed / seeds), count, alpha))


def _fewest(least: int, power_with: Callable[[int], float]) -> int | None:
    """The fewest seeds with which an effect is found with `POWER`; more seeds find it no less."""
    choices = range(least, MOST_SEEDS + 1)
    index = bisect.bisect_left(choices, POWER, key=power_with)
    return choices[index] if index < len(choices) else None


def seeds_needed(effect: float, run_sd: float, *, blocks: int, losses: int, contexts: int = 1) -> int | None:
    """How many seeds a cell a planned study needs to find an effect with `POWER`, whichever of its losses has it.

    Planned as if a loss did the same to every model; where it does not, more models help and more seeds do not.

    Args:
        effect: The effect, > 0.
        run_sd: Standard deviation of a training, > 0.
        blocks: Models.
        losses: Losses that are compared with the reference.
        contexts: Datasets and strategies, averaged within a model.

    Returns:
        At most `MOST_SEEDS`, or None.
    """
    alpha = ALPHA / losses
    sd = math.sqrt(2 / contexts) * run_sd
    if blocks >= FEWEST_BLOCKS:
        return _fewest(1, lambda seeds: power(effect, sd / math.sqrt(seeds), blocks, alpha))
    return _fewest(FEWEST_SEEDS, lambda seeds: power(effect, sd / math.sqrt(blocks), seeds, alpha))
