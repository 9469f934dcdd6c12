"""Dense images of pixel hits, for those who want all 7.68 million pixels of an event."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from castalia.detectors.pxd.digitiser import PixelHits
from castalia.detectors.pxd.geometry import SENSORS, U_CELLS, V_CELLS
from castalia.errors import DataError

__all__ = ["image", "occupancy"]


def image(hits: PixelHits, event: int) -> NDArray[np.uint8]:
    """Return the charges of all pixels of one event in ADU, zero where nothing was read out, shape ``(40, 250, 768)``.

    Args:
        hits: Hits.
        event: Number of the event, from 0.

    Raises:
        DataError: If there is no such event.
    """
    if not 0 <= event < hits.events:
        raise DataError(f"There is no event {event} among {hits.events}; they are counted from 0.")
    dense = np.zeros((SENSORS, U_CELLS, V_CELLS), dtype=np.uint8)
    mine = slice(*np.searchsorted(hits.event, [event, event + 1]))
    dense[hits.sensor[mine], hits.u[mine], hits.v[mine]] = hits.charge[mine]
    return dense


def occupancy(hits: PixelHits) -> NDArray[np.int64]:
    """Return the number of pixels that were read out by event and sensor, shape ``(events, 40)``."""
    cells = hits.event.astype(np.int64) * SENSORS + hits.sensor
    return np.bincount(cells, minlength=hits.events * SENSORS).reshape(hits.events, SENSORS)
