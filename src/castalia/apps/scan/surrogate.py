"""The log-density of a fixed pool of events as a polynomial in the parameters, for thousands of fits near one point.

Pseudo-experiments from a pool score the same events again and again, at parameters within a few standard deviations of
the truth. There log p(x_i | theta) is smooth: each event's Chebyshev coefficients are found once, and a likelihood of
20,000 events then costs a product of matrices instead of a pass through a network. How far it is off is for its user
to measure, in units of the likelihood: the log-density of an event that is never signal may be off by much.
"""

from __future__ import annotations

import itertools
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from castalia.apps.scan.likelihood import ParametricDensity
from castalia.errors import DataError
from castalia.rng import Stream

__all__ = ["PoolDensity", "degrees", "fit_pool_density", "row_numbers"]

Array = NDArray[np.float64]

_POINTS_PER_COEFFICIENT = 1.6
_ROWS = 1 << 14  # (point, event) pairs per pass: activations stay in the cache, and memory flat


@final
class PoolDensity:
    """A ``ParametricDensity`` of the events of one pool, which are named by their row numbers.

    Args:
        coefficients: Chebyshev coefficients of each event, shape ``(pool, terms)``, float64.
        powers: Degree of each term in each parameter, shape ``(terms, parameters)``.
        low: Lower corner of the box of parameters, shape ``(parameters,)``.
        high: Upper corner, same shape.
    """

    def __init__(self, coefficients: Tensor, powers: NDArray[np.int64], low: Array, high: Array) -> None:
        self.coefficients, self.powers = coefficients, powers
        self.low, self.high = low, high

    def log_prob(self, x: Tensor, theta: Tensor) -> Tensor:
        """Return log p(x | theta), shape ``(points, events)``, differentiable in theta.

        Args:
            x: Row numbers of the events in the pool, shape ``(events, 1)``; see ``row_numbers``.
            theta: Parameter points, shape ``(points, parameters)``; outside the box it is extrapolated.
        """
        return self._basis(theta) @ self.coefficients[x[:, 0].long()].T

    def _basis(self, theta: Tensor) -> Tensor:
        low, high = torch.as_tensor(self.low), torch.as_tensor(self.high)
        return _chebyshev((2.0 * theta - low - high) / (high - low), self.powers)


def row_numbers(rows: NDArray[np.int64]) -> Array:
    """Return row numbers as the events of a ``PoolDensity``, shape ``(events, 1)``; exact up to 2**53."""
    return rows.astype(np.float64)[:, None]


def degrees(parameters: int) -> tuple[int, ...]:
    """Return the total degrees worth trying for a number of parameters, the cheapest first.

    A spline flow has a kink where an event passes from one knot to the next, which no degree follows; in a wide box a
    smooth density needs the higher one. Coefficients stay below 200 up to eight parameters.
    """
    return {1: (8,), 2: (4, 6), 3: (4, 5), 4: (3, 4)}.get(parameters, (2, 3))


def fit_pool_density(
    density: ParametricDensity, x: Array, low: Array, high: Array, degree: int | None = None, *, seed: int = 0
) -> PoolDensity:
    """Fit the log-density of every event of a pool in a box of parameters, by least squares.

    The points of the fit have the density of Chebyshev's nodes, which keeps the polynomial from swinging at the edges.

    Args:
        density: The density.
        x: Events of the pool, shape ``(pool, observables)``.
        low: Lower corner of the box, shape ``(parameters,)``.
        high: Upper corner, same shape.
        degree: Total degree of the polynomial; the highest of ``degrees`` if not given.
        seed: Seed of the points.

    Raises:
        DataError: If an event is impossible somewhere in the box.

    References:
        Trefethen, Approximation Theory and Approximation Practice (2013), chapters 3, 4 and 8;
        Cohen and Migliorati, Optimal weighted least-squares methods (2017): random points by Chebyshev's density.
    """
    count = len(low)
    powers = _powers(count, degrees(count)[-1] if degree is None else degree)
    rng = Stream(seed, "pool density").at()
    points = np.cos(np.pi * rng.random((int(_POINTS_PER_COEFFICIENT * len(powers)) + 4, count)))
    # The weight that undoes the crowding of the points at the edges.
    weight = torch.as_tensor(np.sqrt(np.prod(np.sqrt(1.0 - points**2), axis=1)))
    basis = _chebyshev(torch.as_tensor(points), powers)
    solve = torch.linalg.pinv(basis * weight[:, None]) * weight
    theta = torch.as_tensor(low + 0.5 * (points + 1.0) * (high - low))
    coefficients = torch.empty((len(x), len(powers)), dtype=torch.float64)
    size = max(1, _ROWS // len(theta))
    with torch.no_grad():
        for start in range(0, len(x), size):
            rows = torch.as_tensor(x[start : start + size], dtype=torch.float64)
            values = density.log_prob(rows, theta)
            if not torch.isfinite(values).all():
                event = start + int((~torch.isfinite(values)).any(dim=0).nonzero()[0, 0])
                raise DataError(
                    f"event {event} of the pool has no finite density within five standard errors of the truth; "
                    "drop it, or train on a wider range."
                )
            coefficients[start : start + size] = (solve @ values).T
    return PoolDensity(coefficients, powers, low, high)


def _powers(parameters: int, degree: int) -> NDArray[np.int64]:
    every = itertools.product(range(degree + 1), repeat=parameters)
    return np.array([powers for powers in every if sum(powers) <= degree], dtype=np.int64)


def _chebyshev(unit: Tensor, powers: NDArray[np.int64]) -> Tensor:
    """Return products of Chebyshev polynomials at points in [-1, 1], shape ``(points, terms)``."""
    table = [torch.ones_like(unit), unit]
    while len(table) <= int(powers.max()):
        table.append(2.0 * unit * table[-1] - table[-2])
    stacked = torch.stack(table)
    terms = torch.ones((len(unit), len(powers)), dtype=unit.dtype)
    for parameter in range(unit.shape[1]):
        terms = terms * stacked[torch.as_tensor(powers[:, parameter]), :, parameter].T
    return terms
