"""Halves of the events with equal conditions: what truth against truth is measured on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.floors import FlooredDistance, floored_from_halves
from castalia.rng import Stream

__all__ = ["REPEATS", "Half", "floored", "matched_halves"]

REPEATS = 20
"""Splits into halves behind every floor."""

Rows = NDArray[np.int64]
Half = tuple[Rows, Rows]
"""Rows of one half of the events and of the other."""


def matched_halves(expected: ArrayLike, seed: int, repeats: int = REPEATS) -> list[Half]:
    """Split events into halves of nearly equal conditions.

    Events are put into pairs of neighbours in what is expected of them, and a coin says which half has which. With
    halves at random, a luminosity that differs between events would give a floor of its own.

    Args:
        expected: What is expected of the event at its conditions, such as its number of hits, shape ``(events,)``.
        seed: Seed of the coins.
        repeats: Number of splits.

    Returns:
        Rows of one half and of the other, ``repeats`` times, pair by pair; of an odd number, one event is in neither.

    Raises:
        DataError: If there are fewer than eight events.
    """
    order = np.argsort(np.asarray(expected, dtype=np.float64), kind="stable")
    if len(order) < 8:
        raise DataError(f"{len(order)} events cannot be halved for a floor; use at least eight.")
    stream = Stream(seed, "matched halves")
    halves = []
    for repeat in range(repeats):
        rng = stream.at(repeat)
        # Of an odd number any event may be left over.
        kept = np.delete(order, rng.integers(len(order))) if len(order) % 2 else order
        pairs = kept.reshape(-1, 2)
        first = rng.integers(0, 2, len(pairs))
        rows = np.arange(len(pairs))
        halves.append((pairs[rows, first], pairs[rows, 1 - first]))
    return halves


def floored(
    distance: Callable[[NDArray[Any], NDArray[Any]], float],
    truth: NDArray[Any],
    made: NDArray[Any],
    halves: Sequence[Half],
) -> FlooredDistance:
    """Measure a distance between halves of truth and of sampled events, beside that between halves of the truth.

    Args:
        distance: Function of two samples of events.
        truth: True events, the first axis counts them.
        made: Sampled events with the same conditions, row by row.
        halves: Rows of either half, as of ``matched_halves``.

    Raises:
        DataError: If the samples differ in shape.
    """
    if truth.shape != made.shape:
        raise DataError(f"True and sampled events have shapes {truth.shape} and {made.shape}; sample one for each.")
    floors = np.array([distance(truth[one], truth[other]) for one, other in halves])
    values = np.array([distance(truth[one], made[other]) for one, other in halves])
    return floored_from_halves(values, floors, len(halves[0][0]))
