"""Events with a score that is to tell signal from background: what every measure of a two-class classifier takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.arrays import as_column, as_weights

__all__ = ["ScoredEvents", "scored_events"]


@final
@dataclass(frozen=True)
class ScoredEvents:
    """Events of two classes.

    Attributes:
        score: The higher, the more like signal, shape ``(events,)``; any scale, only the order counts.
        signal: True for signal, False for background, shape ``(events,)``.
        weight: Event weights, shape ``(events,)``; each class has a positive sum.
    """

    score: NDArray[np.float64]
    signal: NDArray[np.bool_]
    weight: NDArray[np.float64]

    @property
    def sums(self) -> tuple[float, float]:
        """Sums of the weights of background and signal."""
        return float(self.weight[~self.signal].sum()), float(self.weight[self.signal].sum())

    def rescored(self, score: ArrayLike) -> ScoredEvents:
        """Return the same events with the scores of another classifier, shape ``(events,)``.

        Raises:
            DataError: If their number differs or one is not finite.
        """
        return scored_events(score, self.signal, self.weight)


def scored_events(score: ArrayLike, signal: ArrayLike, weight: ArrayLike | None = None) -> ScoredEvents:
    """Check scores and put them together.

    Args:
        score: Scores, shape ``(events,)``.
        signal: Which events are signal, booleans, shape ``(events,)``.
        weight: Event weights of either sign, shape ``(events,)``; ones by default.

    Raises:
        DataError: If lengths differ, a value is not finite, a class has fewer than two events, or its weights do not
            have a positive sum.
    """
    scores, kinds = as_column(score, "the scores"), np.asarray(signal)
    if kinds.shape != scores.shape or kinds.dtype != np.bool_:
        raise DataError(f"{len(scores)} scores with classes of shape {kinds.shape}; give one boolean a score.")
    weights = as_weights(weight, len(scores), "the scored events")
    for name, chosen in (("background", ~kinds), ("signal", kinds)):
        if chosen.sum() < 2:
            raise DataError(f"{int(chosen.sum())} events of {name} among the scored ones; give two or more of each.")
        if weights[chosen].sum() <= 0.0:
            raise DataError(f"the weights of the {name} sum to {weights[chosen].sum():g}; give a positive sum.")
    return ScoredEvents(scores, kinds, weights)
