"""Kullback–Leibler divergence of histograms, component by component, on probabilities, so that units do not matter.

The truth fixes the bins: of equal width between its 0.1 % and 99.9 % quantiles, as histograms are drawn, with one more
bin below and one above. A bin of the truth that the other sample leaves empty is given the probability of one of its
events. Like every distance it has a floor: two samples of n events in B filled bins diverge by about (B − 1) / n.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.arrays import as_columns, as_weights, effective_events

__all__ = ["binned_divergence", "cells", "cells_range", "fill", "kl_divergence"]

_TAIL = 0.001
"""Share of the truth beyond each end of the equal bins."""


def kl_divergence(
    truth: ArrayLike,
    drawn: ArrayLike,
    bins: int,
    weights_truth: ArrayLike | None = None,
    weights_drawn: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Measure ``Σ p log(p / q)`` of every column, p the bins' probabilities in the truth and q those in the draws.

    Args:
        truth: True values, shape ``(events,)`` or ``(events, columns)``.
        drawn: Drawn values, shape ``(others,)`` or ``(others, columns)``, in the units of ``truth``.
        bins: Number of equal bins between the truth's quantiles, at least 1; under- and overflow come on top.
        weights_truth: Weights of ``truth``, shape ``(events,)``; a bin whose weights sum below zero counts as empty.
        weights_drawn: Weights of ``drawn``, shape ``(others,)``.

    Returns:
        One divergence a column in nats, shape ``(columns,)``, at least 0. A column in which the truth has one value
        only has three bins: below it, at it and above it.

    Raises:
        DataError: If a sample is empty or holds NaN, or columns, weights or bins do not fit.

    References:
        Kullback and Leibler, On information and sufficiency (Ann. Math. Statist. 22, 1951).
    """
    true, made = as_columns(truth, "the truth"), as_columns(drawn, "the draws")
    if true.shape[1] != made.shape[1] or bins < 1:
        raise DataError(
            f"truth and draws have {true.shape[1]} and {made.shape[1]} columns for {bins} bins; "
            "compare equal columns in at least one bin."
        )
    one = as_weights(weights_truth, len(true), "the truth")
    other = as_weights(weights_drawn, len(made), "the draws")
    divergences = []
    for x, y in zip(true.T, made.T, strict=True):
        ends = cells_range(x)
        p, q = fill(cells(x, ends, bins), one, bins), fill(cells(y, ends, bins), other, bins)
        divergences.append(binned_divergence(p, q, effective_events(other)))
    return np.array(divergences)


def cells_range(truth: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends of the equal bins of one column, shape ``(events,)``: its 0.1 % and 99.9 % quantiles."""
    low, high = np.quantile(truth, [_TAIL, 1.0 - _TAIL])
    # Where all values are equal, the bins lie between that value and the next number.
    return float(low), float(max(high, np.nextafter(low, np.inf)))


def cells(values: NDArray[np.float64], ends: tuple[float, float], bins: int) -> NDArray[np.intp]:
    """Return each value's bin: 0 below the ends, 1 to ``bins`` between them, ``bins + 1`` at the upper end and above.

    The 64 bins are unions of four of 256 each, without rounding, as both come from one number.
    """
    with np.errstate(over="ignore"):  # where all of the truth is one value, everything else is beyond the ends
        place = (values - ends[0]) / (ends[1] - ends[0])
    return np.floor(np.clip(place * bins, -1.0, bins)).astype(np.intp) + 1


def fill(places: NDArray[np.intp], weights: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Return the contents of the bins, under- and overflow first and last, shape ``(bins + 2,)``."""
    return np.bincount(places, weights, bins + 2).astype(np.float64, copy=False)


def binned_divergence(truth: NDArray[np.float64], drawn: NDArray[np.float64], events: float) -> float:
    """Return ``Σ p log(p / q)`` in nats of two histograms.

    Args:
        truth: Contents by the truth, shape ``(bins,)``; negative ones count as empty.
        drawn: Contents by the draws, shape ``(bins,)``.
        events: Effective number of draws; where p is above 0, q is no less than ``1 / events``.
    """
    p, q = np.maximum(truth, 0.0), np.maximum(drawn / drawn.sum(), 0.0)
    filled = p > 0.0
    q[filled] = np.maximum(q[filled], 1.0 / events)
    p, q = p[filled] / p.sum(), q[filled] / q.sum()
    return float(np.sum(p * np.log(p / q)))
