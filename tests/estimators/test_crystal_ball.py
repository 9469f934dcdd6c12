"""The double-sided Crystal Ball: density, slope, quantile and fit belong together."""

from __future__ import annotations

import math

import pytest
import torch

from castalia.estimators import crystal_ball
from castalia.rng import Stream

SHAPES = [(1.2, 3.0, 1.8, 8.0), (0.5, 40.0, 2.5, 2.2), crystal_ball.GAUSSIAN]


@pytest.mark.parametrize("shape", SHAPES)
def test_density_is_normalised_and_its_slope_is_the_derivative(shape):
    tails = torch.tensor(shape, dtype=torch.float64)
    t = torch.sinh(torch.linspace(-12, 12, 200001, dtype=torch.float64))
    density = crystal_ball.log_density(t, tails).exp()
    # Beyond sinh(12) lies at most (1e5)**(1 - 2.2) of the mass.
    assert float(torch.trapezoid(density, t)) == pytest.approx(1, abs=1e-5)
    at = torch.linspace(-6, 6, 101, dtype=torch.float64).requires_grad_()
    (expected,) = torch.autograd.grad(crystal_ball.log_density(at, tails).sum(), at)
    assert torch.allclose(crystal_ball.slope(at.detach(), tails), expected)
    assert not torch.allclose(crystal_ball.slope(at.detach(), tails * 1.1), expected) or shape == crystal_ball.GAUSSIAN


@pytest.mark.parametrize("shape", SHAPES)
def test_quantile_inverts_the_cumulative_distribution(shape):
    tails = torch.tensor(shape, dtype=torch.float64)
    t = torch.sinh(torch.linspace(-12, 12, 400001, dtype=torch.float64))
    cumulative = torch.cumulative_trapezoid(crystal_ball.log_density(t, tails).exp(), t)
    for u in (0.001, 0.1, 0.3, 0.5, 0.77, 0.95, 0.9999):
        found = crystal_ball.quantile(torch.tensor(u, dtype=torch.float64), tails)
        expected = t[1:][torch.searchsorted(cumulative, u)]
        assert float(found) == pytest.approx(float(expected), abs=2e-3 * (1 + abs(float(expected))))


def test_gaussian_tails_are_a_gaussian():
    tails = torch.tensor(crystal_ball.GAUSSIAN)
    t = torch.linspace(-8, 8, 33)
    assert torch.allclose(crystal_ball.log_density(t, tails), -0.5 * t**2 - 0.5 * math.log(2 * math.pi))
    assert torch.allclose(
        crystal_ball.information(tails.double()), torch.diag(torch.tensor([1.0, 2.0]).double()), atol=1e-2
    )


@pytest.mark.statistical
def test_a_fit_finds_the_tails():
    tails = torch.tensor([1.3, 3.0, 1.9, 6.0], dtype=torch.float64)
    rng = Stream(1, "crystal ball").at()
    t = crystal_ball.quantile(torch.from_numpy(rng.random(200_000)), tails)
    found = crystal_ball.fit_tails(t, torch.ones(200_000), torch.tensor([2.0, 2.0, 2.0, 2.0], dtype=torch.float64))
    gain = (crystal_ball.log_density(t, found) - crystal_ball.log_density(t, tails)).sum()
    # Wilks: twice the gain follows a chi-squared of four degrees of freedom; 20 is its five standard deviations.
    assert -0.5 < float(gain) < 20
    worse = crystal_ball.log_density(t, tails * 1.1) - crystal_ball.log_density(t, tails)
    assert float(worse.sum()) < -20
