"""Expected coverage of the joint posterior by distances to a reference point (TARP).

Around a reference point the draws fill a ball; the truth of a right posterior lies inside the ball that holds a share α
of them with probability α. All components are tested together, correlations included. The reference must not know the
event's truth. Where it depends on the detector's event the test is also sufficient, and the prior, which passes every
test of ranks, fails.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.arrays import as_columns
from castalia.metrics.draws import as_event_draws

__all__ = ["other_truths", "tarp_ranks"]


def tarp_ranks(truth: ArrayLike, draws: ArrayLike, reference: ArrayLike, rng: np.random.Generator) -> NDArray[np.int64]:
    """Count, for each event, the draws nearer to the reference than the truth is.

    Distances are Euclidean, each component in units of the truth's standard deviation. For a right posterior the counts
    are uniform over 0 to the number of draws: pass them to ``rank_deviation``, whose curve is the expected coverage
    minus the credibility.

    Args:
        truth: True values, shape ``(events, components)``.
        draws: Independent draws for each event, shape ``(events, draws, components)``.
        reference: One reference point an event, shape ``(events, components)``, made without the event's truth: such as
            a prediction from its detector event by a regression fitted to other events.
        rng: Random numbers that split ties.

    Returns:
        Counts from 0 to the number of draws, shape ``(events,)``.

    Raises:
        DataError: If shapes do not fit, a value is not finite or a component is constant.

    References:
        Lemos, Coogan, Hezaveh and Perreault-Levasseur, Sampling-based accuracy testing of posterior estimators for
        general inference, arXiv:2302.03026.
    """
    both, point = as_event_draws(truth, draws, fewest=1), as_columns(reference, "the references")
    scale = both.truth.std(axis=0)
    if point.shape != both.truth.shape or np.any(scale <= 0.0):
        raise DataError(
            f"references of shape {point.shape} for a truth of shape {both.truth.shape}, constant in "
            f"{int((scale <= 0.0).sum())} components; give one reference an event and leave constant components out."
        )
    counts = np.empty(len(point), dtype=np.int64)
    for rows, true, made in both.pieces():
        here = point[rows]
        limit = np.square((true - here) / scale).sum(axis=1)
        distance = np.square((made - here[:, None]) / scale).sum(axis=2)
        ties = (distance == limit[:, None]).sum(axis=1)
        counts[rows] = (distance < limit[:, None]).sum(axis=1) + rng.integers(0, ties + 1)
    return counts


def other_truths(truth: ArrayLike, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the truth of a random other event for each event, as references that know nothing of the event.

    Args:
        truth: True values, shape ``(events, components)``, of two events or more.
        rng: Random numbers.

    Raises:
        DataError: If there is only one event or a value is not finite.
    """
    table = as_columns(truth, "the truth")
    if len(table) < 2:
        raise DataError("a single event has no other event's truth as a reference; give two or more.")
    # A cycle through all events in random order: no event is its own reference.
    order = rng.permutation(len(table))
    references = np.empty_like(table)
    references[order] = table[np.roll(order, 1)]
    return references
