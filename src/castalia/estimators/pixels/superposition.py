"""Recorded events laid over each other, and thinned, until they have the wanted rate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from castalia.data.layout import Layout
from castalia.data.strict import StrictModel
from castalia.errors import DataError
from castalia.estimators.base import Batch, Estimator, Events, Objective, Sampler
from castalia.estimators.pixels.candidates import merged
from castalia.estimators.pixels.clusters import touching
from castalia.estimators.pixels.count_model import CountModel, Law
from castalia.estimators.pixels.hits import Hits, SensorArray, hits_in_pieces, joined, padded
from castalia.rng import Stream

__all__ = ["Superposition", "SuperpositionConfig"]

_MOST_LAYERS = 64


@final
class SuperpositionConfig(StrictModel):
    """Configuration of ``Superposition``.

    Attributes:
        positions: What is known of where each sensor is; not used, and here because every model of pixels has it.
        events: Training events kept.
        hits: Hits of them all that there is room for.
        law: How the rate depends on the conditions.
    """

    positions: tuple[tuple[float, ...], ...] = ()
    events: int = Field(default=32, ge=1)
    hits: int = Field(default=2_500_000, ge=1)
    law: Law = "additive"


@final
class Superposition(Estimator, Sampler):
    """Training events as they were recorded: as many as the rate asks for, and of the last one some of its clusters.

    What sensors of an event share is that of the recorded events, diluted where several are laid over each other. What
    changes with the conditions is the number of hits, sensor by sensor, not which sources they come from.

    Args:
        config: Configuration.
        layout: Conditions, which may be none, and the array of sensors.

    Raises:
        ConfigError: If the target is no array of sensors.
    """

    Config = SuperpositionConfig

    pixels: Tensor
    ends: Tensor
    rates: Tensor

    def __init__(self, config: SuperpositionConfig, layout: Layout) -> None:
        super().__init__()
        self.config, self.layout, self.array = config, layout, SensorArray.of(layout)
        self.counts = CountModel(layout, config.law, common_mode=False)
        self.register_buffer("pixels", torch.zeros(config.hits, 4, dtype=torch.int16))
        self.register_buffer("ends", torch.zeros(config.events + 1, dtype=torch.int64))
        self.register_buffer("rates", torch.zeros(config.events, self.array.sensors))

    def prepare(self, stream: Iterable[Batch]) -> None:
        """Fit the rates and keep events, each with the same chance; see ``Trainable.prepare``.

        Raises:
            DataError: If there are fewer than two events, or not even one fits.
        """
        rng, kept = Stream(0, "recorded events").at(), list[tuple[float, Tensor, Tensor]]()
        for piece, hits in hits_in_pieces(stream):
            self.counts.update(piece.condition.flat, hits.counts(self.array.sensors), piece.weight)
            values = torch.stack([hits.sensor, hits.u, hits.v, hits.charge], dim=1).to(torch.int16)
            each = torch.split(values, torch.bincount(hits.event, minlength=hits.events).tolist())
            numbers = rng.random(hits.events).tolist()
            kept += [(n, c, v.clone()) for n, c, v in zip(numbers, piece.condition.flat, each, strict=True) if len(v)]
            kept = sorted(kept, key=lambda one: one[0])[: self.config.events]
        self.counts.finish()
        number = 0
        for _, condition, values in kept:
            begin = int(self.ends[number])
            if begin + len(values) <= len(self.pixels):
                self.pixels[begin : begin + len(values)] = values
                self.ends[number + 1 :] = begin + len(values)
                self.rates[number] = torch.from_numpy(self.counts.rate(condition[None])[0])
                number += 1
        if number == 0:
            raise DataError(f"no training event with hits fits into {len(self.pixels)} hits; give a larger 'hits'.")

    def objectives(self) -> tuple[Objective, ...]:
        """Return none: what ``prepare`` keeps is all."""
        return ()

    @torch.no_grad()
    def sample(self, condition: Events, draws: int, rng: np.random.Generator) -> Events:
        """Draw events; see ``Sampler.sample``.

        Raises:
            ModelError: If the model was never prepared.
        """
        wanted = self.counts.rate(condition.flat).repeat(draws, axis=0)
        return padded(joined([self._event(one, rng) for one in wanted]))

    def _event(self, wanted: NDArray[np.float64], rng: np.random.Generator) -> Hits:
        left, number = wanted.copy(), int((self.ends[1:] > self.ends[:-1]).sum())
        layers: list[NDArray[np.int64]] = []
        while len(layers) < _MOST_LAYERS and np.any(left > 1e-6 * wanted):
            one = int(rng.integers(number))
            rate = self.rates[one].numpy()
            part = np.clip(left / np.maximum(rate, 1e-9), 0.0, 1.0)
            left = np.where(rate > 0.0, left - part * rate, 0.0)
            layers.append(self._thinned(self._recorded(one), part, rng))
        hits = np.concatenate([np.zeros((0, 4), dtype=np.int64), *layers])
        hits = hits[np.argsort(hits[:, 0], kind="stable")]
        every = np.full(self.array.sensors, self.array.u * self.array.v)
        sensor, u, v = (hits[:, column].astype(np.int32) for column in range(3))
        return merged(self.array, sensor, u, v, hits[:, 3].astype(np.int16), every)

    def _recorded(self, one: int) -> NDArray[np.int64]:
        values = self.pixels[int(self.ends[one]) : int(self.ends[one + 1])].long().numpy()
        return values[np.lexsort([values[:, 2], values[:, 1], values[:, 0]])]

    def _thinned(
        self, hits: NDArray[np.int64], part: NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Keep clusters with the probability of their sensor."""
        if np.all(part >= 1.0):
            return hits
        number, label = touching(hits[:, 0], hits[:, 1], hits[:, 2], (self.array.u, self.array.v))
        return hits[rng.random(number)[label] < part[hits[:, 0]]]
