"""Masked networks: the outputs that belong to a variable see only the variables before it.

The hidden units of every layer are sorted by their autoregressive degree, the number of variables that they may see.
Units of equal degree are therefore neighbours, and all that a unit depends on lies before it, so that the inverse of a
flow can fill the layers from the left, one degree per variable, and never evaluates a unit twice (see ``incremental``).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from castalia.errors import ConfigError
from castalia.nn.activation import ACTIVATIONS, Activation

__all__ = ["MaskedLinear", "MaskedMLP"]


@final
class MaskedLinear(nn.Module):
    """A linear layer some of whose weights are held at zero.

    Args:
        mask: True where an output sees an input, shape ``(outputs, inputs)``.
        gain: Factor on the initial weights and bias.
    """

    mask: Tensor

    def __init__(self, mask: Tensor, gain: float = 1.0) -> None:
        super().__init__()
        # The number of inputs a unit really sees sets the size of its weights, not the width of the layer.
        bound = gain / mask.sum(dim=1, keepdim=True).clamp(min=1).to(torch.get_default_dtype()).sqrt()
        self.weight = nn.Parameter(torch.empty(mask.shape).uniform_(-1, 1) * bound * mask)
        self.bias = nn.Parameter(torch.empty(mask.shape[0]).uniform_(-1, 1) * bound[:, 0])
        self.register_buffer("mask", mask.to(self.weight.dtype), persistent=False)

    def masked_weight(self) -> Tensor:
        """Return the weights with zeros where the mask is false, shape ``(outputs, inputs)``."""
        return self.weight * self.mask

    def forward(self, values: Tensor) -> Tensor:
        """Map ``values`` of shape ``(events, inputs)`` to ``(events, outputs)``."""
        return functional.linear(values, self.masked_weight(), self.bias)


@final
class MaskedMLP(nn.Module):
    """A fully connected network that is strictly autoregressive in its variables and sees the whole context.

    Args:
        variables: Number of autoregressive variables, ``T``.
        context: Number of context features, ``C``, seen by every unit.
        outputs: Numbers put out per variable, ``P``.
        hidden: Width of each hidden layer, at least one layer.
        final_gain: Factor on the initial weights of the last layer.
        activation: Function between its layers.

    Raises:
        ConfigError: If there is no hidden layer.

    References:
        Germain et al., MADE: Masked Autoencoder for Distribution Estimation (arXiv:1502.03509).
    """

    def __init__(
        self,
        variables: int,
        context: int,
        outputs: int,
        hidden: Sequence[int],
        final_gain: float = 1.0,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        if not hidden:
            raise ConfigError("A masked network needs at least one hidden layer; give its widths, such as [64, 64].")
        self.variables, self.context, self.outputs, self.activation = variables, context, outputs, activation
        # Degree d: may see the first d variables. Context has degree 0, variable i (from 0) has degree i + 1.
        degrees = [torch.cat([torch.zeros(context, dtype=torch.long), torch.arange(1, variables + 1)])]
        degrees += [torch.sort(torch.arange(width) % variables).values for width in hidden]
        degrees += [torch.arange(variables).repeat_interleave(outputs)]
        last = len(degrees) - 2
        self.layers = nn.ModuleList(
            MaskedLinear(after[:, None] >= before[None, :], final_gain if i == last else 1.0)
            for i, (before, after) in enumerate(itertools.pairwise(degrees))
        )
        # Where the units of each degree begin, per hidden layer: T + 1 edges.
        self.edges = [torch.searchsorted(d, torch.arange(variables + 1)).tolist() for d in degrees[1:-1]]

    def forward(self, values: Tensor, context: Tensor) -> Tensor:
        """Evaluate the network for all variables at once.

        Args:
            values: Variables, shape ``(events, T)``.
            context: Shape ``(events, C)``.

        Returns:
            Shape ``(events, T, P)``; row ``i`` depends on variables ``0 … i - 1`` and on the context.
        """
        hidden = torch.cat([context, values], dim=1)
        activated = ACTIVATIONS[self.activation]
        for layer in self.layers[:-1]:
            hidden = activated(layer(hidden))
        out: Tensor = self.layers[-1](hidden)
        return out.view(len(out), self.variables, self.outputs)
