"""A conditional diffusion with networks that know the answer: its bound, its times, its samples."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from castalia.estimators.diffusion.parametrisation import Prediction
from castalia.estimators.diffusion.process import Diffusion, DiffusionConfig
from castalia.estimators.diffusion.schedule import signal_and_noise
from castalia.rng import Stream


class Exact(nn.Module):
    """Answers for standard normal data, or for those of another width."""

    def __init__(self, diffusion: Diffusion, width: float = 1.0) -> None:
        super().__init__()
        self.width, self.prediction = width, diffusion.prediction
        self.ends = diffusion.config.start, diffusion.config.stop
        self.given = nn.Identity()

    def forward(self, z: Tensor, level: Tensor, given: Tensor) -> Tensor:
        gamma = self.ends[0] + (self.ends[1] - self.ends[0]) * level
        alpha, sigma = signal_and_noise(gamma)
        data = z * self.width**2 * alpha / (self.width**2 * alpha**2 + sigma**2)
        return self.prediction.wanted(data, (z - alpha * data) / sigma, gamma)


def _diffusion(width: float = 1.0, **options: object) -> Diffusion:
    diffusion = Diffusion(2, 1, DiffusionConfig.model_validate({"width": 8, "blocks": 1, **options})).double()
    diffusion.denoiser = Exact(diffusion, width)  # type: ignore[assignment]
    return diffusion


def _data(count: int) -> Tensor:
    return torch.from_numpy(Stream(1, "data").at().standard_normal((count, 2)))


@pytest.mark.statistical
@pytest.mark.parametrize("prediction", [p.value for p in Prediction])
def test_with_likelihood_weights_the_losses_bound_the_likelihood(prediction):
    """For normal data and the exact answer the bound is tight: the entropy of two standard normal numbers."""
    count = 20_000

    def bound(width: float) -> Tensor:
        diffusion = _diffusion(width, prediction=prediction, loss="likelihood", schedule="learned")
        parts = diffusion.losses(_data(count), torch.zeros(count, 1).double(), Stream(2, "loss").at())
        return (parts.diffusion + parts.prior + diffusion.entropy()).detach()

    def mean(values: Tensor) -> tuple[float, float]:
        return float(values.mean()), float(values.std()) / math.sqrt(count)

    entropy = 1 + math.log(2 * math.pi)
    value, error = mean(bound(1.0))
    assert error < 0.2
    assert value == pytest.approx(entropy, abs=5 * error + 0.01)  # which the first noise and the prior cost
    worse, error = mean(bound(1.5) - bound(1.0))  # negative control: the answer for other data
    assert worse > 5 * error + 0.01


@pytest.mark.parametrize("levels", [1, 4])
def test_times_are_spread_evenly_over_the_events_and_over_the_levels_of_each(monkeypatch, levels):
    diffusion, seen = _diffusion(levels=levels), []
    shape = diffusion.schedule.shape
    monkeypatch.setattr(diffusion.schedule, "shape", lambda time: seen.append(time) or shape(time))
    diffusion.losses(_data(64), torch.zeros(64, 1).double(), Stream(3, "times").at())
    every = 64 * levels
    assert torch.allclose(seen[0].sort().values.diff(), torch.full((every - 1,), 1 / every, dtype=torch.float64))
    of_one = seen[0].view(levels, 64)[:, 17].sort().values
    assert torch.allclose(of_one.diff(), torch.full((levels - 1,), 1 / levels, dtype=torch.float64))
    diffusion.losses(_data(64), torch.zeros(64, 1).double(), Stream(3, "times").at(1))
    assert not torch.equal(seen[0], seen[1])


@pytest.mark.statistical
@pytest.mark.parametrize("loss", ["simple", "likelihood"])
def test_more_levels_have_the_same_mean_loss_with_a_smaller_error(loss):
    count = 20_000
    found = {}
    for levels in (1, 8):
        diffusion = _diffusion(1.5, loss=loss, schedule="cosine", levels=levels)
        parts = diffusion.losses(_data(count), torch.zeros(count, 1).double(), Stream(5, "levels").at())
        assert parts.diffusion.shape == parts.signal.shape == (count,)
        assert parts.data.shape == (count, 2)
        found[levels] = float(parts.diffusion.mean()), float(parts.diffusion.std()) / math.sqrt(count)
    (one, error), (many, smaller) = found[1], found[8]
    assert many == pytest.approx(one, abs=5 * math.hypot(error, smaller))
    assert smaller < 0.6 * error


@pytest.mark.statistical
@pytest.mark.parametrize("sampler", ["ancestral", "ddim", "multistep"])
def test_samples_have_the_width_of_the_data(sampler):
    count, width = 10_000, 0.1
    diffusion = _diffusion(width, sampler=sampler, evaluations=100)
    noise = torch.from_numpy(Stream(4, "noise").at().standard_normal((count, 2)))
    drawn = diffusion.sample(torch.zeros(count, 1), noise, Stream(4, "more").at())
    bias = 0.0 if sampler == "multistep" else 0.08  # steps of first order
    assert float(drawn.std()) == pytest.approx(width, rel=5 / math.sqrt(4 * count) + bias + 0.005)
    assert float(_diffusion(2 * width).sample(torch.zeros(count, 1), noise, Stream(4, "").at()).std()) > 1.5 * width


def test_the_first_noise_is_that_of_time_zero():
    diffusion, data = _diffusion(start=-6.0), _data(5)
    start, _ = diffusion.schedule.ends()
    alpha, sigma = signal_and_noise(start)
    noise = _data(5).flip(0)
    assert torch.allclose(diffusion.first(data, noise), (alpha * data + sigma * noise) / alpha)


def test_misuse_is_named():
    with pytest.raises(ValueError, match='learned schedule needs loss = "likelihood"'):
        DiffusionConfig(schedule="learned", loss="simple")
    with pytest.raises(ValueError, match="start = 5 is not below stop = 5"):
        DiffusionConfig(start=5, stop=5)
