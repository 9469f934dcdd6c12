"""Profiles and contours against closed forms and against MINOS's own contour."""

from dataclasses import replace

import numpy as np
import pytest
from analytic_densities import gaussian_events, gaussian_likelihood, mixture_events, mixture_model
from iminuit import Minuit

from castalia.apps.scan import intervals as module
from castalia.apps.scan.fit import FitSettings, fit
from castalia.apps.scan.intervals import contours, end_beyond_limit, profile
from castalia.apps.scan.minimise import Fitted, minimise
from castalia.errors import ConfigError

EVENTS = 100
SIGMA = 0.1


def fitted_of(likelihood, start=(0.3, -0.2)) -> Fitted:
    size = len(likelihood.range)
    curvature = len(likelihood) * np.diag(likelihood.range**2)
    return minimise(likelihood, np.array(start[:size]), curvature, np.full(size, np.nan))


def test_a_profile_is_the_parabola():
    likelihood = gaussian_likelihood(gaussian_events((0.3, -0.2), EVENTS))
    fitted = fitted_of(likelihood)
    values = fitted.phi[1] + SIGMA * np.array([-2.0, -1.0, 0.0, 1.0, 3.0])
    found = profile(likelihood, fitted, "b", values)
    assert found.rise == pytest.approx([4.0, 1.0, 0.0, 1.0, 9.0], abs=1e-3)
    assert found.phi[:, 1] == pytest.approx(values)
    assert found.phi[:, 0] == pytest.approx(fitted.phi[0], abs=1e-4)


def test_contours_are_circles_with_their_radius():
    likelihood = gaussian_likelihood(gaussian_events((0.3, -0.2, 0.0), EVENTS))
    fitted = fitted_of(likelihood, (0.3, -0.2, 0.0))
    for found in contours(likelihood, fitted, ("a", "b"), np.array([2.30, 5.99]), rays=12):
        radius = np.linalg.norm(found.points - fitted.phi[:2], axis=1)
        assert radius == pytest.approx(SIGMA * np.sqrt(found.threshold), rel=0.005)
        assert (found.points[0] == found.points[-1]).all()
        assert not found.cut.any()


def test_a_contour_ends_at_the_limits_and_says_so():
    likelihood = gaussian_likelihood(gaussian_events((0.3, -0.2), EVENTS), high=0.4)
    fitted = fitted_of(likelihood)
    found = contours(likelihood, fitted, ("a", "b"), np.array([5.99]), rays=16)[0]
    assert found.points[:, 0].max() == pytest.approx(0.4)
    assert found.cut.any()
    radius = np.linalg.norm(found.points - fitted.phi, axis=1)
    assert radius[~found.cut] == pytest.approx(SIGMA * np.sqrt(5.99), rel=0.005)


def test_a_contour_of_a_mixture_is_that_of_minuit():
    model = mixture_model()
    result = fit(model, mixture_events(model, (0.6, -0.5), 600, 600, seed=3), settings=FitSettings(minos=False))
    likelihood, fitted = result.likelihood, result.fitted
    ours = contours(likelihood, fitted, ("theta_0", "theta_1"), np.array([2.2958]), rays=48)[0].points - fitted.phi[:2]
    minuit = Minuit(
        lambda phi: float(likelihood.value(phi[None])[0]),
        fitted.phi,
        grad=lambda phi: likelihood.value_and_gradient(phi[None])[1][0],
        name=["a", "b", "f"],
    )
    minuit.errordef = Minuit.LIKELIHOOD
    minuit.migrad()
    theirs = minuit.mncontour("a", "b", cl=0.6827, size=8)[:-1] - fitted.phi[:2]
    ours = ours[np.argsort(np.arctan2(ours[:, 1], ours[:, 0]))]
    angles, radii = np.arctan2(ours[:, 1], ours[:, 0]), np.linalg.norm(ours, axis=1)
    wanted = np.interp(np.arctan2(theirs[:, 1], theirs[:, 0]), angles, radii, period=2.0 * np.pi)
    # Minuit's contour stops within 5 % of its threshold, which is 2.5 % of the distance.
    assert np.linalg.norm(theirs, axis=1) == pytest.approx(wanted, rel=0.025)


def test_the_interval_of_a_parameter_at_its_limit_reaches_inwards():
    x = gaussian_events((0.3, -0.2), EVENTS)
    likelihood = gaussian_likelihood(x, high=0.0)
    fitted = fitted_of(likelihood, (0.0, -0.2))
    mean = x[:, 0].mean()
    # The rise from 0 to -r is n ((r + mean)^2 - mean^2).
    exact = mean - np.sqrt(mean**2 + 1.0 / EVENTS)
    assert end_beyond_limit(likelihood, fitted, 0, 1.0) == pytest.approx(exact, rel=0.005)
    assert np.isnan(end_beyond_limit(likelihood, fitted, 0, 1e5))


def unequal() -> np.ndarray:
    return np.where(np.arange(EVENTS) % 4 == 0, 5.0, 0.5)


def test_profiles_and_contours_of_weighted_events_follow_the_sandwich():
    likelihood = gaussian_likelihood(gaussian_events((0.3, -0.2), EVENTS), weights=unequal())
    fitted = fitted_of(likelihood)
    values = fitted.phi[0] + fitted.errors[0] * np.array([-2.0, 1.0])
    assert profile(likelihood, fitted, "a", values).rise == pytest.approx([4.0, 1.0], rel=1e-3)
    apart = contours(likelihood, fitted, ("a", "b"), np.array([2.30]), rays=12)[0].points - fitted.phi
    distance = np.einsum("ki,ij,kj->k", apart, np.linalg.inv(fitted.covariance), apart)
    assert distance == pytest.approx(2.30, rel=0.01)
    # Negative control: by the curvature alone they would be much smaller.
    assert np.einsum("ki,ij,kj->k", apart, fitted.hessian, apart).min() > 1.5 * 2.30


def test_the_interval_at_a_limit_of_weighted_events_does_not_depend_on_their_unit():
    x = gaussian_events((0.3, -0.2), EVENTS)
    ends = []
    for weights in (np.ones(EVENTS), np.full(EVENTS, 50.0)):
        likelihood = gaussian_likelihood(x, high=0.0, weights=weights)
        ends.append(end_beyond_limit(likelihood, fitted_of(likelihood, (0.0, -0.2)), 0, 1.0))
    assert ends[1] == pytest.approx(ends[0], rel=0.01)


def test_a_ray_whose_threshold_is_not_found_is_nan(monkeypatch):
    likelihood = gaussian_likelihood(gaussian_events((0.3, -0.2), EVENTS))
    fitted = fitted_of(likelihood)
    # A curvature three times too small makes the first step too long; one step more is not enough.
    wrong = replace(fitted, hessian=fitted.hessian / 9.0)
    monkeypatch.setattr(module, "_STEPS", 1)
    found = contours(likelihood, wrong, ("a", "b"), np.array([2.30]), rays=6)[0]
    assert np.isnan(found.points).all()
    monkeypatch.undo()
    assert np.isfinite(contours(likelihood, wrong, ("a", "b"), np.array([2.30]), rays=6)[0].points).all()


def test_what_cannot_be_profiled_is_refused():
    likelihood = gaussian_likelihood(gaussian_events((0.3, -0.2), EVENTS))
    fitted = fitted_of(likelihood)
    with pytest.raises(ConfigError, match="'c' in this fit; there are a, b"):
        profile(likelihood, fitted, "c", np.zeros(1))
    with pytest.raises(ConfigError, match="within its limits, -5 to 5"):
        profile(likelihood, fitted, "a", np.array([0.0, 6.0]))
