from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from provecfg.results.statistics import (
    ALPHA,
    FEWEST_SEEDS,
    MOST_SEEDS,
    POWER,
    Design,
    Observation,
    compare_losses,
    power,
    seeds_needed,
    seeds_to_find,
    sign_flip_p,
    smallest_effect,
    smallest_effect_of,
    t_test_p,
)
from tests.results.simulation import STUDIES, Study, family_error, found

DIFFERENCES = {"m0": 0.4, "m1": 0.9, "m2": 0.1, "m3": 0.6, "m4": 0.7, "m5": 0.5}


def observations(differences: dict[str, float], seeds: int = 1, loss: str = "focal") -> list[Observation]:
    """Trainings of models whose loss differs from the reference by so much on average; seeds vary by a tenth."""
    rows = []
    for block, difference in differences.items():
        for seed in range(seeds):
            noise = 0.1 * (seed - (seeds - 1) / 2)
            rows.append(Observation("ce", block, "bdd10k", f"s{seed}", 40 - noise))
            rows.append(Observation(loss, block, "bdd10k", f"s{seed}", 40 + difference + noise))
    return rows


def test_models_are_the_blocks_of_a_paired_t_test() -> None:
    (comparison,) = compare_losses(observations(DIFFERENCES, seeds=3), "ce")
    assert comparison.design is Design.BLOCKS
    assert comparison.differences == pytest.approx(DIFFERENCES)
    expected = stats.ttest_1samp(list(DIFFERENCES.values()), 0)
    assert comparison.p == pytest.approx(expected.pvalue)
    assert comparison.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert comparison.p_sign_flip == 2 / 2**6 == comparison.smallest_p_sign_flip
    assert comparison.is_effect


def test_more_seeds_of_one_model_are_no_more_blocks() -> None:
    few, many = (compare_losses(observations(DIFFERENCES, seeds=seeds), "ce")[0] for seeds in (1, 9))
    assert few.p == pytest.approx(many.p)


def test_datasets_are_averaged_within_a_model() -> None:
    rows = observations(DIFFERENCES)
    more = [row._replace(context="camvid", value=row.value + (1 if row.loss == "focal" else 0)) for row in rows]
    (comparison,) = compare_losses([*rows, *more], "ce")
    assert comparison.differences == pytest.approx({name: value + 0.5 for name, value in DIFFERENCES.items()})


def test_a_model_without_the_reference_is_no_block() -> None:
    rows = [row for row in observations(DIFFERENCES) if not (row.loss == "ce" and row.block == "m5")]
    (comparison,) = compare_losses(rows, "ce")
    assert list(comparison.differences) == ["m0", "m1", "m2", "m3", "m4"]


def test_with_few_models_the_same_seeds_are_paired() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(40, 1, (2, 2, 6))
    rows = [
        Observation(("ce", "focal")[loss], f"m{model}", "", f"s{seed}", float(value))
        for (loss, model, seed), value in np.ndenumerate(values)
    ]
    (comparison,) = compare_losses(rows, "ce")
    assert comparison.design is Design.SEEDS
    paired = (values[1] - values[0]).mean(axis=0)
    assert list(comparison.differences.values()) == pytest.approx(paired.tolist())
    assert comparison.p == pytest.approx(stats.ttest_1samp(paired, 0).pvalue)


@pytest.mark.parametrize(("models", "seeds"), [(1, 1), (3, 4), (2, 3)])
def test_what_no_test_can_decide_is_said_to_be_so(models: int, seeds: int) -> None:
    few = dict(itertools.islice(DIFFERENCES.items(), models))
    (comparison,) = compare_losses(observations(few, seeds), "ce")
    assert comparison.design is Design.NONE
    assert comparison.p is comparison.p_holm is comparison.interval is None
    assert not comparison.is_effect
    assert comparison.effect == pytest.approx(np.mean(list(few.values())))
    seed_noun, model_noun = "seed" if seeds == 1 else "seeds", "model" if models == 1 else "models"
    assert comparison.reason == (
        f"cannot be decided with {seeds} {seed_noun} of {models} {model_noun}: "
        "it needs 4 models, or 5 seeds that all cells share"
    )


def test_seeds_that_the_reference_does_not_have_are_not_paired() -> None:
    rows = observations({"m0": 1.0}, seeds=6)
    apart = [row._replace(seed=f"other {row.seed}") if row.loss == "ce" else row for row in rows]
    (comparison,) = compare_losses(apart, "ce")
    assert comparison.reason.startswith("cannot be decided with 0 seeds of 1 model")


def test_copies_of_a_run_are_no_evidence() -> None:
    (comparison,) = compare_losses(observations(dict.fromkeys(DIFFERENCES, 0.3)), "ce")
    assert comparison.p is None
    assert "copies of one run" in comparison.reason


def test_a_loss_without_a_common_model_is_named() -> None:
    rows = [Observation("ce", "m0", "", "s0", 40.0), Observation("focal", "m1", "", "s0", 41.0)]
    (comparison,) = compare_losses(rows, "ce")
    assert comparison.reason == "no model was trained with both focal and ce"
    assert math.isnan(comparison.effect)


