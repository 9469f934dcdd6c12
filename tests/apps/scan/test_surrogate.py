from __future__ import annotations

import numpy as np
import pytest
import torch

from castalia.apps.scan.likelihood import Likelihood, Parameter
from castalia.apps.scan.surrogate import degrees, fit_pool_density, row_numbers
from castalia.errors import DataError
from castalia.processes.mixture import analytic_mixture
from castalia.rng import Stream

THETA = np.array([0.1, -0.2])
EVENTS = 500


def likelihoods(half_width):
    density = analytic_mixture(2, 3)
    x = density.sample(THETA, EVENTS, Stream(1, "test surrogate").at())
    surrogate = fit_pool_density(density, x, THETA - half_width, THETA + half_width, degrees(2)[-1])
    parameters = (Parameter("a", -1.0, 1.0), Parameter("b", -1.0, 1.0))
    rows = row_numbers(np.arange(EVENTS))
    return Likelihood(density, x, parameters), Likelihood(surrogate, rows, parameters)


def worst(half_width):
    """Largest error of the log-likelihood in the box, relative to its centre, and of the gradient."""
    exact, near = likelihoods(half_width)
    shift = Stream(2, "test points").at().uniform(-half_width, half_width, (20, 2))
    points = THETA + np.concatenate([np.zeros((1, 2)), shift])
    (value, gradient), (other, slope) = exact.value_and_gradient(points), near.value_and_gradient(points)
    off = (other - value) - (other - value)[0]
    return np.abs(off).max(), np.abs(slope - gradient).max() * half_width


def test_log_likelihood_and_gradient_near_the_truth_are_those_of_the_density():
    value, gradient = worst(0.2)
    # Far below the 0.05 that a surrogate may be off where it is used.
    assert value < 0.01
    assert gradient < 0.1
    # Negative control: in a box wider than the density is smooth, the same polynomial is no substitute.
    assert worst(2.0)[0] > 0.5


def test_an_event_that_is_impossible_in_the_box_is_named():
    class Bounded:
        def log_prob(self, x, theta):
            return torch.log(torch.clamp(x[:, 0][None] - theta[:, :1], min=0.0))

    x = np.ones((5, 1))
    x[3] = -2.0
    with pytest.raises(DataError, match="event 3 of the pool"):
        fit_pool_density(Bounded(), x, np.array([-0.5]), np.array([0.5]), 4)
