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
