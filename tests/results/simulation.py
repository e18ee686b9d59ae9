"""How often the verdicts of `results.statistics` are wrong, on simulated studies whose effects are known.

    python tests/results/simulation.py [--studies 2000]

A training's score is its model's level, plus the effect of its loss, plus what the loss does to this model alone, plus
noise whose size is the model's own. A study without effects is in error when any of its losses is named better or
worse; the table gives the share of such studies with its standard error, and beside it how often an effect of one
point is found, and how often with the wrong sign. Fails where a share of errors is above 5 % by more than 2.33 of its
standard errors, which a rule that errs in 5 % of all studies does once in a hundred times.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from provecfg.results.statistics import ALPHA, Comparison, Observation, compare_losses

REFERENCE = "ce"
RUN_SD = (0.3, 1.0)

Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def gaussian(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Noise of variance 1."""
    return rng.standard_normal(shape)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Noise of variance 1 in which bad runs lie far below: now and then a training goes wrong."""
    return 1.0 - rng.exponential(size=shape)


@dataclass(frozen=True)
class Study:
    """A kind of study.

    Args:
        models, losses, seeds, datasets: How many; one of the losses is the reference.
        interaction: Standard deviation of what a loss does to one model alone, in points.
        noise: Of a training.
        run_sd: Points; each model's standard deviation of a training is drawn between the two.
    """

    models: int
    losses: int
    seeds: int
    datasets: int = 1
    interaction: float = 0.0
    noise: Noise = gaussian
    run_sd: tuple[float, float] = RUN_SD

    def observations(self, rng: np.random.Generator, effects: tuple[float, ...] = ()) -> list[Observation]:
        """The scores of one study.

        Args:
            rng: Of everything that varies.
            effects: Of the losses after the reference, in points; 0 for those not named.
        """
        level = rng.uniform(30, 60, (self.models, 1, self.datasets, 1))
        sd = rng.uniform(*self.run_sd, (self.models, 1, 1, 1))
        effect = np.zeros((1, self.losses, 1, 1))
        effect[0, 1 : len(effects) + 1, 0, 0] = effects
        own = self.interaction * rng.standard_normal((self.models, self.losses, 1, 1))
        own[:, 0] = 0
        scores = level + effect + own + sd * self.noise(rng, (self.models, self.losses, self.datasets, self.seeds))
        return [
            Observation(
                REFERENCE if loss == 0 else f"loss {loss}", f"m{model}", f"d{dataset}", f"s{seed}", float(score)
            )
            for (model, loss, dataset, seed), score in np.ndenumerate(scores)
        ]

    def judged(self, rng: np.random.Generator, effects: tuple[float, ...] = ()) -> list[Comparison]:
        """The comparisons of one study; arguments as of `observations`."""
        return compare_losses(self.observations(rng, effects), REFERENCE)


STUDIES = {
    "6 models x 4 losses x 1 seed": Study(6, 4, 1),
    "6 models x 4 losses x 3 seeds": Study(6, 4, 3),
    "6 models x 4 losses x 5 seeds": Study(6, 4, 5),
    "6 x 4 x 5, losses that suit some models": Study(6, 4, 5, interaction=0.7),
    "6 x 4 x 3 on 2 datasets": Study(6, 4, 3, datasets=2, interaction=0.3),
    "6 x 4 x 3, runs that go wrong": Study(6, 4, 3, noise=skewed),
    "4 models x 4 losses x 3 seeds": Study(4, 4, 3),
    "2 models x 4 losses x 5 seeds": Study(2, 4, 5),
    "1 model x 4 losses x 5 seeds": Study(1, 4, 5),
    "1 model x 3 losses x 10 seeds": Study(1, 3, 10),
    "3 models x 4 losses x 3 seeds": Study(3, 4, 3),
}


def family_error(study: Study, studies: int, seed: int = 0) -> float:
    """Share of studies without effects that name a loss better or worse."""
    rng = np.random.default_rng(seed)
    wrong = sum(any(comparison.is_effect for comparison in study.judged(rng)) for _ in range(studies))
    return wrong / studies


def found(study: Study, studies: int, effect: float = 1.0, seed: int = 0) -> tuple[float, float]:
    """Share of studies in which the one loss with an effect is named, and in which it is named with the wrong sign."""
    rng = np.random.default_rng(seed)
    comparisons = [study.judged(rng, (effect,))[0] for _ in range(studies)]
    named = [comparison for comparison in comparisons if comparison.is_effect]
    return len(named) / studies, sum(comparison.effect * effect < 0 for comparison in named) / studies


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000, help="of each kind (default 2000)")
    options = parser.parse_args()
    print(f"{options.studies} studies of each kind; a training's sd is {RUN_SD[0]} to {RUN_SD[1]} points, by model\n")
    print("| study | family error | finds +1.0 | with the wrong sign |")
    print("|---|---|---|---|")
    missed = []
    for name, study in STUDIES.items():
        error = family_error(study, options.studies)
        power, wrong_sign = found(study, options.studies)
        standard_error = math.sqrt(ALPHA * (1 - ALPHA) / options.studies)
        print(f"| {name} | {error:.1%} +- {standard_error:.1%} | {power:.0%} | {wrong_sign:.1%} |", flush=True)
        if error > ALPHA + 2.33 * standard_error:
            missed.append(f"{name}: {error:.1%} of the studies without effects name one")
    for line in missed:
        print(f"missed: {line}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