def test_holm_corrects_for_the_number_of_losses() -> None:
    rng = np.random.default_rng(3)
    rows = observations(DIFFERENCES)
    for loss, shift in (("a", 0.9), ("b", 0.35), ("c", 0.0)):
        own = {block: shift + rng.normal(0, 0.4) for block in DIFFERENCES}
        rows += [row for row in observations(own, loss=loss) if row.loss == loss]
    comparisons = compare_losses(rows, "ce")
    raw = [comparison.p for comparison in comparisons]
    order = np.argsort(raw)
    expected, highest = [0.0] * 4, 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (4 - rank) * raw[index]))
        expected[index] = highest
    assert [comparison.p_holm for comparison in comparisons] == pytest.approx(expected)
    assert {comparison.is_effect for comparison in comparisons} == {True, False}


def test_an_interval_leaves_out_zero_exactly_where_there_is_an_effect() -> None:
    rng = np.random.default_rng(1)
    study, seen = Study(6, 4, 3), set()
    for _ in range(60):
        for comparison in study.judged(rng, (1.2, 0.6, 0.0)):
            assert comparison.interval is not None
            low, high = comparison.interval
            assert (low > 0 or high < 0) == comparison.is_effect
            seen.add(comparison.is_effect)
    assert seen == {True, False}


def test_p_values_are_those_of_scipy() -> None:
    rng = np.random.default_rng(2)
    for count in (2, 4, 7):
        values = rng.normal(0.5, 1, count)
        assert t_test_p(list(values)) == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
        exact = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
        assert sign_flip_p(list(values)) == pytest.approx(exact.pvalue)


def test_flips_of_sign_cannot_decide_with_five_seeds() -> None:
    assert sign_flip_p([1.0, 2.0, 3.0, 4.0, 5.0]) == 0.0625 > ALPHA


def test_power_is_the_share_of_tests_that_find_the_effect() -> None:
    rng = np.random.default_rng(0)
    for effect, count, alpha in ((0.0, 6, 0.05), (1.0, 6, 0.05), (1.0, 6, 0.05 / 3), (0.7, 12, 0.05)):
        samples = rng.normal(effect, 0.8, (20_000, count))
        share = np.mean(stats.ttest_1samp(samples, 0, axis=1).pvalue <= alpha)
        assert power(effect, 0.8, count, alpha) == pytest.approx(share, abs=0.012)


@pytest.mark.parametrize("alpha", [0.05, 0.025, 0.00625])
@pytest.mark.parametrize("count", [2, 4, 6, 12])
def test_power_rises_with_the_effect(count: int, alpha: float) -> None:
    """SciPy's noncentral t is NaN here and there in the tail that hardly counts."""
    powers = [power(effect, 1.0, count, alpha) for effect in np.arange(0.0, 12.0, 0.05)]
    assert np.all(np.diff(powers) >= -1e-9)
    assert np.max(np.diff(powers)) < 0.1
    assert power(smallest_effect(1.0, count, alpha), 1.0, count, alpha) == pytest.approx(POWER, abs=1e-6)


def test_the_smallest_effect_is_found_four_times_in_five() -> None:
    assert power(smallest_effect(0.8, 6, 0.01), 0.8, 6, 0.01) == pytest.approx(POWER)
    assert power(50.0, 0.1, 6) == 1.0
    (comparison,) = compare_losses(observations(DIFFERENCES), "ce")
    assert smallest_effect_of(comparison) == pytest.approx(smallest_effect(comparison.sd, 6, 0.05))


def test_seeds_needed_find_the_effect_in_four_planned_studies_of_five() -> None:
    for blocks, losses in ((6, 3), (4, 1), (2, 3)):
        seeds = seeds_needed(0.8, 0.65, blocks=blocks, losses=losses)
        assert seeds is not None
        study = Study(blocks, losses + 1, seeds, run_sd=(0.65, 0.65))
        assert found(study, 300, effect=0.8)[0] >= POWER - 0.06
    assert seeds_needed(0.8, 0.65, blocks=1, losses=1) >= FEWEST_SEEDS
    assert seeds_needed(0.01, 3.0, blocks=6, losses=3) is None
    assert seeds_needed(5.0, 0.3, blocks=6, losses=3) == 1


def test_seeds_do_not_help_where_models_disagree() -> None:
    disagreeing = {"m0": 3.0, "m1": -3.0, "m2": 2.5, "m3": -2.0, "m4": 0.5, "m5": 0.4}
    (comparison,) = compare_losses(observations(disagreeing, seeds=3), "ce")
    assert seeds_to_find(0.2, comparison) is None
    noisy = Study(6, 2, 3, run_sd=(0.8, 0.8)).judged(np.random.default_rng(0))[0]
    needed = seeds_to_find(0.5, noisy)
    assert needed is not None
    assert 3 < needed < MOST_SEEDS
    assert seeds_to_find(5.0, noisy) <= 3


def test_without_a_second_seed_nothing_is_known_of_the_noise() -> None:
    (comparison,) = compare_losses(observations(DIFFERENCES), "ce")
    assert comparison.run_sd is None
    assert seeds_to_find(0.5, comparison) is None


@pytest.mark.parametrize("name", STUDIES)
def test_studies_without_effects_seldom_name_a_winner(name: str) -> None:
    """A hundred of each; `make statistics` makes 2000. More than 12 of 100 have a chance below 1 % where 5 % err."""
    assert family_error(STUDIES[name], 100) <= 0.12


def test_an_effect_of_a_point_is_found_by_models_and_seeds() -> None:
    share, wrong_sign = found(STUDIES["6 models x 4 losses x 5 seeds"], 100)
    assert share >= 0.8
    assert wrong_sign == 0
