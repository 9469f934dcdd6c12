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


@final
class CandidateScore(nn.Module):
    """The logarithm of a density ratio, learned by telling true clusters from proposed ones.

    Clusters of a sensor are a mixture of those of the sources, with the sources' shares of its rate. Their density over
    that of the library is therefore a sum over the sources of share times a ratio of the source's own. A network gives
    the latter, and the sum holds at shares that no training event had.

    Args:
        array: The array of sensors.
        positions: Number of things known of where a sensor is.
        latent: Number of latent variables seen.
        components: Number of sources.
        width: Width of the network.

    References:
        Sugiyama, Suzuki and Kanamori, Density ratio estimation in machine learning (2012), section 4.
    """

    scale: Tensor

    def __init__(self, array: SensorArray, positions: int, latent: int, components: int, width: int) -> None:
        super().__init__()
        self.components = components
        self.shape = MLP(6 + positions, components * (1 + _RANK), (width,), 0.1, activation="relu")
        self.latent = nn.Linear(latent, _RANK)
        self.register_buffer("scale", torch.tensor([2.0 / array.u, 2.0 / array.v]), persistent=False)

    def forward(self, shape: Tensor, positions: Tensor, latent: Tensor, shares: Tensor) -> Tensor:
        """Score clusters.

        Args:
            shape: See ``FoundClusters``, shape ``(clusters, 6)``.
            positions: Of their sensors, shape ``(clusters, positions)``.
            latent: Of their sensors and events, shape ``(clusters, latent)``.
            shares: Of their sensors, shape ``(clusters, components)``.

        Returns:
            Shape ``(clusters,)``.
        """
        corner = shape[:, :2] * self.scale - 1.0
        seen = torch.cat([corner, torch.log(shape[:, 2:].clamp(min=1.0)) - 1.0, positions], dim=1)
        factors = self.shape(seen).unflatten(1, (self.components, 1 + _RANK))
        own = factors[..., 0] + (factors[..., 1:] * torch.tanh(self.latent(latent))[:, None]).sum(2)
        ratios = torch.exp(own.clamp(-_LARGEST, _LARGEST))
        return torch.log((shares * ratios).sum(1).clamp(min=1e-3))
