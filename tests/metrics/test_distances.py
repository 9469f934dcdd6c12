"""Distances against scipy, closed forms and weights; the floors against planted shifts."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from castalia.errors import DataError
from castalia.metrics.distances import energy, kolmogorov_smirnov, mean_wasserstein, wasserstein
from castalia.rng import Stream


def normal(counter: int, *shape: int) -> np.ndarray:
    return Stream(1, "test distances").at(counter).normal(size=shape)


def test_equal_sizes_agree_with_scipy() -> None:
    a, b = normal(0, 500, 3), 1.2 * normal(1, 500, 3) + 0.3
    expected = [scipy.stats.wasserstein_distance(a[:, i], b[:, i]) for i in range(3)]
    np.testing.assert_allclose(wasserstein(a, b), expected, rtol=1e-12)


@pytest.mark.parametrize(("size_a", "size_b"), [(500, 320), (1, 7), (64, 64)])
def test_unequal_sizes_and_weights_agree_with_scipy(size_a: int, size_b: int) -> None:
    # Rounded, so that ties within and across the samples occur.
    a, b = np.round(normal(2, size_a), 1), np.round(normal(3, size_b) + 0.5, 1)
    u, v = np.abs(normal(4, size_a)) + 0.1, np.abs(normal(5, size_b)) + 0.1
    assert wasserstein(a, b, u, v)[0] == pytest.approx(scipy.stats.wasserstein_distance(a, b, u, v), rel=1e-10)
    assert energy(a, b, u, v)[0] == pytest.approx(scipy.stats.energy_distance(a, b, u, v), rel=1e-10)
    assert kolmogorov_smirnov(a, b)[0] == pytest.approx(scipy.stats.ks_2samp(a, b).statistic, rel=1e-10)


def test_a_shift_moves_every_quantile_by_itself() -> None:
    a = normal(6, 1000)
    assert wasserstein(a, a + 0.25)[0] == pytest.approx(0.25, rel=1e-12)


def test_integer_weights_are_duplication() -> None:
    a, b, times = normal(7, 60), normal(8, 80), Stream(1, "test times").at().integers(1, 4, 60)
    for distance in (wasserstein, energy, kolmogorov_smirnov):
        assert distance(a, b, times)[0] == pytest.approx(distance(np.repeat(a, times), b)[0], rel=1e-10)


def test_zero_only_for_equal_samples() -> None:
    a = normal(9, 200, 2)
    shuffled = a[Stream(1, "test order").at().permutation(200)]
    for distance in (wasserstein, energy, kolmogorov_smirnov):
        assert np.all(distance(a, shuffled) == 0.0)
        assert np.all(distance(a, a + 1e-3) > 0.0)


def test_mean_is_in_units_of_the_scale() -> None:
    a = normal(10, 300, 2) * np.array([1.0, 1e-3])
    assert mean_wasserstein(a, a + np.array([0.1, 2e-4]), [1.0, 1e-3]) == pytest.approx(0.15, rel=1e-9)


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(DataError, match=r"2 values that are NaN or infinite \(first in row 1, column 0\)"):
        wasserstein([0.0, np.nan, np.inf], [0.0, 1.0, 2.0])
    with pytest.raises(DataError, match="must be positive"):
        mean_wasserstein(normal(0, 5, 2), normal(1, 5, 2), [1.0, 0.0])
    with pytest.raises(DataError, match="positive sum"):
        wasserstein([1.0, 2.0], [1.0, 2.0], [1.0, -1.0])
    with pytest.raises(DataError, match="3 and 2 columns"):
        wasserstein(normal(0, 5, 3), normal(1, 5, 2))
    with pytest.raises(DataError, match="at least one event"):
        wasserstein([], [1.0])
