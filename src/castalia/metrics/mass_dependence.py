"""Whether a score knows a mass that it must not shape: its correlation with it, and its mean in bins of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2, rankdata

from castalia.errors import DataError
from castalia.metrics.arrays import as_column, as_weights
from castalia.metrics.correlation import correlation_matrix

__all__ = ["FEWEST_IN_A_BIN", "MassDependence", "mass_dependence"]

Floats = NDArray[np.float64]

FEWEST_IN_A_BIN: Final = 50
"""Events that a bin needs: with fewer, its error is too poorly known for a sum of squares."""


@final
@dataclass(frozen=True)
class MassDependence:
    """How a score depends on a mass, for events of one class.

    Attributes:
        correlation: Correlation of their ranks, in [−1, 1].
        error: Its standard error.
        edges: Bin edges in the mass's unit, equally many events in each, shape ``(bins + 1,)``.
        score: Mean score in each bin, shape ``(bins,)``.
        score_error: Its standard error, same shape.
        kept: Fraction of events of each bin above the score that keeps ``share`` of all, same shape.
        kept_error: Its standard error, same shape.
        share: Fraction of all events that is kept.
        spread: Standard deviation of ``kept`` over the bins beyond its errors, relative to ``share``; 0 where the
            errors explain it.
        p_value: Probability of bins as unequal as these in ``kept``, if it did not depend on the mass.
    """

    correlation: float
    error: float
    edges: Floats
    score: Floats
    score_error: Floats
    kept: Floats
    kept_error: Floats
    share: float
    spread: float
    p_value: float


def mass_dependence(
    score: ArrayLike, mass: ArrayLike, weight: ArrayLike | None = None, *, share: float = 0.1, bins: int = 10
) -> MassDependence:
    """Measure how much a cut on a score shapes a mass.

    A correlation of ranks misses a score that prefers the middle of the range; the bins see it.

    Args:
        score: Scores of events of one class, background as a rule, shape ``(events,)``.
        mass: Their masses, shape ``(events,)``.
        weight: Event weights of either sign, shape ``(events,)``; ones by default.
        share: Fraction of events that the cut keeps, in (0, 1).
        bins: Number of bins.

    Raises:
        DataError: If lengths differ, or there are fewer than 50 events a bin.
    """
    scores, masses = as_column(score, "the scores"), as_column(mass, "the mass")
    weights = as_weights(weight, len(scores), "the scores")
    if len(masses) != len(scores) or len(scores) < FEWEST_IN_A_BIN * bins or not 0.0 < share < 1.0:
        raise DataError(
            f"{len(scores)} scores and {len(masses)} masses in {bins} bins at a share of {share:g}; give one mass a "
            f"score, {FEWEST_IN_A_BIN} events a bin, and a share between 0 and 1."
        )
    ranks = np.stack([rankdata(scores), rankdata(masses)], axis=1)
    if np.ptp(ranks[:, 0]) == 0.0 or np.ptp(ranks[:, 1]) == 0.0:
        raise DataError("the score or the mass is the same for all events; there is no dependence to measure.")
    matrix = correlation_matrix(ranks, weights)
    order = np.argsort(scores, kind="stable")
    summed = np.maximum.accumulate(np.cumsum(weights[order])) / weights.sum()
    place = min(int(np.searchsorted(summed, 1.0 - share)), len(order) - 1)
    above = (scores > scores[order][place]).astype(np.float64)
    edges = np.unique(np.quantile(masses, np.linspace(0.0, 1.0, bins + 1)))
    number = np.clip(np.searchsorted(edges, masses, side="right") - 1, 0, len(edges) - 2)
    mean, mean_error = _profile(scores, weights, number, len(edges) - 1)
    kept, kept_error = _profile(above, weights, number, len(edges) - 1)
    overall = float(np.average(above, weights=weights))
    # Under equality all bins share one fraction, whose error follows from its own spread: a bin of none has an error.
    squares = np.bincount(number, weights=np.square(weights * (above - overall)), minlength=len(edges) - 1)
    null = np.sqrt(squares) / np.bincount(number, weights=weights, minlength=len(edges) - 1)
    pulls = (kept - overall) / np.where(null > 0.0, null, np.inf)
    excess = float(np.mean(np.square(kept - overall) - np.square(kept_error)))
    return MassDependence(
        float(matrix.value[0, 1]), float(matrix.error[0, 1]), edges, mean, mean_error, kept, kept_error, overall,
        float(np.sqrt(max(excess, 0.0))) / overall if overall > 0.0 else 0.0,
        float(chi2.sf(np.square(pulls).sum(), max(len(pulls) - 1, 1))),
    )  # fmt: skip


def _profile(values: Floats, weights: Floats, number: NDArray[np.int64], bins: int) -> tuple[Floats, Floats]:
    """Return the weighted mean of each bin and its standard error."""
    total = np.bincount(number, weights=weights, minlength=bins)
    mean = np.bincount(number, weights=weights * values, minlength=bins) / total
    residual = np.square(weights * (values - mean[number]))
    return mean, np.sqrt(np.bincount(number, weights=residual, minlength=bins)) / total
