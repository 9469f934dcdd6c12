"""Proper scores of per-event draws against the truth of the same event: the lower, the better the posterior.

A score is proper where no forecast has a lower expectation than the distribution that the truth comes from. So, other
than distances between marginal distributions, it does see the detector: draws from the prior have the right marginal
distributions and a bad score. Both scores are estimated without bias from a finite number of draws ("fair"), so that
models with different numbers of draws can be compared. A claim that one model is ahead of another is the mean of their
difference, event by event: ``mean_score(scores_a - scores_b)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.arrays import as_columns, as_weights
from castalia.metrics.draws import EventDraws, as_event_draws

__all__ = ["MeanScore", "crps", "energy_score", "mean_score"]


@final
@dataclass(frozen=True)
class MeanScore:
    """Scores averaged over events.

    Attributes:
        value: Mean over events and components.
        error: Its standard error; the components of one event are not independent.
        components: Mean over events by component, shape ``(components,)``.
        component_errors: Their standard errors, same shape.
        events: Number of events.
    """

    value: float
    error: float
    components: NDArray[np.float64]
    component_errors: NDArray[np.float64]
    events: int


def crps(truth: ArrayLike, draws: ArrayLike, scale: ArrayLike | None = None) -> NDArray[np.float64]:
    """Score every component of every event by the continuous ranked probability score, ``E|X − y| − E|X − X′| / 2``.

    Args:
        truth: True values y, shape ``(events,)`` or ``(events, components)``.
        draws: Independent draws X, shape ``(events, draws)`` or ``(events, draws, components)``, at least two each.
        scale: Length per component in its unit, shape ``(components,)``; the truth's standard deviation by default,
            which makes components comparable. Pass the same to every model that is compared.

    Returns:
        Scores in units of ``scale``, shape ``(events, components)``. Perfect draws of a normal posterior of width w
        have the mean ``w / sqrt(π)``: 0.564 for the prior itself.

    Raises:
        DataError: If shapes do not fit, a value is not finite, or a scale is not positive.

    References:
        Gneiting and Raftery, Strictly proper scoring rules, prediction, and estimation (JASA 102, 2007), Eq. 21.
        Ferro, Fair scores for ensemble forecasts (Q. J. R. Meteorol. Soc. 140, 2014): without bias from a finite
        number of draws.
    """
    both, lengths = _scaled(truth, draws, scale)
    count = both.draws.shape[1]
    # Of sorted draws the distances of all pairs sum to a weighted sum of the draws themselves.
    pairs = (2.0 * np.arange(1, count + 1) - count - 1.0) / (count * (count - 1.0))
    scores = np.empty_like(both.truth)
    for rows, true, made in both.pieces():
        columns = np.ascontiguousarray(made.transpose(0, 2, 1))
        near = np.abs(columns - true[:, :, None]).mean(axis=2)
        columns.sort(axis=2)
        scores[rows] = near - columns @ pairs
    return scores / lengths


def energy_score(truth: ArrayLike, draws: ArrayLike, scale: ArrayLike | None = None) -> NDArray[np.float64]:
    """Score all components of every event together, ``E‖X − y‖ − E‖X − X′‖ / 2`` in units of ``scale``.

    Args:
        truth: True values y, shape ``(events, components)``.
        draws: Independent draws X, shape ``(events, draws, components)``, at least two each.
        scale: As for ``crps``.

    Returns:
        One score an event, dimensionless, shape ``(events,)``.

    Raises:
        DataError: As ``crps``.

    References:
        Gneiting and Raftery, Strictly proper scoring rules, prediction, and estimation (JASA 102, 2007), Eq. 22, with
        exponent 1. Ferro (2014), as for ``crps``.
    """
    both, lengths = _scaled(truth, draws, scale)
    count = both.draws.shape[1]
    scores = np.empty(len(both.truth))
    for rows, true, made in both.pieces():
        # Centred on the truth, so that the squares that cancel below are of the posterior's own size.
        centred = (made - true[:, None]) / lengths
        squares = np.square(centred).sum(axis=2)
        between = squares[:, :, None] + squares[:, None, :] - 2.0 * (centred @ centred.transpose(0, 2, 1))
        # A draw's distance to itself is rounding alone.
        between[:, np.arange(count), np.arange(count)] = 0.0
        pairs = np.sqrt(np.maximum(between, 0.0)).sum(axis=(1, 2))
        scores[rows] = np.sqrt(squares).mean(axis=1) - 0.5 * pairs / (count * (count - 1.0))
    return scores


def mean_score(scores: ArrayLike, weights: ArrayLike | None = None) -> MeanScore:
    """Average scores over events.

    Args:
        scores: Scores, or differences of two models' scores, shape ``(events,)`` or ``(events, components)``.
        weights: Event weights, shape ``(events,)``; their sum must be positive.

    Raises:
        DataError: If a score is not finite, weights do not fit, or there are fewer than two events.
    """
    table = as_columns(scores, "the scores")
    if len(table) < 2:
        raise DataError("the mean score of one event has no error; give two events or more.")
    weight = as_weights(weights, len(table), "the scores")
    share = weight / weight.sum()
    means, whole = share @ table, table.mean(axis=1)
    value = float(share @ whole)
    # The error of a weighted mean from its own residuals; n / (n − 1) makes it the textbook's where weights are equal.
    squares, unbiased = np.square(share), len(table) / (len(table) - 1.0)
    errors = np.sqrt(unbiased * (squares @ np.square(table - means)))
    error = float(np.sqrt(unbiased * (squares @ np.square(whole - value))))
    return MeanScore(value, error, means, errors, len(table))


def _scaled(truth: ArrayLike, draws: ArrayLike, scale: ArrayLike | None) -> tuple[EventDraws, NDArray[np.float64]]:
    both = as_event_draws(truth, draws)
    lengths = both.truth.std(axis=0) if scale is None else np.asarray(scale, dtype=np.float64)
    lengths = np.broadcast_to(lengths, both.truth.shape[1:])
    if not np.all(np.isfinite(lengths)) or np.any(lengths <= 0.0):
        raise DataError(
            f"the scale {lengths.tolist()} must be positive in every component; leave a constant component out."
        )
    return both, lengths
