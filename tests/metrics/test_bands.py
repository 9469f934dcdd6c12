"""Bands of members: their width is that of a prediction interval, and they cover what they should."""

import numpy as np
import pytest
from scipy.stats import t

from castalia.errors import DataError
from castalia.metrics.bands import ONE_SIGMA, coverage, member_band
from castalia.rng import Stream

BINS = 20_000


def covered(members: int, shift: float = 0.0, bias: float = 0.0) -> float:
    """Return how often the band covers a truth from which the nominal model is as far as members are from it.

    Args:
        members: Number of bootstrap members.
        shift: Distance of the members' mean from the nominal model, in standard deviations.
        bias: Distance of the nominal model from the truth beside its statistical error, likewise.
    """
    draws = Stream(1, "bands", str(members)).at().normal(size=(members + 1, BINS))
    draws[1:] += shift
    histograms = np.vstack([np.zeros(BINS), draws[1:]])
    return float(member_band(histograms).covers(-draws[0] - bias).mean())


@pytest.mark.parametrize("members", [3, 8, 30])
def test_the_truth_is_covered_at_the_stated_level(members):
    error = np.sqrt(ONE_SIGMA * (1 - ONE_SIGMA) / BINS)
    # The mean of M members is itself uncertain by spread / sqrt(M), which widens the band by sqrt(1 + 1 / M).
    widest = t.cdf(t.ppf(0.5 + 0.5 * ONE_SIGMA, members - 1) * np.sqrt(1 + 2 / members), members - 1)
    assert ONE_SIGMA - 5 * error < covered(members) < 2 * widest - 1 + 5 * error
    # Negative control: a bias that no member shows is not covered.
    assert covered(members, bias=2.0) < ONE_SIGMA - 0.2


def test_a_bias_that_members_repeat_is_covered():
    assert covered(8, shift=1.0, bias=1.0) > ONE_SIGMA - 0.03
    assert covered(8, shift=0.0, bias=1.0) < ONE_SIGMA - 0.1


def test_the_numbers_of_three_members():
    band = member_band([[2.0, 1.0], [1.0, 0.0], [2.0, 0.0], [3.0, 3.0]])
    np.testing.assert_allclose(band.mean, [2.0, 1.0])
    np.testing.assert_allclose(band.spread, [1.0, np.sqrt(3.0)])
    # Student's t with two degrees of freedom: t = (2 p - 1) sqrt(2 / (4 p (1 - p))) at p = 0.8413.
    p = 0.5 + 0.5 * ONE_SIGMA
    factor = (2 * p - 1) * np.sqrt(2 / (4 * p * (1 - p)))
    np.testing.assert_allclose(band.high - band.nominal, factor * band.spread)
    np.testing.assert_allclose(band.nominal - band.low, band.high - band.nominal)
    assert band.members == 3
    shifted = member_band([[1.0, 1.0], [1.0, 0.0], [2.0, 0.0], [3.0, 3.0]])
    np.testing.assert_allclose(shifted.high - shifted.nominal, factor * np.sqrt([2.0, 3.0]))


def test_one_member_has_no_band():
    with pytest.raises(DataError, match="at least two members"):
        member_band(np.ones((2, 4)))
    with pytest.raises(DataError, match="5 values for a band of 4 bins"):
        member_band(np.eye(4)).covers(np.ones(5))


def test_the_error_of_a_coverage_is_that_of_whole_samples():
    inside = np.array([True] * 10 + [False] * 10)
    fraction, error = coverage(inside, np.repeat([0, 1], 10))
    assert (fraction, error) == (0.5, pytest.approx(0.5))
    assert np.isnan(coverage(inside, np.zeros(20, dtype=int))[1])
