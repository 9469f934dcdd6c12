"""The core width that a perfect model of a known response has in a bin: no draws, no statistical error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from castalia.detectors.pull_shapes import PullShape

__all__ = ["PartialMoments", "analytic_core_width"]

Floats = NDArray[np.float64]
_POINTS = 1_000_000
_CLIP = 3.0  # as castalia.metrics.resolution clips
_ROUNDS = 200
_PRECISION = 1e-9


class PartialMoments:
    """Integrals of 1, z and z² times a pull's density up to a point, from a million equally likely pulls.

    Args:
        shape: The pull's distribution.
    """

    def __init__(self, shape: PullShape) -> None:
        self._pull = np.sort(shape.from_uniform((np.arange(_POINTS) + 0.5) / _POINTS))
        powers = np.stack([np.ones(_POINTS), self._pull, np.square(self._pull)])
        # Up to the middle of a point's own share of the probability.
        self._upto = (np.cumsum(powers, axis=1) - 0.5 * powers) / _POINTS

    def between(self, low: Floats, high: Floats) -> Floats:
        """Return the three integrals over the intervals [low, high], shape ``(3, intervals)``."""
        return np.stack([np.interp(high, self._pull, one) - np.interp(low, self._pull, one) for one in self._upto])


def analytic_core_width(moments: PartialMoments, widths: Floats, bound: float = np.inf) -> float:
    """Return the core width of a response in a bin, clipped at three standard deviations until nothing changes.

    The bin's response is a mixture over its photons of one pull shape times each photon's width; a truncated response
    is renormalised photon by photon.

    Args:
        moments: Those of the pull.
        widths: Width of every photon in the bin, shape ``(photons,)``.
        bound: Largest size of the response.
    """
    width, count = np.unique(widths, return_counts=True)
    share = count / moments.between(-bound / width, bound / width)[0]
    low, high = -bound, bound
    for _ in range(_ROUNDS):
        zeroth, first, second = moments.between(low / width, high / width)
        total = np.sum(share * zeroth)
        mean = np.sum(share * width * first) / total
        core = float(np.sqrt(np.sum(share * width**2 * second) / total - mean**2))
        # As with events: what was once clipped does not come back.
        clipped = max(low, mean - _CLIP * core), min(high, mean + _CLIP * core)
        if np.allclose(clipped, (low, high), rtol=_PRECISION, atol=0.0):
            break
        low, high = clipped
    return core
