"""Latent variables of an event and of each of its sensors: what hits say of them, and what the conditions do."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from castalia.estimators.pixels.hits import Hits, SensorArray
from castalia.estimators.pixels.relation_matrix import RelationMatrix
from castalia.estimators.pixels.set_encoder import SetEncoder
from castalia.nn.mlp import MLP

__all__ = ["Normal", "Posterior", "Prior", "Teacher"]

_LOG_WIDTH = 4.0  # largest size of the logarithm of a width


@final
@dataclass(frozen=True)
class Normal:
    """Independent normal distributions.

    Attributes:
        mean: Any shape.
        log_width: Logarithm of the standard deviation, same shape.
    """

    mean: Tensor
    log_width: Tensor

    @classmethod
    def of(cls, values: Tensor) -> Normal:
        """Take the first half of the last axis for means, the second for log-widths."""
        mean, log_width = values.chunk(2, dim=-1)
        return cls(mean, log_width.clamp(-_LOG_WIDTH, _LOG_WIDTH))

    def draw(self, rng: np.random.Generator) -> Tensor:
        """Draw one value of each."""
        noise = torch.from_numpy(rng.standard_normal(tuple(self.mean.shape), dtype=np.float32)).to(self.mean)
        return self.mean + self.log_width.exp() * noise

    def detached(self) -> Normal:
        """Return the same without gradients."""
        return Normal(self.mean.detach(), self.log_width.detach())

    def divergence(self, other: Normal) -> Tensor:
        """Return the Kullback-Leibler divergence from ``other``, summed over all axes but the first."""
        ratio = 2.0 * (self.log_width - other.log_width)
        shift = (self.mean - other.mean) * torch.exp(-other.log_width)
        return 0.5 * (ratio.exp() - 1.0 - ratio + shift.square()).flatten(1).sum(1)


@final
class Posterior(nn.Module):
    """What the hits of an event say of the latent variables.

    Args:
        array: The array of sensors.
        context: Number of things known of a sensor.
        width: Features of a sensor inside.
        heads: Number of relations between sensors; 0 for none, and for no latent variables of the event.
        event: Number of latent variables of the event.
        sensor: Number of latent variables of a sensor.
    """

    def __init__(self, array: SensorArray, context: int, width: int, heads: int, event: int, sensor: int) -> None:
        super().__init__()
        self.encoder = SetEncoder(array, context, width)
        self.relations = RelationMatrix(width, heads) if heads else None
        self.event = MLP(width, 2 * event, (width,), activation="silu") if event else None
        self.sensor = nn.Linear(width, 2 * sensor)

    def forward(self, hits: Hits, context: Tensor) -> tuple[Normal, Normal]:
        """Return the distributions of the latents of events, ``(events, E)``, and of sensors, ``(events, S, L)``.

        Args:
            hits: Hits of several events.
            context: Shape ``(events, S, context)``.
        """
        tokens = self.encoder(hits, context)
        if self.relations is not None:
            tokens = self.relations(tokens)
        pooled = tokens.mean(1)
        event = pooled[:, :0] if self.event is None else self.event(pooled)
        return Normal.of(event), Normal.of(self.sensor(tokens))


@final
class Prior(nn.Module):
    """What the conditions say of the latent variables: first of the event, then, given those, of each sensor.

    Args:
        context: Number of things known of a sensor.
        width: Width of the networks.
        event: Number of latent variables of the event.
        sensor: Number of latent variables of a sensor.
    """

    def __init__(self, context: int, width: int, event: int, sensor: int) -> None:
        super().__init__()
        self._event = MLP(context, 2 * event, (width,), 0.1, activation="silu") if event else None
        self._sensor = MLP(event + context, 2 * sensor, (width,), 0.1, activation="silu")

    def event(self, context: Tensor) -> Normal:
        """Return the distribution of the event's latent variables, shape ``(events, E)``."""
        pooled = context.mean(1)
        return Normal.of(pooled[:, :0] if self._event is None else self._event(pooled))

    def sensor(self, event: Tensor, context: Tensor) -> Normal:
        """Return that of the sensors', shape ``(events, S, L)``, given the event's, ``(events, E)``."""
        return Normal.of(self._sensor(torch.cat([event[:, None].expand(-1, context.shape[1], -1), context], dim=2)))


@final
class Teacher(nn.Module):
    """An exponential moving average of a posterior, which the prior learns from: it is steadier than its last step.

    Args:
        posterior: What is averaged.
        decay: Decay per step, in (0, 1).

    References:
        Tarvainen and Valpola, Mean teachers are better role models (arXiv:1703.01780).
    """

    def __init__(self, posterior: Posterior, decay: float) -> None:
        super().__init__()
        self.average = copy.deepcopy(posterior).requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def follow(self, posterior: Posterior) -> None:
        """Take in the present weights."""
        for average, parameter in zip(self.average.parameters(), posterior.parameters(), strict=True):
            average.lerp_(parameter, 1.0 - self._decay)

    @torch.no_grad()
    def forward(self, hits: Hits, context: Tensor) -> tuple[Normal, Normal]:
        """Return what the average says; see ``Posterior``."""
        event, sensor = self.average(hits, context)
        return event, sensor
