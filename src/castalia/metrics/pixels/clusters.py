"""Clusters of pixel hits: hits of one sensor that touch, along a side or at a corner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from castalia.detectors.pxd.digitiser import PixelHits
from castalia.detectors.pxd.geometry import SENSORS, U_CELLS, V_CELLS

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
    """

    event: NDArray[np.int64]
    sensor: NDArray[np.int64]
    size: NDArray[np.int64]
    size_u: NDArray[np.int64]
    size_v: NDArray[np.int64]
    charge: NDArray[np.int64]


def find_clusters(hits: PixelHits) -> Clusters:
    """Put touching hits together.

    Args:
        hits: Hits, ordered by event, sensor, u and v.
    """
    # Cells are numbered with a margin between rows and between sensors, so that what is no neighbour is none here.
    row = (hits.event.astype(np.int64) * SENSORS + hits.sensor) * (U_CELLS + 1) + hits.u
    cell = row * (V_CELLS + 1) + hits.v
    pairs = [_pairs(cell, step) for step in (1, V_CELLS, V_CELLS + 1, V_CELLS + 2)]
    first, second = (np.concatenate(side) for side in zip(*pairs, strict=True))
    touching = coo_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(len(cell), len(cell)))
    number, label = connected_components(touching, directed=False)
    place = np.zeros(number, dtype=np.int64)
    place[label] = np.arange(len(label))
    return Clusters(
        event=hits.event[place].astype(np.int64),
        sensor=hits.sensor[place].astype(np.int64),
        size=np.bincount(label, minlength=number),
        size_u=_extent(hits.u, label, number),
        size_v=_extent(hits.v, label, number),
        charge=np.bincount(label, hits.charge, minlength=number).astype(np.int64),
    )


def _pairs(cell: NDArray[np.int64], step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of hits whose cells are ``step`` apart."""
    found = np.minimum(np.searchsorted(cell, cell + step), max(len(cell) - 1, 0))
    first = np.flatnonzero(cell[found] == cell + step)
    return first, found[first]


def _extent(cell: NDArray[np.unsignedinteger], label: NDArray[np.int32], number: int) -> NDArray[np.int64]:
    low, high = np.full(number, V_CELLS), np.zeros(number, dtype=np.int64)
    np.minimum.at(low, label, cell)
    np.maximum.at(high, label, cell)
    return np.asarray(high - low + 1, dtype=np.int64)
