"""Which hits of a sensor touch, along a side or at a corner."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

__all__ = ["touching"]


def touching(
    sensor: NDArray[np.integer], u: NDArray[np.integer], v: NDArray[np.integer], cells: tuple[int, int]
) -> tuple[int, NDArray[np.int32]]:
    """Number the clusters of hits.

    Args:
        sensor: A number for each sensor of each event, never decreasing, shape ``(hits,)``.
        u: Cell along u, never decreasing within a sensor.
        v: Cell along v, growing within a row.
        cells: Number of cells along u and v.

    Returns:
        How many clusters there are, and the number of each hit's, shape ``(hits,)``.
    """
    # Cells are numbered with a margin between rows and between sensors, so that what is no neighbour is none here.
    along_u, along_v = cells[0] + 1, cells[1] + 1
    cell = (sensor.astype(np.int64) * along_u + u) * along_v + v
    pairs = [_pairs(cell, step) for step in (1, along_v - 1, along_v, along_v + 1)]
    first, second = (np.concatenate(side) for side in zip(*pairs, strict=True))
    graph = coo_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(len(cell), len(cell)))
    number, label = connected_components(graph, directed=False)
    return int(number), label


def _pairs(cell: NDArray[np.int64], step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of hits whose cells are ``step`` apart."""
    found = np.minimum(np.searchsorted(cell, cell + step), max(len(cell) - 1, 0))
    first = np.flatnonzero(cell[found] == cell + step)
    return first, found[first]
