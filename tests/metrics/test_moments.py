"""Moments inside a window: values, weights, errors."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.moments import window_moments
from castalia.rng import Stream


def test_values_are_those_of_the_events_inside() -> None:
    x = Stream(8, "moments").at().normal(125.0, 2.5, 2000)
    inside = x[(x >= 120.0) & (x < 130.0)]
    result = window_moments(x, 120.0, 130.0)
    assert (result.mean, result.sd) == pytest.approx((inside.mean(), inside.std()), rel=1e-12)
    assert result.fraction == len(inside) / len(x)
    assert result.events == len(inside)


def test_weights_are_duplication() -> None:
    rng = Stream(8, "weights").at()
    x, times = rng.normal(size=300), rng.integers(1, 4, 300)
    weighted, repeated = window_moments(x, -1.0, 1.5, times), window_moments(np.repeat(x, times), -1.0, 1.5)
    for name in ("mean", "sd", "fraction"):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name), rel=1e-10)


@pytest.mark.statistical
def test_errors_match_the_scatter_of_repeated_trials() -> None:
    trials = 400
    results = [window_moments(Stream(8, "trial").at(i).exponential(size=500), 0.2, 3.0) for i in range(trials)]
    for name in ("mean", "sd", "fraction"):
        scatter = np.std([getattr(result, name) for result in results], ddof=1)
        quoted = np.mean([getattr(result, f"{name}_error") for result in results])
        assert quoted == pytest.approx(scatter, rel=5.0 / np.sqrt(2.0 * trials)), name


def test_an_empty_window_has_no_moments() -> None:
    result = window_moments([1.0, 2.0, 3.0], 10.0, 20.0)
    assert np.isnan(result.mean)
    assert result.fraction == 0.0
    with pytest.raises(DataError, match="is empty"):
        window_moments([1.0], 2.0, 1.0)
