"""Flow matching: the solver's order, the network's derivatives, the path's mean velocity, steps, and that it learns."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from castalia.data.layout import Layout, Variable
from castalia.errors import ConfigError
from castalia.estimators.arrays import batch_from_arrays
from castalia.estimators.base import Batch
from castalia.estimators.flow_matching.continuous import ContinuousBlock
from castalia.estimators.flow_matching.estimator import FlowMatching
from castalia.estimators.flow_matching.solver import runge_kutta
from castalia.estimators.flow_matching.velocity import REACH, VelocityNetwork
from castalia.estimators.registry import build
from castalia.rng import Stream

LAYOUT = Layout((Variable("c"),), (Variable("x"), Variable("y")))
STEPS = 300
HIDDEN = [32, 32]


def _scramble(module: torch.nn.Module, size: float) -> None:
    rng = Stream(1, "flow matching weights").at()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += size * torch.from_numpy(rng.standard_normal(tuple(parameter.shape))).to(parameter)


def test_the_solver_is_of_fourth_order():
    def error(steps: int) -> float:
        # dx/dt = t x has the solution exp(t²/2).
        end = runge_kutta(lambda time, x: time * x, torch.ones(1, dtype=torch.float64), 0.0, 2.0, steps)
        return abs(float(end) - math.exp(2))

    for steps in (16, 32):
        assert math.log2(error(steps) / error(2 * steps)) == pytest.approx(4, abs=0.2)
    start = runge_kutta(lambda time, x: time * x, torch.full((1,), math.exp(2)), 2.0, 0.0, 64)
    assert float(start) == pytest.approx(1, abs=1e-5)


def test_slopes_are_those_of_automatic_differentiation():
    network = VelocityNetwork(3, 2, (7, 5)).double()
    rng = Stream(2, "slopes").at()
    x, c, directions = (torch.from_numpy(rng.standard_normal(shape)) for shape in ((4, 3), (4, 2), (4, 2, 3)))
    x[1, 0], x[2, 2] = 1.5 * REACH, -1.1 * REACH
    given = network.given(c)
    velocity, slopes = network.with_slopes(x, 0.3, given, directions)
    assert torch.allclose(velocity, network(x, 0.3, given))
    jacobian = torch.autograd.functional.jacobian(lambda at: network(at, 0.3, given).sum(0), x).transpose(0, 1)
    assert torch.allclose(slopes, directions @ jacobian.mT)
    assert not torch.allclose(slopes, directions @ jacobian)  # negative control: the transposed matrix
    assert not torch.allclose(velocity, network(x, 0.4, given))


def test_nothing_runs_away_from_where_the_velocity_was_learned():
    block = ContinuousBlock(2, 1, (8,), 4, 4)
    with torch.no_grad():
        for parameter in block.velocity.parameters():
            parameter.fill_(3.0)  # a velocity that grows with the place: an exponential function of the time
    at_reach, beyond = (torch.full((1, 2), at) for at in (REACH, 4 * REACH))
    with torch.no_grad():
        near, far = (block.inverse(start, torch.zeros(1, 1)) for start in (at_reach, beyond))
        assert float(near.max()) < 1e3  # without an end of the reach: 8e10
        assert torch.allclose(far - near, beyond - at_reach)
        assert float(block(far, torch.zeros(1, 1))[1]) == pytest.approx(0)


def test_a_time_per_event_is_the_same_as_one_for_all():
    network = VelocityNetwork(2, 1, (6,))
    x, given = torch.randn(5, 2, generator=torch.Generator().manual_seed(1)), network.given(torch.ones(5, 1))
    assert torch.allclose(network(x, torch.full((5, 1), 0.7), given), network(x, 0.7, given))


@pytest.mark.statistical
def test_the_loss_prefers_the_mean_velocity_of_the_paths():
    """Between N(0, 1) and N(0, s²) the mean velocity is known: v = x (pi/2) (s² - 1) sin cos / (cos² + s² sin²)."""
    count, width = 200_000, 0.5
    rng = Stream(3, "matching").at()
    noise, target = (torch.from_numpy(rng.standard_normal((count, 1))) for _ in range(2))
    time = torch.from_numpy(rng.random((count, 1)))
    block = ContinuousBlock(1, 1, (4,), 1, 1).double()

    class Scaled(torch.nn.Module):
        """The known field times a factor."""

        factor = 1.0
        given = torch.nn.Identity()

        def forward(self, x, time, given):
            cosine, sine = torch.cos(math.pi / 2 * time), torch.sin(math.pi / 2 * time)
            rate = math.pi / 2 * (width**2 - 1) * sine * cosine / (cosine**2 + width**2 * sine**2)
            return self.factor * rate * x

    block.velocity = Scaled()

    def loss(factor: float) -> torch.Tensor:
        block.velocity.factor = factor
        return block.matching_loss(width * target, torch.ones(count, 1), noise, time)

    best = loss(1.0)
    for factor in (0.9, 1.1):
        # Around its minimum the loss rises by the square of the change.
        rise = loss(factor) - best
        error = float(rise.std()) / math.sqrt(count)
        assert float(rise.mean()) == pytest.approx(0.1**2 * _mean_square(width), abs=5 * error)
    doubled = loss(2.0) - best  # negative control: a field twice as strong is no minimum
    assert float(doubled.mean()) > 5 * float(doubled.std()) / math.sqrt(count)
    assert float(loss(0.0).abs().max()) == 0


def _mean_square(width: float) -> float:
    """Mean square of the known velocity over places and times, by quadrature."""
    angle = math.pi / 2 * (np.arange(10_000) + 0.5) / 10_000
    variance = np.cos(angle) ** 2 + width**2 * np.sin(angle) ** 2
    return float(np.mean((math.pi / 2 * (width**2 - 1) * np.sin(angle) * np.cos(angle)) ** 2 / variance))


def _events(count: int, seed: int) -> tuple[Batch, np.ndarray]:
    """One condition that widens x; y is a mixture of two normals around x's pull: neither normal nor independent."""
    rng = Stream(seed, "flow matching").at()
    c = rng.uniform(0.5, 2, count)
    z, side = rng.standard_normal((count, 2)), rng.choice([-1.0, 1.0], count)
    y = 0.5 * z[:, 0] + side + 0.5 * z[:, 1]
    first = -0.5 * z[:, 0] ** 2 - np.log(c) - 0.5 * math.log(2 * math.pi)
    halves = [-0.5 * ((y - 0.5 * z[:, 0] - sign) / 0.5) ** 2 for sign in (-1, 1)]
    second = np.logaddexp(*halves) - math.log(2) - math.log(0.5) - 0.5 * math.log(2 * math.pi)
    return batch_from_arrays(c[:, None], np.stack([c * z[:, 0], y], axis=1)), first + second


