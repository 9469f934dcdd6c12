"""The univariate maps of the flows as graphs.

Values have the shape ``(m, events)`` and their raw parameters ``(P * m, events)``: the first parameter of every value,
then the second, and so on. A spline takes values and events together as one long row.
"""

from __future__ import annotations

import math

import numpy as np

from castalia.errors import ConfigError
from castalia.estimators.flows.univariate import AffineMap, ChainedMap, SplineMap, UnivariateMap
from castalia.export.graph import FLOAT32, INT64, Value

__all__ = ["map_forward", "map_inverse"]


def map_forward(univariate: UnivariateMap, x: Value, raw: Value, size: int) -> tuple[Value, Value]:
    """Map towards the base distribution; see ``UnivariateMap.forward``.

    Args:
        univariate: The map.
        x: Shape ``(m, events)``.
        raw: Its parameters, shape ``(P * m, events)``.
        size: Values per event, ``m``.

    Returns:
        Values and log-slopes, each of the shape of ``x``.

    Raises:
        ConfigError: If there is no graph for this map.
    """
    match univariate:
        case AffineMap():
            log_scale, shift = _affine_parameters(univariate, raw)
            return x * log_scale.op("Exp") + shift, log_scale
        case SplineMap():
            y, log_slope = _spline(univariate, x.reshape(1, -1), raw.reshape(univariate.parameters, -1))
            return y.reshape(size, -1), log_slope.reshape(size, -1)
        case ChainedMap(first, second):
            own, other = raw.split([first.parameters * size, second.parameters * size])
            between, log_slope = map_forward(first, x, own, size)
            y, more = map_forward(second, between, other, size)
            return y, log_slope + more
    raise _unknown(univariate)


def map_inverse(univariate: UnivariateMap, y: Value, raw: Value, size: int) -> Value:
    """Undo ``map_forward``; arguments and errors as there."""
    match univariate:
        case AffineMap():
            log_scale, shift = _affine_parameters(univariate, raw)
            return (y - shift) * (-log_scale).op("Exp")
        case SplineMap():
            x = _spline_inverse(univariate, y.reshape(1, -1), raw.reshape(univariate.parameters, -1))
            return x.reshape(size, -1)
        case ChainedMap(first, second):
            own, other = raw.split([first.parameters * size, second.parameters * size])
            return map_inverse(first, map_inverse(second, y, other, size), own, size)
    raise _unknown(univariate)


def _unknown(univariate: UnivariateMap) -> ConfigError:
    return ConfigError(f"A flow of {type(univariate).__name__} cannot be exported; train an affine or spline flow.")


def _affine_parameters(univariate: AffineMap, raw: Value) -> tuple[Value, Value]:
    log_scale, shift = raw.graph.add_all("Split", 2, raw, axis=0, num_outputs=2)
    return (log_scale / univariate.limit).op("Tanh") * univariate.limit, shift


def _spline(univariate: SplineMap, x: Value, raw: Value) -> tuple[Value, Value]:
    """Evaluate ``rational_quadratic`` for one row of values."""
    widths, heights, slopes = _knots(univariate, raw)
    clipped, (x0, x1, y0, y1, d0, d1) = _bin(univariate, x, widths, (widths, heights, slopes))
    width, height = x1 - x0, y1 - y0
    secant = height / width
    z = (clipped - x0) / width
    rest = 1.0 - z
    denominator = secant + (d0 + d1 - 2.0 * secant) * z * rest
    inside = y0 + height * (secant * z * z + d0 * z * rest) / denominator
    slope = secant * secant * (d1 * z * z + 2.0 * secant * z * rest + d0 * rest * rest) / (denominator * denominator)
    return inside + (x - clipped) * slope, slope.op("Log")


def _spline_inverse(univariate: SplineMap, y: Value, raw: Value) -> Value:
    """Evaluate ``rational_quadratic_inverse`` for one row of values."""
    widths, heights, slopes = _knots(univariate, raw)
    clipped, (x0, x1, y0, y1, d0, d1) = _bin(univariate, y, heights, (widths, heights, slopes))
    width, height = x1 - x0, y1 - y0
    secant = height / width
    bend = (clipped - y0) * (d0 + d1 - 2.0 * secant)
    a = height * (secant - d0) + bend
    b = height * d0 - bend
    c = secant * (y0 - clipped)
    root = (b * b - 4.0 * a * c).op("Max", 0.0).op("Sqrt")
    beyond = y - clipped
    # Beyond an end the bin is the last one there, so that its outer slope is the tail's.
    tail = beyond.op("Less", 0.0).op("Where", d0, d1)
    return x0 + 2.0 * c / (-b - root) * width + beyond / tail


def _knots(univariate: SplineMap, raw: Value) -> tuple[Value, Value, Value]:
    """Return positions, values and raw slopes at the knots, each of shape ``(bins + 1, …)``."""
    bins = univariate.bins
    widths, heights, slopes = raw.split([bins, bins, bins + 1])
    return _edges(univariate, widths), _edges(univariate, heights), slopes


def _edges(univariate: SplineMap, raw: Value) -> Value:
    weights = (raw - raw.op("ReduceMax", np.array([0]), keepdims=1)).op("Exp")
    # An edge is the sum of the sizes before it, from minus the bound on; a hundredth of each size is equal. Sums come
    # first and are normalised after, so that an edge near zero is known to its own precision.
    bins = univariate.bins
    sums = 0.99 * np.tri(bins + 1, bins, -1) + 0.01 * np.linspace(0, 1, bins + 1)[:, None]
    return raw.graph.add("Gemm", univariate.bound * (2 * sums - 1), weights) / weights.total()


def _bin(univariate: SplineMap, at: Value, edges: Value, knots: tuple[Value, ...]) -> tuple[Value, list[Value]]:
    """Find the bin of ``edges`` that holds ``at``, or the nearest one.

    Returns:
        ``at`` confined to the edges; the left and the right number from each of ``knots``.
    """
    low, inner, high = edges.split([1, univariate.bins - 1, 1])
    # Confined to the edges as computed: beyond them the slope is then exactly that of the outer knot.
    confined = at.op("Max", low).op("Min", high)
    left = confined.op("GreaterOrEqual", inner).op("Cast", to=FLOAT32).total().op("Cast", to=INT64)
    both = at.graph.join([left, left + np.array(1)])
    positions, values, raw = (knot.op("GatherElements", both, axis=0) for knot in knots)
    slopes = (raw + math.log(math.expm1(1 - 1e-3))).op("Softplus") + 1e-3
    return confined, [side for pair in (positions, values, slopes) for side in pair.split([1, 1])]
