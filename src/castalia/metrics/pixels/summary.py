"""What is kept of pixel events for judging them: counts by event, from which every measure and its error follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from castalia.detectors.pxd.digitiser import PixelHits
from castalia.detectors.pxd.geometry import SENSORS, U_CELLS, V_CELLS
from castalia.errors import DataError
from castalia.metrics.pixels.clusters import Clusters
from castalia.metrics.pixels.shared import direction_maps

__all__ = ["CHARGE_WIDTH", "POOLED", "PixelSummary", "joined", "summarise"]

POOLED = (25, 32)
"""Cells along u and v of the pooled image of a sensor; each sums 10 times 24 pixels."""
CHARGE_WIDTH = 4
"""Width in ADU of an interval of the charge of clusters."""

_CHARGES, _SIZES, _CLUSTER_CHARGES = 256, 64, 512


@dataclass(frozen=True)
class PixelSummary:
    """Counts of pixel events, a few hundred kilobytes an event; what lies beyond a histogram is in its last interval.

    Attributes:
        occupancy: Pixels by sensor, shape ``(events, 40)``.
        clusters: Clusters by sensor, same shape.
        charge_sum: Sum of the charge by sensor in ADU, same shape.
        charge: Pixels by charge in ADU, shape ``(events, 256)``.
        size: Clusters by number of pixels, shape ``(events, 64)``.
        size_u: Clusters by extent along u in cells, same shape.
        size_v: Clusters by extent along v in cells, same shape.
        cluster_charge: Clusters by charge in intervals of ``CHARGE_WIDTH``, shape ``(events, 512)``.
        maps: Pixels by layer and direction, as of ``shared.direction_maps``.
        images: Charge of pooled cells in ADU, shape ``(events, 40, 25, 32)``.
    """

    occupancy: NDArray[np.int64]
    clusters: NDArray[np.int64]
    charge_sum: NDArray[np.int64]
    charge: NDArray[np.int32]
    size: NDArray[np.int32]
    size_u: NDArray[np.int32]
    size_v: NDArray[np.int32]
    cluster_charge: NDArray[np.int32]
    maps: NDArray[np.uint16]
    images: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.occupancy)

    @property
    def mean_charge(self) -> NDArray[np.float64]:
        """Mean charge of a pixel by sensor in ADU, zero where there is none, shape ``(events, 40)``."""
        return self.charge_sum / np.maximum(self.occupancy, 1)


def summarise(hits: PixelHits, clusters: Clusters) -> PixelSummary:
    """Count a few events; memory grows with their number.

    Args:
        hits: Hits.
        clusters: Clusters of these hits.
    """
    events = hits.events
    cell = hits.event.astype(np.int64) * SENSORS + hits.sensor
    own = clusters.event * SENSORS + clusters.sensor
    return PixelSummary(
        occupancy=_counts(cell, events * SENSORS, (events, SENSORS)),
        clusters=_counts(own, events * SENSORS, (events, SENSORS)),
        charge_sum=np.bincount(cell, hits.charge, events * SENSORS).astype(np.int64).reshape(events, SENSORS),
        charge=_histogram(hits.event, hits.charge, events, _CHARGES),
        size=_histogram(clusters.event, clusters.size, events, _SIZES),
        size_u=_histogram(clusters.event, clusters.size_u, events, _SIZES),
        size_v=_histogram(clusters.event, clusters.size_v, events, _SIZES),
        cluster_charge=_histogram(clusters.event, clusters.charge // CHARGE_WIDTH, events, _CLUSTER_CHARGES),
        maps=direction_maps(hits),
        images=_pooled(hits, cell),
    )


def joined(parts: Sequence[PixelSummary]) -> PixelSummary:
    """Put summaries one after the other.

    Raises:
        DataError: If there is none.
    """
    if not parts:
        raise DataError("There are no pixel events to put together; give at least one.")
    return PixelSummary(
        **{one.name: np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(PixelSummary)}
    )


def _counts(place: NDArray[np.int64], size: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
    return np.asarray(np.bincount(place, minlength=size).reshape(shape), dtype=np.int64)


def _histogram(
    event: NDArray[np.integer[Any]], value: NDArray[np.integer[Any]], events: int, intervals: int
) -> NDArray[np.int32]:
    place = event.astype(np.int64) * intervals + np.minimum(value, intervals - 1)
    return _counts(place, events * intervals, (events, intervals)).astype(np.int32)


def _pooled(hits: PixelHits, cell: NDArray[np.int64]) -> NDArray[np.uint16]:
    along_u, along_v = POOLED
    place = (cell * along_u + hits.u // (U_CELLS // along_u)) * along_v + hits.v // (V_CELLS // along_v)
    total = np.bincount(place, hits.charge, hits.events * SENSORS * along_u * along_v)
    return np.minimum(total, 65_535).astype(np.uint16).reshape(hits.events, SENSORS, along_u, along_v)
