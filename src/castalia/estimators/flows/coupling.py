"""Coupling blocks: half of the targets is mapped given the condition and the other half."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from castalia.estimators.flows.chain import Block
from castalia.estimators.flows.univariate import UnivariateMap
from castalia.nn.mlp import MLP

__all__ = ["CouplingBlock"]

_START_GAIN = 0.1


@final
class CouplingBlock(Block):
    """Keeps the first ``variables // 2`` targets and maps the others; as fast to sample as to score.

    A single target is mapped given the condition alone.

    Args:
        variables: Number of targets, ``T``.
        condition: Number of condition variables, ``C``.
        hidden: Widths of the hidden layers.
        univariate: The map of each target.

    References:
        Dinh, Sohl-Dickstein and Bengio, Density estimation using Real NVP (arXiv:1605.08803).
    """

    def __init__(self, variables: int, condition: int, hidden: Sequence[int], univariate: UnivariateMap) -> None:
        super().__init__()
        self.univariate = univariate
        self.kept = variables // 2
        self.mapped = variables - self.kept
        self.network = MLP(self.kept + condition, self.mapped * univariate.parameters, hidden, final_gain=_START_GAIN)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Map the second half."""
        kept, mapped = x[:, : self.kept], x[:, self.kept :]
        mapped, log_slope = self.univariate.forward(mapped, self._raw(kept, condition))
        return torch.cat([kept, mapped], dim=1), log_slope.sum(1)

    def inverse(self, z: Tensor, condition: Tensor) -> Tensor:
        """Map the second half back."""
        kept, mapped = z[:, : self.kept], z[:, self.kept :]
        return torch.cat([kept, self.univariate.inverse(mapped, self._raw(kept, condition))], dim=1)

    def _raw(self, kept: Tensor, condition: Tensor) -> Tensor:
        raw: Tensor = self.network(torch.cat([kept, condition], dim=1))
        return raw.view(len(raw), self.mapped, self.univariate.parameters)
