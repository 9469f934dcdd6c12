"""Tiny estimators and samples whose right answer is known, for tests of training; imported by path."""

import dataclasses

import numpy as np
import torch
from torch import nn

from castalia.estimators.base import Batch, Estimator, Events, Losses, Objective
from castalia.rng import Stream

SLOPE, OFFSET, WIDTH = 0.7, -0.3, 0.5


def sample(events: int, seed: int = 5, unit: str = "train") -> Batch:
    """Targets ``SLOPE * c + OFFSET + WIDTH * z`` with standard normal ``c`` and ``z``."""
    rng = Stream(seed, "toy sample", unit).at()
    condition = rng.standard_normal((events, 1))
    target = SLOPE * condition + OFFSET + WIDTH * rng.standard_normal((events, 1))
    return Batch(
        Events(torch.from_numpy(condition).float()),
        Events(torch.from_numpy(target).float()),
        torch.ones(events),
        torch.arange(events),
    )


def with_weight(batch: Batch, weight: torch.Tensor) -> Batch:
    return dataclasses.replace(batch, weight=weight)


class LinearGaussian(Estimator):
    """Normal density around a line; its loss adds a little noise so that the random streams matter."""

    def __init__(self, noise: float = 1e-3) -> None:
        super().__init__()
        self.noise = noise
        self.line = nn.Linear(1, 1)
        self.log_width = nn.Parameter(torch.zeros(1))
        with torch.no_grad():
            self.line.weight.zero_()
            self.line.bias.zero_()
        self.register_buffer("centre", torch.zeros(1))
        self.register_buffer("prepared", torch.zeros((), dtype=torch.int64))

    def prepare(self, stream):
        self.prepared += 1
        total = weight = 0.0
        for batch in stream:
            total, weight = total + (batch.target.flat[:, 0] * batch.weight).sum(), weight + batch.weight.sum()
        self.centre.fill_(total / weight)

    def nll(self, batch, rng):
        noise = torch.from_numpy(rng.standard_normal(len(batch), dtype=np.float32)) * self.noise
        pull = (
            batch.target.flat[:, 0] + noise - self.centre - self.line(batch.condition.flat)[:, 0]
        ) / self.log_width.exp()
        return 0.5 * pull**2 + self.log_width, pull

    def objectives(self):
        def loss(batch, rng):
            total, pull = self.nll(batch, rng)
            return Losses(total, {"pull": pull**2})

        return (Objective("line", tuple(self.parameters()), loss),)

    @property
    def answer(self) -> tuple[float, float, float]:
        """Slope, offset and width."""
        offset = (self.centre + self.line.bias).item()
        return self.line.weight.item(), offset, self.log_width.exp().item()


class Alternating(Estimator):
    """The line learns by squares, the width by likelihood at the present line: two objectives of one phase."""

    def __init__(self, phases: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        self.model = LinearGaussian()
        self.phases = phases

    def prepare(self, stream):
        self.model.prepare(stream)

    def objectives(self):
        def squares(batch, rng):
            residual = batch.target.flat[:, 0] - self.model.centre - self.model.line(batch.condition.flat)[:, 0]
            return Losses(residual**2)

        def likelihood(batch, rng):
            return Losses(self.model.nll(batch, rng)[0])

        return (
            Objective("squares", tuple(self.model.line.parameters()), squares, self.phases[0]),
            Objective("width", (self.model.log_width,), likelihood, self.phases[1]),
        )


class MeanOnly(Estimator):
    """All its training is one pass."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1))

    def prepare(self, stream):
        batches = list(stream)
        weight = sum(batch.weight.sum() for batch in batches)
        self.mean.copy_(sum((batch.target.flat * batch.weight[:, None]).sum(dim=0) for batch in batches) / weight)

    def objectives(self):
        return ()
