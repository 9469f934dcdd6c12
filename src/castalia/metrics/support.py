"""Which conditions lie outside the box that training saw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.arrays import as_columns

__all__ = ["ConditionRanges", "outside", "ranges"]


@dataclass(frozen=True)
class ConditionRanges:
    """The box of conditions seen in training.

    Attributes:
        low: Smallest value per condition, in its unit, shape ``(conditions,)``.
        high: Largest value per condition, same shape.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]


def ranges(condition: ArrayLike) -> ConditionRanges:
    """Find the smallest and largest value of every condition.

    Args:
        condition: Training conditions, shape ``(events, conditions)``.

    Raises:
        DataError: If there are no events or a value is not finite.
    """
    table = as_columns(condition, "the training conditions")
    return ConditionRanges(table.min(axis=0), table.max(axis=0))


def outside(condition: ArrayLike, seen: ConditionRanges) -> NDArray[np.bool_]:
    """Flag the rows in which any condition lies outside the box; a NaN lies outside.

    Args:
        condition: Conditions to check, shape ``(events, conditions)``; there may be no events.
        seen: The box, from ``ranges``.

    Returns:
        True where a row is outside, shape ``(events,)``.

    Raises:
        DataError: If the number of conditions differs.
    """
    table = np.asarray(condition, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != len(seen.low):
        raise DataError(f"the conditions have shape {table.shape} where training saw {len(seen.low)} columns.")
    # Written so that a comparison with NaN, which is false, counts as outside.
    within = (table >= seen.low) & (table <= seen.high)
    flagged: NDArray[np.bool_] = np.any(~within, axis=1)
    return flagged
