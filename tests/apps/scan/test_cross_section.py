"""The cross section: a constant, or a quadratic polynomial in its logarithm that points fix."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from castalia.apps.scan.cross_section import CrossSection
from castalia.errors import DataError
from castalia.rng import Stream

NAMES = ["m_heavy", "m_charged"]


def points(count=400):
    return Stream(1, "cross section points").at().uniform([350, 200], [600, 450], (count, 2))


def exact(theta):
    a, b = (theta[:, 0] - 475) / 125, (theta[:, 1] - 325) / 125
    return 0.3 * np.exp(-1.2 * a + 0.3 * b + 0.2 * a**2 - 0.4 * a * b + 0.1 * b**2)


def test_a_quadratic_logarithm_is_found_exactly():
    found = CrossSection.fit(points(), exact(points()), NAMES, "sigma")
    fresh = Stream(2, "cross section points").at().uniform([350, 200], [600, 450], (50, 2))
    np.testing.assert_allclose(found(torch.from_numpy(fresh)).numpy(), exact(fresh), rtol=1e-9)
    assert found.residual < 1e-9
    again = CrossSection.from_json({name: list(v) if isinstance(v, tuple) else v for name, v in asdict(found).items()})
    assert again == found
    # Negative control: a cubic term is not there, and the residual says so.
    cubic = exact(points()) * np.exp(0.1 * ((points()[:, 0] - 475) / 125) ** 3)
    assert CrossSection.fit(points(), cubic, NAMES, "sigma").residual > 0.005


def test_statistical_errors_of_the_points_average_out():
    noisy = exact(points()) * np.exp(0.02 * Stream(3, "noise").at().standard_normal(400))
    found = CrossSection.fit(points(), noisy, NAMES, "sigma")
    assert abs(found.residual - 0.02) < 5 * 0.02 / np.sqrt(2 * 400) + 0.001  # six parameters of 400 fitted away
    ratio = found(torch.from_numpy(points())).numpy() / exact(points()) - 1
    assert np.sqrt(np.mean(ratio**2)) < 2 * 0.02 * np.sqrt(6 / 400)  # expected: the root of terms over points


def test_a_constant_has_no_gradient():
    theta = torch.from_numpy(points(5)).requires_grad_()
    values = CrossSection.constant(0.02, 2)(theta)
    np.testing.assert_allclose(values.detach().numpy(), 0.02)
    (slope,) = torch.autograd.grad(values.sum(), theta)
    assert not slope.any()


def test_the_gradient_is_right():
    found = CrossSection.fit(points(), exact(points()), NAMES, "sigma")
    assert torch.autograd.gradcheck(found, torch.from_numpy(points(4)).requires_grad_(), eps=1e-3, rtol=1e-6)


def test_what_cannot_be_fitted():
    with pytest.raises(DataError, match="'sigma' is 0 in training event 0"):
        CrossSection.fit(points(), np.zeros(400), NAMES, "sigma")
    with pytest.raises(DataError, match="fix 5 of the 6 coefficients"):
        CrossSection.fit(points(5), exact(points(5)), NAMES, "sigma")
