"""Agreement of two weighted samples in one variable, by a chi-squared of their normalised histograms."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.arrays import as_column, as_weights

__all__ = ["quantile_chi2"]

Array = NDArray[np.float64]


def quantile_chi2(
    values: ArrayLike,
    other: ArrayLike,
    bins: int,
    *,
    weights: ArrayLike | None = None,
    other_weights: ArrayLike | None = None,
) -> tuple[float, int]:
    """Measure how far two independent samples are apart, in units of their statistical errors.

    Bins are quantiles of the first sample, the outermost ones open, so that every event is in one. Both histograms are
    divided by their sum. Weights of either sign are allowed.

    Args:
        values: One variable, shape ``(events,)``.
        other: The same variable of the other sample, shape ``(other_events,)``.
        bins: Number of bins wanted; fewer where values are tied.
        weights: Weights of the first sample.
        other_weights: Weights of the other sample.

    Returns:
        Chi-squared and its degrees of freedom, one less than there are bins with events.

    Raises:
        DataError: If values or weights do not fit, or fewer than two bins have events.

    References:
        Gagunashvili, Chi-square tests for comparing weighted histograms, Nucl. Instrum. Meth. A 614 (2010) 287.
    """
    first, second = as_column(values, "the first sample"), as_column(other, "the second sample")
    pairs = (
        (first, as_weights(weights, len(first), "the first sample")),
        (second, as_weights(other_weights, len(second), "the second sample")),
    )
    inner = np.unique(np.quantile(first, np.linspace(0.0, 1.0, bins + 1)[1:-1], method="higher"))
    count = len(inner) + 1
    shares, covariance = [], np.zeros((count, count))
    for column, weight in pairs:
        place = np.searchsorted(inner, column, side="right")
        share = np.bincount(place, weight, count) / weight.sum()
        squares = np.bincount(place, np.square(weight), count) / weight.sum() ** 2
        # Covariance of contents over their sum, to first order.
        covariance += np.diag(squares) - np.outer(squares, share) - np.outer(share, squares)
        covariance += np.outer(share, share) * squares.sum()
        shares.append(share)
    filled = np.flatnonzero(np.diag(covariance) > 0.0)
    if len(filled) < 2:
        raise DataError(f"of {bins} bins only one is filled, which compares nothing; ask for 2 or more of a variable.")
    kept = filled[:-1]  # the shares sum up to one, so that the last bin says nothing new
    difference = (shares[0] - shares[1])[kept]
    return float(difference @ np.linalg.solve(covariance[np.ix_(kept, kept)], difference)), len(kept)
