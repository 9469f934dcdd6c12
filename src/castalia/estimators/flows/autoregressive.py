"""Masked autoregressive blocks: each target is mapped given the condition and the targets before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from castalia.estimators.flows.chain import Block
from castalia.estimators.flows.univariate import UnivariateMap
from castalia.nn.masked import MaskedMLP

__all__ = ["AutoregressiveBlock"]

_START_GAIN = 0.1  # blocks start near the identity, so that a long chain starts near it as well


@final
class AutoregressiveBlock(Block):
    """One masked network that gives the parameters of every target's univariate map.

    Args:
        variables: Number of targets, ``T``.
        condition: Number of condition variables, ``C``.
        hidden: Widths of the hidden layers.
        univariate: The map of each target.

    References:
        Papamakarios, Pavlakou and Murray, Masked Autoregressive Flow for Density Estimation (arXiv:1705.07057).
    """

    def __init__(self, variables: int, condition: int, hidden: Sequence[int], univariate: UnivariateMap) -> None:
        super().__init__()
        self.univariate = univariate
        self.network = MaskedMLP(variables, condition, univariate.parameters, hidden, final_gain=_START_GAIN)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Map all targets with one evaluation of the network."""
        z, log_slope = self.univariate.forward(x, self.network(x, condition))
        return z, log_slope.sum(1)

    @torch.no_grad()
    def inverse(self, z: Tensor, condition: Tensor) -> Tensor:
        """Find the targets one after the other; without gradients."""
        return self.network.solve(condition, lambda i, raw: self.univariate.inverse(z[:, i], raw))
