from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, ncx2, norm

from castalia.errors import DataError
from castalia.metrics.bands import ONE_SIGMA
from castalia.metrics.coverage import (
    binomial_interval,
    calibrated_threshold,
    coverage_of,
    covered_by_errors,
    expected_overlap,
    median_error,
    pool_error,
    summarise_pulls,
    wilks_threshold,
)
from castalia.rng import Stream


def estimates(experiments, scale=1.0, unit="exact"):
    rng = Stream(5, "test coverage", unit).at()
    return rng.standard_normal(experiments), np.full(experiments, scale)


@pytest.mark.statistical
def test_an_exact_model_covers_and_one_with_errors_too_small_does_not():
    experiments = 4_000
    for level in (ONE_SIGMA, 0.95):
        values, errors = estimates(experiments)
        honest = coverage_of(covered_by_errors(values, errors, 0.0, level), level)
        assert abs(honest.fraction - level) < 5.0 * math.sqrt(level * (1.0 - level) / experiments)
        small = coverage_of(covered_by_errors(*estimates(experiments, 0.7), 0.0, level), level)
        assert abs(small.fraction - level) > 5.0 * math.sqrt(level * (1.0 - level) / experiments)
        assert not small.right


@pytest.mark.statistical
def test_pulls_have_the_errors_they_say():
    experiments = 10_000
    values, _ = estimates(experiments)
    pulls = summarise_pulls(values)
    assert pulls.mean_error == pytest.approx(1.0 / math.sqrt(experiments), rel=0.05)
    assert pulls.width_error == pytest.approx(1.0 / math.sqrt(2.0 * experiments), rel=0.1)
    assert abs(pulls.mean) < 5.0 * pulls.mean_error
    assert abs(pulls.width - 1.0) < 5.0 * pulls.width_error
    wide = summarise_pulls(values / 0.7)
    assert abs(wide.width - 1.0) > 5.0 * wide.width_error
    # Heavy tails: half of the pulls are twice as wide, so the width is known worse than that of normal pulls.
    tails = summarise_pulls(values * np.where(np.arange(experiments) % 2, 1.0, 3.0))
    assert tails.width_error > 1.3 * tails.width / math.sqrt(2.0 * experiments)


def test_binomial_interval_is_that_of_clopper_and_pearson():
    low, high = binomial_interval(7, 20, 0.95)
    assert binom.sf(6, 20, low) == pytest.approx(0.025)
    assert binom.cdf(7, 20, high) == pytest.approx(0.025)
    assert binomial_interval(0, 10, 0.9)[0] == 0.0
    assert binomial_interval(10, 10, 0.9)[1] == 1.0
    with pytest.raises(DataError, match="11 of 10"):
        binomial_interval(11, 10, 0.9)


@pytest.mark.statistical
def test_calibrated_threshold_is_wilks_where_that_holds_and_not_where_it_fails():
    rng = Stream(5, "test thresholds").at()
    statistic = np.square(rng.standard_normal((4_000, 2))).sum(axis=1)
    for level in (ONE_SIGMA, 0.95):
        found = calibrated_threshold(statistic, level, 2)
        # The density of chi-squared with two degrees of freedom at its quantile is (1 - level) / 2.
        known = math.sqrt(level * (1.0 - level) / 4_000) / (0.5 * (1.0 - level))
        assert found.error == pytest.approx(known, rel=0.5)
        assert abs(found.value - found.wilks) < 5.0 * known
        doubled = calibrated_threshold(2.0 * statistic, level, 2)
        assert abs(doubled.value - doubled.wilks) > 5.0 * doubled.error
    with pytest.raises(DataError, match="at least 200"):
        calibrated_threshold(statistic[:15], 0.95, 2)


