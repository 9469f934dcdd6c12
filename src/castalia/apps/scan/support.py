"""Where a density was trained: which parameter points have training points around them."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

__all__ = ["Support"]

Array = NDArray[np.float64]

_QUANTILE = 0.99
_MARGIN = 2.0
_FEW = 2.0  # times P + 1 points


@final
class Support:
    """The neighbourhood of the training points, in units of the parameters' ranges.

    A point is supported if its (P + 1)-th nearest training point is at most twice as far as that of 99 % of the
    training points themselves: at the corner of a box neighbours are twice as far as inside it.

    Args:
        points: Training points, shape ``(points, parameters)``; repeated ones count once.
        low: Lower ends of the ranges, shape ``(parameters,)``.
        high: Upper ends.

    Attributes:
        points: Number of distinct training points.
        parameters: Number of parameters P.
    """

    def __init__(self, points: Array, low: Array, high: Array) -> None:
        self._low, self._range = low, high - low
        scaled = np.unique((points - low) / self._range, axis=0)
        self.points, self.parameters = scaled.shape
        self._neighbour = self.parameters + 1
        self._tree = KDTree(scaled)
        if len(scaled) > self._neighbour:
            own = self._tree.query(scaled, k=[self._neighbour + 1])[0][:, 0]
            self._farthest = _MARGIN * float(np.quantile(own, _QUANTILE))
        else:
            self._farthest = np.inf

    @property
    def few(self) -> bool:
        """Whether there are fewer than 2 (P + 1) points: too few to tell where a density was trained."""
        return bool(self.points < _FEW * self._neighbour)

    def holds(self, theta: Array) -> NDArray[np.bool_]:
        """Return which points, shape ``(points, parameters)``, have training points around them."""
        scaled = (theta - self._low) / self._range
        distance = self._tree.query(scaled, k=[self._neighbour])[0][:, 0]
        near: NDArray[np.bool_] = (distance <= self._farthest) | np.isinf(self._farthest)
        return near
