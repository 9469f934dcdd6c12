"""Fréchet distance: of normal samples it is the formula's, of equal ones zero."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from castalia.errors import DataError
from castalia.metrics.pixels.frechet import frechet_distance, standardised
from castalia.rng import Stream


def test_the_distance_is_that_of_the_formula():
    rng = Stream(1, "features").at()
    one, other = rng.standard_normal((50, 4)), 1.0 + 2.0 * rng.standard_normal((60, 4)) @ rng.random((4, 4))
    first, second = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    apart = one.mean(axis=0) - other.mean(axis=0)
    expected = apart @ apart + np.trace(first + second - 2.0 * np.real(sqrtm(first @ second)))
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-6)
    # More features than events: covariances are singular.
    wide = rng.standard_normal((10, 30))
    assert frechet_distance(wide, wide) == pytest.approx(0.0, abs=1e-9)
    assert frechet_distance(wide, wide + 1.0) == pytest.approx(30.0)


@pytest.mark.statistical
def test_a_planted_distance_is_found():
    rng = Stream(2, "features").at()
    truth = rng.standard_normal((20_000, 2))
    # Means 0.3 apart in one column, widths 1 and 1.2 in the other: 0.09 + 0.04.
    made = rng.standard_normal((20_000, 2)) * [1.0, 1.2] + [0.3, 0.0]
    # The mean's error sqrt(2 / n) times twice the distance 0.3 rules the rest.
    error = 0.6 * np.sqrt(2.0 / 20_000) + 0.4 * np.sqrt(1.2 / 20_000)
    assert abs(frechet_distance(truth, made) - 0.13) < 5.0 * error
    assert frechet_distance(truth, rng.standard_normal((20_000, 2))) < 5.0 * 4.0 / 20_000, "the negative control"


def test_features_come_in_units_of_the_truths_spread():
    one, other = standardised([[0.0, 5.0], [4.0, 5.0]], [[6.0, 7.0]])
    np.testing.assert_allclose(one, [[-1.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(other, [[2.0, 2.0]])
    with pytest.raises(DataError, match="give equal ones"):
        frechet_distance(one, np.zeros((5, 3)))
