"""MIGRAD, HESSE and MINOS against closed forms; limits, flat directions, no convergence, weighted events."""

import numpy as np
import pytest
from analytic_densities import Gaussian, SumOnly, Winding, gaussian_events, gaussian_likelihood

from castalia.apps.scan import minimise as module
from castalia.apps.scan.likelihood import Likelihood, Parameter
from castalia.apps.scan.minimise import minimise

FREE = np.array([np.nan, np.nan])
EVENTS = 400


def curvature_of(likelihood: Likelihood) -> np.ndarray:
    return len(likelihood) * np.diag(likelihood.range**2)


def test_minimum_covariance_and_intervals_are_the_closed_forms():
    x = gaussian_events((0.3, -0.2), EVENTS)
    likelihood = gaussian_likelihood(x)
    found = minimise(likelihood, np.array([0.0, 0.0]), curvature_of(likelihood), FREE, np.array([1.0, 4.0]))
    assert found.failure == ""
    assert found.phi == pytest.approx(x.mean(axis=0), abs=1e-4)
    assert found.covariance == pytest.approx(np.eye(2) / EVENTS, abs=1e-6)
    assert found.errors == pytest.approx(np.array([0.05, 0.05]), rel=1e-3)
    # MINOS at thresholds 1 and 4: one and two standard deviations, to its own tolerance of a percent.
    assert found.low == pytest.approx([-0.05, -0.1], rel=0.01)
    assert found.high == pytest.approx([0.05, 0.1], rel=0.01)
    assert found.value == pytest.approx(likelihood.value(x.mean(axis=0)[None])[0], abs=1e-4)


def test_it_costs_few_evaluations():
    likelihood = gaussian_likelihood(gaussian_events((0.3, -0.2), EVENTS))
    minimise(likelihood, np.array([0.3, -0.2]), curvature_of(likelihood), FREE)
    assert likelihood.evaluations <= 10


def test_a_constraint_is_the_weighted_mean():
    x = gaussian_events((0.3,), 100)
    likelihood = Likelihood(Gaussian(), x, [Parameter("jes", -5.0, 5.0, constraint=(0.0, 0.1))])
    found = minimise(likelihood, np.array([0.1]), curvature_of(likelihood), FREE[:1])
    assert found.phi[0] == pytest.approx(x.mean() / 2.0, abs=1e-4)
    assert found.errors[0] == pytest.approx(np.sqrt(1 / 200.0), rel=1e-3)


def test_weighted_events_have_the_sandwich_covariance_and_intervals():
    x = gaussian_events((0.3,), EVENTS)
    weights = np.where(np.arange(EVENTS) % 4 == 0, 5.0, 0.5)
    likelihood = gaussian_likelihood(x, weights=weights)
    found = minimise(likelihood, np.array([0.3]), curvature_of(likelihood), FREE[:1], np.ones(1))
    mean = np.average(x[:, 0], weights=weights)
    exact = np.sqrt(np.sum(weights**2 * (x[:, 0] - mean) ** 2)) / weights.sum()
    assert found.phi[0] == pytest.approx(mean, abs=1e-4)
    assert found.errors[0] == pytest.approx(exact, rel=1e-3)
    assert found.high[0] == pytest.approx(exact, rel=0.01)
    # The curvature alone would call it much smaller.
    assert exact > 1.3 / np.sqrt(weights.sum())


def test_a_flat_direction_is_named_and_has_no_error():
    parameters = [Parameter("mass", -2.0, 2.0), Parameter("scale", -2.0, 2.0)]
    likelihood = Likelihood(SumOnly(), gaussian_events((0.3,), EVENTS), parameters)
    found = minimise(likelihood, np.array([0.1, 0.2]), curvature_of(likelihood), FREE, np.ones(2))
    assert "flat along 0.71 mass -0.71 scale" in found.failure
    assert np.isnan(found.covariance).all()
    assert np.isnan(found.low).all()
    # Negative control: a constraint on one of the two mends it.
    parameters[1] = Parameter("scale", -2.0, 2.0, constraint=(0.0, 0.05))
    mended = Likelihood(SumOnly(), gaussian_events((0.3,), EVENTS), parameters)
    assert minimise(mended, np.array([0.1, 0.2]), curvature_of(mended), FREE).failure == ""


