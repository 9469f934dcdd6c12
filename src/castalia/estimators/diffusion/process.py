"""A conditional diffusion: its losses, and samples from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self, final

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from castalia.data.strict import StrictModel
from castalia.estimators.diffusion.denoiser import Denoiser
from castalia.estimators.diffusion.parametrisation import Prediction
from castalia.estimators.diffusion.samplers import SAMPLERS, SamplerName
from castalia.estimators.diffusion.schedule import (
    CosineSchedule,
    LearnedSchedule,
    NoiseSchedule,
    minimise_variance,
    signal_and_noise,
)
from castalia.estimators.normal_divergence import normal_divergence

__all__ = ["Diffusion", "DiffusionConfig", "DiffusionLosses"]


@final
class DiffusionConfig(StrictModel):
    """Configuration of ``Diffusion``.

    Attributes:
        prediction: What the network answers.
        loss: Weights that bound the likelihood, or one for every error of the answer at the schedule's times.
        schedule: Learned to the least variance of the loss, with learned ends, or a fixed cosine. Without likelihood
            weights the schedule is part of the loss, and cannot be learned from it.
        start: Minus the log signal-to-noise ratio at time 0, of a learned schedule to begin with.
        stop: The same at time 1.
        width: Width of the network.
        blocks: Residual blocks of the network.
        levels: Levels of noise at which each event is seen in a step of the training.
        sampler: How samples are drawn.
        evaluations: Network evaluations for one sample.
    """

    prediction: Literal["noise", "data", "velocity"] = "velocity"
    loss: Literal["likelihood", "simple"] = "simple"
    schedule: Literal["learned", "cosine"] = "cosine"
    start: float = -13.3
    stop: float = 5.0
    width: int = Field(default=256, ge=1)
    blocks: int = Field(default=2, ge=1)
    levels: int = Field(default=8, ge=1)
    sampler: SamplerName = "multistep"
    evaluations: int = Field(default=20, ge=1)

    @model_validator(mode="after")
    def _ends_in_order(self) -> Self:
        if not self.start < self.stop:
            raise ValueError(f"start = {self.start:g} is not below stop = {self.stop:g}; noise grows with time")
        if self.schedule == "learned" and self.loss == "simple":
            raise ValueError('a learned schedule needs loss = "likelihood"; take that or schedule = "cosine"')
        return self


@dataclass(frozen=True)
class DiffusionLosses:
    """Losses of a batch.

    Attributes:
        diffusion: Error of the network, the mean over levels of noise, shape ``(events,)``.
        prior: Divergence of ``z`` at time 1 from a standard normal distribution, in nats, shape ``(events,)``.
        data: The data that the network's answer means at the first level of noise, shape ``(events, D)``.
        signal: The share of the data in what it was asked about there, ``alpha^2``, shape ``(events,)``.
    """

    diffusion: Tensor
    prior: Tensor
    data: Tensor
    signal: Tensor


@final
class Diffusion(nn.Module):
    """Variance-preserving diffusion of ``D`` numbers given a condition vector, in continuous time.

    Args:
        variables: Number of data, ``D``, each of mean zero and variance one over all events.
        condition: Length of the condition vector.
        config: Configuration.

    References:
        Kingma, Salimans, Poole and Ho, Variational diffusion models (arXiv:2107.00630).
    """

    def __init__(self, variables: int, condition: int, config: DiffusionConfig) -> None:
        super().__init__()
        self.config, self.variables = config, variables
        self.prediction = Prediction(config.prediction)
        known = LearnedSchedule if config.schedule == "learned" else CosineSchedule
        self.schedule: NoiseSchedule = known(config.start, config.stop)
        self.denoiser = Denoiser(variables, condition, config.width, config.blocks)

    def losses(self, data: Tensor, condition: Tensor, rng: np.random.Generator) -> DiffusionLosses:
        """Return the losses at random times, which are evenly spread over the events (antithetic times).

        Each event is seen at ``levels`` of noise, at times that are evenly spread as well, and has the mean of their
        losses: where the condition took long to make, several cost little more than one.

        Args:
            data: Shape ``(events, D)``.
            condition: Shape ``(events, C)``.
            rng: Source of times and noise.
        """
        events, levels = len(data), self.config.levels
        size = max(levels * events, 1)
        time = torch.from_numpy((rng.random() + np.arange(levels * events) / size) % 1).to(data.device)
        shape, shape_slope = self.schedule.shape(time)
        start, stop = self.schedule.ends()
        exact = (start + (stop - start) * shape)[:, None]
        gamma, many = exact.to(data.dtype), data.repeat(levels, 1)
        noise = torch.from_numpy(rng.standard_normal(tuple(many.shape), dtype=np.float32)).to(data)
        alpha, sigma = (factor.to(data.dtype) for factor in signal_and_noise(exact))
        z = alpha * many + sigma * noise
        answer = self.denoiser(z, self._level(gamma), self.denoiser.given(condition).repeat(levels, 1))
        loss = (answer - self.prediction.wanted(many, noise, gamma)).square().sum(1)
        if self.config.loss == "likelihood":
            slope = (stop - start) * shape_slope
            loss = loss * self.prediction.likelihood_weight(exact[:, 0], slope).to(data.dtype)
            minimise_variance((shape, shape_slope), loss)
        return DiffusionLosses(
            loss.view(levels, events).mean(0),
            self._prior(data, stop),
            self.prediction.data(answer, z, gamma)[:events],
            alpha.square()[:events, 0],
        )

    def first(self, data: Tensor, noise: Tensor) -> Tensor:
        """Return ``z`` at time 0 divided by its ``alpha``: the data with a little noise, shape ``(events, D)``.

        Args:
            data: Shape ``(events, D)``.
            noise: Standard normal, same shape.
        """
        width = (0.5 * self.schedule.ends()[0]).exp().to(data.dtype)
        return data + width * noise

    def entropy(self) -> Tensor:
        """Return the entropy of the noise that ``first`` adds, in nats.

        Where the data themselves are modelled, this is the first term of the bound on their likelihood: the mean
        negative log-density of the data given themselves with that noise.

        References:
            Kingma et al., Variational diffusion models (arXiv:2107.00630), Eq. 11, for continuous data.
        """
        return 0.5 * self.variables * (1 + math.log(2 * math.pi) + self.schedule.ends()[0])

    def sample(self, condition: Tensor, noise: Tensor, rng: np.random.Generator) -> Tensor:
        """Draw data; the levels of noise on the way are evenly spaced in the logarithm of noise over signal.

        Equal steps in the logarithm resolve a narrow distribution as well as a wide one, each at its own level.

        Args:
            condition: Shape ``(events, C)``.
            noise: Standard normal, shape ``(events, D)``.
            rng: Source of further noise, where the sampler needs any.

        Returns:
            ``z`` at time 0 divided by its ``alpha``, shape ``(events, D)``.
        """
        given = self.denoiser.given(condition)
        start, stop = (float(end.detach()) for end in self.schedule.ends())

        def predict(z: Tensor, gamma: float) -> Tensor:
            level = torch.tensor(gamma).to(z)
            return self.prediction.data(self.denoiser(z, self._level(level), given), z, level)

        gammas = np.linspace(stop, start, self.config.evaluations + 1).tolist()
        z: Tensor = SAMPLERS[self.config.sampler](predict, noise, gammas, rng)
        return z * math.sqrt(1 + math.exp(start))

    def _level(self, gamma: Tensor) -> Tensor:
        return (gamma - self.config.start) / (self.config.stop - self.config.start)

    def _prior(self, data: Tensor, stop: Tensor) -> Tensor:
        alpha, sigma = signal_and_noise(stop)
        return normal_divergence(alpha.to(data.dtype) * data, 2 * sigma.log().to(data.dtype))
