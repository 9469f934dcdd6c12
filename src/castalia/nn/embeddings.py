"""Embeddings of numbers: what makes a kink or a step in a condition easy for a network."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

__all__ = ["PiecewiseLinear"]

_NARROWEST = 1e-6  # bins between equal quantiles of a discrete variable become steps


@final
class PiecewiseLinear(nn.Module):
    """Each feature as its own value and how far it has come through each of its bins, from 0 to 1.

    A network on top of it represents any piecewise-linear function of one feature with its first layer, so detector
    regions with edges cost no width. Detector resolutions are binned; smooth functions lose nothing.

    Args:
        features: Number of features.
        bins: Number of bins of each feature, at least 1.

    References:
        Gorishniy, Rubachev and Babenko, On Embeddings for Numerical Features in Tabular Deep Learning
        (arXiv:2203.05556), section 3.2.
    """

    edges: Tensor

    def __init__(self, features: int, bins: int) -> None:
        super().__init__()
        self.width = features * (bins + 1)
        self.register_buffer("edges", torch.linspace(-1, 1, bins + 1).repeat(features, 1))

    def place(self, edges: Tensor) -> None:
        """Set the bin edges, shape ``(features, bins + 1)``, not decreasing within a feature."""
        self.edges.copy_(edges)

    def bin_widths(self) -> Tensor:
        """Return the widths of the bins, shape ``(features, bins)``, all positive."""
        return self.edges.diff(dim=1).clamp(min=_NARROWEST)

    def forward(self, values: Tensor) -> Tensor:
        """Embed values of shape ``(events, features)`` as ``(events, width)``."""
        progress = ((values[:, :, None] - self.edges[:, :-1]) / self.bin_widths()).clamp(0, 1)
        return torch.cat([values, progress.flatten(1)], dim=1)
