"""What an unfolding is given: simulated events with their truth, and measured events without."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TypeVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.arrays import as_column, as_columns

__all__ = ["MeasuredEvents", "SimulatedEvents", "bootstrapped", "measured_events", "simulated_events"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@final
@dataclass(frozen=True)
class MeasuredEvents:
    """Events at detector level: data, expected background, or refolded simulation.

    Attributes:
        detector: Observables, shape ``(events, observables)``.
        weights: Event weights, shape ``(events,)``.
    """

    detector: Array
    weights: Array


@final
@dataclass(frozen=True)
class SimulatedEvents:
    """Simulated events at both levels.

    Attributes:
        truth: Truth columns, shape ``(events, columns)``; anything where not ``fiducial``.
        detector: Observables, shape ``(events, observables)``; anything where not ``selected``.
        weights: Event weights, shape ``(events,)``.
        fiducial: Whether an event belongs to what is measured, shape ``(events,)``; one that is only selected is a
            fake.
        selected: Whether it was reconstructed and selected, shape ``(events,)``; one that is only fiducial was missed.
    """

    truth: Array
    detector: Array
    weights: Array
    fiducial: Flags
    selected: Flags

    @property
    def matched(self) -> Flags:
        """Events that are at both levels, shape ``(events,)``."""
        return self.fiducial & self.selected

    @property
    def fake(self) -> Flags:
        """Events that are only selected, shape ``(events,)``."""
        return self.selected & ~self.fiducial


Sample = TypeVar("Sample", MeasuredEvents, SimulatedEvents)


def measured_events(detector: ArrayLike, weights: ArrayLike | None = None) -> MeasuredEvents:
    """Check measured events and put them together.

    Args:
        detector: Observables, shape ``(events, observables)`` or ``(events,)``.
        weights: Event weights of either sign, shape ``(events,)``; ones by default.

    Raises:
        DataError: If there are no events, lengths differ, or a value is not finite.
    """
    table = as_columns(detector, "the measured events")
    return MeasuredEvents(table, _weights(weights, len(table), "measured"))


def simulated_events(
    truth: ArrayLike,
    detector: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    fiducial: ArrayLike | None = None,
    selected: ArrayLike | None = None,
) -> SimulatedEvents:
    """Check simulated events and put them together.

    Args:
        truth: Truth columns, shape ``(events, columns)`` or ``(events,)``; finite where fiducial.
        detector: Observables, shape ``(events, observables)`` or ``(events,)``; finite where selected.
        weights: Event weights of either sign, shape ``(events,)``; ones by default.
        fiducial: Which events are, shape ``(events,)``; all by default.
        selected: Which events are, shape ``(events,)``; all by default.

    Raises:
        DataError: If lengths differ, a value that counts is not finite, or no event is at both levels.
    """
    tables = [np.asarray(level, dtype=np.float64) for level in (truth, detector)]
    true, seen = (table[:, None] if table.ndim == 1 else table for table in tables)
    events = len(true)
    flags = [np.ones(events, dtype=np.bool_) if f is None else np.asarray(f) for f in (fiducial, selected)]
    if len(seen) != events or any(flag.shape != (events,) or flag.dtype != np.bool_ for flag in flags):
        raise DataError(
            f"{events} true and {len(seen)} detected events with flags of shapes {flags[0].shape}, {flags[1].shape}; "
            "give one row, and one boolean of each kind, to every simulated event."
        )
    simulated = SimulatedEvents(true, seen, _weights(weights, events, "simulated"), flags[0], flags[1])
    if not simulated.matched.any():
        raise DataError("no simulated event is both fiducial and selected; there is no response to learn.")
    as_columns(true[simulated.fiducial], "the truth of the fiducial events")
    as_columns(seen[simulated.selected], "the detector level of the selected events")
    return simulated


def bootstrapped(events: Sample, rng: np.random.Generator) -> Sample:
    """Return the events as another experiment might have seen them: each as often as a Poisson number of mean one.

    References:
        Poisson bootstrap: Chamandy et al., Estimating Uncertainty for Massive Data Streams (Google, 2012).
    """
    return dataclasses.replace(events, weights=events.weights * rng.poisson(1.0, len(events.weights)))


def _weights(weights: ArrayLike | None, events: int, kind: str) -> Array:
    if weights is None:
        return np.ones(events)
    column = as_column(weights, f"the weights of the {kind} events")
    if len(column) != events:
        raise DataError(f"{events} {kind} events but {len(column)} weights; give one weight an event.")
    return column