def test_a_parameter_at_its_limit_has_no_symmetric_error():
    x = gaussian_events((0.3, -0.2), EVENTS)
    likelihood = gaussian_likelihood(x, high=0.0)
    found = minimise(likelihood, np.array([0.0, -0.3]), curvature_of(likelihood), FREE, np.ones(2))
    assert found.at_limit == ("high", None)
    assert found.free.tolist() == [False, True]
    assert found.movable.all()
    assert np.isnan(found.errors[0])
    assert found.errors[1] == pytest.approx(0.05, rel=1e-3)


def test_a_fixed_parameter_is_not_at_a_limit():
    likelihood = gaussian_likelihood(gaussian_events((0.3, -0.2), EVENTS), high=0.0)
    found = minimise(likelihood, np.array([0.0, -0.3]), curvature_of(likelihood), np.array([0.0, np.nan]))
    assert found.at_limit == (None, None)
    assert found.movable.tolist() == [False, True]
    assert found.phi[0] == 0.0


def test_all_parameters_fixed_is_a_value():
    likelihood = gaussian_likelihood(gaussian_events((0.3, -0.2), EVENTS))
    found = minimise(likelihood, np.zeros(2), curvature_of(likelihood), np.array([0.1, 0.2]))
    assert found.value == pytest.approx(likelihood.value(np.array([[0.1, 0.2]]))[0])
    assert found.failure == ""


def test_minos_that_comes_upon_a_lower_minimum_begins_again():
    class TwoWells:
        def log_prob(self, x, theta):
            return -(0.3 * (theta**2 - 1.0) ** 2 + 0.1 * theta) + 0.0 * x[:, 0]

    likelihood = Likelihood(TwoWells(), np.zeros((1, 1)), [Parameter("a", -2.0, 2.0)])
    start, curvature = np.array([1.0]), np.array([[38.0]])
    # MIGRAD stays in the higher well; the wall between the two is lower than what MINOS climbs.
    assert minimise(likelihood, start, curvature, FREE[:1]).phi[0] == pytest.approx(0.96, abs=0.01)
    assert minimise(likelihood, start, curvature, FREE[:1], np.ones(1)).phi[0] == pytest.approx(-1.04, abs=0.01)


def test_no_convergence_has_a_reason_and_no_error(monkeypatch):
    monkeypatch.setattr(module, "_CALLS", 2)
    x = gaussian_events((np.sin(0.9), 0.3 / 5.0), EVENTS)
    likelihood = Likelihood(Winding(), x, [Parameter("a", -1.0, 0.5)])
    found = minimise(likelihood, np.array([-0.3]), 1e-3 * curvature_of(likelihood), FREE[:1], np.ones(1))
    assert "MIGRAD did not converge" in found.failure
    assert np.isnan(found.errors).all()
    assert np.isnan(found.high).all()


@pytest.mark.parametrize("weight", [0.01, 100.0, 1e4])
def test_minos_does_not_depend_on_the_unit_of_the_weights(weight):
    likelihood = gaussian_likelihood(gaussian_events((0.3,), EVENTS), weights=np.full(EVENTS, weight))
    found = minimise(likelihood, np.array([0.3]), weight * curvature_of(likelihood), FREE[:1], np.array([4.0]))
    assert found.inflation == pytest.approx([weight], rel=0.2)
    assert found.errors[0] == pytest.approx(1.0 / np.sqrt(EVENTS), rel=0.2)
    assert -found.low[0] == pytest.approx(2.0 * found.errors[0], rel=0.01)
    assert found.high[0] == pytest.approx(2.0 * found.errors[0], rel=0.01)


def test_an_interval_that_a_limit_cuts_has_no_end_there():
    likelihood = gaussian_likelihood(gaussian_events((0.3, -0.2), EVENTS), high=0.36)
    found = minimise(likelihood, np.array([0.3, -0.2]), curvature_of(likelihood), FREE, np.array([9.0, 9.0]))
    assert found.at_limit == (None, None)
    assert found.low == pytest.approx([-0.15, -0.15], rel=0.01)
    assert np.isnan(found.high[0])
    assert found.high[1] == pytest.approx(0.15, rel=0.01)
