"""Unfolded spectra: bins filled with the draws of every event, their covariance, and migrations between bins.

Every event is shared out over the bins by its draws, so that the content of a bin is a sum over events of the
probability that the event belongs there. Events, not draws, are what fluctuates: the covariance is that of the
bootstrap over events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.arrays import as_columns, as_weights
from castalia.rng import Stream

__all__ = ["BinnedResult", "Migration", "binned_result", "bootstrap_contents", "migration", "replica_covariance"]


@final
@dataclass(frozen=True)
class BinnedResult:
    """A spectrum with its covariance.

    Attributes:
        edges: Increasing bin edges in the observable's unit, shape ``(bins + 1,)``.
        content: Weighted number of events in each bin, shape ``(bins,)``; what lies beyond the edges is in none.
        covariance: Statistical covariance of the contents, shape ``(bins, bins)``.
    """

    edges: NDArray[np.float64]
    content: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @property
    def error(self) -> NDArray[np.float64]:
        """Standard errors of the contents, shape ``(bins,)``."""
        return np.sqrt(np.diag(self.covariance))

    def normalised(self) -> BinnedResult:
        """Return the fractions of the events inside the edges, with the covariance that the common sum leaves.

        Raises:
            DataError: If the contents do not sum above zero.
        """
        total = float(self.content.sum())
        if not total > 0.0:
            raise DataError(f"contents that sum to {total:g} have no fractions; widen the edges.")
        fraction = self.content / total
        # d(n_i / N) / d n_j = (δ_ij − n_i / N) / N
        slope = (np.eye(len(fraction)) - fraction[:, None]) / total
        return BinnedResult(self.edges, fraction, slope @ self.covariance @ slope.T)


@final
@dataclass(frozen=True)
class Migration:
    """Where events of each true bin are found.

    Attributes:
        edges: Bin edges in the observable's unit, shape ``(bins + 1,)``.
        content: Weighted number of events by true bin and found bin, shape ``(bins + 2, bins + 2)``: under- and
            overflow first and last.
        purity: Fraction of the events found in a bin that belong there, shape ``(bins,)``; NaN where none is found.
        purity_error: Its standard error.
        stability: Fraction of the events of a true bin that are found there, shape ``(bins,)``; NaN where there is
            none.
        stability_error: Its standard error.
    """

    edges: NDArray[np.float64]
    content: NDArray[np.float64]
    purity: NDArray[np.float64]
    purity_error: NDArray[np.float64]
    stability: NDArray[np.float64]
    stability_error: NDArray[np.float64]


def binned_result(values: ArrayLike, edges: ArrayLike, weights: ArrayLike | None = None) -> BinnedResult:
    """Fill a spectrum with the draws of every event.

    The covariance is ``Σ w² p pᵀ``, p the shares of an event's draws in the bins and w its weight: what the Poisson
    bootstrap over events converges to. It says nothing of the model that drew, whose error comes from an ensemble.

    Args:
        values: Draws of the observable, shape ``(events,)`` or ``(events, draws)``, in the unit of ``edges``.
        edges: Increasing bin edges, shape ``(bins + 1,)``; a bin holds its lower edge, the last one both.
        weights: Event weights, shape ``(events,)``.

    Raises:
        DataError: If a value is not finite, the edges do not increase, or the weights do not fit.

    References:
        Chamandy et al., Estimating Uncertainty for Massive Data Streams (Google, 2012): the Poisson bootstrap.
    """
    limits, share, weight = _shares(values, edges, weights)
    inner = share[:, 1:-1] * weight[:, None]
    return BinnedResult(limits, inner.sum(axis=0), inner.T @ inner)


def bootstrap_contents(
    values: ArrayLike, edges: ArrayLike, stream: Stream, replicas: int, weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Fill the spectrum again in Poisson bootstrap samples of the events, for what is no linear function of contents.

    The counts of an event depend on the stream and the replica alone: two observables of the same events, filled with
    the same stream, can be correlated.

    Args:
        values: As for ``binned_result``.
        edges: As for ``binned_result``.
        stream: Random numbers; replica i takes its counter i.
        replicas: Number of bootstrap samples, at least 1.
        weights: As for ``binned_result``.

    Returns:
        Contents, shape ``(replicas, bins)``.

    Raises:
        DataError: As ``binned_result``.
    """
    _, share, weight = _shares(values, edges, weights)
    inner = share[:, 1:-1] * weight[:, None]
    return np.stack([stream.at(i).poisson(1.0, len(inner)) @ inner for i in range(replicas)])


def replica_covariance(contents: ArrayLike) -> NDArray[np.float64]:
    """Return the covariance across bins of replicas, such as those of a bootstrap or the members of an ensemble.

    Args:
        contents: Contents, shape ``(replicas, bins)``, at least two replicas.

    Returns:
        Shape ``(bins, bins)``.

    Raises:
        DataError: If there is only one replica or a content is not finite.
    """
    table = as_columns(contents, "the replicas")
    if len(table) < 2:
        raise DataError("one replica has no covariance; make two or more.")
    return np.cov(table, rowvar=False).reshape(table.shape[1], -1)


def migration(truth: ArrayLike, found: ArrayLike, edges: ArrayLike, weights: ArrayLike | None = None) -> Migration:
    """Count which events of each true bin are found in which bin.

    Args:
        truth: True values, shape ``(events,)``.
        found: Values of the same events as they were found: at detector level, or drawn, shape ``(events,)`` or
            ``(events, draws)``, in the unit of ``edges``.
        edges: Increasing bin edges, shape ``(bins + 1,)``.
        weights: Event weights, shape ``(events,)``.

    Raises:
        DataError: If a value is not finite, the edges do not increase, or rows do not fit.
    """
    limits, true, weight = _shares(truth, edges, weights)
    _, share, _ = _shares(found, edges, None)
    if len(share) != len(true):
        raise DataError(f"{len(true)} true and {len(share)} found events; give the same events in both.")
    content = (true * weight[:, None]).T @ share
    with np.errstate(invalid="ignore", divide="ignore"):
        purity, stability = np.diag(content) / content.sum(axis=0), np.diag(content) / content.sum(axis=1)
    purity_error = _ratio_error(share * weight[:, None], true, purity)
    stability_error = _ratio_error(true * weight[:, None], share, stability)
    inner = slice(1, -1)
    return Migration(limits, content, purity[inner], purity_error[inner], stability[inner], stability_error[inner])


def _ratio_error(
    whole: NDArray[np.float64], part: NDArray[np.float64], ratio: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the standard errors of ``Σ whole part / Σ whole``, column by column, from the events' influences."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sqrt(np.square(whole * (part - ratio)).sum(axis=0)) / whole.sum(axis=0), dtype=np.float64)


def _shares(
    values: ArrayLike, edges: ArrayLike, weights: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the edges, the share of each event's draws in each bin (events, bins + 2), and the events' weights."""
    table, limits = as_columns(values, "the observable"), np.asarray(edges, dtype=np.float64)
    if limits.ndim != 1 or len(limits) < 2 or not np.all(np.diff(limits) > 0.0):
        raise DataError(f"the bin edges {limits.tolist()} must increase, and there must be two or more.")
    weight = as_weights(weights, len(table), "the observable")
    places = np.searchsorted(limits, table, side="right")
    places[table == limits[-1]] = len(limits) - 1
    cells = len(limits) + 1
    flat = (places + cells * np.arange(len(table))[:, None]).ravel()
    counts = np.bincount(flat, minlength=cells * len(table)).reshape(len(table), cells)
    return limits, counts / table.shape[1], weight
