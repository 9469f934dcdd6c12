"""Ranks and coverage of right posteriors are uniform and nominal; planted errors are flagged; draws may be few."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.calibration import central_coverage, rank_deviation, truth_ranks
from castalia.rng import Stream

EVENTS, DRAWS = 5000, 100


def posterior(factor: float = 1.0, shift: float = 0.0, draws: int = DRAWS) -> tuple[np.ndarray, np.ndarray]:
    """Three components whose truths and draws scatter about what was seen, of widths that differ."""
    rng = Stream(8, "test calibration").at()
    width = np.array([0.1, 1.0, 5.0])
    seen = 3.0 * rng.normal(size=(EVENTS, 3))
    truth = seen + width * rng.normal(size=(EVENTS, 3))
    return truth, seen[:, None] + width * (factor * rng.normal(size=(EVENTS, draws, 3)) + shift)


def ranks(**defect: float) -> np.ndarray:
    return truth_ranks(*posterior(**defect), Stream(8, "ties").at())


@pytest.mark.statistical
def test_a_right_posterior_has_uniform_ranks() -> None:
    found = rank_deviation(ranks(), DRAWS)
    assert np.all(found.value < found.threshold_all)
    assert found.curves.shape == (3, DRAWS + 1)
    np.testing.assert_allclose(found.curves[:, -1], 0.0, atol=1e-12)


@pytest.mark.statistical
@pytest.mark.parametrize("defect", [{"factor": 1.2}, {"factor": 0.8}, {"shift": 0.15}, {"shift": -0.15}])
def test_planted_over_and_underdispersion_and_bias_are_flagged(defect: dict[str, float]) -> None:
    wrong = ranks(**defect)
    found = rank_deviation(wrong, DRAWS)
    assert np.all(found.value > found.threshold_all)
    early = found.curves[:, DRAWS // 5]
    if "shift" in defect:
        assert np.all(np.sign(early) == np.sign(defect["shift"])), "draws too high leave the truth below them"
    else:
        for level in (0.68, 0.95):
            coverage = central_coverage(wrong, DRAWS, level)
            far = (coverage.value - level) / coverage.error
            assert np.all(far > 5.0 if defect["factor"] > 1.0 else far < -5.0)
        assert np.all(np.sign(early) == (-1.0 if defect["factor"] > 1.0 else 1.0))


def test_ties_are_split_at_random() -> None:
    truth, made = np.zeros(30_000), np.zeros((30_000, 4))
    made[:, 3] = 1.0
    found = truth_ranks(truth, made, Stream(8, "ties").at())[:, 0]
    # Of the three equal draws 0 to 3 count as below, each as often.
    np.testing.assert_allclose(np.bincount(found, minlength=5) / 30_000, [0.25] * 4 + [0.0], atol=5.0 * 0.0025)


def test_expectation_and_threshold_are_those_of_kolmogorov_where_draws_are_many() -> None:
    found = rank_deviation(np.arange(EVENTS) % 2000, 1999)
    assert found.expected * np.sqrt(EVENTS) == pytest.approx(0.8687, rel=0.03)
    assert found.threshold * np.sqrt(EVENTS) == pytest.approx(1.358, rel=0.03)
    assert found.threshold_all == found.threshold
    # With few draws there are fewer places to deviate at.
    assert rank_deviation(np.arange(EVENTS) % 10, 9).expected < 0.95 * found.expected


@pytest.mark.statistical
def test_the_threshold_holds_95_per_cent_of_right_posteriors() -> None:
    components, events = 1000, 400
    uniform = Stream(8, "test uniform").at().integers(0, 21, (events, components))
    found = rank_deviation(uniform, 20)
    inside = np.mean(found.value <= found.threshold)
    # Discrete deviations tie at the quantile; beyond the binomial error of 1,000 trials a per cent is allowed for it.
    assert inside == pytest.approx(0.95, abs=5.0 * np.sqrt(0.95 * 0.05 / components) + 0.01)
    assert found.value.mean() == pytest.approx(found.expected, rel=5.0 * 0.3 / np.sqrt(components))


@pytest.mark.parametrize("draws", [39, 40, 50, 100, 101, 1000])
@pytest.mark.parametrize("level", [0.68, 0.95])
def test_coverage_of_uniform_ranks_is_the_level_for_any_number_of_draws(draws: int, level: float) -> None:
    every = np.arange(draws + 1)
    assert central_coverage(every, draws, level).value[0] == pytest.approx(level, abs=1e-12)


def test_intervals_between_quantiles_of_the_draws_do_not_cover() -> None:
    # The negative control of the correction: what quantiles of 20 draws hold of a perfect posterior.
    truth, made = posterior(draws=20)
    low, high = np.quantile(made, [0.16, 0.84], axis=1)
    naive = np.mean((truth >= low) & (truth <= high))
    assert naive == pytest.approx(0.68 * 19 / 21, abs=5.0 * np.sqrt(0.25 / EVENTS))
    fair = central_coverage(truth_ranks(truth, made, Stream(8, "ties").at()), 20, 0.68)
    assert np.all(np.abs(fair.value - 0.68) < 5.0 * fair.error)
    assert abs(naive - 0.68) > 5.0 * fair.error.max()


def test_draws_of_the_prior_pass_which_is_why_scores_stand_beside() -> None:
    truth, _ = posterior()
    prior = truth[Stream(8, "prior").at().integers(0, EVENTS, (EVENTS, DRAWS))]
    found = rank_deviation(truth_ranks(truth, prior, Stream(8, "ties").at()), DRAWS)
    assert np.all(found.value < found.threshold_all)


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="whole numbers from 0 to 10"):
        rank_deviation([3, 11], 10)
    with pytest.raises(DataError, match="whole numbers from 0 to 10"):
        rank_deviation([0.5, 1.0], 10)
    with pytest.raises(DataError, match="at least 39 draws"):
        central_coverage([3, 8], 38, 0.95)
