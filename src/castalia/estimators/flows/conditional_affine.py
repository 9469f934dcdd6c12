"""Location and width of every target as functions of the condition alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import final

from torch import Tensor

from castalia.estimators.flows.chain import Frozen, RowBlock
from castalia.estimators.flows.univariate import AffineMap
from castalia.nn.activation import Activation
from castalia.nn.incremental import BoundNetwork, frozen_mlp
from castalia.nn.mlp import MLP
from castalia.nn.workspace import Context

__all__ = ["ConditionalAffine"]


@final
class ConditionalAffine(RowBlock):
    """``x * exp(s(c)) + t(c)``: what a resolution is to an experimentalist, taken out before anything else is learned.

    Args:
        variables: Number of targets.
        condition: Number of condition variables.
        hidden: Widths of the hidden layers; with none, both are sums of one function per condition feature.
        limit: Largest absolute log-scale.
        activation: Function between the network's layers.
    """

    def __init__(
        self, variables: int, condition: int, hidden: Sequence[int], limit: float, activation: Activation = "relu"
    ) -> None:
        super().__init__()
        self.variables = variables
        self.univariate = AffineMap(limit)
        outputs = variables * self.univariate.parameters
        self.network = MLP(condition, outputs, hidden, final_gain=0.1, activation=activation)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift by the condition."""
        raw: Tensor = self.network(condition)
        z, log_slope = self.univariate.forward(x, raw.view(*x.shape, self.univariate.parameters))
        return z, log_slope.sum(1)

    def widths(self, condition: Tensor) -> Tensor:
        """Return the width of every target under the condition, that of the base distribution being one.

        Args:
            condition: Shape ``(events, C)``.

        Returns:
            Shape ``(events, T)``.
        """
        raw: Tensor = self.network(condition)
        return self.univariate.inverse_scale(raw.view(len(raw), self.variables, self.univariate.parameters))

    def inverse_of(self, condition: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the way back under conditions of shape ``(events, C)``, whose network is evaluated once."""
        raw: Tensor = self.network(condition)
        return self.univariate.inverse_of(raw.view(len(raw), self.variables, self.univariate.parameters))

    def freeze(self, context: Context) -> Frozen:
        """Freeze the unshifting and unscaling by the condition."""
        network = frozen_mlp(self.network, context, self.univariate.folding())
        return lambda workspace: partial(self._inverse, BoundNetwork(network, workspace), workspace.values)

    def _inverse(self, network: BoundNetwork, values: Tensor, z: Tensor) -> Tensor:
        network.start()
        raw = network.step(0).view(len(z), self.univariate.parameters, -1)
        self.univariate.inverse_rows(z, raw, values)
        return values
