"""The divergence against the Gaussian closed form; support; the best classifier's AUC."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from castalia.errors import DataError
from castalia.metrics.density import exact_auc, kl_per_event
from castalia.rng import Stream

EVENTS = 40_000


@pytest.mark.parametrize(("shift", "factor"), [(0.0, 1.0), (0.1, 1.0), (0.0, 1.1)])
def test_gaussian_closed_form(shift: float, factor: float) -> None:
    x = Stream(4, "test density").at().normal(size=EVENTS)
    result = kl_per_event(norm.logpdf(x), norm.logpdf(x, shift, factor))
    expected = np.log(factor) + (1.0 + shift**2) / (2.0 * factor**2) - 0.5
    assert result.value == pytest.approx(expected, abs=5.0 * result.error + 1e-12)
    assert result.support == 1.0
    # The control: a wrong model is told from the truth.
    assert (result.value > 5.0 * result.error) == (factor != 1.0 or shift != 0.0)


def test_events_outside_the_support_are_counted_not_averaged() -> None:
    x = Stream(4, "test support").at().normal(size=EVENTS)
    inside = np.abs(x) < 1.0
    log_model = np.where(inside, norm.logpdf(x) - np.log(norm.cdf(1.0) - norm.cdf(-1.0)), -np.inf)
    result = kl_per_event(norm.logpdf(x), log_model)
    fraction = norm.cdf(1.0) - norm.cdf(-1.0)
    assert result.support == pytest.approx(fraction, abs=5.0 * np.sqrt(fraction * (1.0 - fraction) / EVENTS))
    assert result.events == int(inside.sum())
    assert result.value == pytest.approx(np.log(fraction), abs=1e-12)


def test_weights_are_duplication() -> None:
    rng = Stream(4, "test weights").at()
    x, times = rng.normal(size=500), rng.integers(1, 4, 500)
    weighted = kl_per_event(norm.logpdf(x), norm.logpdf(x, 0.2), times)
    repeated = kl_per_event(np.repeat(norm.logpdf(x), times), np.repeat(norm.logpdf(x, 0.2), times))
    assert weighted.value == pytest.approx(repeated.value, rel=1e-10)


def test_exact_auc_matches_the_binormal() -> None:
    rng = Stream(4, "test exact").at()
    shift = 0.2
    true, generated = rng.normal(size=EVENTS), rng.normal(size=EVENTS) + shift

    def log_ratio(x: np.ndarray) -> np.ndarray:
        return norm.logpdf(x, shift) - norm.logpdf(x)

    result = exact_auc(log_ratio(true), log_ratio(generated))
    assert result.value == pytest.approx(norm.cdf(shift / np.sqrt(2.0)), abs=5.0 * result.error)
    assert abs(exact_auc(log_ratio(true[::2]), log_ratio(true[1::2])).significance) < 5.0


def test_broken_densities_are_refused() -> None:
    with pytest.raises(DataError, match=r"NaN or infinite in 1 rows \(first in row 1\)"):
        kl_per_event([0.0, 0.0, 0.0], [0.0, np.nan, 0.0])
    with pytest.raises(DataError, match="the truth's log-density"):
        kl_per_event([0.0, -np.inf], [0.0, 0.0])
    with pytest.raises(DataError, match="one number an event"):
        kl_per_event([0.0, 0.0], [0.0])
    with pytest.raises(DataError, match="two are needed"):
        kl_per_event([0.0, 0.0], [-np.inf, 0.0])
