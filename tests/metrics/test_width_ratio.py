"""Ratios of widths: errors, the inclusive check that must see σ × 1.03, and the largest discrepancy."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.resolution import resolution_profiles
from castalia.metrics.width_ratio import WidthCheck, inclusive_width_checks, largest_discrepancy, width_checks
from castalia.rng import Stream

NAMES = ("et_1", "eta_1", "phi_1", "et_2", "eta_2", "phi_2")


def pulls(counter: int, events: int, shared: float = 0.0) -> np.ndarray:
    rng = Stream(6, "pulls").at(counter)
    return shared * rng.normal(size=(events, 1)) + np.sqrt(1.0 - shared**2) * rng.normal(size=(events, 6))


def test_a_common_factor_is_seen_in_the_mean_over_targets() -> None:
    events = 60_000
    fair = inclusive_width_checks(NAMES, pulls(0, events), pulls(1, events))
    wrong = inclusive_width_checks(NAMES, pulls(0, events), 1.03 * pulls(1, events))
    assert [check.target for check in fair] == [*NAMES, "all targets"]
    for check in fair:
        assert check.deviation < 5.0 * check.error
    assert wrong[-1].ratio == pytest.approx(1.03 * fair[-1].ratio, rel=1e-9)
    # The gate needs 0.03 − 3 errors > 0.02.
    assert wrong[-1].error < 0.0033
    assert wrong[-1].deviation > 5.0 * wrong[-1].error


@pytest.mark.statistical
@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_the_error_of_the_mean_knows_the_correlation(shared: float) -> None:
    trials, events = 200, 1500
    results = [
        inclusive_width_checks(NAMES, pulls(2 * i, events, shared), pulls(2 * i + 1, events, shared))[-1]
        for i in range(trials)
    ]
    scatter = np.std([check.ratio for check in results], ddof=1)
    quoted = np.mean([check.error for check in results])
    assert quoted == pytest.approx(scatter, rel=5.0 / np.sqrt(2.0 * trials) + 0.12)


def test_checks_name_their_bins_and_combine_errors() -> None:
    rng = Stream(6, "bins").at()
    mu = rng.uniform(0.0, 40.0, 8000)
    true, generated = rng.normal(size=8000), 1.2 * rng.normal(size=8000)
    edges = np.array([0.0, 20.0, 40.0, 60.0])
    one, other = resolution_profiles(mu, true, edges)[0], resolution_profiles(mu, generated, edges)[0]
    checks = width_checks("et_1", "mu", "GeV", one, other)
    assert [check.where for check in checks] == ["mu in [0, 20) GeV", "mu in [20, 40) GeV", "mu in [40, 60) GeV"]
    assert checks[0].ratio == pytest.approx(1.2, abs=5.0 * checks[0].error)
    assert checks[0].error == pytest.approx(
        checks[0].ratio * np.hypot(one.error[0] / one.width[0], other.error[0] / other.width[0])
    )
    assert not checks[2].measured
    with pytest.raises(DataError, match="different bin edges"):
        width_checks("et_1", "mu", "", one, resolution_profiles(mu, true, edges + 1.0)[0])


def test_noise_is_not_called_a_discrepancy() -> None:
    noisy, small, empty = (
        WidthCheck("a", "bin 1", 1.20, 0.15, 60),
        WidthCheck("b", "bin 2", 1.03, 0.005, 9000),
        WidthCheck("c", "bin 3", float("nan"), float("nan"), 3),
    )
    result = largest_discrepancy([noisy, small, empty])
    assert result.largest == noisy
    assert result.significant == small
    assert (result.bins, result.unmeasured) == (2, 1)
    assert result.chi2 == pytest.approx((0.2 / 0.15) ** 2 + 36.0)
    nothing = largest_discrepancy([empty])
    assert nothing.largest is None
    assert nothing.significant is None


def test_constant_targets_are_marked() -> None:
    checks = inclusive_width_checks(("a", "b"), np.zeros((100, 2)), pulls(0, 100)[:, :2])
    assert not any(check.measured for check in checks)
