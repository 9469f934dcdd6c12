"""Are per-event posteriors calibrated? Ranks of the truth among draws, and how often central intervals hold it.

Where the draws of an event come from the posterior, its truth is one more draw: its rank among M of them is uniform
over 0 to M. That is necessary, not sufficient: draws from the prior pass, whatever the event. Proper scores, and the
distances to a reference that depends on the event (``castalia.metrics.tarp``), tell them apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.draws import as_event_draws
from castalia.rng import Stream

__all__ = ["CentralCoverage", "RankDeviation", "central_coverage", "rank_deviation", "truth_ranks"]

_NULL = 4000
"""Samples of uniform ranks behind the expectation: the 95 % quantile is known to half a per cent."""


@final
@dataclass(frozen=True)
class RankDeviation:
    """How far the distribution of ranks is from uniform.

    Attributes:
        levels: Probabilities ``(k + 1) / (M + 1)`` at the ranks k from 0 to M, shape ``(M + 1,)``.
        curves: Fraction of events with a rank up to k, minus that probability, shape ``(components, M + 1)``. It falls
            and rises (∿) where draws are too wide, the other way round where they are too narrow, and is above zero
            where they are too high.
        value: Largest absolute deviation of each component, shape ``(components,)``.
        expected: Mean of it for a correct posterior with as many events and draws.
        threshold: 95 % quantile of it for one component of a correct posterior.
        threshold_all: 95 % quantile of the largest of all components', as if they were independent.
        events: Number of events.
    """

    levels: NDArray[np.float64]
    curves: NDArray[np.float64]
    value: NDArray[np.float64]
    expected: float
    threshold: float
    threshold_all: float
    events: int


@final
@dataclass(frozen=True)
class CentralCoverage:
    """How often the central interval of the draws holds the truth.

    Attributes:
        level: Nominal probability.
        value: Fraction of events, corrected for the number of draws, shape ``(components,)``.
        error: Its standard error, same shape.
        events: Number of events.
    """

    level: float
    value: NDArray[np.float64]
    error: NDArray[np.float64]
    events: int


def truth_ranks(truth: ArrayLike, draws: ArrayLike, rng: np.random.Generator) -> NDArray[np.int64]:
    """Count the draws below the truth; among t draws equal to it, 0 to t of them, at random.

    Args:
        truth: True values, shape ``(events,)`` or ``(events, components)``.
        draws: Independent draws for each event, shape ``(events, draws)`` or ``(events, draws, components)``.
        rng: Random numbers that split ties.

    Returns:
        Ranks from 0 to the number of draws, shape ``(events, components)``.

    Raises:
        DataError: If the shapes do not fit or a value is not finite.

    References:
        Talts et al., Validating Bayesian inference algorithms with simulation-based calibration, arXiv:1804.06788.
    """
    both = as_event_draws(truth, draws, fewest=1)
    ranks = np.empty(both.truth.shape, dtype=np.int64)
    for rows, true, made in both.pieces():
        ties = (made == true[:, None]).sum(axis=1)
        ranks[rows] = (made < true[:, None]).sum(axis=1) + rng.integers(0, ties + 1)
    return ranks


def rank_deviation(ranks: ArrayLike, draws: int) -> RankDeviation:
    """Measure the largest deviation of the ranks' cumulative distribution from uniform, and what is usual for it.

    Args:
        ranks: Ranks from 0 to ``draws``, shape ``(events,)`` or ``(events, components)``.
        draws: Number of draws M of each event.

    Raises:
        DataError: If the ranks are not whole numbers from 0 to ``draws``, or there are none.

    References:
        Säilynoja, Bürkner and Vehtari, Graphical test for discrete uniformity (Stat. Comput. 32, 2022): simulation of
        the expectation, as ranks are discrete.
    """
    table = _checked(ranks, draws)
    events, components = table.shape
    levels = np.arange(1, draws + 2) / (draws + 1.0)
    counts = np.stack([np.bincount(column, minlength=draws + 1) for column in table.T])
    curves = np.cumsum(counts, axis=1) / events - levels
    # A fixed stream: the expectation is a property of the numbers of events and draws, not of the run.
    uniform = Stream(0, "uniform ranks").at().multinomial(events, np.full(draws + 1, 1.0 / (draws + 1)), size=_NULL)
    largest = np.abs(np.cumsum(uniform, axis=1) / events - levels).max(axis=1)
    return RankDeviation(
        levels=levels,
        curves=curves,
        value=np.abs(curves).max(axis=1),
        expected=float(largest.mean()),
        threshold=float(np.quantile(largest, 0.95)),
        threshold_all=float(np.quantile(largest, 0.95 ** (1.0 / components))),
        events=events,
    )


def central_coverage(ranks: ArrayLike, draws: int, level: float) -> CentralCoverage:
    """Measure how often the central interval of probability ``level`` holds the truth, from the truth's ranks.

    Where the posterior is right, the rank r of the truth among M draws is one of M + 1 equally probable numbers, and
    ``a <= r <= M − a`` holds with probability ``(M + 1 − 2a) / (M + 1)``. That is ``level`` for
    ``a* = (1 − level) (M + 1) / 2``, which is hardly ever a whole number; the coverage is interpolated,

        coverage = (1 − f) P(a <= r <= M − a) + f P(a + 1 <= r <= M − a − 1)  with a = floor(a*), f = a* − a,

    so that its expectation is ``level`` for any M. An interval between quantiles of the draws, in contrast, holds the
    truth of a perfect posterior with probability ``level (M − 1) / (M + 1)`` only.

    Args:
        ranks: Ranks from 0 to ``draws``, shape ``(events,)`` or ``(events, components)``.
        draws: Number of draws M of each event; at least ``2 / (1 − level) − 1``, so that a* is at least one.
        level: Nominal probability in (0, 1).

    Raises:
        DataError: If the ranks are not whole numbers from 0 to ``draws``, or there are too few draws for the level.

    References:
        David and Nagaraja, Order Statistics (3rd ed., 2003), chapter 7: coverage of intervals between order
        statistics. The interpolation is ours.
    """
    table = _checked(ranks, draws)
    events = len(table)
    if not 0.0 < level < 1.0 or (1.0 - level) * (draws + 1) < 2.0 - 1e-9:
        raise DataError(
            f"{draws} draws have no central interval of {level:g}; give a level between 0 and 1 and "
            f"at least {math.ceil(2.0 / max(1.0 - level, 1e-9)) - 1} draws."
        )
    cut = 0.5 * (1.0 - level) * (draws + 1)
    whole = math.floor(cut + 1e-9)
    depth = np.minimum(table, draws - table)
    inside = (1.0 - (cut - whole)) * (depth >= whole) + (cut - whole) * (depth >= whole + 1)
    return CentralCoverage(level, inside.mean(axis=0), inside.std(axis=0) / math.sqrt(events), events)


def _checked(ranks: ArrayLike, draws: int) -> NDArray[np.int64]:
    table = np.asarray(ranks)
    table = table[:, None] if table.ndim == 1 else table
    if (
        table.ndim != 2 or not table.size or not np.issubdtype(table.dtype, np.integer)
        or table.min() < 0 or table.max() > draws
    ):  # fmt: skip
        raise DataError(
            f"ranks of shape {np.shape(ranks)} among {draws} draws must be whole numbers from 0 to {draws}, "
            "of at least one event; take them from truth_ranks."
        )
    return table.astype(np.int64, copy=False)
