"""Noise schedules: their ends, their slope, and the gradient that makes the loss fluctuate least."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from castalia.estimators.diffusion.schedule import (
    CosineSchedule,
    LearnedSchedule,
    NoiseSchedule,
    minimise_variance,
    signal_and_noise,
)
from castalia.rng import Stream

ENDS = (-13.3, 5.0)


def _learned(scramble: float) -> LearnedSchedule:
    schedule, rng = LearnedSchedule(*ENDS), Stream(1, "schedule").at()
    with torch.no_grad():
        for parameter in (schedule.heights, schedule.rates, schedule.centres):
            parameter += scramble * torch.from_numpy(rng.standard_normal(len(parameter))).float()
    return schedule


SCHEDULES: dict[str, NoiseSchedule] = {"cosine": CosineSchedule(*ENDS), "learned": _learned(0), "bent": _learned(3.0)}


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_the_shape_rises_from_zero_to_one_with_the_slope_it_says(name):
    schedule, time = SCHEDULES[name], torch.linspace(0, 1, 5001, dtype=torch.float64, requires_grad=True)
    shape, slope = schedule.shape(time)
    assert shape.dtype == slope.dtype == torch.float64
    assert float(shape[0].detach()) == pytest.approx(0, abs=1e-12)
    assert float(shape[-1].detach()) == pytest.approx(1, abs=1e-12)
    assert bool((shape.diff() > 0).all())
    (expected,) = torch.autograd.grad(shape.sum(), time)
    assert torch.allclose(slope, expected, rtol=1e-8)
    assert not torch.allclose(slope.roll(50), expected, rtol=1e-3) or name == "learned"  # it begins nearly straight
    start, stop = schedule.ends()
    assert (float(start.detach()), float(stop.detach())) == pytest.approx(ENDS, rel=1e-6)


def test_close_times_stay_apart_in_float64():
    time = 0.5 + torch.arange(4, dtype=torch.float64) * 1e-11
    assert bool((_learned(0).shape(time)[0].diff() > 0).all())
    assert not bool((time.float().diff() > 0).any())  # negative control


def test_cosine_is_a_cosine():
    schedule, time = CosineSchedule(*ENDS), torch.tensor([0.0, 0.25, 0.8], dtype=torch.float64)
    (start, stop), (shape, _) = schedule.ends(), schedule.shape(time)
    alpha, sigma = signal_and_noise(start + (stop - start) * shape)
    first, last = (math.atan(math.exp(end / 2)) for end in ENDS)
    assert torch.allclose(alpha, torch.cos(first + (last - first) * time))
    assert torch.allclose(alpha.square() + sigma.square(), torch.ones(3, dtype=torch.float64))


def _loss(schedule: LearnedSchedule, events: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Half the slope times a mean squared error that depends on the noise alone, at evenly spread times."""
    shape, slope = schedule.shape((torch.arange(events, dtype=torch.float64) + 0.5) / events)
    start, stop = schedule.ends()
    gamma = start + (stop - start) * shape
    return 0.5 * (stop - start) * slope * (0.2 + torch.sigmoid(-gamma)), (shape, slope)


def test_one_pass_gives_the_shape_the_gradient_of_the_variance():
    schedule = _learned(0.3).double()
    inner = (schedule.heights, schedule.rates, schedule.centres)
    loss, shape = _loss(schedule, 4000)
    plain = torch.autograd.grad(loss.mean(), (*inner, schedule.start), retain_graph=True)
    variance = torch.autograd.grad(loss.var(correction=0), inner, retain_graph=True)
    square = torch.autograd.grad(loss.square().mean(), inner)
    loss, shape = _loss(schedule, 4000)
    minimise_variance(shape, loss)
    one_pass = torch.autograd.grad(loss.mean(), (*inner, schedule.start))
    size = 2 * float(loss.detach().mean())
    for found, explicit, of_square, of_mean in zip(one_pass, variance, square, plain, strict=False):
        assert torch.allclose(size * found, of_square, rtol=1e-9, atol=1e-12)  # event by event
        # The mean over all times does not depend on the shape: what is left is the rule of the sum over the times.
        assert torch.allclose(size * found, explicit, rtol=1e-3, atol=1e-4 * float(explicit.abs().max()))
        assert float(of_mean.abs().max()) < 1e-3 * float(found.abs().max())  # negative control: without the hook
    assert torch.equal(one_pass[3], plain[3])  # the ends keep the gradient of the mean


def test_following_it_makes_the_loss_fluctuate_less_and_changes_no_mean():
    schedule = _learned(0).double()
    inner = (schedule.heights, schedule.rates, schedule.centres)
    losses = []
    for _ in range(80):
        loss, shape = _loss(schedule, 200)
        losses.append(loss.detach())
        minimise_variance(shape, loss)
        gradients = torch.autograd.grad(loss.mean(), inner)
        with torch.no_grad():
            for parameter, gradient in zip(inner, gradients, strict=True):
                parameter -= 0.05 * gradient.sign()
    assert float(losses[-1].std()) < 0.5 * float(losses[0].std())
    assert float(losses[-1].mean()) == pytest.approx(float(losses[0].mean()), rel=1e-3)
