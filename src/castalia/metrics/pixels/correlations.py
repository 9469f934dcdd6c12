"""How sensors of an event go together: ranks, with and without what the conditions explain."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from castalia.errors import DataError
from castalia.metrics.pixels.shared import Measured

__all__ = ["expected_at", "given", "matrix_difference", "mean_correlation", "spearman_matrix"]


def expected_at(condition: ArrayLike, values: NDArray[Any]) -> NDArray[np.float64]:
    """Return what the conditions say of values: least squares in the conditions and their squares.

    Args:
        condition: Conditions, shape ``(events, conditions)``; constant ones do no harm, there may be none.
        values: Shape ``(events, ...)``.

    Raises:
        DataError: If there are not twice as many events as terms.
    """
    table = np.asarray(condition, dtype=np.float64).reshape(len(values), -1)
    spread = table.std(axis=0)
    varied = spread > 1e-9 * np.maximum(np.abs(table).max(axis=0, initial=0.0), 1e-300)
    scaled = (table[:, varied] - table[:, varied].mean(axis=0)) / spread[varied]
    terms = np.column_stack([np.ones(len(values)), scaled, scaled**2])
    if len(values) < 2 * terms.shape[1]:
        raise DataError(f"{len(values)} events do not fix {terms.shape[1]} terms in the conditions; use more events.")
    flat = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    fitted: NDArray[np.float64] = terms @ np.linalg.lstsq(terms, flat, rcond=None)[0]
    return fitted.reshape(values.shape)


def given(condition: ArrayLike, values: NDArray[Any]) -> NDArray[np.float64]:
    """Return values less what the conditions say of them, plus their mean; shaped as ``values``."""
    return np.asarray(values - expected_at(condition, values) + values.mean(axis=0), dtype=np.float64)


def spearman_matrix(values: ArrayLike) -> NDArray[np.float64]:
    """Return the rank correlations of all pairs of sensors, shape ``(sensors, sensors)``.

    Args:
        values: Such as the occupancy, shape ``(events, sensors)``; a sensor that never varies goes with none.

    Raises:
        DataError: If there are fewer than three events.

    References:
        Spearman, The proof and measurement of association between two things (Am. J. Psychol. 15, 1904).
    """
    standard = _standard_ranks(values)
    matrix = standard.T @ standard / len(standard)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def matrix_difference(first: ArrayLike, second: ArrayLike) -> float:
    """Return the mean size of the difference of two samples' rank correlations, off the diagonal.

    Args:
        first: Values, shape ``(events, sensors)``.
        second: Values of the other sample, shape ``(others, sensors)``.
    """
    difference = np.abs(spearman_matrix(first) - spearman_matrix(second))
    sensors = len(difference)
    return float(difference.sum() / (sensors * (sensors - 1)))


def mean_correlation(values: ArrayLike) -> Measured:
    """Return the mean rank correlation of different sensors.

    It is a mean over the events, and that gives the error.

    Args:
        values: Shape ``(events, sensors)``.

    Raises:
        DataError: If there are fewer than three events.
    """
    standard = _standard_ranks(values)
    sensors = standard.shape[1]
    own = np.square(standard).mean(axis=1)
    pairs = (standard.sum(axis=1) ** 2 / sensors - own) / (sensors - 1)
    value = pairs.mean() / own.mean()
    error = (pairs - value * own).std(ddof=1) / own.mean() / np.sqrt(len(pairs))
    return Measured(float(value), float(error))


def _standard_ranks(values: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or len(table) < 3:
        raise DataError(f"Values of shape {table.shape} have no rank correlations; give three events or more.")
    ranks = rankdata(table, axis=0)
    ranks -= ranks.mean(axis=0)
    spread = ranks.std(axis=0)
    return np.asarray(ranks / np.where(spread > 0.0, spread, 1.0), dtype=np.float64)
