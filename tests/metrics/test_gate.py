"""The gate: each threshold passes just inside and fails just beyond three errors, and says what failed."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.metrics.auc import AucEstimate
from castalia.metrics.correlation import CorrelationCheck, correlation_checks, correlation_matrix
from castalia.metrics.gate import Gate, judge
from castalia.metrics.location import LocationCheck, location_checks
from castalia.metrics.resolution import resolution_profiles
from castalia.metrics.width_ratio import WidthCheck, inclusive_width_checks, width_checks
from castalia.rng import Stream

GOOD = WidthCheck("et_1", "all events", 1.001, 0.002, 100_000)


def test_a_good_model_passes() -> None:
    pair = CorrelationCheck("et_1", "et_2", 0.5, 0.51, 0.01, 0.003)
    gate = judge([GOOD], [pair], AucEstimate(0.51, 0.002, 50_000))
    assert gate.passed
    assert gate.reasons == ()


@pytest.mark.parametrize(("ratio", "passed"), [(1.0295, True), (1.0305, False), (0.9705, True), (0.9695, False)])
def test_widths(ratio: float, passed: bool) -> None:
    gate = judge([GOOD, WidthCheck("eta_2", "mu in [5, 10)", ratio, 0.01 / 3.0, 5000)])
    assert gate.passed is passed
    if not passed:
        (reason,) = gate.reasons
        assert "eta_2" in reason
        assert "mu in [5, 10)" in reason
        assert "2 %" in reason


@pytest.mark.parametrize(("difference", "passed"), [(-0.059, True), (-0.061, False), (0.061, False)])
def test_correlations(difference: float, passed: bool) -> None:
    gate = judge([GOOD], [CorrelationCheck("et_1", "et_2", 0.5, 0.5 + difference, difference, 0.01 / 3.0)])
    assert gate.passed is passed
    assert all("et_1 and et_2" in reason for reason in gate.reasons)


@pytest.mark.parametrize(("value", "passed"), [(0.559, True), (0.561, False)])
def test_two_sample(value: float, passed: bool) -> None:
    gate = judge([GOOD], auc=AucEstimate(value, 0.01 / 3.0, 5000))
    assert gate.passed is passed
    assert all("0.55" in reason for reason in gate.reasons)


def test_poor_bins_are_not_judged_but_nothing_measured_fails() -> None:
    poor = WidthCheck("et_1", "mu in [0, 1)", float("nan"), float("nan"), 3)
    assert judge([GOOD, poor]).passed
    gate = judge([poor])
    assert not gate.passed
    assert "None of 1 core widths could be measured" in gate.reasons[0]


def binned(ratio: float, error: float, events: int = 5000, where: str = "mu in [5, 10)") -> WidthCheck:
    return WidthCheck("et_1", where, ratio, error, events, True)


def test_many_bins_share_the_false_alarms_of_one_figure() -> None:
    fair = [binned(1.0, 0.01, where=f"bin {i}") for i in range(83)]
    # log 1.0576 − 3 errors would be beyond 2 %; with 84 bins it takes 4.2 errors.
    noisy = binned(float(np.exp(0.056)), 0.01 * float(np.exp(0.056)))
    assert judge([GOOD, noisy, *fair]).passed
    assert not judge([GOOD, noisy]).passed
    assert not judge([GOOD, WidthCheck("et_1", "all events", noisy.ratio, noisy.error, 5000)]).passed
    clear = binned(float(np.exp(0.063)), 0.01 * float(np.exp(0.063)))
    (reason,) = judge([GOOD, clear, *fair]).reasons
    assert "4.2 errors, which for 84 bins together is 3 errors of one figure" in reason


def test_low_and_high_ratios_of_a_bin_are_judged_alike() -> None:
    for sign in (-1.0, 1.0):
        for size, passed in ((0.49, True), (0.51, False)):
            ratio = float(np.exp(sign * (0.02 + size)))
            assert judge([GOOD, binned(ratio, ratio / 6.0)]).passed is passed


def test_bins_of_fewer_than_200_events_are_not_judged() -> None:
    assert judge([GOOD, binned(2.0, 0.1, events=199)]).passed
    assert not judge([GOOD, binned(2.0, 0.1, events=200)]).passed
    assert not judge([binned(1.0, 0.1, events=199)]).passed


@pytest.mark.parametrize(("shift", "passed"), [(0.064, True), (0.066, False), (-0.066, False), (float("nan"), False)])
def test_locations(shift: float, passed: bool) -> None:
    gate = judge([GOOD], locations=[LocationCheck("eta_2", shift, 0.005)])
    assert gate.passed is passed
    assert all("The mean pull of eta_2" in reason and "0.05" in reason for reason in gate.reasons)


def test_a_figure_that_is_not_a_number_fails() -> None:
    nothing = float("nan")
    assert not judge([GOOD], [CorrelationCheck("a", "b", 0.5, nothing, nothing, 0.1)]).passed
    assert not judge([GOOD], auc=AucEstimate(nothing, 0.1, 10)).passed


def test_the_clearest_failure_comes_first() -> None:
    gate = judge([WidthCheck("a", "bin", 1.5, 0.1, 10), WidthCheck("b", "bin", 1.1, 0.001, 10)])
    assert "of b (bin)" in gate.reasons[0]
    assert len(gate.reasons) == 2


EVENTS = 60_000
NAMES = ("et_1", "eta_1", "phi_1", "et_2", "eta_2", "phi_2")


def sample(counter: int, mu: np.ndarray, rho: float = 0.5) -> np.ndarray:
    z = Stream(11, "gate").at(counter).normal(size=(len(mu), 6))
    z[:, 3:] = rho * z[:, :3] + np.sqrt(1.0 - rho**2) * z[:, 3:]
    return z * (1.0 + 0.02 * mu[:, None])


def verdict(mu: np.ndarray, generated: np.ndarray) -> Gate:
    """Judge as ``evaluate`` does, but without the classifier: each planted fault must be caught by figures too."""
    true, edges, width = sample(0, mu), np.linspace(0.0, 40.0, 9), (1.0 + 0.02 * mu)[:, None]
    bins = [
        check
        for name, one, other in zip(
            NAMES, resolution_profiles(mu, true, edges), resolution_profiles(mu, generated, edges), strict=True
        )
        for check in width_checks(name, "mu", "", one, other)
    ]
    pulls = correlation_matrix(true / width), correlation_matrix(generated / width)
    inclusive = inclusive_width_checks(NAMES, true / width, generated / width)
    locations = location_checks(NAMES, true / width, generated / width)
    return judge([*bins, *inclusive], correlation_checks(NAMES, *pulls), locations=locations)


def test_planted_faults_fail_and_a_fair_model_passes() -> None:
    mu = Stream(11, "mu").at().uniform(0.0, 40.0, EVENTS)
    fair = sample(1, mu)
    assert verdict(mu, fair).reasons == ()
    wide = verdict(mu, 1.03 * fair)
    assert any("all targets" in reason and "+" in reason for reason in wide.reasons)
    blind = verdict(mu, fair[Stream(11, "order").at().permutation(EVENTS)])
    assert any("mu in [" in reason for reason in blind.reasons)
    width = (1.0 + 0.02 * mu)[:, None]
    # 0.07 − 3 · sqrt(2 / 60,000) is just beyond 0.05, but for noise of half an error's worth: one of six is enough.
    assert any("mean pull" in reason for reason in verdict(mu, fair + 0.07 * width).reasons)
    nonsense = Stream(11, "nonsense").at().random(fair.shape) < 0.01
    assert sum("mean pull" in reason for reason in verdict(mu, np.where(nonsense, fair + 100.0, fair)).reasons) == 6
    uncorrelated = verdict(mu, sample(2, mu, rho=0.0))
    assert len(uncorrelated.reasons) == 3
    assert all("correlation" in reason for reason in uncorrelated.reasons)
