"""One column of two samples, sorted together once: the gap between their cumulative distributions for any weights.

Wasserstein, energy and Kolmogorov–Smirnov distances are all functions of that gap, and bootstrap replicas and half
splits differ in the weights alone: the sort, which costs most, is shared by all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

__all__ = ["PooledColumn", "pool"]


@final
@dataclass(frozen=True)
class PooledColumn:
    """Where the values of two samples lie among each other.

    Attributes:
        order: Places of the sorted values in the first sample followed by the second, shape ``(values,)``.
        spacing: Distance from each sorted value to the next, 0 after the last, in the column's unit, same shape.
        last: Whether a sorted value is the last of those equal to it, same shape.
    """

    order: NDArray[np.intp]
    spacing: NDArray[np.float64]
    last: NDArray[np.bool_]

    def gap(self, weights_a: NDArray[np.float64], weights_b: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the first cumulative distribution minus the second just after each sorted value.

        Args:
            weights_a: Weights of the first sample, shape ``(events_a,)``, with a positive sum.
            weights_b: Weights of the second, shape ``(events_b,)``, with a positive sum.

        Returns:
            Shape ``(values,)``; among equal values only the gap after the last of them is one of distributions, and
            the others have no spacing behind them.
        """
        steps = np.concatenate([weights_a / weights_a.sum(), -weights_b / weights_b.sum()])
        return np.cumsum(steps[self.order])

    def wasserstein(self, gap: NDArray[np.float64]) -> float:
        """Return ``∫ |F_a − F_b| dx``, in the column's unit."""
        return float(np.abs(gap) @ self.spacing)

    def energy(self, gap: NDArray[np.float64]) -> float:
        """Return ``sqrt(2 ∫ (F_a − F_b)² dx)``, in the square root of the column's unit."""
        return float(np.sqrt(2.0 * (np.square(gap) @ self.spacing)))

    def kolmogorov_smirnov(self, gap: NDArray[np.float64]) -> float:
        """Return the largest ``|F_a − F_b|``."""
        return float(np.abs(gap[self.last]).max())


def pool(first: NDArray[np.float64], second: NDArray[np.float64]) -> PooledColumn:
    """Sort the values of two samples together.

    Args:
        first: Finite values, shape ``(events_a,)``.
        second: Finite values in the same unit, shape ``(events_b,)``.
    """
    values = np.concatenate([first, second])
    order = np.argsort(values, kind="stable")
    values = values[order]
    spacing = np.append(np.diff(values), 0.0)
    return PooledColumn(order, spacing, np.append(spacing[:-1] > 0.0, True))
