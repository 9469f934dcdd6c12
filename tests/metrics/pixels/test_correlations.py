"""Rank correlations of sensors: what is planted is found, and what the conditions explain is taken out."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from castalia.errors import DataError
from castalia.metrics.pixels.correlations import (
    expected_at,
    given,
    matrix_difference,
    mean_correlation,
    spearman_matrix,
)
from castalia.rng import Stream

EVENTS, SENSORS = 1000, 8


def sample(shared, seed=1, luminosity=None):
    """Make sensors that share a normal value; their correlation is that of the squares of its size."""
    rng = Stream(seed, "sensors").at()
    own = rng.standard_normal((EVENTS, SENSORS)) + shared * rng.standard_normal((EVENTS, 1))
    return own if luminosity is None else own + luminosity[:, None]


def test_the_matrix_is_that_of_spearman():
    values = np.round(sample(1.0), 1)  # with ties
    np.testing.assert_allclose(spearman_matrix(values), spearmanr(values).statistic, atol=1e-12)
    with pytest.raises(DataError, match="three events"):
        spearman_matrix(values[:2])


@pytest.mark.statistical
def test_the_mean_correlation_is_the_planted_one():
    # Pearson's 0.5; Spearman's of a normal pair is 6 / pi arcsin(r / 2).
    expected = 6.0 / np.pi * np.arcsin(0.25)
    found = mean_correlation(sample(1.0))
    assert abs(found.value - expected) < 5.0 * found.error
    matrix = spearman_matrix(sample(1.0))
    assert found.value == pytest.approx(matrix[~np.eye(SENSORS, dtype=bool)].mean())
    nothing = mean_correlation(sample(0.0))
    assert abs(nothing.value) < 5.0 * nothing.error
    assert found.value > 5.0 * found.error, "the negative control"
    # The error is that of repeated samples.
    repeated = [mean_correlation(sample(1.0, seed)).value for seed in range(40)]
    assert np.std(repeated, ddof=1) == pytest.approx(found.error, rel=5.0 / np.sqrt(2 * 39))


def test_the_difference_of_matrices_leaves_out_the_diagonal():
    one, other = sample(1.0), sample(0.0)
    off = np.abs(spearman_matrix(one) - spearman_matrix(other))[~np.eye(SENSORS, dtype=bool)]
    assert matrix_difference(one, other) == pytest.approx(off.mean())
    assert matrix_difference(one, one) == 0.0


@pytest.mark.statistical
def test_what_the_conditions_explain_is_no_correlation():
    luminosity = 3.0 * Stream(1, "luminosity").at().random(EVENTS)
    condition = np.column_stack([luminosity, np.ones(EVENTS)])
    raw = sample(0.0, luminosity=luminosity)
    assert mean_correlation(raw).value > 0.2, "the negative control"
    left = given(condition, raw)
    found = mean_correlation(left)
    assert abs(found.value) < 5.0 * found.error
    np.testing.assert_allclose(left.mean(axis=0), raw.mean(axis=0))
    # A common mode that no condition tells of is left.
    assert mean_correlation(given(condition, sample(1.0, luminosity=luminosity))).value > 0.4


def test_expectations_are_exact_for_a_parabola_and_need_events():
    x = np.linspace(0.0, 1.0, 20)
    np.testing.assert_allclose(expected_at(x, 1.0 + 2.0 * x - x**2), 1.0 + 2.0 * x - x**2, atol=1e-12)
    np.testing.assert_allclose(expected_at(np.zeros((20, 0)), x), x.mean())
    with pytest.raises(DataError, match="use more events"):
        expected_at(x[:5], x[:5])
