"""From charge in cells to pixel hits: sum, noise, gain, threshold, saturation, and hits of noise alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from castalia.detectors.pxd.drift import Shares
from castalia.detectors.pxd.geometry import SENSORS, U_CELLS, V_CELLS

__all__ = ["GAIN", "NOISE", "NOISE_FRACTION", "SATURATION", "THRESHOLD", "PixelHits", "digitise"]

GAIN: Final = 216.7
"""Electrons for one unit of the converter, ADU."""
NOISE: Final = 150.0
"""Standard deviation of a pixel's noise, in electrons."""
THRESHOLD: Final = 7
"""Smallest charge that is read out, in ADU."""
SATURATION: Final = (155.0, 30.0)
"""Mean and standard deviation of the charge in ADU at which a pixel saturates; drawn for each hit, not each pixel."""
NOISE_FRACTION: Final = 5e-8
"""Fraction of the pixels that a readout reports without charge."""

_LARGEST: Final = 255


@final
@dataclass(frozen=True)
class PixelHits:
    """Pixels that were read out, ordered by event, sensor, u and v; every array has the shape ``(hits,)``.

    Attributes:
        events: Number of events, those without hits included.
        event: Number of the event, from 0.
        sensor: From 0 to 39, in the order of ``geometry.VXD_IDS``.
        u: Cell along u, 0 to 249.
        v: Cell along v, 0 to 767.
        charge: In ADU, 7 to 255.
    """

    events: int
    event: NDArray[np.int32]
    sensor: NDArray[np.uint8]
    u: NDArray[np.uint8]
    v: NDArray[np.uint16]
    charge: NDArray[np.uint8]


def digitise(shares: Shares, events: int, rng: np.random.Generator) -> PixelHits:
    """Read out all pixels of all sensors.

    Args:
        shares: Charge in cells.
        events: Number of events.
        rng: Random numbers.
    """
    row, v, electrons = _summed(_with_noise_hits(shares, events, rng), events)
    electrons += np.float32(NOISE) * rng.standard_normal(len(electrons), dtype=np.float32)
    adu = np.floor(electrons * np.float32(1.0 / GAIN))
    fired = np.flatnonzero(adu >= THRESHOLD)
    row, v, adu = row[fired], v[fired], adu[fired]
    mean, spread = SATURATION
    large = np.flatnonzero(adu > mean - 5.0 * spread)  # no pixel saturates below
    ceiling = mean + spread * rng.standard_normal(len(large), dtype=np.float32)
    adu[large] = np.minimum(adu[large], np.clip(np.floor(ceiling), THRESHOLD, _LARGEST))
    sensor = row // U_CELLS
    event = sensor // SENSORS
    return PixelHits(
        events,
        event,
        (sensor - SENSORS * event).astype(np.uint8),
        (row - U_CELLS * sensor).astype(np.uint8),
        v.astype(np.uint16),
        adu.astype(np.uint8),
    )


def _summed(shares: Shares, events: int) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Add up the charge of each cell; rows of equal u are numbered through all sensors of all events, and come ordered.

    A sparse matrix of these rows does that in a fraction of the time of a sort.
    """
    row = shares.row * np.int32(U_CELLS) + shares.u
    rows = events * SENSORS * U_CELLS
    matrix = coo_array((shares.electrons, (row, shares.v)), shape=(rows, V_CELLS)).tocsr()
    matrix.sum_duplicates()
    return np.repeat(np.arange(rows, dtype=np.int32), np.diff(matrix.indptr)), matrix.indices, matrix.data


def _with_noise_hits(shares: Shares, events: int, rng: np.random.Generator) -> Shares:
    """Add the charge of noise hits, which falls off from the threshold by one ADU."""
    count = rng.poisson(NOISE_FRACTION * events * SENSORS * U_CELLS * V_CELLS)
    row, u, v = (rng.integers(0, end, count, dtype=np.int32) for end in (events * SENSORS, U_CELLS, V_CELLS))
    electrons = GAIN * (THRESHOLD + rng.exponential(1.0, count))
    return Shares(
        np.concatenate([shares.row, row]),
        np.concatenate([shares.u, u]),
        np.concatenate([shares.v, v]),
        np.concatenate([shares.electrons, electrons.astype(np.float32)]),
    )
