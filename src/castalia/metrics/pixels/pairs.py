"""How often hits of a sensor lie at a distance of each other, over hits of different events: 1 where at random."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from castalia.detectors.pxd.digitiser import PixelHits
from castalia.detectors.pxd.geometry import PITCH_U, SENSORS, along_beam
from castalia.errors import DataError

__all__ = ["PAIR_EDGES", "pair_correlation", "pair_counts", "pair_difference"]

_REFERENCES = 16  # hits of a sensor that the others' distances are measured from
_LOW, _HIGH, _INTERVALS = -1.4, 1.6, 20  # powers of ten of the distance in mm; neighbouring cells are 0.05 apart

PAIR_EDGES = np.logspace(_LOW, _HIGH, _INTERVALS + 1)
"""Edges of the intervals of distance, in mm."""


def pair_counts(hits: PixelHits, rng: np.random.Generator) -> NDArray[np.int64]:
    """Count pairs of hits of one sensor by distance, from some hits of every sensor to all others.

    Args:
        hits: Hits of at least two events.
        rng: Draws the hits to measure from.

    Returns:
        Pairs within an event, and of hits in an event with those in the next, shape ``(events, 2, intervals)``.

    Raises:
        DataError: If there are fewer than two events.
    """
    if hits.events < 2:
        raise DataError("One event has no other to compare its pairs of hits with; use at least two.")
    place = np.stack([hits.u * PITCH_U, along_beam(hits.sensor, hits.v + 0.5)], axis=1).astype(np.float32)
    cell = hits.event.astype(np.int64) * SENSORS + hits.sensor
    ends = np.searchsorted(cell, np.arange(hits.events * SENSORS + 1))
    counts = np.zeros((hits.events, 2, _INTERVALS), dtype=np.int64)
    for number in range(hits.events * SENSORS):
        own = place[ends[number] : ends[number + 1]]
        if not len(own):
            continue
        following = (number + SENSORS) % (hits.events * SENSORS)
        start = own[rng.integers(0, len(own), min(_REFERENCES, len(own)))]
        for kind, other in enumerate((own, place[ends[following] : ends[following + 1]])):
            counts[number // SENSORS, kind] += _by_distance(start, other)
    return counts


def _by_distance(start: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.int64]:
    square = (start[:, :1] - other[:, 0]) ** 2 + (start[:, 1:] - other[:, 1]) ** 2
    apart = square[square > 0.0]  # a hit is no neighbour of itself
    power = (0.5 * np.log10(apart) - _LOW) * (_INTERVALS / (_HIGH - _LOW))
    interval = np.clip(power, 0, _INTERVALS - 1).astype(np.int64)
    return np.asarray(np.bincount(interval, minlength=_INTERVALS), dtype=np.int64)


def pair_correlation(counts: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of pairs at a distance over that of hits in different events, and its standard error.

    Both are normalised to all pairs, so that a common mode of the event is no correlation of hits.

    Args:
        counts: As of ``pair_counts``.

    Returns:
        Values and errors, each shape ``(intervals,)``; NaN where hits of different events have no pair.
    """
    pairs = counts.sum(axis=0, dtype=np.float64)
    share = pairs / np.maximum(pairs.sum(axis=1, keepdims=True), 1.0)
    value = np.divide(share[0], share[1], out=np.full(len(share[0]), np.nan), where=share[1] > 0.0)
    left = counts - share * counts.sum(axis=2, keepdims=True)
    total = np.maximum(pairs.sum(axis=1), 1.0)
    influence = left[:, 0] / total[0] - np.nan_to_num(value) * left[:, 1] / total[1]
    scatter = np.sqrt(np.square(influence).sum(axis=0))
    return value, np.divide(scatter, share[1], out=np.full(len(value), np.nan), where=share[1] > 0.0)


def pair_difference(truth: NDArray[Any], made: NDArray[Any]) -> float:
    """Return the mean over the distances of the size of the relative difference of two samples' correlations.

    Args:
        truth: As of ``pair_counts``.
        made: Of the other sample.
    """
    true, sampled = pair_correlation(truth)[0], pair_correlation(made)[0]
    known = (true > 0.0) & np.isfinite(sampled)
    return float(np.abs(sampled[known] / true[known] - 1.0).sum() / max(known.sum(), 1))
