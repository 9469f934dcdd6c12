"""Plain fully connected networks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from castalia.nn.activation import ACTIVATIONS, Activation

__all__ = ["MLP"]


@final
class MLP(nn.Module):
    """Fully connected network.

    Args:
        inputs: Number of input features, at least 1.
        outputs: Number of output features.
        hidden: Width of each hidden layer.
        final_gain: Factor on the initial weights and bias of the last layer; a small one makes the network start
            near zero, so that a flow built from it starts near the identity.
        activation: Function between its layers.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: Sequence[int],
        final_gain: float = 1.0,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        self.activation = activation
        widths = (inputs, *hidden, outputs)
        layers = [nn.Linear(before, after) for before, after in itertools.pairwise(widths)]
        with torch.no_grad():
            for layer in layers:
                bound = (final_gain if layer is layers[-1] else 1.0) / math.sqrt(layer.in_features)
                layer.weight.uniform_(-bound, bound)
                layer.bias.uniform_(-bound, bound)
        self.layers = nn.ModuleList(layers)

    def forward(self, values: Tensor) -> Tensor:
        """Evaluate the network.

        Args:
            values: Shape ``(events, inputs)``.

        Returns:
            Shape ``(events, outputs)``.
        """
        result: Tensor = self.layers[-1](self._hidden(values))
        return result

    def outputs_first(self, values: Tensor) -> Tensor:
        """Evaluate the network and return each output along contiguous memory.

        Args:
            values: Shape ``(…, inputs)``.

        Returns:
            Shape ``(outputs, …)``.
        """
        hidden, last = self._hidden(values.flatten(0, -2)), self.layers[-1]
        outputs = torch.addmm(last.bias[:, None], last.weight, hidden.t())  # type: ignore[arg-type, index]
        return outputs.view(len(outputs), *values.shape[:-1])

    def _hidden(self, values: Tensor) -> Tensor:
        activated = ACTIVATIONS[self.activation]
        for layer in self.layers[:-1]:
            values = activated(layer(values))
        return values
