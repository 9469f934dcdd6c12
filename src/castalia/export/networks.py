"""The networks of ``castalia.nn`` as graphs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from castalia.export.graph import Value
from castalia.nn.embeddings import PiecewiseLinear
from castalia.nn.masked import MaskedLinear, MaskedMLP
from castalia.nn.mlp import MLP

__all__ = ["embed", "evaluate", "evaluate_masked", "linear", "solve_masked"]


def linear(weight: Tensor, values: Value, bias: Tensor | Value | None = None) -> Value:
    """Return ``weight @ values + bias`` as one product, shape ``(outputs, events)``.

    Args:
        weight: Shape ``(outputs, inputs)``.
        values: Shape ``(inputs, events)``.
        bias: Shape ``(outputs,)``, or a value of shape ``(outputs, events)``; ``None`` for none.
    """
    if bias is None:
        return values.graph.add("Gemm", weight, values)
    return values.graph.add("Gemm", weight, values, bias[:, None] if isinstance(bias, Tensor) else bias)


def _layers(network: MLP | MaskedMLP) -> list[tuple[Tensor, Tensor]]:
    """Return weight and bias of every layer."""
    layers: list[Any] = list(network.layers)
    return [(one.masked_weight() if isinstance(one, MaskedLinear) else one.weight, one.bias) for one in layers]


def _activated(network: MLP | MaskedMLP, values: Value) -> Value:
    return values.op("Relu") if network.activation == "relu" else values * values.op("Sigmoid")


def _evaluate(network: MLP | MaskedMLP, values: Value, parameters: int) -> Value:
    *hidden, (weight, bias) = _layers(network)
    for one in hidden:
        values = _activated(network, linear(one[0], values, one[1]))
    # The last layer's rows stand variable by variable; they are wanted parameter by parameter.
    order = torch.arange(len(bias)).view(-1, parameters).t().flatten()
    return linear(weight[order], values, bias[order])


def embed(embedding: PiecewiseLinear, values: Value) -> Value:
    """Embed values of shape ``(features, events)``; see ``PiecewiseLinear``."""
    low = embedding.edges[:, :-1, None]
    distance = values.op("Unsqueeze", np.array([1])) - low
    progress = (distance / embedding.bin_widths()[:, :, None]).op("Clip", 0.0, 1.0)
    return values.graph.join([values, progress.reshape(low.numel(), -1)])


def evaluate(network: MLP, values: Value, parameters: int = 1) -> Value:
    """Evaluate a fully connected network.

    Args:
        network: The network.
        values: Shape ``(inputs, events)``.
        parameters: Number of outputs, ``P``, that belong to each variable.

    Returns:
        Shape ``(P * variables, events)``: the first parameter of every variable, then the second, and so on.
    """
    return _evaluate(network, values, parameters)


def evaluate_masked(network: MaskedMLP, values: Value, context: Value) -> Value:
    """Evaluate a masked network for all variables at once; see ``MaskedMLP.forward``, and ``evaluate`` for the order.

    Args:
        network: The network.
        values: Variables, shape ``(T, events)``.
        context: Shape ``(C, events)``.
    """
    return _evaluate(network, values.graph.join([context, values]), network.outputs)


def solve_masked(network: MaskedMLP, context: Value, step: Callable[[int, Value], Value]) -> Value:
    """Find the variables one after the other, with each hidden unit once; see ``MaskedMLP``.

    Args:
        network: The masked network.
        context: Shape ``(C, events)``.
        step: Called with the variable's number ``i`` and the network's output for it, shape ``(P, events)``; returns
            the variable, shape ``(1, events)``.

    Returns:
        The variables, shape ``(T, events)``.
    """
    join, edges = context.graph.join, network.edges
    weights, biases = zip(*_layers(network), strict=True)
    given, seen = weights[0].split([network.context, network.variables], dim=1)
    sizes = [high - low for low, high in itertools.pairwise(edges[0])]
    # What the context gives to the first layer, in one product; degrees without units come last and have no part.
    starts = linear(given, context, biases[0]).split(sizes)
    variables: list[Value] = []
    hidden: list[list[Value]] = [[] for _ in edges]  # of each layer the units known so far, degree by degree
    for i in range(network.variables):
        if sizes[i]:
            rows = slice(edges[0][i], edges[0][i + 1])
            start = linear(seen[rows, :i], join(variables), starts[i]) if i else starts[i]
            hidden[0].append(_activated(network, start))
        for n in range(1, len(edges)):
            rows, known = slice(edges[n][i], edges[n][i + 1]), edges[n - 1][i + 1]
            if rows.start < rows.stop:
                unit = linear(weights[n][rows, :known], join(hidden[n - 1]), biases[n][rows])
                hidden[n].append(_activated(network, unit))
        rows, known = slice(i * network.outputs, (i + 1) * network.outputs), edges[-1][i + 1]
        variables.append(step(i, linear(weights[-1][rows, :known], join(hidden[-1]), biases[-1][rows])))
    return join(variables)
