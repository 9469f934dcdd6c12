"""When to stop iterating: how far one more pass moves the unfolded distribution, in units of its statistical error."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from castalia.metrics.moments import window_moments

__all__ = ["SETTLED", "moment_change", "settled_at"]

Array = NDArray[np.float64]

SETTLED = 0.5
"""Change from one pass to the next, in standard errors, below which another one is not worth its noise. Changes shrink
by a factor of about two from pass to pass, so that what is left of the bias is about as large as the last change."""


def moment_change(before: tuple[Array, Array], after: tuple[Array, Array], events: float) -> float:
    """Return the largest change of a column's mean or width between two unfolded distributions.

    Args:
        before: Values, shape ``(rows, columns)``, and weights, shape ``(rows,)``.
        after: Likewise; rows may be others.
        events: Effective number of measured events, which sets the statistical error.

    Returns:
        In units of the statistical error that the mean or width of as many normal events would have.
    """
    largest = 0.0
    for old, new in zip(before[0].T, after[0].T, strict=True):
        was, now = (window_moments(v, -math.inf, math.inf, w) for v, w in ((old, before[1]), (new, after[1])))
        mean = abs(now.mean - was.mean) / now.sd * math.sqrt(events)
        width = abs(math.log(now.sd / was.sd)) * math.sqrt(2.0 * events)
        largest = max(largest, mean, width)
    return largest


def settled_at(changes: Sequence[float] | Array, below: float = SETTLED) -> int | None:
    """Return the first number of passes whose change is below ``below``; ``None`` where there is none.

    Args:
        changes: Change by every pass, the first pass first; pass numbers begin at 1.
        below: What counts as settled, in standard errors.
    """
    return next((number for number, change in enumerate(changes, 1) if change < below), None)
