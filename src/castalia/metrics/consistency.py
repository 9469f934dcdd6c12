"""Are drawn four-momenta ones of particles? Mass shells, sums of daughters, and where a mass peaks.

A model that draws momentum, energy and mass as separate numbers need not keep to M² = E² − p², nor give a parent the
sum of its daughters. Both are measured in units of what the truth varies by, next to the peak of the mass as it was
drawn and as it follows from the momenta.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.arrays import as_column, as_columns
from castalia.metrics.coverage import median_error
from castalia.metrics.resolution import CoreWidth, core_width

__all__ = ["DaughterSum", "MassShell", "daughter_sum", "mass_shell"]


@final
@dataclass(frozen=True)
class MassShell:
    """How far a particle's mass is from that of its four-momentum.

    Attributes:
        violation: Median of ``|M² − (E² − p²)| / scale``, dimensionless; 0 on the shell.
        violation_error: Its standard error.
        spacelike: Fraction of events with ``E² < p²``.
        spacelike_error: Its standard error.
        drawn_peak: Core of M in GeV.
        computed_peak: Core of ``sqrt(E² − p²)`` in GeV, of the events that are not space-like.
        events: Number of events.
    """

    violation: float
    violation_error: float
    spacelike: float
    spacelike_error: float
    drawn_peak: CoreWidth
    computed_peak: CoreWidth
    events: int


@final
@dataclass(frozen=True)
class DaughterSum:
    """How far a parent's four-momentum is from the sum of its daughters'.

    Attributes:
        violation: Median over events of the largest ``|parent − sum| / scale`` among px, py, pz and E, dimensionless.
        violation_error: Its standard error.
        peak: Core of the mass of the daughters' sum in GeV, of the events where it is not space-like.
        events: Number of events.
    """

    violation: float
    violation_error: float
    peak: CoreWidth
    events: int


def mass_shell(momentum: ArrayLike, mass: ArrayLike, scale: float) -> MassShell:
    """Compare a particle's mass with its four-momentum.

    Args:
        momentum: Four-momenta (px, py, pz, E) in GeV, shape ``(events, 4)``; as doubles, since E² − p² of a fast
            particle is the difference of two large numbers.
        mass: Masses M in GeV, shape ``(events,)``.
        scale: What M² varies by in GeV², above 0: the standard deviation of the true M².

    Raises:
        DataError: If the shapes do not fit, a value is not finite, or the scale is not positive.
    """
    table, drawn = _momenta(momentum, "the momenta"), as_column(mass, "the masses")
    if len(table) != len(drawn) or not scale > 0.0:
        raise DataError(
            f"{len(table)} momenta, {len(drawn)} masses and a scale of {scale:g}; "
            "give one mass for each momentum, and a positive scale."
        )
    squared = _mass_squared(table)
    distance = np.abs(np.square(drawn) - squared) / scale
    spacelike = float(np.mean(squared < 0.0))
    return MassShell(
        violation=float(np.median(distance)),
        violation_error=median_error(distance),
        spacelike=spacelike,
        spacelike_error=float(np.sqrt(spacelike * (1.0 - spacelike) / len(table))),
        drawn_peak=core_width(drawn),
        computed_peak=_peak(squared),
        events=len(table),
    )


def daughter_sum(parent: ArrayLike, daughters: ArrayLike, scale: ArrayLike) -> DaughterSum:
    """Compare a parent's four-momentum with the sum of its daughters'.

    Args:
        parent: Four-momenta (px, py, pz, E) in GeV, shape ``(events, 4)``.
        daughters: Four-momenta in GeV, shape ``(events, daughters, 4)``.
        scale: What each of the four varies by in GeV, above 0, shape ``(4,)``: the standard deviations of the true
            parent's.

    Raises:
        DataError: If the shapes do not fit, a value is not finite, or a scale is not positive.
    """
    table, parts = _momenta(parent, "the parents"), np.asarray(daughters, dtype=np.float64)
    lengths = np.asarray(scale, dtype=np.float64)
    if parts.ndim != 3 or parts.shape[::2] != table.shape or lengths.shape != (4,) or not np.all(lengths > 0.0):
        raise DataError(
            f"daughters of shape {parts.shape} and scales {lengths.tolist()} do not fit {len(table)} parents; "
            "give daughters as (events, daughters, 4) and four positive scales."
        )
    total = as_columns(parts.sum(axis=1), "the daughters' sums")
    distance = np.max(np.abs(table - total) / lengths, axis=1)
    return DaughterSum(float(np.median(distance)), median_error(distance), _peak(_mass_squared(total)), len(table))


def _momenta(momentum: ArrayLike, name: str) -> NDArray[np.float64]:
    table = as_columns(momentum, name)
    if table.shape[1] != 4:
        raise DataError(f"{name} have {table.shape[1]} columns; four-momenta are (px, py, pz, E).")
    return table


def _mass_squared(momentum: NDArray[np.float64]) -> NDArray[np.float64]:
    # The product of difference and sum loses less than the difference of squares.
    p, energy = np.sqrt(np.square(momentum[:, :3]).sum(axis=1)), momentum[:, 3]
    return np.asarray((energy - p) * (energy + p), dtype=np.float64)


def _peak(squared: NDArray[np.float64]) -> CoreWidth:
    mass = np.sqrt(squared[squared >= 0.0])
    return core_width(mass) if len(mass) else CoreWidth(float("nan"), float("nan"), float("nan"), 0)
