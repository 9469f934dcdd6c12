"""Closure of efficiencies: the true one passes with the stated errors, a wrong one does not."""

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.efficiency import closure_chi2, efficiency_checks, excess_log_loss
from castalia.metrics.gate import judge
from castalia.metrics.width_ratio import WidthCheck
from castalia.rng import Stream

EVENTS = 50_000
GOOD = WidthCheck("et_1", "all events", 1.0, 0.002, 100_000)


def truth(unit: str, events: int = EVENTS):
    """Return conditions, true probabilities and outcomes of a turn-on curve with a gap."""
    rng = Stream(3, "efficiency", unit).at()
    condition = np.column_stack([rng.uniform(0, 10, events), rng.normal(size=events)])
    probability = 0.95 / (1 + np.exp(-(condition[:, 0] - 3))) * np.where(np.abs(condition[:, 1]) < 0.2, 0.6, 1.0)
    return condition, probability, rng.random(events) < probability


def chi2(probability, unit="a"):
    condition, _, found = truth(unit)
    return closure_chi2(efficiency_checks(["pt", "eta"], condition, probability, found))


def test_pulls_of_the_true_efficiency_have_unit_width():
    pulls = []
    for repeat in range(60):
        condition, probability, found = truth(str(repeat), 2000)
        checks = efficiency_checks(["pt", "eta"], condition, probability, found)
        pulls += [check.difference / check.error for check in checks if check.variable == "pt"]
    # 600 independent pulls: the square's mean has a standard error of sqrt(2 / 600).
    assert abs(np.mean(np.square(pulls)) - 1) < 5 * np.sqrt(2 / len(pulls))


def test_the_true_efficiency_closes_and_wrong_ones_do_not():
    condition, probability, found = truth("a")
    for value, bins in chi2(probability).values():
        assert bins == 10
        assert value < bins + 5 * np.sqrt(2 * bins)
    constant = np.full(EVENTS, found.mean())
    assert chi2(constant)["pt"][0] > 1000
    assert chi2(probability - 0.03 * probability)["eta"][0] > 100
    checks = efficiency_checks(["pt", "eta"], condition, constant, found)
    assert checks[0].difference == pytest.approx(0, abs=1e-12), "inclusively a constant closes; only bins tell"


@pytest.mark.parametrize("wrong", ["constant", "shifted", None])
def test_the_gate(wrong):
    condition, probability, found = truth("b")
    given = {"constant": np.full(EVENTS, found.mean()), "shifted": probability * 0.95}.get(wrong, probability)
    gate = judge([GOOD], efficiencies=efficiency_checks(["pt", "eta"], condition, given, found))
    assert gate.passed is (wrong is None)
    assert all(reason.startswith("The efficiency (") and "0.02 is allowed" in reason for reason in gate.reasons)
    if wrong == "constant":
        assert "of one figure" in gate.reasons[0]
        assert "pt in [" in gate.reasons[0]


def test_a_certain_prediction_has_no_error_and_a_wrong_one_fails():
    condition, found = np.arange(1000.0)[:, None], np.ones(1000, dtype=bool)
    certain = efficiency_checks(["pt"], condition, np.ones(1000), found)
    assert judge([GOOD], efficiencies=certain).passed
    assert closure_chi2(certain) == {}
    assert not judge([GOOD], efficiencies=efficiency_checks(["pt"], condition, np.ones(1000), ~found)).passed


def test_excess_log_loss():
    _, probability, _ = truth("c")
    assert excess_log_loss(probability, probability) == 0.0
    assert excess_log_loss([1.0, 0.0], [0.5, 0.5]) == pytest.approx(np.log(2))
    shifted = excess_log_loss([0.5], [0.51])
    assert shifted == pytest.approx(0.01**2 / (2 * 0.25), rel=0.01)
    assert excess_log_loss([1.0], [0.0]) == np.inf


def test_refusals():
    with pytest.raises(DataError, match="do not belong together"):
        efficiency_checks(["pt"], np.ones((3, 2)), np.ones(3), np.ones(3))
    with pytest.raises(DataError, match=r"in \[0, 1\]"):
        efficiency_checks(["pt"], np.ones((2, 1)), [0.5, 1.5], [True, False])
    with pytest.raises(DataError, match="one for each"):
        excess_log_loss([0.5], [0.5, 0.5])
