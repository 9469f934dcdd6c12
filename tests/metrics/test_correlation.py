"""Correlations against numpy, their errors against trials, planted differences."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.correlation import correlation_checks, correlation_matrix, largest_difference
from castalia.rng import Stream


def pair(rho: float, events: int, counter: int = 0) -> np.ndarray:
    z = Stream(7, "pair").at(counter).normal(size=(events, 3))
    z[:, 1] = rho * z[:, 0] + np.sqrt(1.0 - rho**2) * z[:, 1]
    return z


def test_agrees_with_numpy_and_weights_are_duplication() -> None:
    z, times = pair(0.5, 400), Stream(7, "times").at().integers(1, 4, 400)
    np.testing.assert_allclose(correlation_matrix(z).value, np.corrcoef(z.T), atol=1e-12)
    repeated = np.repeat(z, times, axis=0)
    np.testing.assert_allclose(correlation_matrix(z, times).value, np.corrcoef(repeated.T), atol=1e-12)
    assert correlation_matrix(z, times).events < len(repeated)


def test_errors_match_the_scatter_of_repeated_trials() -> None:
    trials, events = 400, 300
    results = [correlation_matrix(pair(0.5, events, i)) for i in range(trials)]
    scatter = np.std([result.value[0, 1] for result in results], ddof=1)
    quoted = np.mean([result.error[0, 1] for result in results])
    assert quoted == pytest.approx(scatter, rel=5.0 / np.sqrt(2.0 * trials))


@pytest.mark.statistical
def test_errors_hold_for_heavy_tails_and_repeated_events() -> None:
    trials, events = 300, 1000
    heavy, repeated, naive = [], [], []
    for trial in range(trials):
        z = pair(0.5, events, trial)
        size = np.sqrt(5.0 / Stream(7, "tails").at(trial).chisquare(5.0, (events, 1)))
        heavy.append(correlation_matrix(z * size))
        twice = np.tile(z, (2, 1))
        repeated.append(correlation_matrix(twice, group=np.tile(np.arange(events), 2)))
        naive.append(correlation_matrix(twice).error[0, 1])
    tolerance = 5.0 / np.sqrt(2.0 * trials)
    for results, slack in ((heavy, 0.1), (repeated, 0.0)):  # fourth moments of five degrees of freedom come in slowly
        scatter = np.std([result.value[0, 1] for result in results], ddof=1)
        assert np.mean([result.error[0, 1] for result in results]) == pytest.approx(scatter, rel=tolerance + slack)
    # The negative controls: a Gaussian's error is too small for heavy tails, and rows are not events.
    assert np.mean([result.error[0, 1] for result in heavy]) > 1.3 * 0.75 / np.sqrt(events)
    np.testing.assert_allclose([r.error[0, 1] for r in repeated], np.sqrt(2.0) * np.array(naive), rtol=1e-9)


def test_a_lost_correlation_is_found() -> None:
    names = ("et", "eta", "phi")
    target = correlation_matrix(pair(0.5, 5000, 1))
    fair = largest_difference(correlation_checks(names, target, correlation_matrix(pair(0.5, 5000, 2))))
    lost = largest_difference(correlation_checks(names, target, correlation_matrix(pair(0.0, 5000, 3))))
    assert fair is not None
    assert abs(fair.difference) < 5.0 * fair.error
    assert lost is not None
    assert (lost.first, lost.second) == ("et", "eta")
    assert lost.difference == pytest.approx(-0.5, abs=5.0 * lost.error)
    assert abs(lost.difference) > 5.0 * lost.error


def test_degenerate_columns_correlate_fully_without_error() -> None:
    result = correlation_matrix(pair(1.0, 100))
    assert result.value[0, 1] == pytest.approx(1.0, abs=1e-12)
    assert result.error[0, 1] == pytest.approx(0.0, abs=1e-9)


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="column 1 of the correlated targets is constant"):
        correlation_matrix([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [3.0, 1.0]])
    with pytest.raises(DataError, match="at least four"):
        correlation_matrix([[0.0, 1.0], [1.0, 3.0]])
    with pytest.raises(DataError, match="2 names for matrices"):
        correlation_checks(("a", "b"), correlation_matrix(pair(0.1, 9)), correlation_matrix(pair(0.1, 9)))
