"""A model of pixel hits that learns in a second: how many a sensor has, proportional to the first condition."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from castalia.data.strict import StrictModel
from castalia.estimators.base import Estimator, Losses, Objective, Sampler
from castalia.estimators.pixels.hits import Hits, SensorArray, hits_of, padded


class Config(StrictModel):
    """Where the sensors are, of which it only checks that it comes, and a fault to plant in what is drawn."""

    positions: tuple[tuple[float, ...], ...] = ()
    fault: str = ""


class ToyPixels(Estimator, Sampler):
    """Hits anywhere in a sensor, of any charge from the smallest one seen."""

    Config = Config

    def __init__(self, config, layout):
        super().__init__()
        self.config, self.array = config, SensorArray.of(layout)
        assert np.shape(config.positions) == (self.array.sensors, 5)
        self.rate = nn.Parameter(torch.ones(self.array.sensors))
        self.register_buffer("least", torch.tensor(self.array.charges - 1))

    def prepare(self, stream):
        for part in (part for batch in stream for part in batch.chunks(8)):
            charge = hits_of(part.target).charge
            self.least.copy_(torch.minimum(self.least, charge.min()) if len(charge) else self.least)

    def objectives(self):
        return (Objective("loss", tuple(self.parameters()), self.loss),)

    def expected(self, condition):
        return condition.flat[:, :1] * torch.exp(self.rate)

    def loss(self, batch, rng):
        counts, expected = hits_of(batch.target).counts(self.array.sensors), self.expected(batch.condition)
        return Losses((expected - counts * torch.log(expected)).sum(dim=1))

    def sample(self, condition, draws, rng):
        expected = self.expected(condition).double().repeat_interleave(draws, dim=0).numpy()
        counts = rng.poisson(expected).ravel()
        event, sensor = (np.repeat(place, counts) for place in np.indices(expected.shape).reshape(2, -1))
        cells = self.array.u * self.array.v
        number = (event * self.array.sensors + sensor) * cells + rng.integers(cells, size=len(event))
        number = np.unique(number)
        charge = rng.integers(int(self.least), self.array.charges, len(number))
        sensor, cell = np.divmod(number, cells)
        event, sensor = np.divmod(sensor, self.array.sensors)
        u, v = np.divmod(cell, self.array.v)
        if self.config.fault == "order":
            u = u[::-1].copy()
        if self.config.fault == "charge":
            charge[-1] = self.array.charges
        return padded(Hits(len(expected), *(torch.from_numpy(one) for one in (event, sensor, u, v, charge))))
