"""Area under the ROC curve of weighted events, and the difference of two classifiers on the same events."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.metrics.auc import AucEstimate
from castalia.metrics.scored import ScoredEvents

__all__ = ["auc_difference", "auc_influence", "weighted_auc"]

Floats = NDArray[np.float64]


def weighted_auc(events: ScoredEvents) -> AucEstimate:
    """Measure the weighted probability that a signal event scores above a background event, ties counting one half.

    With equal weights the error is that of DeLong, DeLong and Clarke-Pearson up to a factor ``sqrt(1 - 1 / n)``.
    """
    value, influence = auc_influence(events)
    return AucEstimate(value, float(np.sqrt(np.square(influence).sum())), int((~events.signal).sum()))


def auc_difference(first: ScoredEvents, second: ScoredEvents) -> AucEstimate:
    """Measure by how much the AUC of ``first`` is above that of ``second``, with the error of the paired difference.

    Args:
        first: Events with the scores of one classifier.
        second: The same events, in the same order, with those of the other.

    Raises:
        DataError: If they are not the same events.

    References:
        DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988): correlated curves; weights enter the influence of each
        event.
    """
    if not (np.array_equal(first.signal, second.signal) and np.array_equal(first.weight, second.weight)):
        raise DataError("the two classifiers scored different events; score the same ones in the same order.")
    (one, mine), (other, theirs) = auc_influence(first), auc_influence(second)
    error = float(np.sqrt(np.square(mine - theirs).sum()))
    return AucEstimate(one - other, error, int((~first.signal).sum()))


def auc_influence(events: ScoredEvents) -> tuple[float, Floats]:
    """Return the area, and what each event's presence adds to it, shape ``(events,)``.

    The root of the sum of squares is the standard error of the area; of a sum or difference of areas on the same
    events, the influences add up or subtract event by event.
    """
    background, signal = events.sums
    _, place = np.unique(events.score, return_inverse=True)
    below = _share_below(place, np.where(events.signal, 0.0, events.weight)) / background
    above = 1.0 - _share_below(place, np.where(events.signal, events.weight, 0.0)) / signal
    area = float(np.sum((events.weight * below)[events.signal]) / signal)
    own = np.where(events.signal, (below - area) / signal, (above - area) / background)
    return area, events.weight * own


def _share_below(place: NDArray[np.int64], weight: Floats) -> Floats:
    """Return the sum of weights below each event, half of that of equal scores included."""
    each = np.bincount(place, weights=weight)
    below: Floats = (np.cumsum(each) - 0.5 * each)[place]
    return below
