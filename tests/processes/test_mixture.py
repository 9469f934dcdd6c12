"""The analytic mixture: events follow its density, the density is normalised and differentiable."""

import numpy as np
import pytest
import torch

from castalia.errors import ConfigError
from castalia.processes.mixture import AnalyticBackground, analytic_mixture
from castalia.rng import Stream


def grid(half_width: float, points: int) -> tuple[torch.Tensor, float]:
    axis = torch.linspace(-half_width, half_width, points, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis), float(axis[1] - axis[0]) ** 2


def test_densities_integrate_to_one():
    x, cell = grid(12.0, 301)
    theta = torch.tensor([[0.0, 0.0], [0.9, -0.8]], dtype=torch.float64)
    assert (analytic_mixture(2).log_prob(x, theta).exp().sum(dim=1) * cell).tolist() == pytest.approx(
        [1.0, 1.0], abs=1e-6
    )
    assert float(AnalyticBackground(2).log_prob(x).exp().sum() * cell) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.statistical
def test_events_follow_the_density():
    mixture, theta, events = analytic_mixture(2), np.array([0.5, -0.4]), 20000
    x = torch.as_tensor(mixture.sample(theta, events, Stream(1, "events").at(0)))
    point = torch.as_tensor(theta[None])
    lattice, cell = grid(10.0, 301)
    density = mixture.log_prob(lattice, point)[0]
    expected = float((density.exp() * density).sum()) * cell

    def deviation(events_x: torch.Tensor) -> float:
        terms = mixture.log_prob(events_x, point)[0].numpy()
        return abs(terms.mean() - expected) / (terms.std() / np.sqrt(events))

    assert deviation(x) < 5
    # Negative control: events 5 % too wide.
    assert deviation(x.mean(dim=0) + 1.05 * (x - x.mean(dim=0))) > 5


@pytest.mark.statistical
def test_background_events_have_their_width():
    x = AnalyticBackground(3).sample(5000, Stream(1, "background").at(0))
    assert x.std() == pytest.approx(2.0, abs=5 * 2.0 / np.sqrt(2 * x.size))


def test_several_points_are_drawn_in_order():
    mixture = analytic_mixture(2)
    x = mixture.sample(np.array([[-1.0, 0.0], [1.0, 0.0]]), 3000, Stream(1, "events").at(0))
    alone = mixture.log_prob(torch.as_tensor(x), torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)).numpy()
    assert x.shape == (6000, 2)
    assert (alone[0] - alone[1])[:3000].mean() > 0.0 > (alone[0] - alone[1])[3000:].mean()


@pytest.mark.parametrize("parameters", [1, 4, 8])
def test_gradient_and_information_hold_in_any_number_of_parameters(parameters):
    mixture = analytic_mixture(parameters)
    theta = torch.zeros((1, parameters), dtype=torch.float64)
    x = torch.as_tensor(mixture.sample(theta[0].numpy(), 2000, Stream(1, "events").at(parameters)))
    assert torch.autograd.gradcheck(lambda t: mixture.log_prob(x[:3], t), theta.requires_grad_(True))
    scores = torch.autograd.functional.jacobian(lambda t: mixture.log_prob(x, t)[0], theta)[:, 0].numpy()
    information = np.linalg.eigvalsh(scores.T @ scores / len(x))
    assert information[0] > 0.1


def test_more_parameters_than_observables_are_refused():
    with pytest.raises(ConfigError, match="1 to 2 parameters"):
        analytic_mixture(3, observables=2)
