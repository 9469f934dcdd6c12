"""Distances between one-dimensional samples: Wasserstein, Kolmogorov–Smirnov and energy, column by column.

A distance means nothing without the distance of truth to truth at the same size: see ``castalia.metrics.floors``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.arrays import as_columns, as_weights
from castalia.metrics.cumulative import PooledColumn, pool

__all__ = ["energy", "kolmogorov_smirnov", "mean_wasserstein", "wasserstein"]


def wasserstein(
    a: ArrayLike, b: ArrayLike, weights_a: ArrayLike | None = None, weights_b: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Measure the first Wasserstein distance of every column, the area between the two cumulative distributions.

    Args:
        a: One sample, shape ``(events_a,)`` or ``(events_a, columns)``.
        b: The other, shape ``(events_b,)`` or ``(events_b, columns)``, in the units of ``a``.
        weights_a: Weights of ``a``, shape ``(events_a,)``; negative ones are allowed, their sum must be positive.
        weights_b: Weights of ``b``, shape ``(events_b,)``.

    Returns:
        One distance a column, shape ``(columns,)``, in the columns' own units, at least 0.

    Raises:
        DataError: If a sample is empty, holds NaN, or the columns or weights do not match.

    References:
        Villani, Optimal transport: old and new (2008), section 6.
    """
    first, second = _pair(a, b)
    if weights_a is None and weights_b is None and len(first) == len(second):
        # Equal sizes: the optimal plan pairs the sorted values, which is several times faster than the integral.
        return np.array([np.abs(np.sort(x) - np.sort(y)).mean() for x, y in zip(first.T, second.T, strict=True)])
    gaps = _cumulative_gaps(first, second, weights_a, weights_b)
    return np.array([column.wasserstein(gap) for column, gap in gaps])


def mean_wasserstein(
    a: ArrayLike,
    b: ArrayLike,
    scale: ArrayLike,
    weights_a: ArrayLike | None = None,
    weights_b: ArrayLike | None = None,
) -> float:
    """Average the Wasserstein distances of all columns, each in units of its ``scale``.

    Args:
        a: One sample, shape ``(events_a, columns)``.
        b: The other, shape ``(events_b, columns)``.
        scale: Positive length per column in that column's unit, shape ``(columns,)`` or a scalar.
        weights_a: Weights of ``a``.
        weights_b: Weights of ``b``.

    Raises:
        DataError: As ``wasserstein``, or if a scale is not positive.

    References:
        Generative Machine Learning for Detector Response Modeling with a Conditional Normalizing Flow, section 4.
    """
    return float(np.mean(wasserstein(a, b, weights_a, weights_b) / _positive(scale)))


def kolmogorov_smirnov(
    a: ArrayLike, b: ArrayLike, weights_a: ArrayLike | None = None, weights_b: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Measure the largest gap between the two cumulative distributions of every column.

    Args:
        a: One sample, shape ``(events_a,)`` or ``(events_a, columns)``.
        b: The other, shape ``(events_b,)`` or ``(events_b, columns)``.
        weights_a: Weights of ``a``, shape ``(events_a,)``.
        weights_b: Weights of ``b``, shape ``(events_b,)``.

    Returns:
        One distance a column, shape ``(columns,)``, dimensionless; in [0, 1] where no weight is negative.

    Raises:
        DataError: As ``wasserstein``.
    """
    first, second = _pair(a, b)
    gaps = _cumulative_gaps(first, second, weights_a, weights_b)
    return np.array([column.kolmogorov_smirnov(gap) for column, gap in gaps])


def energy(
    a: ArrayLike, b: ArrayLike, weights_a: ArrayLike | None = None, weights_b: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Measure the energy distance of every column, ``sqrt(2 ∫ (F_a − F_b)² dx)``.

    Args:
        a: One sample, shape ``(events_a,)`` or ``(events_a, columns)``.
        b: The other, shape ``(events_b,)`` or ``(events_b, columns)``, in the units of ``a``.
        weights_a: Weights of ``a``, shape ``(events_a,)``.
        weights_b: Weights of ``b``, shape ``(events_b,)``.

    Returns:
        One distance a column, shape ``(columns,)``, in the square root of the column's unit.

    Raises:
        DataError: As ``wasserstein``.

    References:
        Székely and Rizzo, Energy statistics (J. Stat. Plan. Inference 143, 2013), section 2.
    """
    first, second = _pair(a, b)
    gaps = _cumulative_gaps(first, second, weights_a, weights_b)
    return np.array([column.energy(gap) for column, gap in gaps])


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = as_columns(a, "the first sample"), as_columns(b, "the second sample")
    if first.shape[1] != second.shape[1]:
        raise DataError(f"the samples have {first.shape[1]} and {second.shape[1]} columns; compare equal columns.")
    return first, second


def _positive(scale: ArrayLike) -> NDArray[np.float64]:
    lengths = np.asarray(scale, dtype=np.float64)
    if not np.all(np.isfinite(lengths)) or np.any(lengths <= 0.0):
        raise DataError(
            f"the scale {lengths.tolist()} must be positive in every column; a constant target has no width."
        )
    return lengths


def _cumulative_gaps(
    first: NDArray[np.float64], second: NDArray[np.float64], weights_a: ArrayLike | None, weights_b: ArrayLike | None
) -> Iterator[tuple[PooledColumn, NDArray[np.float64]]]:
    """Per column: both samples sorted together, and the gap between their cumulative distributions."""
    one = as_weights(weights_a, len(first), "the first sample")
    other = as_weights(weights_b, len(second), "the second sample")
    for x, y in zip(first.T, second.T, strict=True):
        column = pool(x, y)
        yield column, column.gap(one, other)
