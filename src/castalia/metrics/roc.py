"""The ROC curve with its band: background that is left at each signal efficiency, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.bands import ONE_SIGMA
from castalia.metrics.scored import ScoredEvents

__all__ = ["FEWEST_LEFT", "REPLICAS", "ImprovementMaximum", "RocBand", "WorkingPoint", "roc_band"]

Floats = NDArray[np.float64]

FEWEST_LEFT: Final = 100
"""Background events that a working point needs for its maximum to be quoted: below, a maximum seeks fluctuations."""

REPLICAS: Final = 200
"""Bootstrap replicas of a curve, where nobody wants another number."""

_FEWEST_EVENTS = 20  # of a class: with fewer, a replica may have none of them


@final
@dataclass(frozen=True)
class WorkingPoint:
    """One cut on the score.

    Attributes:
        signal: Signal efficiency.
        rejection: One over the background efficiency; infinite where no background is left.
        low: Lower end of its 68 % interval.
        high: Upper end.
        threshold: Score above which events are kept.
        left: Number of background events above it, unweighted.
    """

    signal: float
    rejection: float
    low: float
    high: float
    threshold: float
    left: int


@final
@dataclass(frozen=True)
class ImprovementMaximum:
    """Where a cut improves the significance most.

    Attributes:
        value: Signal efficiency over the square root of the background efficiency.
        error: Its standard error at this cut.
        signal: Signal efficiency of the cut.
        left: Number of background events above it, unweighted.
    """

    value: float
    error: float
    signal: float
    left: int


@final
@dataclass(frozen=True)
class RocBand:
    """Background efficiencies at given signal efficiencies.

    Attributes:
        signal: Signal efficiencies, increasing in (0, 1], shape ``(points,)``.
        background: Background efficiency at each, same shape.
        replicas: The same for bootstrap replicas of the events, shape ``(replicas, points)``.
        threshold: Score above which events are kept, shape ``(points,)``.
        left: Background events above it, unweighted, same shape.
    """

    signal: Floats
    background: Floats
    replicas: Floats
    threshold: Floats
    left: NDArray[np.int64]

    @property
    def band(self) -> tuple[Floats, Floats]:
        """Ends of the 68 % interval of the background efficiency, each of shape ``(points,)``.

        What falls with the background efficiency, such as a rejection, has the interval of the transformed ends.
        """
        tail = 0.5 * (1.0 - ONE_SIGMA)
        low, high = np.quantile(self.replicas, [tail, 1.0 - tail], axis=0)
        return low, high

    @property
    def improvement(self) -> Floats:
        """Signal efficiency over the root of the background efficiency; NaN where no background is left."""
        return _improvement(self.signal, self.background)

    @property
    def improvement_band(self) -> tuple[Floats, Floats]:
        """Ends of the 68 % interval of ``improvement``."""
        low, high = self.band
        return _improvement(self.signal, high), _improvement(self.signal, low)

    def at(self, signal: float) -> WorkingPoint:
        """Return the working point at the given signal efficiency, which must be one of the curve's.

        Raises:
            DataError: If it is not.
        """
        place = int(np.argmin(np.abs(self.signal - signal)))
        if abs(self.signal[place] - signal) > 1e-9:
            raise DataError(f"the ROC curve has no point at a signal efficiency of {signal:g}; measure it there.")
        with np.errstate(divide="ignore"):
            rejection, high, low = (1.0 / np.array([self.background, *self.band])[:, place]).tolist()
        return WorkingPoint(
            float(self.signal[place]), rejection, low, high, float(self.threshold[place]), int(self.left[place])
        )

    def best_improvement(self, fewest: int = FEWEST_LEFT) -> ImprovementMaximum | None:
        """Return the largest improvement among cuts that leave enough background; ``None`` where none does.

        Args:
            fewest: Background events that must be left, unweighted.
        """
        allowed = (self.left >= fewest) & (self.background > 0.0)
        if not allowed.any():
            return None
        place = int(np.argmax(np.where(allowed, np.nan_to_num(self.improvement), 0.0)))
        scatter = float(np.nanstd(_improvement(self.signal, self.replicas)[:, place], ddof=1))
        return ImprovementMaximum(
            float(self.improvement[place]), scatter, float(self.signal[place]), int(self.left[place])
        )


def roc_band(
    events: ScoredEvents, rng: np.random.Generator, signal: ArrayLike | None = None, replicas: int = REPLICAS
) -> RocBand:
    """Measure the ROC curve, and its replicas by the Poisson bootstrap of events.

    Between the scores of two events the curve is a straight line, and so it is across events of equal score.

    Args:
        events: The events.
        rng: Random numbers of the bootstrap; the same for two classifiers on the same events pairs their replicas.
        signal: Signal efficiencies, increasing in (0, 1]; 1 to 100 % in steps of one by default.
        replicas: Number of replicas; the first ones of more are the same.

    Raises:
        DataError: If the efficiencies do not increase within (0, 1], or a class has fewer than 20 events.

    References:
        Poisson bootstrap: Chamandy et al., Estimating Uncertainty for Massive Data Streams (Google, 2012).
    """
    points = np.arange(1, 101) / 100.0 if signal is None else np.asarray(signal, dtype=np.float64)
    if points.ndim != 1 or not len(points) or points[0] <= 0.0 or points[-1] > 1.0 or np.any(np.diff(points) <= 0.0):
        raise DataError("signal efficiencies must increase within (0, 1]; give them in order.")
    fewest = min(int(np.sum(chosen & (events.weight != 0.0))) for chosen in (events.signal, ~events.signal))
    if fewest < _FEWEST_EVENTS:
        raise DataError(f"a class of {fewest} events has no band; give {_FEWEST_EVENTS} events or more of each class.")
    order = np.argsort(-events.score, kind="stable")
    score = events.score[order]
    ends = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)  # of each run of equal scores
    passed = np.where(events.signal[order], events.weight[order], 0.0)
    faked = np.where(events.signal[order], 0.0, events.weight[order])
    nominal = _curve(passed, faked, ends, points)
    drawn = np.empty((replicas, len(points)))
    for one in drawn:
        # Drawn in the order of the events, not of the scores: what pairs the replicas of two classifiers.
        times = rng.poisson(1.0, len(score))[order]
        one[:] = _curve(passed * times, faked * times, ends, points)
    rising = np.maximum.accumulate(np.cumsum(passed)[ends]) / passed.sum()
    place = np.minimum(np.searchsorted(rising, points - 1e-12), len(ends) - 1)
    left = np.cumsum(~events.signal[order])[ends][place]
    return RocBand(points, nominal, drawn, score[ends[place]], left)


def _curve(passed: Floats, faked: Floats, ends: NDArray[np.int64], points: Floats) -> Floats:
    signal, background = np.cumsum(passed)[ends], np.cumsum(faked)[ends]
    # Negative weights may make the sum fall for a while: a cut is where it first reaches the efficiency.
    rising = np.append(0.0, np.maximum.accumulate(signal)) / signal[-1]
    found: Floats = np.interp(points, rising, np.append(0.0, background) / background[-1])
    return found


def _improvement(signal: Floats, background: Floats) -> Floats:
    known = background > 0.0
    root = np.sqrt(np.where(known, background, 1.0))
    return np.where(known, signal / root, np.nan)
