"""Clusters of pixel hits: hits of one sensor that touch, along a side or at a corner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from castalia.detectors.pxd.digitiser import PixelHits
from castalia.detectors.pxd.geometry import SENSORS, U_CELLS, V_CELLS
from castalia.estimators.pixels.clusters import touching

__all__ = ["Clusters", "find_clusters"]


@dataclass(frozen=True)
class Clusters:
    """Clusters of several events; every array has the shape ``(clusters,)``.

    Attributes:
        event: Number of the event, from 0.
        sensor: From 0 to 39.
        size: Number of pixels.
        size_u: Number of cells from the first to the last along u.
        size_v: Number of cells from the first to the last along v.
        charge: Sum in ADU.
        u: Mean position along u weighted by charge, counted in cells; the middle of the first cell is 0.5.
        v: The same along v.
    """

    event: NDArray[np.int64]
    sensor: NDArray[np.int64]
    size: NDArray[np.int64]
    size_u: NDArray[np.int64]
    size_v: NDArray[np.int64]
    charge: NDArray[np.int64]
    u: NDArray[np.float64]
    v: NDArray[np.float64]


def find_clusters(hits: PixelHits) -> Clusters:
    """Put touching hits together.

    Args:
        hits: Hits, ordered by event, sensor, u and v.
    """
    sensor = hits.event.astype(np.int64) * SENSORS + hits.sensor
    number, label = touching(sensor, hits.u, hits.v, (U_CELLS, V_CELLS))
    place = np.zeros(number, dtype=np.int64)
    place[label] = np.arange(len(label))
    charge = np.bincount(label, hits.charge, minlength=number)
    u, v = (
        np.bincount(label, hits.charge * (cell + 0.5), minlength=number) / np.maximum(charge, 1.0)
        for cell in (hits.u, hits.v)
    )
    return Clusters(
        event=hits.event[place].astype(np.int64),
        sensor=hits.sensor[place].astype(np.int64),
        size=np.bincount(label, minlength=number),
        size_u=_extent(hits.u, label, number),
        size_v=_extent(hits.v, label, number),
        charge=charge.astype(np.int64),
        u=u,
        v=v,
    )


def _extent(cell: NDArray[np.unsignedinteger[Any]], label: NDArray[np.int32], number: int) -> NDArray[np.int64]:
    low, high = np.full(number, V_CELLS), np.zeros(number, dtype=np.int64)
    np.minimum.at(low, label, cell)
    np.maximum.at(high, label, cell)
    return np.asarray(high - low + 1, dtype=np.int64)