@pytest.mark.statistical
def test_experiments_from_one_pool_share_what_is_expected_and_scatter_as_stated():
    pool, events, pools, experiments = 400, 80, 400, 60
    overlap = expected_overlap(events, pool)
    means, fractions, shared = [], [], []
    for number in range(pools):
        rng = Stream(7, "test pool").at(number)
        values = rng.standard_normal(pool)
        rows = [rng.choice(pool, events, replace=False) for _ in range(experiments)]
        pulls = np.array([values[chosen].mean() * math.sqrt(events) for chosen in rows])
        means.append(pulls.mean())
        fractions.append(np.mean(np.abs(pulls) < 1.0))
        shared.append(len(np.intersect1d(rows[0], rows[1])) / events)
    assert abs(np.mean(shared) - overlap) < 5.0 * np.std(shared) / math.sqrt(pools)
    stated = summarise_pulls(np.resize([1.0, -1.0], experiments), overlap=overlap).mean_error
    assert np.std(means) == pytest.approx(stated, rel=5.0 / math.sqrt(2.0 * pools))
    # Beyond the binomial scatter of 60 experiments; first order in the overlap, hence a tenth of bias.
    scatter = math.sqrt(max(np.var(fractions) - ONE_SIGMA * (1.0 - ONE_SIGMA) / experiments, 0.0))
    assert scatter == pytest.approx(pool_error(ONE_SIGMA, overlap), rel=0.1 + 5.0 / math.sqrt(2.0 * pools))
    assert pool_error(ONE_SIGMA, 0.0) == 0.0
    # In one parameter it is sqrt(2) z phi(z) r.
    z = norm.isf(0.5 * (1.0 - ONE_SIGMA))
    assert pool_error(ONE_SIGMA, overlap) == pytest.approx(math.sqrt(2.0) * z * norm.pdf(z) * overlap)
    with pytest.raises(DataError, match="without replacement"):
        expected_overlap(500, 400)


@pytest.mark.parametrize("parameters", [1, 3, 8])
def test_pool_error_of_a_joint_region_is_that_of_its_exact_coverage(parameters):
    # In one pool the squared distance over 1 - r is noncentral chi-squared of b² / (1 - r), b ~ N(0, r).
    overlap, pools, level = 0.01, 4_000, 0.95
    shift = np.square(Stream(2, "test pools").at().normal(0.0, math.sqrt(overlap), (pools, parameters))).sum(axis=1)
    edge = wilks_threshold(level, parameters) / (1.0 - overlap)
    exact = ncx2.cdf(edge, parameters, shift / (1.0 - overlap))
    stated = pool_error(level, overlap, parameters)
    # Five standard errors (b² has an excess kurtosis of 12 / P), and the second order in r.
    error = math.sqrt((2.0 + 12.0 / parameters) / (4.0 * pools))
    assert exact.std() == pytest.approx(stated, rel=5.0 * error + 3.0 * overlap)
    # Negative control: what holds for one parameter does not for more.
    if parameters == 8:
        assert exact.std() != pytest.approx(pool_error(level, overlap), rel=5.0 * error + 3.0 * overlap)


def test_experiments_without_an_interval_do_not_cover():
    found = coverage_of([True, True, False], 0.95, left_out=1)
    assert found.fraction == pytest.approx(2 / 3)
    assert found.of_all == 0.5
    nothing = coverage_of([], 0.95, left_out=3)
    assert math.isnan(nothing.fraction)
    assert (nothing.low, nothing.high, nothing.of_all) == (0.0, 1.0, 0.0)


def test_too_few_experiments_are_refused():
    with pytest.raises(DataError, match="two pseudo-experiments"):
        summarise_pulls([1.0])


@pytest.mark.statistical
def test_the_error_of_a_median_is_its_scatter():
    trials, events = 400, 1_000
    samples = np.square(Stream(5, "test medians").at().standard_normal((trials, events)))
    scatter = np.median(samples, axis=1).std(ddof=1)
    stated = np.mean([median_error(sample) for sample in samples])
    assert stated == pytest.approx(scatter, rel=5.0 / math.sqrt(2.0 * trials))
    # Negative control: that of a normal distribution of the same width is another.
    normal_error = samples.std() * math.sqrt(math.pi / (2.0 * events))
    assert normal_error != pytest.approx(scatter, rel=5.0 / math.sqrt(2.0 * trials))
    assert math.isnan(median_error([1.0, 2.0]))
