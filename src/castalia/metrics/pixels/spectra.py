"""Spectra of pixels and clusters from counts by event: fractions with errors of whole events, Wasserstein distances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Spectrum", "histogram_wasserstein", "spectrum", "wasserstein_of"]


@dataclass(frozen=True)
class Spectrum:
    """Fractions of the entries by interval.

    Attributes:
        value: Shape ``(intervals,)``, with the sum one.
        error: Standard errors, same shape.
    """

    value: NDArray[np.float64]
    error: NDArray[np.float64]


def spectrum(counts: NDArray[Any]) -> Spectrum:
    """Return the fractions of the entries of all events.

    The errors are those of whole events, because entries of one event depend on each other.

    Args:
        counts: Entries by event and interval, shape ``(events, intervals)``.
    """
    events, total = len(counts), max(float(counts.sum()), 1.0)
    value = counts.sum(axis=0) / total
    left = counts - value * counts.sum(axis=1, keepdims=True)
    error = np.sqrt(np.square(left).sum(axis=0) * events / max(events - 1, 1)) / total
    return Spectrum(value, error)


def histogram_wasserstein(first: NDArray[Any], second: NDArray[Any], width: float = 1.0) -> float:
    """Measure the Wasserstein distance of two counted distributions, the area between their cumulative ones.

    Args:
        first: Entries by event and interval, shape ``(events, intervals)``.
        second: The other sample's, shape ``(others, intervals)``.
        width: Of an interval, in the unit of the result.
    """
    one, other = (np.cumsum(counts.sum(axis=0, dtype=np.float64)) for counts in (first, second))
    gap = one / max(one[-1], 1.0) - other / max(other[-1], 1.0)
    return float(width * np.abs(gap[:-1]).sum())


def wasserstein_of(width: float) -> Callable[[NDArray[Any], NDArray[Any]], float]:
    """Return ``histogram_wasserstein`` for intervals of one width."""
    return partial(histogram_wasserstein, width=width)
