"""Occupancy beside the truth's: relative differences by sensor, layer or direction, and their mean size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError

__all__ = ["RelativeBias", "mean_absolute_bias", "relative_bias"]


@dataclass(frozen=True)
class RelativeBias:
    """Sampled over true counts, less one.

    Attributes:
        value: Shape ``(columns,)``; NaN where the truth has none.
        error: Standard errors, same shape.
    """

    value: NDArray[np.float64]
    error: NDArray[np.float64]


def relative_bias(truth: ArrayLike, made: ArrayLike) -> RelativeBias:
    """Compare counts of the same conditions, event by event; hits of an event may depend on each other.

    The error is that of a ratio of sums over pairs of events: what both owe to the conditions cancels.

    Args:
        truth: Counts, shape ``(events, columns)`` or ``(events,)``.
        made: Counts of sampled events with the same conditions, same shape.

    Raises:
        DataError: If the shapes differ, or there are fewer than two events.

    References:
        Cochran, Sampling Techniques (1977), section 6.3.
    """
    true, sampled = (np.asarray(one, dtype=np.float64) for one in (truth, made))
    if true.shape != sampled.shape or len(true) < 2:
        raise DataError(f"Counts of shapes {true.shape} and {sampled.shape}: sample one event for each of two or more.")
    true, sampled = true.reshape(len(true), -1), sampled.reshape(len(true), -1)
    total = true.sum(axis=0)
    ratio = np.divide(sampled.sum(axis=0), total, out=np.full(len(total), np.nan), where=total > 0.0)
    scatter = (sampled - ratio * true).std(axis=0, ddof=1) * np.sqrt(len(true))
    error = np.divide(scatter, total, out=np.full(len(total), np.nan), where=total > 0.0)
    return RelativeBias(ratio - 1.0, error)


def mean_absolute_bias(truth: NDArray[Any], made: NDArray[Any]) -> float:
    """Return the mean over the columns of the size of the relative difference of two samples' mean counts.

    Args:
        truth: Counts, shape ``(events, columns)``; columns without a count are left out.
        made: Counts of other events, shape ``(others, columns)``.
    """
    true, sampled = truth.mean(axis=0), made.mean(axis=0)
    filled = true > 0.0
    return float(np.mean(np.abs(sampled[filled] / true[filled] - 1.0)))
