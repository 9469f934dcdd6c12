"""Mean and standard deviation inside a window, and the fraction of events in it, each with its error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from castalia.errors import DataError
from castalia.metrics.arrays import as_column, as_weights

__all__ = ["Moments", "window_moments"]


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of the events inside a window.

    Attributes:
        mean: Mean inside the window, in the variable's unit; NaN with fewer than two events inside.
        mean_error: Its standard error.
        sd: Standard deviation inside the window, same unit.
        sd_error: Its standard error.
        fraction: Weighted fraction of all events inside the window, in [0, 1] where no weight is negative.
        fraction_error: Its standard error.
        events: Number of events inside.
    """

    mean: float
    mean_error: float
    sd: float
    sd_error: float
    fraction: float
    fraction_error: float
    events: int


def window_moments(values: ArrayLike, low: float, high: float, weights: ArrayLike | None = None) -> Moments:
    """Measure mean, standard deviation and fraction of the events with ``low <= value < high``.

    Errors come from the influence of each event, so they hold for any distribution and any weights.

    Args:
        values: One variable, shape ``(events,)``.
        low: Lower end of the window, in the variable's unit.
        high: Upper end, above ``low``.
        weights: Event weights, shape ``(events,)``; the sum must be positive.

    Raises:
        DataError: If the window is empty, a value is not finite, or the weights do not fit.
    """
    if not low < high:
        raise DataError(f"the window [{low:g}, {high:g}) is empty; its lower end must be below its upper end.")
    column = as_column(values, "the variable")
    weight = as_weights(weights, len(column), "the variable")
    inside = (column >= low) & (column < high)
    fraction = float(weight[inside].sum() / weight.sum())
    fraction_error = float(np.sqrt(np.square(weight * (inside - fraction)).sum()) / weight.sum())
    events, kept, x = int(inside.sum()), weight[inside], column[inside]
    if events < 2 or kept.sum() <= 0.0:
        nothing = float("nan")
        return Moments(nothing, nothing, nothing, nothing, fraction, fraction_error, events)
    mean = float(np.average(x, weights=kept))
    square = np.square(x - mean)
    sd = float(np.sqrt(max(float(np.average(square, weights=kept)), 0.0)))
    mean_error = float(np.sqrt(np.square(kept * (x - mean)).sum()) / kept.sum())
    sd_error = float(np.sqrt(np.square(kept * (square - sd**2)).sum()) / kept.sum() / (2.0 * sd)) if sd > 0.0 else 0.0
    return Moments(mean, mean_error, sd, sd_error, fraction, fraction_error, events)
