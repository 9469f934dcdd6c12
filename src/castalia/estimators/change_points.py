"""Where the distribution of the targets changes along a condition: the edges of detector regions, read off the events.

Resolutions are often constant within a region of the detector and jump at its edge. An edge that is known to a
thousandth of the events costs a model two parameters; one that is not costs it many, or its accuracy near the edge.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.estimators.moments import weighted_quantiles

__all__ = ["change_points"]

Array = NDArray[np.float64]

_CELLS = 2048  # equally populated; a change is located to about one of them
_LEAST = 8  # cells between two changes, so that a handful of outliers is no region
_FEWEST = 30  # effective events on either side, for means and widths to be known at all
_CLIP = 5.0  # standard deviations: the tails must not drown the core
# Nats beyond one per parameter, as Akaike asks: no edge of a cell then passes by chance for targets with the tails of
# detector responses. Without a fourth moment some do, which costs a bin each and nothing else.
_CHANCE = 12.0


def change_points(values: Array, targets: Array, weight: Array, at_most: int) -> Array:
    """Find where mean or width of any target changes, by binary segmentation.

    The events are sorted into equally populated cells of ``values``. The interval is then split, again and again, at
    the cell edge where a normal distribution of each target, with mean and variance of its own on either side, gains
    the most likelihood.

    Args:
        values: One condition, shape ``(events,)``, at least one event.
        targets: Targets in any unit, shape ``(events, T)``.
        weight: Event weights, shape ``(events,)``; a negative one counts as its absolute value.
        at_most: Largest number of changes to return.

    Returns:
        For each change, the values between which it lies, increasing, shape ``(changes, 2)``.

    References:
        Scott and Knott, A Cluster Analysis Method for Grouping Means in the Analysis of Variance, Biometrics 30 (1974)
        507, for means; with variances as well, Chen and Gupta, J. Am. Stat. Assoc. 92 (1997) 739.
    """
    weight = np.abs(weight)
    levels = torch.linspace(0, 1, _CELLS + 1, dtype=torch.float64)
    edges = weighted_quantiles(torch.from_numpy(values), torch.from_numpy(weight), levels).numpy()
    found = _split(_Cells.of(values, targets, weight, edges), at_most)
    return np.stack([edges[found - 1], edges[found + 1]], axis=1)


@dataclass(frozen=True)
class _Cells:
    """Sums over the events of the first cells: of the weights, and of every target and its square times the weight.

    Attributes:
        weight: Shape ``(cells + 1,)``.
        first: Shape ``(cells + 1, T)``.
        second: Shape ``(cells + 1, T)``.
        events: Effective number of events in a unit of weight.
        two_valued: Which targets have two values only, such as 0 and 1, shape ``(T,)``.
    """

    weight: Array
    first: Array
    second: Array
    events: float
    two_valued: NDArray[np.bool_]

    @classmethod
    def of(cls, values: Array, targets: Array, weight: Array, edges: Array) -> _Cells:
        cell = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, _CELLS - 1)
        total = weight.sum()
        mean = weight @ targets / total
        deviation = np.sqrt(weight @ (targets - mean) ** 2 / total)
        scaled = np.clip((targets - mean) / np.where(deviation > 0, deviation, 1.0), -_CLIP, _CLIP)
        two = ((targets == targets.min(axis=0)) | (targets == targets.max(axis=0))).all(axis=0)
        columns = [np.ones_like(weight), *scaled.T, *(scaled**2).T]
        sums: Array = np.zeros((_CELLS + 1, len(columns)))
        sums[1:] = np.stack([np.bincount(cell, weight * column, _CELLS) for column in columns], axis=1).cumsum(axis=0)
        split = 1 + targets.shape[1]
        return cls(sums[:, 0], sums[:, 1:split], sums[:, split:], float(total / (weight @ weight)), two)

    def log_likelihood(self, low: NDArray[np.intp], high: NDArray[np.intp]) -> Array:
        """Return the largest normal log-likelihood of the cells from ``low`` to ``high``, up to a constant."""
        weight = self.weight[high] - self.weight[low]
        each = np.maximum(weight, np.finfo(np.float64).tiny)[:, None]
        mean = (self.first[high] - self.first[low]) / each
        variance = (self.second[high] - self.second[low]) / each - mean**2
        # The width of a 0/1 target follows from its mean; where all are equal it would be zero by chance.
        terms = np.where(self.two_valued, -(mean**2), np.log(np.maximum(variance, 1e-6)))
        result: Array = -0.5 * self.events * weight * terms.sum(axis=1)
        return result


@dataclass(order=True)
class _Segment:
    """Cells ``low`` to ``high``, and where to split them for how much; the largest gain sorts first."""

    loss: float
    low: int = field(compare=False)
    high: int = field(compare=False)
    best: int = field(compare=False)


def _segment(cells: _Cells, low: int, high: int) -> _Segment:
    at = np.arange(low + _LEAST, high - _LEAST + 1)
    ends = np.array([low]), np.array([high])
    sides = np.minimum(cells.weight[at] - cells.weight[low], cells.weight[high] - cells.weight[at])
    at = at[cells.events * sides >= _FEWEST]
    if not len(at):
        return _Segment(0.0, low, high, low)
    gain = cells.log_likelihood(np.full_like(at, low), at) + cells.log_likelihood(at, np.full_like(at, high))
    best = int(gain.argmax())
    return _Segment(float(cells.log_likelihood(*ends)[0] - gain[best]), low, high, int(at[best]))


def _split(cells: _Cells, at_most: int) -> NDArray[np.intp]:
    """Return the numbers of the cells before which there is a change, increasing."""
    worth = 2 * cells.first.shape[1] + _CHANCE
    waiting: list[_Segment] = [_segment(cells, 0, _CELLS)]
    found: list[int] = []
    while waiting and len(found) < at_most:
        segment = heapq.heappop(waiting)
        if -segment.loss < worth:
            break
        found.append(segment.best)
        for low, high in ((segment.low, segment.best), (segment.best, segment.high)):
            heapq.heappush(waiting, _segment(cells, low, high))
    return np.sort(np.array(found, dtype=np.intp))