def _divergence(estimator: FlowMatching, events: Batch, truth: np.ndarray) -> tuple[float, float]:
    with torch.no_grad():
        gap = truth - estimator.log_prob(events).double().numpy()
    return float(gap.mean()), float(gap.std() / math.sqrt(len(gap)))


@pytest.fixture(scope="module")
def trained(train_briefly) -> FlowMatching:
    """A small model after ``STEPS`` steps on 20,000 events."""
    events, _ = _events(20_000, 4)
    estimator = build("flow_matching", {"hidden": HIDDEN}, LAYOUT, seed=1)
    assert isinstance(estimator, FlowMatching)
    train_briefly(estimator, events, STEPS, 2e-2, 1024, Stream(5, "flow matching").at())
    return estimator


@pytest.mark.statistical
def test_training_learns_two_peaks_and_a_correlation(trained):
    events, truth = _events(5000, 6)
    kl, error = _divergence(trained, events, truth)
    assert -5 * error < kl < 0.1 + 5 * error
    # Negative control: location and width alone, without the velocity.
    still = build("flow_matching", {"hidden": HIDDEN}, LAYOUT)
    still.load_state_dict(trained.state_dict())
    with torch.no_grad():
        for parameter in still.chain.blocks[1].velocity.layers[-1].parameters():
            parameter.zero_()
    alone, error = _divergence(still, events, truth)
    assert alone > 0.2 + 5 * error


