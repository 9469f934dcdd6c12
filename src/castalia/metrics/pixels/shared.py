"""What sensors of one event share: the variance of the event's total, and hits that match between the layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.detectors.pxd.digitiser import PixelHits
from castalia.detectors.pxd.geometry import LAYERS, SENSOR_LAYER, cell_positions
from castalia.errors import DataError

__all__ = [
    "PHI_BINS",
    "Z_BINS",
    "Z_REACH",
    "Measured",
    "direction_maps",
    "map_excess",
    "matched_hit_excess",
    "variance_ratio",
]

PHI_BINS, Z_BINS = 96, 48
"""Intervals of azimuth from −pi to pi, and of the direction from the interaction point along the beam."""
Z_REACH = 60.0
"""Where the direction ends: at this distance in mm along the beam, on either side, at the radius of layer 1."""


@dataclass(frozen=True)
class Measured:
    """A number and its standard error."""

    value: float
    error: float


def variance_ratio(occupancy: ArrayLike) -> Measured:
    """Return the variance of the events' totals over the sum of the sensors' variances: 1 where they are independent.

    The error comes from leaving out one event at a time.

    Args:
        occupancy: Number of hits, shape ``(events, sensors)``.

    Raises:
        DataError: If there are fewer than three events, or no sensor varies.
    """
    counts = np.asarray(occupancy, dtype=np.float64)
    events = len(counts)
    if events < 3:
        raise DataError(f"{events} events give no error of a ratio of variances; use at least three.")
    columns = np.column_stack([counts.sum(axis=1), counts])
    squares = (columns - columns.mean(axis=0)) ** 2
    total = squares.sum(axis=0)
    # What is left of the sum of squares when an event is taken out, its share of the mean included.
    left = total - squares * events / (events - 1)
    if not np.all(left[:, 1:].sum(axis=1) > 0.0):
        raise DataError("No sensor's occupancy varies; a ratio of variances needs events that differ.")
    without = left[:, 0] / left[:, 1:].sum(axis=1)
    error = np.sqrt((events - 1) / events * np.sum((without - without.mean()) ** 2))
    return Measured(float(total[0] / total[1:].sum()), float(error))


def matched_hit_excess(hits: PixelHits) -> Measured:
    """Return by how much more hits of the layers match in one event than between an event and the next.

    Hits match in the same of 96 intervals of azimuth and 48 of the direction from the interaction point along the beam.
    The next event's second layer is scaled to this one's number of hits, so that a common mode is no excess. The error
    is that of independent events.

    Args:
        hits: Hits of at least three events.

    Raises:
        DataError: If there are fewer than three events, or none matches by chance.
    """
    return map_excess(direction_maps(hits))


def map_excess(maps: NDArray[np.integer[Any]]) -> Measured:
    """Return the same excess of events that are already counted by direction.

    Args:
        maps: As of ``direction_maps``, shape ``(events, 2, intervals)``.

    Raises:
        DataError: As ``matched_hit_excess``.
    """
    events = len(maps)
    if events < 3:
        raise DataError(f"{events} events give no error of an excess; use at least three.")
    first, second = maps[:, 0].astype(np.float64), maps[:, 1].astype(np.float64)
    same = np.einsum("ij,ij->i", first, second)
    other = np.roll(second, 1, axis=0)
    scale = second.sum(axis=1) / np.maximum(other.sum(axis=1), 1.0)
    mixed = scale * np.einsum("ij,ij->i", first, other)
    if not mixed.mean() > 0.0:
        raise DataError("No hit matches by chance; use more events or denser ones.")
    ratio = same.mean() / mixed.mean()
    spread = (same - ratio * mixed).std(ddof=1) / mixed.mean()
    return Measured(float(ratio - 1.0), float(spread / np.sqrt(events)))


def direction_maps(hits: PixelHits) -> NDArray[np.uint16]:
    """Count hits by event, layer and direction: the interval of azimuth, and within it that along the beam.

    Returns:
        Shape ``(events, 2, PHI_BINS * Z_BINS)``.
    """
    phi, z = cell_positions(hits.sensor, hits.u, hits.v)
    layer = SENSOR_LAYER[hits.sensor] - 1
    # The place along the beam where a straight line from the origin meets the first layer.
    projected = z * np.where(layer == 0, 1.0, LAYERS[0].distance / LAYERS[1].distance)
    column = np.clip(((projected + Z_REACH) * (0.5 * Z_BINS / Z_REACH)).astype(np.int64), 0, Z_BINS - 1)
    row = np.clip(((phi + np.pi) * (0.5 * PHI_BINS / np.pi)).astype(np.int64), 0, PHI_BINS - 1)
    place = ((hits.event.astype(np.int64) * 2 + layer) * PHI_BINS + row) * Z_BINS + column
    counted = np.bincount(place, minlength=hits.events * 2 * PHI_BINS * Z_BINS)
    return counted.reshape(hits.events, 2, PHI_BINS * Z_BINS).astype(np.uint16)
