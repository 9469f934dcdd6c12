"""How much likelier a cluster is in an event than in the library that it was proposed from."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from castalia.estimators.pixels.hits import SensorArray
from castalia.nn.mlp import MLP

__all__ = ["CandidateScore"]

_LARGEST = 3.0
_RANK = 3
_SLOPE = 0.1
_LEAST = 0.05


@final
class CandidateScore(nn.Module):
    """The logarithm of a density ratio, learned by telling true clusters from proposed ones.

    Clusters of a sensor are a mixture of those of the sources, with the sources' shares of its rate: their density is
    linear in the shares. Its ratio to the library's is therefore learned as a ratio at the mean shares times one plus a
    sum over sources of what their shares differ from the mean times a slope. The line holds at shares that no training
    event had, and is learned well because the differences are scaled to a variance of one.

    Args:
        array: The array of sensors.
        positions: Number of things known of where a sensor is.
        latent: Number of latent variables seen.
        shares: Number of sources.
        width: Width of the network.

    Attributes:
        mean: Mean shares of the training events, shape ``(sensors, shares)``.
        spread: Their standard deviations, same shape.

    References:
        Sugiyama, Suzuki and Kanamori, Density ratio estimation in machine learning (2012), section 4.
    """

    scale: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(self, array: SensorArray, positions: int, latent: int, shares: int, width: int) -> None:
        super().__init__()
        self.shape = MLP(6 + positions, 1 + _RANK + shares, (width, width), 0.1, activation="silu")
        self.latent = nn.Linear(latent, _RANK)
        self.register_buffer("scale", torch.tensor([2.0 / array.u, 2.0 / array.v]), persistent=False)
        self.register_buffer("mean", torch.zeros(array.sensors, shares))
        self.register_buffer("spread", torch.ones(array.sensors, shares))

    def scale_to(self, shares: Tensor) -> None:
        """Measure mean and spread of shares, shape ``(events, sensors, shares)``; what is constant has the spread 1."""
        self.mean.copy_(shares.mean(0))
        spread = (shares - self.mean).square().mean(0).sqrt()
        self.spread.copy_(torch.where(spread > 1e-4, spread, 1.0))

    def forward(self, shape: Tensor, positions: Tensor, latent: Tensor, shares: Tensor) -> Tensor:
        """Score clusters.

        Args:
            shape: See ``FoundClusters``, shape ``(clusters, 6)``.
            positions: Of their sensors, shape ``(clusters, positions)``.
            latent: Of their sensors and events, shape ``(clusters, latent)``.
            shares: Of their sensors, scaled, shape ``(clusters, shares)``.

        Returns:
            Shape ``(clusters,)``.
        """
        corner = shape[:, :2] * self.scale - 1.0
        seen = torch.cat([corner, torch.log(shape[:, 2:].clamp(min=1.0)) - 1.0, positions], dim=1)
        own, bends, slopes = self.shape(seen).split([1, _RANK, shares.shape[1]], dim=1)
        bent = own[:, 0] + (bends * torch.tanh(self.latent(latent))).sum(1)
        line = 1.0 + _SLOPE * (shares * slopes).sum(1)
        score: Tensor = bent.clamp(-_LARGEST, _LARGEST) + torch.log(line.clamp(min=_LEAST))
        return score
