"""Electrons on their way to the gates: the magnetic field shifts them along u, diffusion carries some to the next cell.

The cloud of a deposit is normal in u and v. It is narrow against a cell, so that it reaches at most one further cell
along each: the share that does so is the normal distribution's integral beyond the nearest border.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from castalia.detectors.pxd.deposits import Deposits, Floats
from castalia.detectors.pxd.geometry import PITCH_U, U_CELLS, V_CELLS

__all__ = ["DIFFUSION", "LORENTZ_SHIFT", "Shares", "share"]

LORENTZ_SHIFT: Final = 0.0097
"""Shift along u in mm of what drifts through the whole thickness, in 1.5 T."""
DIFFUSION: Final = 0.004
"""Standard deviation in mm of the cloud of what drifts through the whole thickness."""

_REACH: Final = 3.0  # standard deviations beyond which a share is below 0.2 % and is left where it was


@final
@dataclass(frozen=True)
class Shares:
    """Charge in cells, several for one cell; every array has the shape ``(shares,)``.

    Attributes:
        row: 40 times the event's number plus the sensor's.
        u: Cell along u, 0 to 249.
        v: Cell along v, 0 to 767.
        electrons: Charge.
    """

    row: NDArray[np.int32]
    u: NDArray[np.int32]
    v: NDArray[np.int32]
    electrons: Floats


def share(deposits: Deposits) -> Shares:
    """Let charge drift and share it out to cells; what leaves the active area is lost.

    Args:
        deposits: Point charges.
    """
    spread = np.float32(DIFFUSION) * np.sqrt(deposits.drift)
    shifted = deposits.u + np.float32(LORENTZ_SHIFT / PITCH_U) * deposits.drift
    u, electrons, near = _divided(shifted, spread * np.float32(1.0 / PITCH_U), deposits.electrons)
    row, along_v, spread = (_repeated(one, near) for one in (deposits.row, deposits.v, spread / deposits.pitch_v))
    v, electrons, near = _divided(along_v, spread, electrons)
    row, u = _repeated(row, near), _repeated(u, near)
    # A negative cell is a very large one without its sign.
    inside = (u.view(np.uint32) < U_CELLS) & (v.view(np.uint32) < V_CELLS)
    return Shares(row[inside], u[inside], v[inside], electrons[inside])


def _repeated(values: NDArray[Any], near: NDArray[np.int64]) -> NDArray[Any]:
    """Return the values of all deposits, and then again of those that reach a neighbour."""
    return np.concatenate([values, values[near]])


def _divided(
    position: Floats, spread: Floats, electrons: Floats
) -> tuple[NDArray[np.int32], Floats, NDArray[np.int64]]:
    """Divide charge between a cell and the one beyond its nearest border.

    Returns:
        Cells and charges, first one a deposit, then those of the neighbours; and which deposits reach a neighbour.
    """
    floor = np.floor(position)
    cell = floor.astype(np.int32)
    off_middle = position - floor - np.float32(0.5)
    distance = np.float32(0.5) - np.abs(off_middle)
    near = np.flatnonzero(distance < np.float32(_REACH) * spread)
    beyond = electrons[near] * ndtr(-distance[near] / np.maximum(spread[near], np.float32(1e-6)))
    kept = electrons.copy()
    kept[near] -= beyond
    neighbour = cell[near] + np.where(off_middle[near] > 0.0, 1, -1).astype(np.int32)
    return np.concatenate([cell, neighbour]), np.concatenate([kept, beyond]), near