def _with_steps(trained: FlowMatching, sampling: int, density: int) -> FlowMatching:
    config = {"hidden": HIDDEN, "sampling_steps": sampling, "density_steps": density}
    estimator = build("flow_matching", config, LAYOUT)
    estimator.load_state_dict(trained.state_dict())
    assert isinstance(estimator, FlowMatching)
    return estimator.double()


def _sampler_divergence(estimator: FlowMatching, count: int) -> float:
    """KL divergence of the distribution of the samples from the density, in nats, to second order.

    A sample x = f(z) of the noise z has the density q(x) = N(z) / |det df/dz|, whatever the steps taken. Because both
    densities are normalised, the mean of log(q/p) is half its mean square, and the square fluctuates less. Location and
    width are common to both and left out.
    """
    rng = Stream(7, "sampler").at()
    flow = estimator.chain.blocks[1]
    z = torch.from_numpy(rng.standard_normal((count, 2)))
    condition = estimator.conditions(torch.from_numpy(rng.uniform(0.5, 2, (count, 1))))
    jacobian = torch.autograd.functional.jacobian(lambda at: flow.inverse(at, condition).sum(0), z).transpose(0, 1)
    with torch.no_grad():
        back, log_determinant = flow(flow.inverse(z, condition), condition)
        gap = 0.5 * (back.square() - z.square()).sum(1) - torch.linalg.slogdet(jacobian).logabsdet - log_determinant
    return float(gap.square().mean()) / 2


@pytest.mark.statistical
def test_few_steps_sample_the_density_that_is_given(trained):
    # A ten-thousandth of a nat is seen by no test with fewer than some ten thousand events.
    assert _sampler_divergence(_with_steps(trained, 4, 8), 1000) < 1e-4
    assert _sampler_divergence(_with_steps(trained, 1, 8), 1000) > 1e-3  # negative control: one step


@pytest.mark.statistical
def test_a_coarse_density_is_worse_and_never_better_than_the_truth(trained):
    """The Jacobian is that of the steps taken, so that few of them give a wrong but normalised density."""
    events, truth = _events(5000, 6)
    fine, _ = _divergence(_with_steps(trained, 4, 16), events, truth)
    usual, _ = _divergence(_with_steps(trained, 4, 8), events, truth)
    coarse, error = _divergence(_with_steps(trained, 4, 1), events, truth)
    assert usual == pytest.approx(fine, abs=1e-3)
    assert coarse > fine - 5 * error


def test_location_and_width_learn_nothing_from_the_velocity():
    events, _ = _events(100, 8)
    estimator = build("flow_matching", {"hidden": [8]}, LAYOUT)
    estimator.prepare([events])
    losses = estimator.objectives()[0].loss(events, Stream(1, "loss").at())
    scaling = losses.total - losses.terms["location_and_width"] - losses.terms["velocity"]
    assert torch.allclose(scaling, estimator.targets.deviation.log().sum(), atol=1e-5)
    affine, flow = estimator.chain.blocks
    for term, module in (("location_and_width", flow), ("velocity", affine)):
        found = torch.autograd.grad(
            losses.terms[term].sum(), tuple(module.parameters()), allow_unused=True, retain_graph=True
        )
        assert all(one is None for one in found)


def test_the_losses_randomness_is_the_sequences():
    events, _ = _events(100, 8)
    estimator = build("flow_matching", {"hidden": [8]}, LAYOUT)
    estimator.prepare([events])
    loss = estimator.objectives()[0].loss
    one, same, other = (loss(events, Stream(1, "loss").at(n)).total for n in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("wrong", [{"hidden": []}, {"sampling_steps": 0}, {"density_steps": 0}, {"solver": "euler"}])
def test_misuse_is_named(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        build("flow_matching", wrong, LAYOUT)
