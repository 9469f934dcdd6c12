"""A distance beside its noise floor: truth against truth at the same size, and what the model adds to it.

Two finite samples of one distribution are never at distance zero. The floor is their mean distance; ``excess`` is the
model's distance minus the floor, in the same unit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.arrays import as_columns
from castalia.rng import Stream

__all__ = ["FlooredDistance", "floored_from_halves", "floored_mean_wasserstein"]


@dataclass(frozen=True)
class FlooredDistance:
    """A distance of generated to true events, with the same distance of truth to truth.

    Attributes:
        value: Mean distance of generated to true samples, in the distance's unit.
        error: Its standard error.
        floor: Mean distance between two independent truth samples of the same size, same unit.
        floor_error: Its standard error.
        floor_spread: Standard deviation of a single truth-to-truth distance.
        excess: ``value − floor``, same unit; may be negative within its error.
        excess_error: Its standard error; the truth samples are shared, so it is not the sum in quadrature.
        ratio: ``value / floor``; NaN where the floor is zero.
        events: Number of events in each compared sample.
        pairs: Number of truth pairs behind the floor.
    """

    value: float
    error: float
    floor: float
    floor_error: float
    floor_spread: float
    excess: float
    excess_error: float
    ratio: float
    events: int
    pairs: int


def floored_mean_wasserstein(
    truth: ArrayLike,
    generated: Sequence[ArrayLike],
    scale: ArrayLike,
    *,
    redraw: Callable[[int], ArrayLike] | None = None,
    repeats: int = 20,
    seed: int = 0,
) -> FlooredDistance:
    """Measure the scaled mean Wasserstein distance and its floor.

    With ``redraw`` the file's truth and ``repeats − 1`` further draws form ``repeats (repeats − 1) / 2`` truth pairs,
    every generated replica is compared with every truth sample at full size, and errors come from leaving out one
    sample at a time (memory: ``repeats`` copies of the targets). Without it, ``repeats`` random halves of the truth are
    compared with the other halves of truth and of the generated events; the spread over the halves is then the
    bootstrap error of ``value``, which near the floor is conservative.

    Args:
        truth: True targets, shape ``(events, columns)``.
        generated: Replicas of the generated targets, each shape ``(events, columns)``, for the same conditions.
        scale: Positive length per column in its unit, shape ``(columns,)``.
        redraw: Function of ``i >= 1`` that returns an independent draw of the true targets for the same conditions.
        repeats: Number of truth samples (or of half splits), at least 7 (or 20), so that 20 pairs stand behind a floor.
        seed: Seed of the half splits.

    Raises:
        DataError: If shapes differ, a value is NaN, no replica is given, or ``repeats`` leaves fewer than 20 pairs.

    References:
        Efron and Stein, The jackknife estimate of variance (Ann. Statist. 9, 1981).
    """
    reference = as_columns(truth, "the true targets")
    replicas = [as_columns(sample, f"generated replica {i}") for i, sample in enumerate(generated)]
    lengths = np.broadcast_to(np.asarray(scale, dtype=np.float64), reference.shape[1:])
    if not replicas or any(sample.shape != reference.shape for sample in replicas):
        shapes = [sample.shape for sample in replicas]
        raise DataError(
            f"the generated replicas have shapes {shapes}; each must be that of the truth, {reference.shape}."
        )
    if np.any(lengths <= 0.0) or not np.all(np.isfinite(lengths)):
        raise DataError(
            f"the scale {lengths.tolist()} must be positive in every column; a constant target has no width."
        )
    needed = 7 if redraw is not None else 20
    if repeats < needed or len(reference) < 4:
        raise DataError(
            f"{repeats} repeats of {len(reference)} events are too few for a floor; use at least {needed} of 4."
        )
    if redraw is None:
        return _from_halves(reference / lengths, [sample / lengths for sample in replicas], repeats, seed)
    truths = [_sorted(reference / lengths)]
    for i in range(1, repeats):
        sample = as_columns(redraw(i), f"truth redraw {i}")
        if sample.shape != reference.shape:
            raise DataError(
                f"truth redraw {i} has shape {sample.shape}; it must be that of the truth, {reference.shape}."
            )
        truths.append(_sorted(sample / lengths))
    return _from_redraws(truths, [_sorted(sample / lengths) for sample in replicas])


def _sorted(table: NDArray[np.float64]) -> NDArray[np.float64]:
    # One row a column, so that the sort and the later differences run along contiguous memory.
    return np.sort(np.ascontiguousarray(table.T), axis=1)


def _from_redraws(truths: list[NDArray[np.float64]], replicas: list[NDArray[np.float64]]) -> FlooredDistance:
    count = len(truths)
    among = np.zeros((count, count))
    for i in range(count):
        for j in range(i):
            among[i, j] = among[j, i] = np.abs(truths[i] - truths[j]).mean()
    across = np.array([[np.abs(replica - true).mean() for true in truths] for replica in replicas])
    value, floor = float(across.mean()), float(among.sum() / (count * (count - 1)))
    # Leave one truth sample out: both averages are functions of the same truth samples.
    floors = (among.sum() - 2.0 * among.sum(axis=1)) / ((count - 1) * (count - 2))
    values = (across.mean(axis=0).sum() - across.mean(axis=0)) / (count - 1)
    if len(replicas) > 1:
        generated = float(across.mean(axis=1).var(ddof=1)) / len(replicas)
    else:
        # One replica shows no spread of its own: near the floor it fluctuates as one truth sample does.
        generated = float((among.sum(axis=1) / (count - 1)).var(ddof=1))
    return FlooredDistance(
        value=value,
        error=float(np.sqrt(_jackknife(values) + generated)),
        floor=floor,
        floor_error=float(np.sqrt(_jackknife(floors))),
        floor_spread=float(among[np.triu_indices(count, 1)].std(ddof=1)),
        excess=value - floor,
        excess_error=float(np.sqrt(_jackknife(values - floors) + generated)),
        ratio=value / floor if floor > 0.0 else float("nan"),
        events=truths[0].shape[1],
        pairs=count * (count - 1) // 2,
    )


def _jackknife(left_out: NDArray[np.float64]) -> float:
    return float((len(left_out) - 1) * left_out.var())


def _from_halves(
    truth: NDArray[np.float64], replicas: list[NDArray[np.float64]], repeats: int, seed: int
) -> FlooredDistance:
    half = len(truth) // 2
    orders = [np.argsort(table, axis=0, kind="stable") for table in (truth, *replicas)]
    floors, values = np.empty(repeats), np.empty(repeats)
    stream = Stream(seed, "half splits")
    for i in range(repeats):
        shuffled = stream.at(i).permutation(len(truth))
        one, other = np.zeros(len(truth), dtype=bool), np.zeros(len(truth), dtype=bool)
        one[shuffled[:half]], other[shuffled[half : 2 * half]] = True, True
        which = i % len(replicas)
        kept = _sorted_subset(truth, orders[0], one)
        floors[i] = np.abs(kept - _sorted_subset(truth, orders[0], other)).mean()
        values[i] = np.abs(kept - _sorted_subset(replicas[which], orders[1 + which], other)).mean()
    return floored_from_halves(values, floors, half)


def _sorted_subset(table: NDArray[np.float64], order: NDArray[np.intp], rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the chosen rows, every column sorted, as (columns, rows): the full sort is done once, not per split."""
    return np.stack([column[ranked[rows[ranked]]] for column, ranked in zip(table.T, order.T, strict=True)])


def floored_from_halves(values: NDArray[np.float64], floors: NDArray[np.float64], events: int) -> FlooredDistance:
    """Put distances between random halves together.

    Args:
        values: Distances of a half of the generated events to the other half of the truth, shape ``(repeats,)``.
        floors: Distances between the halves of the truth, same shape.
        events: Events in a half.
    """
    value, floor = float(values.mean()), float(floors.mean())
    # Random halves are nearly independent draws of the floor (their signs are), but all share the one generated sample:
    # their spread is also how far the average may be off.
    spread, shared = values.std(ddof=1), np.sqrt(1.0 + 1.0 / len(values))
    floor_error = float(floors.std(ddof=1) / np.sqrt(len(values)))
    return FlooredDistance(
        value=value,
        error=float(spread * shared),
        floor=floor,
        floor_error=floor_error,
        floor_spread=float(floors.std(ddof=1)),
        excess=value - floor,
        excess_error=float(np.hypot(spread * shared, floor_error)),
        ratio=value / floor if floor > 0.0 else float("nan"),
        events=events,
        pairs=len(values),
    )
