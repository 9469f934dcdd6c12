"""Masked autoregressive blocks: each target is mapped given the condition and the targets before it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import final

from torch import Tensor

from castalia.estimators.flows.chain import Frozen, RowBlock
from castalia.estimators.flows.univariate import UnivariateMap
from castalia.nn.activation import Activation
from castalia.nn.incremental import BoundNetwork, frozen_masked
from castalia.nn.masked import MaskedMLP
from castalia.nn.workspace import Context

__all__ = ["AutoregressiveBlock"]

_START_GAIN = 0.1  # blocks start near the identity, so that a long chain starts near it as well


@final
class AutoregressiveBlock(RowBlock):
    """One masked network that gives the parameters of every target's univariate map.

    Args:
        variables: Number of targets, ``T``.
        condition: Number of condition variables, ``C``.
        hidden: Widths of the hidden layers.
        univariate: The map of each target.
        activation: Function between the network's layers.

    References:
        Papamakarios, Pavlakou and Murray, Masked Autoregressive Flow for Density Estimation (arXiv:1705.07057).
    """

    def __init__(
        self,
        variables: int,
        condition: int,
        hidden: Sequence[int],
        univariate: UnivariateMap,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        self.univariate = univariate
        self.network = MaskedMLP(variables, condition, univariate.parameters, hidden, _START_GAIN, activation)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Map all targets with one evaluation of the network."""
        z, log_slope = self.univariate.forward(x, self.network(x, condition))
        return z, log_slope.sum(1)

    def freeze(self, context: Context) -> Frozen:
        """Freeze the inverse, which finds the targets one after the other and evaluates each hidden unit once."""
        network = frozen_masked(self.network, context, self.univariate.folding())
        return lambda workspace: partial(self._inverse, BoundNetwork(network, workspace), workspace.values)

    def _inverse(self, network: BoundNetwork, values: Tensor, z: Tensor) -> Tensor:
        network.start()
        for i, (given, value) in enumerate(zip(z, values, strict=True)):
            self.univariate.inverse_rows(given, network.step(i), value)
        return values
