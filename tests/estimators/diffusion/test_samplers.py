"""Samplers against the exact flow of normally distributed data: their order, and their distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from castalia.estimators.diffusion.samplers import SAMPLERS
from castalia.estimators.diffusion.schedule import signal_and_noise
from castalia.rng import Stream

START, STOP = -8.0, 4.0
MEAN, WIDTH = 0.7, 0.2


def _predict(z: Tensor, gamma: float) -> Tensor:
    """Mean of data from a normal distribution, given themselves with noise."""
    alpha, sigma = (float(factor) for factor in signal_and_noise(torch.tensor(gamma, dtype=torch.float64)))
    return MEAN + (z - alpha * MEAN) * (WIDTH**2 * alpha / (WIDTH**2 * alpha**2 + sigma**2))


def _distribution(gamma: float) -> tuple[float, float]:
    alpha, sigma = (float(factor) for factor in signal_and_noise(torch.tensor(gamma, dtype=torch.float64)))
    return alpha * MEAN, math.hypot(alpha * WIDTH, sigma)


def _solve(name: str, steps: int, z: Tensor) -> Tensor:
    gammas = np.linspace(STOP, START, steps + 1).tolist()
    return SAMPLERS[name](_predict, z, gammas, Stream(1, "sampler").at())


def _error(name: str, steps: int) -> float:
    z = torch.linspace(-3, 3, 7, dtype=torch.float64)[:, None]
    (before, wide), (after, narrow) = _distribution(STOP), _distribution(START)
    exact = after + (z - before) * narrow / wide  # the probability flow keeps every quantile
    return float((_solve(name, steps, z) - exact).abs().max())


@pytest.mark.parametrize(("name", "order"), [("ddim", 1), ("multistep", 2)])
def test_errors_fall_with_the_order_that_is_claimed(name, order):
    for steps in (80, 160):
        assert math.log2(_error(name, steps) / _error(name, 2 * steps)) == pytest.approx(order, abs=0.15)


def test_few_steps_of_second_order_are_enough():
    assert _error("multistep", 20) < 0.02 * WIDTH
    assert _error("ddim", 20) > 0.1 * WIDTH  # negative control: the first order


@pytest.mark.statistical
@pytest.mark.parametrize("name", list(SAMPLERS))
def test_samples_have_the_distribution_of_the_data(name):
    count, steps = 20_000, 200
    mean, width = _distribution(STOP)
    z = mean + width * torch.from_numpy(Stream(2, "sampler").at().standard_normal((count, 1)))
    drawn = _solve(name, steps, z)
    mean, width = _distribution(START)
    # Five standard errors, and what steps of first order cost in width.
    bias = 0.0 if name == "multistep" else 0.03
    assert float(drawn.mean()) == pytest.approx(mean, abs=5 * width / math.sqrt(count))
    assert float(drawn.std()) == pytest.approx(width, rel=5 / math.sqrt(2 * count) + bias)
    still = _solve(name, 2, z)  # negative control: two steps
    assert float(still.std()) != pytest.approx(width, rel=5 / math.sqrt(2 * count) + bias)


def test_only_the_ancestral_sampler_draws():
    z, gammas = torch.ones(4, 1, dtype=torch.float64), [STOP, 0.0, START]
    for name, sampler in SAMPLERS.items():
        one, two = (sampler(_predict, z, gammas, Stream(1, "draws").at(n)) for n in (0, 1))
        assert torch.equal(one, two) == (name != "ancestral")


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_each_level_but_the_last_costs_one_evaluation(name):
    asked: list[float] = []

    def predict(z: Tensor, gamma: float) -> Tensor:
        asked.append(gamma)
        return z

    SAMPLERS[name](predict, torch.ones(2, 1), [4.0, 1.0, -2.0], Stream(1, "calls").at())
    assert asked == [4.0, 1.0]
