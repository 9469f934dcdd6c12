"""From candidate clusters to hits: which of them are kept, where they lie, and what happens to pixels hit twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.estimators.pixels.cluster_library import ClusterLibrary
from castalia.estimators.pixels.hits import Hits, SensorArray

__all__ = ["Candidates", "in_order_of_score", "merged", "proposed", "until_reached"]

Integers = NDArray[np.int64]

# By which part of a sensor's length and width a cluster is moved at most. The map of a sensor is that smooth, and a few
# thousand clusters that always came to their own places would leave a pattern: in parts of 10 x 32 cells the maps of
# 150 events scatter by 32 % about the truth with 8 x 16 cells, by 16 to 18 % with this; truth about truth by 14 %.
_MOVED = 0.1
_MORE, _MORE_CLUSTERS = 1.1, 20  # pixels of kept clusters over those wanted, because some are hit twice


@final
@dataclass(frozen=True)
class Candidates:
    """Clusters of a library that were proposed for one event, ordered by sensor.

    Attributes:
        entry: Number in the library, shape ``(candidates,)``.
        sensor: Sensor, never decreasing, shape ``(candidates,)``.
    """

    entry: Integers
    sensor: Integers


def proposed(library: ClusterLibrary, pixels: NDArray[np.float64], rng: np.random.Generator) -> Candidates:
    """Draw clusters of each sensor, any as likely as another, with about as many pixels as wanted.

    Args:
        library: The clusters.
        pixels: Number of pixels wanted of each sensor, shape ``(sensors,)``.
        rng: Random numbers.
    """
    number = library.number.numpy()
    shape = library.shape.numpy().reshape(len(number), library.entries, -1)
    mean = shape[..., 4].sum(axis=1) / np.maximum(number, 1)
    wanted = np.ceil(pixels / np.maximum(mean, 1.0)).astype(np.int64) + _MORE_CLUSTERS
    wanted[(number == 0) | (pixels <= 0.0)] = 0
    sensor = np.repeat(np.arange(len(number)), wanted)
    entry = sensor * library.entries + (rng.random(len(sensor)) * number[sensor]).astype(np.int64)
    return Candidates(entry, sensor)


def in_order_of_score(candidates: Candidates, score: NDArray[np.floating], rng: np.random.Generator) -> Candidates:
    """Order the candidates of each sensor by their scores with Gumbel noise, best first.

    The first k in this order are k draws without replacement, each with a probability proportional to the exponential
    of the score among those that are left. The noise is drawn as exponential waiting times, which have the same order.

    Args:
        candidates: The candidates.
        score: Logarithm of each one's weight, shape ``(candidates,)``.
        rng: Random numbers.

    References:
        Kool, van Hoof and Welling, Stochastic beams and where to find them (arXiv:1903.06059), section 2.
    """
    waiting = rng.standard_exponential(len(score), dtype=np.float32) * np.exp(-score)
    # One sort of one number: the sensor, then the time as a fraction that keeps its order.
    order = np.argsort(candidates.sensor + waiting / (1.0 + waiting.astype(np.float64)))
    return Candidates(candidates.entry[order], candidates.sensor[order])


def until_reached(
    library: ClusterLibrary,
    candidates: Candidates,
    counts: Integers,
    unmerged: NDArray[np.float64],
    rng: np.random.Generator,
) -> Hits:
    """Keep the first candidates of each sensor until they hit ``counts`` pixels: the smallest set of that mass.

    The mass of a set is the part that it hits of all pixels that the candidates hit; the mass wanted is ``counts`` of
    them, whatever the scores are. The cluster that goes beyond is cut, so that ``counts`` are met.

    Args:
        library: The clusters.
        candidates: Clusters in the order in which they are taken.
        counts: Pixels of each sensor, shape ``(sensors,)``.
        unmerged: How many pixels clusters have that hit so many, because some hit the same.
        rng: Random numbers, for the places.

    Returns:
        Hits of one event, ordered by sensor, u and v.
    """
    shape = library.shape.numpy()
    before = np.cumsum(shape[candidates.entry, 4]) - shape[candidates.entry, 4]
    first = np.searchsorted(candidates.sensor, np.arange(len(counts)))
    before = before - np.append(before, 0)[first][candidates.sensor]
    enough = _MORE * unmerged + _MORE_CLUSTERS
    near = before < enough[candidates.sensor]
    entry, sensor = candidates.entry[near], candidates.sensor[near]
    # In 32 bits, in which an event is sorted and gathered faster.
    corner, size = _places(library, shape[entry], rng), shape[entry, 4]
    start = library.start.numpy()[entry] - (np.cumsum(size) - size)
    pixel = library.pixels.numpy()[np.repeat(start, size) + np.arange(size.sum())]
    u, v = (np.repeat(corner[axis], size) + pixel[:, axis] for axis in (0, 1))
    return merged(library.array, np.repeat(sensor.astype(np.int32), size), u, v, pixel[:, 2], counts)


def merged(
    array: SensorArray,
    sensor: NDArray[np.int32],
    u: NDArray[np.int32],
    v: NDArray[np.int32],
    charge: NDArray[np.int16],
    counts: Integers,
) -> Hits:
    """Add the charges of pixels that are hit twice, and stop where the pixels of a sensor are enough.

    Args:
        array: The array that they are of.
        sensor: Sensor of each hit in the order in which they come, never decreasing.
        u: Cells along u.
        v: Cells along v.
        charge: Charges.
        counts: Most pixels of each sensor, shape ``(sensors,)``.

    Returns:
        Hits of one event, ordered by sensor, u and v.
    """
    key = (sensor * np.int32(array.u) + u) * np.int32(array.v) + v
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    is_first = np.ones(len(key), dtype=bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    new = np.zeros(len(key), dtype=np.int32)
    new[order] = is_first
    done = np.append(0, np.cumsum(new))
    before = done[np.searchsorted(sensor, np.arange(len(counts)))]
    kept = (done[1:] - before[sensor]) <= counts[sensor]
    # A hit on a pixel that was hit before comes after the first one: what is kept of it adds to it.
    group = np.cumsum(is_first) - 1
    total = np.bincount(group, charge[order] * kept[order]).astype(np.int64)
    chosen = order[is_first]
    stays = kept[chosen]
    chosen, total = chosen[stays], np.minimum(total[stays], array.charges - 1)
    tensors = (torch.from_numpy(one.astype(np.int64)) for one in (sensor[chosen], u[chosen], v[chosen], total))
    return Hits(1, torch.zeros(len(chosen), dtype=torch.int64), *tensors)


def _places(
    library: ClusterLibrary, shape: NDArray[np.int32], rng: np.random.Generator
) -> tuple[NDArray[np.int32], ...]:
    """Move clusters a little, reflecting them at the sensor's borders."""
    moved = []
    for axis, cells in enumerate((library.array.u, library.array.v)):
        last = cells - shape[:, 2 + axis]
        reach = round(_MOVED * cells)
        place = np.abs(shape[:, axis] + rng.integers(-reach, reach + 1, len(shape), dtype=np.int32))
        moved.append(np.clip(last - np.abs(last - place), 0, last).astype(np.int32))
    return tuple(moved)
