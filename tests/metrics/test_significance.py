"""Expected significances against their limits, a numerical profile likelihood, and two normal distributions."""

from __future__ import annotations

import numpy as np
import pytest
from binormal import binormal, true_background
from scipy.optimize import minimize_scalar
from scipy.stats import poisson

from castalia.errors import DataError
from castalia.metrics.roc import roc_band
from castalia.metrics.significance import asimov_significance, expected_significance
from castalia.rng import Stream


def profiled(signal: float, background: float, error: float) -> float:
    """Discovery significance of the expected counts, the background measured by a counting experiment of its own."""
    ratio = background / error**2  # of the expected counts beside and in the signal region
    seen, beside = signal + background, ratio * background

    def minus_log(mu: float, b: float) -> float:
        return mu * signal + b - seen * np.log(mu * signal + b) + ratio * b - beside * np.log(ratio * b)

    fitted = minimize_scalar(lambda b: minus_log(0.0, b), bounds=(1e-6, 10.0 * seen), method="bounded",
                             options={"xatol": 1e-10})  # fmt: skip
    return float(np.sqrt(2.0 * (fitted.fun - minus_log(1.0, background))))


@pytest.mark.parametrize(("signal", "background", "error"), [(10.0, 100.0, 10.0), (50.0, 20.0, 3.0), (3.0, 5.0, 5.0)])
def test_is_the_profile_likelihood_of_the_expected_counts(signal: float, background: float, error: float) -> None:
    expected = profiled(signal, background, error)
    assert asimov_significance(signal, background, error) == pytest.approx(expected, rel=1e-4)
    # Negative control: the naive formula is another number.
    assert abs(signal / np.hypot(np.sqrt(background), error) / expected - 1.0) > 0.01


def test_limits() -> None:
    assert asimov_significance(10.0, 1e8) == pytest.approx(10.0 / 1e4, rel=1e-5)
    assert asimov_significance(10.0, 1e8, 1e5) == pytest.approx(10.0 / np.hypot(1e4, 1e5), rel=1e-4)
    exact = np.sqrt(2.0 * (15.0 * np.log(1.5) - 5.0))
    assert asimov_significance(5.0, 10.0) == pytest.approx(exact, rel=1e-12)
    for error in (1e-9, 1e-6, 1e-4):
        assert asimov_significance(5.0, 10.0, error) == pytest.approx(exact, rel=1e-9), "no cancellation"
    assert asimov_significance(0.0, 10.0, 1.0) == 0.0
    falling = asimov_significance(5.0, 10.0, np.array([0.0, 1.0, 3.0, 10.0]))
    assert np.all(np.diff(falling) < 0.0)


@pytest.mark.statistical
def test_is_the_median_of_experiments() -> None:
    seen = Stream(83, "experiments").at().poisson(60.0 + 100.0, 4000)
    observed = np.sqrt(2.0 * (seen * np.log(seen / 100.0) - seen + 100.0))
    # The median's error from the density at the median, sqrt(pi / 2) of the width; counts are integers: half a step.
    step = 0.5 * np.sqrt(poisson.var(160.0)) / 160.0
    assert asimov_significance(60.0, 100.0) == pytest.approx(np.median(observed), abs=5.0 * 1.25 / np.sqrt(4000) + step)


@pytest.mark.statistical
def test_cuts_against_the_closed_form() -> None:
    curve = roc_band(binormal(12_000, 8_000), Stream(83, "cuts").at())
    found = expected_significance(curve, 50.0, 2000.0, systematic=0.3)
    left = true_background(curve.signal)
    truth = asimov_significance(50.0 * curve.signal, 2000.0 * left, 600.0 * left)
    assert found.best is not None
    assert curve.left[found.best] >= 100
    assert abs(found.value[found.best] - truth[found.best]) < 5.0 * found.error
    assert found.value[found.best] > 5.0 * found.error + found.uncut
    # Negative control: the same cut without its systematic error is another number.
    exact = expected_significance(curve, 50.0, 2000.0)
    assert exact.value[found.best] > found.value[found.best] + 5.0 * found.error
    assert np.all(found.low[9:] <= found.value[9:])
    assert np.all(found.value[9:] <= found.high[9:])
    assert found.uncut == pytest.approx(float(asimov_significance(50.0, 2000.0, 600.0)))


def test_too_few_simulated_events_are_no_maximum() -> None:
    curve = roc_band(binormal(50, 50), Stream(83, "few").at())
    found = expected_significance(curve, 5.0, 50.0)
    assert found.best is None
    assert np.isnan(found.error)


def test_refusals() -> None:
    with pytest.raises(DataError, match="background above 0"):
        asimov_significance(1.0, 0.0)
    curve = roc_band(binormal(50, 50), Stream(83, "few").at())
    with pytest.raises(DataError, match="positive numbers of events"):
        expected_significance(curve, 0.0, 10.0)
