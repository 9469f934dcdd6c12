"""χ² by a covariance: against its inverse, without full rank, and from few replicas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import kstest

from castalia.errors import DataError
from castalia.metrics.chi_squared import chi_squared, effective_replicas, squared_distance, tail_probability
from castalia.rng import Stream


def covariance(bins: int) -> np.ndarray:
    root = Stream(12, "test covariance").at().normal(size=(bins, 2 * bins))
    return root @ root.T * np.outer(10.0 ** np.arange(bins), 10.0 ** np.arange(bins))


def test_agrees_with_the_inverse_whatever_the_units() -> None:
    matrix = covariance(5)
    first, second = Stream(12, "test results").at().normal(size=(2, 5)) * np.sqrt(np.diag(matrix))
    found = chi_squared(first, second, matrix)
    assert found.value == pytest.approx((first - second) @ np.linalg.solve(matrix, first - second), rel=1e-8)
    assert found.degrees == 5
    assert chi_squared(first, first, matrix).p_value == 1.0


@pytest.mark.statistical
def test_p_values_are_uniform_with_few_replicas_only_where_they_are_said_to_be_few() -> None:
    bins, replicas, trials = 6, 20, 1500
    rng = Stream(12, "test replicas").at()
    fair, exact = np.empty(trials), np.empty(trials)
    for i in range(trials):
        sample = rng.normal(size=(replicas, bins))
        matrix, result = np.cov(sample, rowvar=False), rng.normal(size=bins)
        fair[i] = chi_squared(result, np.zeros(bins), matrix, replicas=replicas).p_value
        exact[i] = chi_squared(result, np.zeros(bins), matrix).p_value
    assert kstest(fair, "uniform").pvalue > 1e-6
    assert kstest(exact, "uniform").pvalue < 1e-6


def test_normalised_results_lose_one_degree_and_no_difference() -> None:
    matrix = np.diag([4.0, 9.0, 25.0, 16.0])
    slope = np.eye(4) - 0.25
    first = np.array([0.1, 0.2, 0.3, 0.4])
    found = chi_squared(first, np.full(4, 0.25), slope @ matrix @ slope.T)
    assert found.degrees == 3
    assert found.value > 0.0


def test_what_the_covariance_does_not_know_is_refused() -> None:
    flat = np.outer([1.0, 2.0], [1.0, 2.0])
    assert chi_squared([1.0, 2.0], [2.0, 4.0], flat).value == pytest.approx(1.0)
    with pytest.raises(DataError, match="no variance"):
        chi_squared([1.0, 2.0], [2.0, 1.0], flat)
    empty = np.diag([1.0, 0.0])
    assert chi_squared([1.0, 0.0], [2.0, 0.0], empty).degrees == 1
    with pytest.raises(DataError, match="merge empty bins"):
        chi_squared([1.0, 0.0], [2.0, 0.5], empty)


def test_the_guard_of_a_distance_says_what_is_lost() -> None:
    assert squared_distance(np.array([1.0, 0.0]), np.eye(2)) == (1.0, 2, 0.0)
    assert squared_distance(np.zeros(2), np.zeros((2, 2))) == (0.0, 0, 0.0)
    assert squared_distance(np.ones(2), np.zeros((2, 2)))[2] == math.inf
    _, degrees, lost = squared_distance(np.array([1.0, -1.0]), np.ones((2, 2)))
    assert (degrees, lost) == (1, pytest.approx(1.0))
    assert tail_probability(0.0, 0, None) == 1.0
    assert tail_probability(5.0, 3, 1e9) == pytest.approx(tail_probability(5.0, 3, None), rel=1e-6)


def test_bad_input_is_refused_in_words() -> None:
    for matrix in (np.eye(3), np.array([[1.0, 0.5], [0.0, 1.0]]), np.diag([1.0, -1.0])):
        with pytest.raises(DataError, match="symmetric matrix"):
            chi_squared([1.0, 2.0], [1.0, 1.0], matrix)
    with pytest.raises(DataError, match="make 4 or more"):
        chi_squared([1.0, 2.0], [1.0, 1.0], np.eye(2), replicas=3)


@pytest.mark.statistical
def test_p_values_are_uniform_where_several_sources_are_added_up() -> None:
    """Few replicas of two sources of different size, and a shift that is known."""
    bins, trials = 4, 1500
    numbers, widths, shift = (10, 12), (1.0, 0.8), np.linspace(0.5, 1.0, bins)
    rng = Stream(13, "test sources").at()
    true = np.linalg.cholesky(sum(w**2 for w in widths) * np.eye(bins) + np.outer(shift, shift))
    found: dict[str, list[float]] = {"together": [], "fewest": [], "exact": []}
    for _ in range(trials):
        parts = [
            (np.cov(w * rng.normal(size=(n, bins)), rowvar=False), n) for n, w in zip(numbers, widths, strict=True)
        ]
        total = sum(part for part, _ in parts) + np.outer(shift, shift)
        result = true @ rng.normal(size=bins)
        several = {"together": effective_replicas(parts, total), "fewest": min(numbers), "exact": None}
        for name, replicas in several.items():
            found[name].append(chi_squared(result, np.zeros(bins), total, replicas=replicas).p_value)
    assert kstest(found["together"], "uniform").pvalue > 1e-6
    assert max(kstest(found[name], "uniform").pvalue for name in ("fewest", "exact")) < 1e-6


def test_the_number_of_replicas_is_that_of_a_single_source() -> None:
    matrix = covariance(5)
    assert effective_replicas([(matrix, 20)], matrix) == pytest.approx(20)
    assert effective_replicas([(0.5 * matrix, 20), (0.5 * matrix, 20)], matrix) == pytest.approx(39)
    assert effective_replicas([(0.0 * matrix, 20)], matrix) is None
    flat = np.diag([1.0, 2.0, 0.0])
    assert effective_replicas([(flat, 9)], flat) == pytest.approx(9)
