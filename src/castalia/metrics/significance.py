"""Significance that counting behind a cut on the score may expect, its background known within an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.roc import FEWEST_LEFT, RocBand

__all__ = ["ExpectedSignificance", "asimov_significance", "expected_significance"]

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class ExpectedSignificance:
    """Median significance of a discovery, cut by cut.

    Attributes:
        signal_events: Signal events expected before the cut.
        background_events: Background events expected before the cut.
        systematic: Relative error of the background behind the cut.
        value: Significance in standard deviations at each signal efficiency of the ROC curve, shape ``(points,)``; NaN
            where no background is left.
        low: Lower end of its 68 % interval from the simulated events, same shape.
        high: Upper end.
        uncut: Significance without a cut.
        best: Place of the largest value among the cuts that leave enough simulated background; ``None`` if there is
            none.
        error: Standard error of the value at ``best``; NaN without one.
    """

    signal_events: float
    background_events: float
    systematic: float
    value: Floats
    low: Floats
    high: Floats
    uncut: float
    best: int | None
    error: float


def asimov_significance(signal: ArrayLike, background: ArrayLike, error: ArrayLike = 0.0) -> Floats:
    """Return the median significance of a discovery by counting.

    With the error sigma of the background b measured by a counting experiment of its own, and s signal events,

        Z² = 2 (s + b) ln[(s + b)(b + σ²) / (b² + (s + b) σ²)] − 2 b²/σ² ln[1 + σ² s / (b (b + σ²))],

    which without an error is ``2 (s + b) ln(1 + s/b) − 2 s``.

    Args:
        signal: Expected signal events, not negative, of any shape.
        background: Expected background events, positive.
        error: Standard error of the background in events, not negative.

    Returns:
        Standard deviations, in the shape to which the arguments broadcast.

    Raises:
        DataError: If a value is out of its range.

    References:
        Cowan, Cranmer, Gross and Vitells, arXiv:1007.1727, equation 97; with an error of the background: Li and Ma,
        Astrophys. J. 272 (1983), equation 17, for the expected counts.
    """
    s, b, sigma = (np.asarray(values, dtype=np.float64) for values in (signal, background, error))
    if not (np.all(s >= 0.0) and np.all(b > 0.0) and np.all(sigma >= 0.0)):
        raise DataError("a significance needs signal and error of at least 0 and a background above 0.")
    variance = sigma**2
    # Both logarithms as log1p, and the second over its argument: for small errors the formula is 0 / 0.
    first = (s + b) * np.log1p(s * b / (b**2 + (s + b) * variance))
    argument = variance * s / (b * (b + variance))
    slope = np.divide(np.log1p(argument), argument, out=np.ones_like(argument), where=argument > 0.0)
    return np.asarray(np.sqrt(np.maximum(0.0, 2.0 * (first - b * s / (b + variance) * slope))), dtype=np.float64)


def expected_significance(
    curve: RocBand, signal_events: float, background_events: float, systematic: float = 0.0, fewest: int = FEWEST_LEFT
) -> ExpectedSignificance:
    """Measure the significance of every cut of a ROC curve.

    Args:
        curve: The curve.
        signal_events: Signal events expected before the cut.
        background_events: Background events expected before the cut.
        systematic: Relative error of the background behind the cut, whatever the cut.
        fewest: Simulated background events that the best cut must leave.

    Raises:
        DataError: If a number of events is not positive or the error is negative.
    """
    if signal_events <= 0.0 or background_events <= 0.0 or systematic < 0.0:
        raise DataError(
            f"{signal_events:g} signal and {background_events:g} background events with a systematic error of "
            f"{systematic:g}: give positive numbers of events and an error of at least 0."
        )

    def at(background: Floats) -> Floats:
        left = np.where(background > 0.0, background, np.nan) * background_events
        filled = np.nan_to_num(left, nan=1.0)
        found = asimov_significance(curve.signal * signal_events, filled, systematic * filled)
        return np.where(np.isfinite(left), found, np.nan)

    low, high = curve.band
    value, allowed = at(curve.background), (curve.left >= fewest) & (curve.background > 0.0)
    best = int(np.argmax(np.where(allowed, np.nan_to_num(value), -1.0))) if allowed.any() else None
    error = float("nan") if best is None else float(np.nanstd(at(curve.replicas)[:, best], ddof=1))
    uncut = float(asimov_significance(signal_events, background_events, systematic * background_events))
    return ExpectedSignificance(
        signal_events, background_events, systematic, value, at(high), at(low), uncut, best, error
    )
