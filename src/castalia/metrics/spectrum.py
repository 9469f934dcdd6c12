"""Histograms of weighted events, each in one or several bins, with the covariance between bins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix

from castalia.errors import DataError
from castalia.metrics.arrays import as_column, as_columns

__all__ = ["Spectrum", "bin_places", "binned", "checked_edges", "spread_covariance", "variation_covariance"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Spectrum:
    """A histogram with errors that are correlated between its bins.

    Attributes:
        edges: Bin edges in the unit of the quantity, shape ``(bins + 1,)``.
        contents: Sum of weights in each bin, shape ``(bins,)``; what lies outside the edges is in none.
        covariances: Covariance of the contents by source, each of shape ``(bins, bins)``.
    """

    edges: Array
    contents: Array
    covariances: Mapping[str, Array]

    @property
    def covariance(self) -> Array:
        """Sum over all sources, shape ``(bins, bins)``."""
        return np.asarray(np.sum(list(self.covariances.values()), axis=0))

    @property
    def errors(self) -> Array:
        """Standard error of each bin from all sources, shape ``(bins,)``."""
        return np.sqrt(np.diag(self.covariance))


def checked_edges(edges: ArrayLike) -> Array:
    """Return bin edges as an array, shape ``(bins + 1,)``.

    Raises:
        DataError: If there are fewer than two, or they do not increase.
    """
    checked = np.asarray(edges, dtype=np.float64)
    if checked.ndim != 1 or len(checked) < 2 or not (np.diff(checked) > 0.0).all():
        raise DataError(f"the bin edges {np.array2string(checked, threshold=8)} do not increase; give two or more.")
    return checked


def bin_places(values: Array, edges: Array) -> NDArray[np.int64]:
    """Return the bin of each value, -1 outside; the last edge belongs to the last bin, as in numpy.

    Args:
        values: Shape ``(events,)``; NaN is in no bin.
        edges: Increasing edges, shape ``(bins + 1,)``.
    """
    places = np.searchsorted(edges, values, side="right") - 1
    places[values == edges[-1]] = len(edges) - 2
    return np.where(places < len(edges) - 1, places, -1)


def binned(values: ArrayLike, shares: ArrayLike, edges: ArrayLike) -> tuple[Array, Array]:
    """Fill a histogram with events that may lie in several bins at once, such as draws of a posterior.

    The covariance is that of events which occur independently of one another, each with all of its draws: draws of one
    event that lie in different bins correlate those.

    Args:
        values: The quantity, shape ``(events,)`` or ``(events, draws)``.
        shares: Weight of each value, same shape; those of one event sum up to the event's weight.
        edges: Increasing bin edges, shape ``(bins + 1,)``.

    Returns:
        Contents, shape ``(bins,)``, and their covariance, shape ``(bins, bins)``.

    Raises:
        DataError: If shapes differ, a value is not finite, or the edges do not increase.

    References:
        Bohm and Zech, Statistics of weighted Poisson events (2014): the variance of a sum of weights is that of their
        squares.
    """
    limits, table = checked_edges(edges), as_columns(values, "the quantity")
    weights = as_columns(shares, "the weights of the quantity")
    if weights.shape != table.shape:
        raise DataError(f"a quantity of shape {table.shape} has weights of shape {weights.shape}; give one each.")
    events, draws = table.shape
    bins = bin_places(table.ravel(), limits)
    inside = bins >= 0
    rows = np.repeat(np.arange(events), draws)
    filled = csr_matrix(
        (weights.ravel()[inside], (rows[inside], bins[inside])), shape=(events, len(limits) - 1)
    )  # draws of one event in the same bin are added up
    return np.asarray(filled.sum(axis=0)).ravel(), np.asarray((filled.T @ filled).todense())


def spread_covariance(histograms: ArrayLike) -> Array:
    """Return the covariance of one of several histograms that scatter at random, such as bootstrap replicas.

    Args:
        histograms: Shape ``(replicas, bins)``.

    Raises:
        DataError: If there are fewer than two.
    """
    table = as_columns(histograms, "the histograms of the replicas")
    if len(table) < 2:
        raise DataError("one replica has no spread; give two or more of the same source.")
    return np.atleast_2d(np.cov(table, rowvar=False))


def variation_covariance(histograms: ArrayLike, nominal: ArrayLike) -> Array:
    """Return the covariance of a systematic effect from variations by one standard deviation.

    Bins move together, so that one variation gives the outer product of its shift with itself; of several variations of
    one effect, such as up and down, the mean is taken.

    Args:
        histograms: Shape ``(variations, bins)``.
        nominal: Shape ``(bins,)``.
    """
    shifts = as_columns(histograms, "the histograms of the variations") - as_column(nominal, "the nominal histogram")
    return np.asarray(shifts.T @ shifts / len(shifts))
