"""Learning curves: a score against the number of training events, and the data that one recipe saves over another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

from castalia.errors import DataError
from castalia.metrics.arrays import as_column
from castalia.metrics.bands import ONE_SIGMA

__all__ = ["DataSaved", "LearningCurve", "data_saved", "learning_curve"]

Floats = NDArray[np.float64]

_SAME = 1.1  # times a size is still that size


@final
@dataclass(frozen=True)
class LearningCurve:
    """What a recipe reaches with so many events.

    Attributes:
        sizes: Training events a class, increasing, shape ``(sizes,)``; the mean of those that count as one.
        value: Mean over seeds, shape ``(sizes,)``.
        error: Half of the 68 % interval of the mean, by Student's t for the number of seeds, same shape; NaN where
            there is one seed only.
        seeds: Number of seeds at each size, same shape.
    """

    sizes: Floats
    value: Floats
    error: Floats
    seeds: NDArray[np.int64]


@final
@dataclass(frozen=True)
class DataSaved:
    """How many times as many events another recipe needs for the same score.

    Attributes:
        size: Training events a class of the better recipe.
        factor: Events of the other over ``size``; NaN where its curve does not reach the score or begins above it.
        low: Lower end of its 68 % interval.
        high: Upper end; infinite where the other curve need not reach the score.
        least: What the factor is at least where the other curve ends below the score; NaN elsewhere.
    """

    size: float
    factor: float
    low: float
    high: float
    least: float


def learning_curve(sizes: ArrayLike, values: ArrayLike) -> LearningCurve:
    """Average a score over trainings of the same size.

    Sizes up to a tenth above the smallest of them count as one: splits by a hash differ by a few events.

    Args:
        sizes: Training events a class of each training, positive, shape ``(trainings,)``.
        values: Score of each training, the higher the better, shape ``(trainings,)``.

    Raises:
        DataError: If lengths differ or a size is not positive.
    """
    number, score = as_column(sizes, "the training sizes"), as_column(values, "the scores of trainings")
    if len(number) != len(score) or number.min() <= 0.0:
        raise DataError(f"{len(number)} training sizes for {len(score)} scores; give one positive size a score.")
    order = np.argsort(number, kind="stable")
    starts = [0]
    for place in range(1, len(order)):
        if number[order[place]] > _SAME * number[order[starts[-1]]]:
            starts.append(place)
    members = np.split(order, starts[1:])
    groups = [score[one] for one in members]
    errors = [_mean_error(one) for one in groups]
    return LearningCurve(
        np.array([number[one].mean() for one in members]),
        np.array([one.mean() for one in groups]),
        np.array(errors),
        np.array([len(one) for one in groups]),
    )


def data_saved(
    better: LearningCurve, other: LearningCurve, draws: int, rng: np.random.Generator
) -> tuple[DataSaved, ...]:
    """Find at which size ``other`` reaches what ``better`` has, at every size of ``better``.

    Scores are interpolated in the logarithm of the size. The interval is that of curves whose points are drawn within
    their errors; draws that never reach the score count as infinite, those that begin above it as no gain beyond the
    first size.

    Args:
        better: The curve that gives the scores.
        other: The curve to be read.
        draws: Curves to draw.
        rng: Random numbers.

    Raises:
        DataError: If ``other`` has fewer than two sizes or ``draws`` is below 100.
    """
    if len(other.sizes) < 2 or draws < 100:
        raise DataError(
            f"a curve of {len(other.sizes)} sizes and {draws} draws cannot be read for the data saved; give two sizes "
            "or more and 100 draws or more."
        )
    drawn = other.value + np.nan_to_num(other.error) * rng.normal(size=(draws, len(other.sizes)))
    found = []
    for size, value, error in zip(better.sizes, better.value, np.nan_to_num(better.error), strict=True):
        scores = value + error * rng.normal(size=draws)
        reached = [_size_reaching(score, other.sizes, curve) for score, curve in zip(scores, drawn, strict=True)]
        nominal = _size_reaching(float(value), other.sizes, other.value)
        tail = 0.5 * (1.0 - ONE_SIGMA)
        low, high = np.quantile(np.array(reached), [tail, 1.0 - tail], method="nearest") / size
        inside = other.value[0] <= value and np.isfinite(nominal)
        least = float(other.sizes[-1] / size) if not np.isfinite(nominal) else np.nan
        found.append(DataSaved(float(size), nominal / size if inside else np.nan, float(low), float(high), least))
    return tuple(found)


def _mean_error(values: Floats) -> float:
    seeds = len(values)
    if seeds < 2:
        return float("nan")
    return float(t.ppf(0.5 + 0.5 * ONE_SIGMA, seeds - 1) * values.std(ddof=1) / np.sqrt(seeds))


def _size_reaching(score: float, sizes: Floats, values: Floats) -> float:
    """Return the first size at which a curve reaches a score; infinite where it never does."""
    above = np.flatnonzero(values >= score)
    if not len(above):
        return float("inf")
    first = int(above[0])
    if first == 0:
        return float(sizes[0])
    share = (score - values[first - 1]) / (values[first] - values[first - 1])
    return float(np.exp((1.0 - share) * np.log(sizes[first - 1]) + share * np.log(sizes[first])))
