"""Clusters of training events, kept to be drawn again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from castalia.errors import DataError
from castalia.estimators.pixels.clusters import touching
from castalia.estimators.pixels.hits import Hits, SensorArray

__all__ = ["ClusterLibrary", "FoundClusters", "found_clusters"]

Integers = NDArray[np.int64]

_EVENTS = 200  # events that clusters are taken from; more of them cost time and change nothing
_SIZE = 6  # pixels of a cluster that there is room for, on average


@final
@dataclass(frozen=True)
class FoundClusters:
    """Clusters of several events and their pixels.

    Attributes:
        place: Number of the sensor of the event, ``event * sensors + sensor``, never decreasing, ``(clusters,)``.
        shape: Lowest u and v, extents along u and v, number of pixels and sum of charges, ``(clusters, 6)``.
        start: Where the pixels of each cluster begin, shape ``(clusters,)``.
        pixels: Offset from the lowest u and v, and charge, cluster after cluster, shape ``(hits, 3)``.
    """

    place: Integers
    shape: Integers
    start: Integers
    pixels: Integers


def found_clusters(hits: Hits, array: SensorArray) -> FoundClusters:
    """Put touching hits together.

    Args:
        hits: Hits, in any order within an event.
        array: The array that they are of.
    """
    event, sensor, u, v, charge = (one.cpu().numpy() for one in (hits.event, hits.sensor, hits.u, hits.v, hits.charge))
    place = event * array.sensors + sensor
    key = (place * array.u + u) * array.v + v
    if np.any(np.diff(key) <= 0):
        order = np.argsort(key, kind="stable")
        place, u, v, charge = (one[order] for one in (place, u, v, charge))
    number, label = touching(place, u, v, (array.u, array.v))
    order = np.argsort(label, kind="stable")
    size = np.bincount(label, minlength=number)
    start = np.cumsum(size) - size
    place, u, v, charge = (one[order] for one in (place, u, v, charge))
    if number == 0:
        none = np.zeros((0, 6), dtype=np.int64)
        return FoundClusters(start, none, start, none[:, :3])
    low_u, low_v = np.minimum.reduceat(u, start), np.minimum.reduceat(v, start)
    extents = np.maximum.reduceat(u, start) - low_u + 1, np.maximum.reduceat(v, start) - low_v + 1
    shape = np.column_stack([low_u, low_v, *extents, size, np.add.reduceat(charge, start)])
    pixels = np.column_stack([u - low_u.repeat(size), v - low_v.repeat(size), charge])
    return FoundClusters(place[start], shape, start, pixels)


@final
class ClusterLibrary(nn.Module):
    """A random sample of the clusters of each sensor, as many as there is room for.

    Args:
        array: The array of sensors.
        entries: Clusters kept of each sensor.

    Attributes:
        number: Clusters that there are of each sensor, shape ``(sensors,)``.
        shape: As in ``FoundClusters``, int32, shape ``(sensors * entries, 6)``.
        start: Where the pixels of each cluster begin, shape ``(sensors * entries,)``.
        pixels: Offsets and charges, int16, of a fixed length, shape ``(P, 3)``.
    """

    number: Tensor
    shape: Tensor
    start: Tensor
    pixels: Tensor

    def __init__(self, array: SensorArray, entries: int) -> None:
        super().__init__()
        self.array, self.entries = array, entries
        whole = array.sensors * entries
        self.register_buffer("number", torch.zeros(array.sensors, dtype=torch.int64))
        self.register_buffer("shape", torch.zeros(whole, 6, dtype=torch.int32))
        self.register_buffer("start", torch.zeros(whole, dtype=torch.int64))
        self.register_buffer("pixels", torch.zeros(_SIZE * whole, 3, dtype=torch.int16))
        self._found: list[tuple[FoundClusters, NDArray[np.float64]]] = []
        self._events = 0

    def update(self, hits: Hits, rng: np.random.Generator) -> None:
        """Take in the clusters of events, until they are enough.

        Every cluster draws a number, and those with the lowest stay: each has the same chance.
        """
        if self._events >= _EVENTS or hits.events == 0:
            return
        self._events += hits.events
        found = found_clusters(hits, self.array)
        self._found = [_lowest([*self._found, (found, rng.random(len(found.place)))], self.array.sensors, self.entries)]

    def finish(self) -> None:
        """Keep what was taken in.

        Raises:
            DataError: If there was no hit, or clusters are so large that they do not fit.
        """
        found = self._found[0][0] if self._found else None
        self._found, self._events = [], 0
        if found is None or len(found.place) == 0:
            raise DataError("the training events have no hits; check the columns of hits in the files.")
        sensor = found.place % self.array.sensors
        # Where the pixels do not fit, the last clusters of every sensor go, in proportion: their order is random.
        part = min(1.0, len(self.pixels) / len(found.pixels))
        counts = np.bincount(sensor, minlength=self.array.sensors)
        rank = np.arange(len(sensor)) - (np.cumsum(counts) - counts)[sensor]
        number = np.floor(counts * part).astype(np.int64) if part < 1.0 else counts
        kept = np.flatnonzero(rank < number[sensor])
        while found.shape[kept, 4].sum() > len(self.pixels):
            number = number * 9 // 10
            kept = np.flatnonzero(rank < number[sensor])
        size = found.shape[kept, 4]
        start = np.cumsum(size) - size
        slot = sensor[kept] * self.entries + rank[kept]
        rows = np.repeat(found.start[kept] - start, size) + np.arange(size.sum())
        self.number.copy_(torch.from_numpy(number))
        self.shape[slot] = torch.from_numpy(found.shape[kept]).to(torch.int32)
        self.start[slot] = torch.from_numpy(start)
        self.pixels[: len(rows)] = torch.from_numpy(found.pixels[rows]).to(torch.int16)


def _lowest(
    found: list[tuple[FoundClusters, NDArray[np.float64]]], sensors: int, entries: int
) -> tuple[FoundClusters, NDArray[np.float64]]:
    """Join clusters and keep those of each sensor with the lowest numbers, ordered by sensor and number."""
    sensor = np.concatenate([one.place % sensors for one, _ in found])
    number = np.concatenate([drawn for _, drawn in found])
    shape = np.concatenate([one.shape for one, _ in found])
    ends = np.cumsum([0, *(len(one.pixels) for one, _ in found)])
    start = np.concatenate([one.start + end for (one, _), end in zip(found, ends, strict=False)])
    pixels = np.concatenate([one.pixels for one, _ in found])
    order = np.lexsort([number, sensor])
    counts = np.bincount(sensor, minlength=sensors)
    rank = np.arange(len(order)) - (np.cumsum(counts) - counts)[sensor[order]]
    kept = order[rank < entries]
    size = shape[kept, 4]
    begin = np.cumsum(size) - size
    rows = np.repeat(start[kept] - begin, size) + np.arange(size.sum())
    return FoundClusters(sensor[kept], shape[kept], begin, pixels[rows]), number[kept]
