"""Densities with known answers, and the model of a fit made of an analytic mixture."""

import math

import numpy as np
import torch
from torch import Tensor

from castalia.apps.scan.fit import FitModel
from castalia.apps.scan.likelihood import Likelihood, Parameter
from castalia.processes.mixture import AnalyticBackground, analytic_mixture
from castalia.rng import Stream


class Gaussian:
    """x ~ N(theta, 1) in each observable: the best theta is the mean, its variance one over the number of events."""

    def log_prob(self, x: Tensor, theta: Tensor) -> Tensor:
        return -0.5 * ((x[None] - theta[:, None]) ** 2).sum(-1) - 0.5 * x.shape[1] * math.log(2.0 * math.pi)


class Winding:
    """x ~ N((sin 3 theta, theta / 5), 1), theta in [-3, 3]: a likelihood of several minima."""

    def log_prob(self, x: Tensor, theta: Tensor) -> Tensor:
        return Gaussian().log_prob(x, torch.cat([torch.sin(3.0 * theta), theta / 5.0], dim=1))


class Flat:
    """A uniform density of one observable from 100 to 1000."""

    def log_prob(self, x: Tensor) -> Tensor:
        return torch.full((len(x),), -math.log(900.0), dtype=torch.float64)


class SumOnly:
    """x ~ N(theta_0 + theta_1, 1): nothing tells the two apart."""

    def log_prob(self, x: Tensor, theta: Tensor) -> Tensor:
        return Gaussian().log_prob(x, theta.sum(dim=1, keepdim=True))


def gaussian_events(mean: tuple[float, ...], events: int, seed: int = 1) -> np.ndarray:
    return Stream(seed, "gaussian events").at(0).normal(mean, 1.0, (events, len(mean)))


def gaussian_likelihood(x: np.ndarray, low: float = -5.0, high: float = 5.0, **options) -> Likelihood:
    names = "abcdefgh"[: x.shape[1]]
    return Likelihood(Gaussian(), x, [Parameter(name, low, high) for name in names], **options)


def mixture_model(parameters: int = 2, background: bool = True, **options) -> FitModel:
    """Return the exact model of an analytic mixture, with theta from -1 to 1."""
    signal = analytic_mixture(parameters)
    return FitModel(
        parameters=tuple(Parameter(f"theta_{i}", -1.0, 1.0) for i in range(parameters)),
        signal=signal,
        support=Stream(1, "support").at(0).uniform(-1.0, 1.0, (400, parameters)),
        background=AnalyticBackground(signal.observables) if background else None,
        **options,
    )


def mixture_events(model: FitModel, theta: tuple[float, ...], signal: int, background: int, seed: int) -> np.ndarray:
    rng = Stream(seed, "mixture events").at(0)
    parts = [model.signal.sample(np.array(theta), signal, rng)]
    if model.background is not None:
        parts.append(model.background.sample(background, rng))
    return np.concatenate(parts)


def narrow_model() -> FitModel:
    """Return the model of a peak of width 1 somewhere from 100 to 1000, on a flat background."""
    support = np.linspace(100.0, 1000.0, 2000)[:, None]
    return FitModel((Parameter("mass", 100.0, 1000.0),), Gaussian(), support, background=Flat())


def narrow_events(mass: float, seed: int) -> np.ndarray:
    rng = Stream(seed, "narrow events").at(0)
    return np.concatenate([rng.normal(mass, 1.0, (200, 1)), rng.uniform(100.0, 1000.0, (2000, 1))])
