"""One step: learning rates of single parameters, and their place in the optimiser's state."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from castalia.estimators.base import Batch, Events, Losses, Objective
from castalia.rng import Stream
from castalia.training.config import TrainingConfig
from castalia.training.diagnosis import VariableNames
from castalia.training.step import ObjectiveStep


def _moved(
    rates: tuple[float, ...], steps: int = 1, state: ObjectiveStep | None = None, **changes: Any
) -> tuple[list[float], ObjectiveStep]:
    parameters = tuple(nn.Parameter(torch.zeros(())) for _ in range(3))
    batch = Batch(Events(torch.zeros(4, 0)), Events(torch.zeros(4, 0)), torch.ones(4), torch.arange(4))

    def loss(batch: Batch, rng: object) -> Losses:
        return Losses(-torch.stack(parameters).sum().expand(len(batch)))

    step = ObjectiveStep(Objective("sum", parameters, loss, rates=rates), TrainingConfig(**changes), VariableNames())
    if state is not None:
        step.load_state(state.state())
    for _ in range(steps):
        step(batch, 0.5, Stream(1, "none").at(), "here")
    return [float(parameter.detach()) for parameter in parameters], step


def test_a_parameter_moves_by_its_own_rate():
    moved, _ = _moved((1.0, 0.1, 1.0))
    # The first step of Adam has the size of the learning rate, whatever the gradient.
    assert torch.allclose(torch.tensor(moved), torch.tensor([0.5, 0.05, 0.5]))
    assert torch.allclose(torch.tensor(_moved(())[0]), torch.tensor([0.5, 0.5, 0.5]))


def test_the_state_is_that_of_the_parameter_however_they_are_grouped():
    _, step = _moved((1.0, 0.1, 0.2), steps=3)
    names = {name for name in step.state() if name.endswith("/step")}
    assert names == {f"sum/{number}/step" for number in range(3)}
    _, other = _moved((0.1, 1.0, 1.0), steps=1, state=step)
    assert all(float(other.state()[name]) == 4 for name in names)


def test_gradient_descent_has_the_momentum_and_decay_that_it_should():
    # The gradient is -1: velocities 1, 1.9 and 2.71 without a decay.
    moved, step = _moved((1.0, 0.1, 1.0), steps=3, optimiser="sgd")
    assert torch.allclose(torch.tensor(moved), 0.5 * 5.61 * torch.tensor([1.0, 0.1, 1.0]))
    assert {name.rpartition("/")[2] for name in step.state()} == {"momentum_buffer"}
    again, _ = _moved((), steps=1, state=step, optimiser="sgd")
    assert torch.allclose(torch.tensor(again), torch.full((3,), 0.5 * 3.439))
    # With decay 0.1 the second gradient is -1 + 0.1 * 0.5.
    decayed, _ = _moved((), steps=2, optimiser="sgd", weight_decay=0.1)
    assert torch.allclose(torch.tensor(decayed), torch.full((3,), 0.5 * (1 + 0.9 + 0.95)))


def _stepped(optimiser: str, rates: tuple[float, ...] = (), steps: int = 1, state: ObjectiveStep | None = None):
    """Move a matrix, a small matrix and a vector down a fixed slope of a few very different steepnesses."""
    draw = torch.Generator().manual_seed(1)
    parameters = tuple(nn.Parameter(torch.zeros(shape)) for shape in ((24, 40), (3, 40), (5,)))
    steep = torch.logspace(0, 2, 24)[:, None]
    slopes = [torch.randn(parameter.shape, generator=draw) for parameter in parameters]
    slopes[0] = steep * slopes[0]
    batch = Batch(Events(torch.zeros(4, 0)), Events(torch.zeros(4, 0)), torch.ones(4), torch.arange(4))

    def loss(batch: Batch, rng: object) -> Losses:
        total = sum((slope * parameter).sum() for slope, parameter in zip(slopes, parameters, strict=True))
        return Losses(total.expand(len(batch)))

    objective = Objective("sum", parameters, loss, rates=rates)
    step = ObjectiveStep(objective, TrainingConfig(optimiser=optimiser), VariableNames())
    if state is not None:
        step.load_state(state.state())
    for _ in range(steps):
        step(batch, 0.5, Stream(1, "none").at(), "here")
    return [parameter.detach() for parameter in parameters], step


def test_muon_moves_a_matrix_equally_far_in_all_directions():
    moved, _ = _stepped("muon")
    # Newton-Schulz leaves singular values between 0.5 and 1.5; steps are 0.2 of the rate, root mean square, as Adam's.
    sizes = torch.linalg.svdvals(moved[0]) / (0.5 * 0.2 * 40**0.5)
    assert float(sizes.min()) > 0.4
    assert float(sizes.max()) < 1.6
    control = torch.linalg.svdvals(_stepped("sgd")[0][0])
    assert float(control.max() / control.min()) > 20


def test_what_muon_leaves_moves_by_adam():
    moved, step = _stepped("muon")
    adam, _ = _stepped("adamw")
    assert not torch.allclose(moved[0], adam[0], rtol=0.1)
    assert all(torch.equal(one, other) for one, other in zip(moved[1:], adam[1:], strict=True))
    names = {name.removeprefix("sum/") for name in step.state()}
    of_adam = {f"{number}/{name}" for number in (1, 2) for name in ("step", "exp_avg", "exp_avg_sq")}
    assert names == {"0/momentum_buffer", *of_adam}


def test_muon_goes_on_where_it_was_and_keeps_rates_of_single_parameters():
    whole, _ = _stepped("muon", steps=3)
    first, step = _stepped("muon", steps=2)
    last, _ = _stepped("muon", state=step)
    assert all(torch.allclose(a + b, c, atol=1e-6) for a, b, c in zip(first, last, whole, strict=True))
    slow, _ = _stepped("muon", rates=(0.1, 1.0, 1.0))
    assert torch.allclose(slow[0], 0.1 * _stepped("muon")[0][0], atol=1e-7)
