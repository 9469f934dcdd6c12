"""Coupling blocks: half of the targets is mapped given the condition and the other half."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import final

import torch
from torch import Tensor

from castalia.estimators.flows.chain import Frozen, RowBlock
from castalia.estimators.flows.univariate import UnivariateMap
from castalia.nn.activation import Activation
from castalia.nn.incremental import BoundNetwork, frozen_mlp
from castalia.nn.mlp import MLP
from castalia.nn.workspace import Context

__all__ = ["CouplingBlock"]

_START_GAIN = 0.1


@final
class CouplingBlock(RowBlock):
    """Keeps the first ``variables // 2`` targets and maps the others; as fast to sample as to score.

    A single target is mapped given the condition alone.

    Args:
        variables: Number of targets, ``T``.
        condition: Number of condition variables, ``C``.
        hidden: Widths of the hidden layers.
        univariate: The map of each target.
        activation: Function between the network's layers.

    References:
        Dinh, Sohl-Dickstein and Bengio, Density estimation using Real NVP (arXiv:1605.08803).
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
        self.kept = variables // 2
        self.mapped = variables - self.kept
        outputs = self.mapped * univariate.parameters
        self.network = MLP(self.kept + condition, outputs, hidden, _START_GAIN, activation)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Map the second half."""
        kept, mapped = x[:, : self.kept], x[:, self.kept :]
        raw: Tensor = self.network(torch.cat([kept, condition], dim=1))
        mapped, log_slope = self.univariate.forward(mapped, raw.view(*mapped.shape, self.univariate.parameters))
        return torch.cat([kept, mapped], dim=1), log_slope.sum(1)

    def freeze(self, context: Context) -> Frozen:
        """Freeze the inverse, which maps the second half back."""
        network = frozen_mlp(self.network, context, self.univariate.folding(), self.kept)
        return lambda workspace: partial(self._inverse, BoundNetwork(network, workspace), workspace.values)

    def _inverse(self, network: BoundNetwork, values: Tensor, z: Tensor) -> Tensor:
        values[: self.kept] = z[: self.kept]
        network.start()
        raw = network.step(0).view(self.mapped, self.univariate.parameters, -1)
        self.univariate.inverse_rows(z[self.kept :], raw, values[self.kept :])
        return values
