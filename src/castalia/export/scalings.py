"""Physical units inside the graph: the encoding of conditions and the scaling of targets."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from castalia.estimators.condition_encoding import ConditionEncoding
from castalia.estimators.scaling import ConditionScaling, TargetScaling
from castalia.estimators.supports import Support
from castalia.export.graph import FLOAT32, Value
from castalia.export.networks import embed

__all__ = ["encode_conditions", "scale_conditions", "scale_targets", "unscale_targets"]

_AXIS = np.array([1])


def encode_conditions(encoding: ConditionEncoding, values: Value) -> tuple[Value, Value]:
    """Encode physical conditions of shape ``(C, events)``; see ``ConditionEncoding``.

    Returns:
        The encoded conditions, and a row of zeros that is NaN for an event with a condition that is not finite, or
        has no logarithm where one is taken: networks can swallow a NaN, and what is added to this row cannot.
    """
    scaled, marker = scale_conditions(encoding.scaling, values)
    return (scaled if encoding.embedding is None else embed(encoding.embedding, scaled)), marker


def scale_conditions(scaling: ConditionScaling, values: Value) -> tuple[Value, Value]:
    """Scale physical conditions of shape ``(C, events)``; see ``ConditionScaling`` and ``encode_conditions``."""
    if scaling.logarithmic:
        values = _where(scaling, scaling.logarithmic, values.op("Log"), values)
    scaled = (values - scaling.mean[:, None]) / scaling.deviation[:, None]
    marker = (scaled * 0.0).total()
    if scaling.angular:
        sines = scaled.rows(*scaling.angular).op("Sin")
        scaled = values.graph.join([_where(scaling, scaling.angular, scaled.op("Cos"), scaled), sines])
    return scaled, marker


def unscale_targets(scaling: TargetScaling, scaled: Value) -> Value:
    """Return physical targets of scaled ones, integers as whole numbers; see ``TargetScaling.inverse``."""
    unbounded = scaled * scaling.deviation[:, None] + scaling.mean[:, None]
    if not scaling.bounded and not scaling.integers:
        return unbounded
    pieces = unbounded.split([1] * len(scaling.variables))
    for kind, columns in scaling.columns.items():
        for i in columns:
            pieces[i] = _bound(kind, pieces[i], scaling.low[i], scaling.high[i])
    for i in scaling.integers:
        pieces[i] = pieces[i].op("Floor")
    return scaled.graph.join(pieces)


def scale_targets(
    scaling: TargetScaling, values: Value, context: Value, scaled_log_prob: Callable[[Value, Value], Value]
) -> Value:
    """Return the log-density of physical targets; see ``TargetScaling.log_prob``.

    Args:
        scaling: The scaling.
        values: Physical targets, shape ``(T, events)``.
        context: Encoded conditions, shape ``(width, events)``.
        scaled_log_prob: Log-density of scaled targets given encoded conditions, shape ``(1, events)``.

    Returns:
        Shape ``(1, events)``.
    """
    possible = _possible(scaling, values)
    if possible is not None:
        neutral = scaling.neutral().floor() if scaling.integers else scaling.neutral()
        values = possible.op("Where", values, neutral[:, None])
    nodes = len(scaling.cell_offsets)
    if scaling.integers:
        # Each node of the integral over the cells stands as an event of its own.
        values = (values.op("Unsqueeze", _AXIS) + scaling.cell_offsets.t()[:, :, None]).reshape(0, -1)
        context = context.op("Unsqueeze", _AXIS).op("Expand", np.array([1, nodes, 1])).reshape(0, -1)
    unbounded, log_slope = _unbound(scaling, values)
    total = (
        scaled_log_prob((unbounded - scaling.mean[:, None]) / scaling.deviation[:, None], context)
        - scaling.deviation.log().sum()
    )
    total = total if log_slope is None else total + log_slope
    if scaling.integers:
        terms = total.reshape(nodes, -1) + scaling.cell_weights[:, None]
        total = terms.op("ReduceLogSumExp", np.array([0]), keepdims=1)
    return total if possible is None else possible.op("Where", total, -np.inf)


def _where(scaling: ConditionScaling, columns: list[int], chosen: Value, rest: Value) -> Value:
    """Return the rows named from the one and all others from the other."""
    named = np.zeros((len(scaling.variables), 1), dtype=bool)
    named[columns] = True
    return chosen.graph.add("Where", named, chosen, rest)


def _possible(scaling: TargetScaling, values: Value) -> Value | None:
    """Return whether each event can occur, shape ``(1, events)``; NaN counts as possible, to come out as NaN."""
    if not scaling.bounded and not scaling.integers:
        return None
    centre = torch.zeros_like(scaling.low)
    centre[scaling.integers] = 0.5
    centred = values + centre[:, None]
    low, high = scaling.low[:, None], scaling.high[:, None]
    wrong = centred.op("LessOrEqual", low).op("Or", centred.op("GreaterOrEqual", high))
    if scaling.integers:
        whole = np.ones((len(scaling.variables), 1), dtype=bool)
        whole[scaling.integers] = False
        fraction = values - values.op("Round")
        wrong = wrong.op("Or", fraction.op("Abs").op("Greater", 0.0).op("And", ~whole))
    return wrong.op("Cast", to=FLOAT32).total().op("Less", 0.5)


def _unbound(scaling: TargetScaling, values: Value) -> tuple[Value, Value | None]:
    """Return unbounded targets and the sum of the log-slopes, shape ``(1, events)``; ``None`` for zero."""
    if not scaling.bounded:
        return values, None
    pieces = values.split([1] * len(scaling.variables))
    log_slopes: list[Value] = []
    for kind, columns in scaling.columns.items():
        for i in columns:
            low, high = scaling.low[i], scaling.high[i]
            match kind:
                case Support.ABOVE:
                    pieces[i] = (pieces[i] - low).op("Log")
                    log_slopes.append(-pieces[i])
                case Support.BELOW:
                    pieces[i] = -(-pieces[i] + high).op("Log")
                    log_slopes.append(pieces[i])
                case Support.INTERVAL:
                    log_low, log_high = (pieces[i] - low).op("Log"), (-pieces[i] + high).op("Log")
                    pieces[i] = log_low - log_high
                    log_slopes.append(-log_low - log_high + (high - low).log())
    return values.graph.join(pieces), values.graph.join(log_slopes).total()


def _bound(kind: Support, z: Value, low: Tensor, high: Tensor) -> Value:
    """Return a row inside its support; see ``Support.inverse``."""
    first, last = torch.nextafter(low, high), torch.nextafter(high, low)
    match kind:
        case Support.LINE:
            return z
        case Support.ABOVE:
            return (z.op("Exp") + low).op("Max", first)
        case Support.BELOW:
            return (-(-z).op("Exp") + high).op("Min", last)
        case Support.INTERVAL:
            # The distance to the nearer end as a share of the width, which keeps its precision close to that end.
            small = (-z.op("Abs")).op("Exp")
            distance = small / (small + 1.0) * (high - low)
            near_low = z.op("Less", 0.0)
            return near_low.op("Where", distance + low, -distance + high).op("Clip", first, last)
