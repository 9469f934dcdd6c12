"""The flow of a velocity field as a graph: every evaluation of its Runge-Kutta steps written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from castalia.estimators.flow_matching.continuous import ContinuousBlock
from castalia.estimators.flow_matching.solver import runge_kutta
from castalia.estimators.flow_matching.velocity import REACH, VelocityNetwork
from castalia.export.graph import FLOAT32, Value
from castalia.export.networks import linear

__all__ = ["continuous_forward", "continuous_inverse"]


def continuous_inverse(block: ContinuousBlock, z: Value, context: Value) -> Value:
    """Carry noise of shape ``(T, events)`` to the targets; see ``ContinuousBlock.inverse``."""
    given = _given(block.velocity, context)

    def rate(time: float, x: Value) -> Value:
        values = _first(block.velocity, x, time, given)
        for weight, bias in _later(block.velocity):
            values = linear(weight, values * values.op("Sigmoid"), bias)
        return values

    return _solve(rate, z, 0.0, 1.0, block.sampling_steps)


def continuous_forward(block: ContinuousBlock, x: Value, context: Value) -> tuple[Value, Value]:
    """Carry targets to noise, with the log-determinant of shape ``(1, events)``; see ``ContinuousBlock.forward``."""
    network, given = block.velocity, _given(block.velocity, context)
    size, direction = network.variables, np.array([1])

    def rate(time: float, state: Value) -> Value:
        place, slopes = state.graph.add_all("Split", 2, state, np.array([1, size]), axis=1)
        values = _first(network, place.reshape(size, -1), time, given)
        near = place.op("Abs").op("Less", REACH).op("Cast", to=FLOAT32)
        slopes = linear(network.place.weight[:, :size], (slopes * near).reshape(size, -1)).reshape(0, size, -1)
        for weight, bias in _later(network):
            gate = values.op("Sigmoid")
            rise = gate * ((1.0 - gate) * values + 1.0)
            inner = slopes * rise.op("Unsqueeze", direction)
            slopes = linear(weight, inner.reshape(0, -1)).reshape(0, size, -1)
            values = linear(weight, values * gate, bias)
        return state.graph.add("Concat", values.op("Unsqueeze", direction), slopes, axis=1)

    # The state is a table of (target, position and directions, event); the directions begin as the unit matrix.
    place = x.op("Unsqueeze", direction)
    start = x.graph.add("Concat", place, place * 0.0 + torch.eye(size)[:, :, None], axis=1)
    end = _solve(rate, start, 1.0, 0.0, block.density_steps)
    place, slopes = x.graph.add_all("Split", 2, end, np.array([1, size]), axis=1)
    determinant = slopes.op("Transpose", perm=[2, 0, 1]).op("Det")
    return place.reshape(size, -1), determinant.op("Abs").op("Log").reshape(1, -1)


def _solve(rate: Any, state: Any, start: float, stop: float, steps: int) -> Value:
    # The solver asks of a state only that it can be added and multiplied, and so takes a value of a graph as well.
    end: Any = runge_kutta(rate, state, start, stop, steps)
    return end  # type: ignore[no-any-return]


def _given(network: VelocityNetwork, context: Value) -> Value:
    # The velocity sees the scaled conditions, with which their encoding begins.
    return linear(network.given.weight, context.rows(*range(network.given.in_features)), network.given.bias)


def _first(network: VelocityNetwork, x: Value, time: float, given: Value) -> Value:
    place, waves = network.place.weight[:, : network.variables], network.place.weight[:, network.variables :]
    return linear(place, x.op("Clip", -REACH, REACH), given + (waves @ torch.cos(time * network.waves))[:, None])


def _later(network: VelocityNetwork) -> list[tuple[Tensor, Tensor]]:
    layers: list[Any] = list(network.layers)
    return [(layer.weight, layer.bias) for layer in layers]
