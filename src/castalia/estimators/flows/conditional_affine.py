"""Location and width of every target as functions of the condition alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from torch import Tensor

from castalia.estimators.flows.chain import Block
from castalia.estimators.flows.univariate import AffineMap
from castalia.nn.mlp import MLP

__all__ = ["ConditionalAffine"]


@final
class ConditionalAffine(Block):
    """``x * exp(s(c)) + t(c)``: what a resolution is to an experimentalist, taken out before anything else is learned.

    Args:
        variables: Number of targets.
        condition: Number of condition variables.
        hidden: Widths of the hidden layers.
        limit: Largest absolute log-scale.
    """

    def __init__(self, variables: int, condition: int, hidden: Sequence[int], limit: float) -> None:
        super().__init__()
        self.variables = variables
        self.univariate = AffineMap(limit)
        self.network = MLP(condition, variables * self.univariate.parameters, hidden, final_gain=0.1)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift by the condition."""
        z, log_slope = self.univariate.forward(x, self._raw(condition))
        return z, log_slope.sum(1)

    def inverse(self, z: Tensor, condition: Tensor) -> Tensor:
        """Unshift and unscale by the condition."""
        return self.univariate.inverse(z, self._raw(condition))

    def _raw(self, condition: Tensor) -> Tensor:
        raw: Tensor = self.network(condition)
        return raw.view(len(raw), self.variables, self.univariate.parameters)
