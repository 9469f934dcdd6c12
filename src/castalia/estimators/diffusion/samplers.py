"""From noise back to data, with a given number of network evaluations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

__all__ = ["SAMPLERS", "DiffusionSampler", "SamplerName", "ancestral", "deterministic", "multistep"]

SamplerName: TypeAlias = Literal["ancestral", "ddim", "multistep"]

Predict: TypeAlias = Callable[[Tensor, float], Tensor]
"""The mean of the data given ``z`` of shape ``(events, D)`` and one ``gamma`` for all of them."""


DiffusionSampler: TypeAlias = Callable[[Predict, Tensor, list[float], np.random.Generator], Tensor]
"""Carries ``z`` through levels of noise ``gamma``, from much to little, with one evaluation for each but the last.

What comes out is ``z`` at the last level, not yet divided by its ``alpha``.
"""


def ancestral(predict: Predict, z: Tensor, gammas: list[float], rng: np.random.Generator) -> Tensor:
    """Draw each ``z`` from the distribution that it has given the one before and the predicted data.

    References:
        Kingma et al., Variational diffusion models (arXiv:2107.00630), Eq. 8 and appendix A.4.
    """
    for before, after in itertools.pairwise(gammas):
        kept = -math.expm1(after - before)  # the share of the noise that is drawn anew
        alpha, sigma = _factors(after)
        scale, _ = _factors(before)
        noise = torch.from_numpy(rng.standard_normal(tuple(z.shape), dtype=np.float32)).to(z)
        mean = z * (alpha / scale * math.exp(after - before)) + predict(z, before) * (alpha * kept)
        z = torch.add(mean, noise, alpha=sigma * math.sqrt(kept))
    return z


def deterministic(predict: Predict, z: Tensor, gammas: list[float], rng: np.random.Generator) -> Tensor:
    """Solve the probability flow with constant predicted data in each step; first order, draws nothing (DDIM).

    References:
        Song, Meng and Ermon, Denoising diffusion implicit models (arXiv:2010.02502), Eq. 12 without noise.
    """
    for before, after in itertools.pairwise(gammas):
        z = _step(z, predict(z, before), before, after)
    return z


def multistep(predict: Predict, z: Tensor, gammas: list[float], rng: np.random.Generator) -> Tensor:
    """Solve it with predicted data that go on changing as they did in the step before; second order, draws nothing.

    References:
        Lu et al., DPM-Solver++ (arXiv:2211.01095), algorithm 2, the multistep solver of second order.
    """
    last: Tensor | None = None
    width = 0.0
    for before, after in itertools.pairwise(gammas):
        data = predict(z, before)
        ahead = data if last is None else data + (data - last) * ((before - after) / (2 * width))
        z = _step(z, ahead, before, after)
        last, width = data, before - after
    return z


def _step(z: Tensor, data: Tensor, before: float, after: float) -> Tensor:
    """Go from one level of noise to another along the straight line through ``z`` and the data."""
    (_, noisier), (alpha, sigma) = _factors(before), _factors(after)
    return z * (sigma / noisier) + data * (-alpha * math.expm1((after - before) / 2))


def _factors(gamma: float) -> tuple[float, float]:
    """Return ``alpha`` and ``sigma``."""
    return (1 + math.exp(gamma)) ** -0.5, (1 + math.exp(-gamma)) ** -0.5


SAMPLERS: dict[SamplerName, DiffusionSampler] = {
    "ancestral": ancestral,
    "ddim": deterministic,
    "multistep": multistep,
}
"""Samplers by name."""
