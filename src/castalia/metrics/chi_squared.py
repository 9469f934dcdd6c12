"""Squared distance of binned results in units of a covariance that may not have full rank.

Normalised spectra sum to one and covariances from few replicas miss directions: such a matrix has no inverse. The
distance is then measured in the directions that the covariance knows, and refused where the results differ in others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2
from scipy.stats import f as fisher_distribution

from castalia.errors import DataError
from castalia.metrics.arrays import as_column

__all__ = ["ChiSquared", "chi_squared", "effective_replicas", "squared_distance", "tail_probability"]

_DEGENERATE = 1e-6
"""Eigenvalues of the correlation matrix below this share of the largest belong to features that are functions of others
(a count has no sixth moment of its own)."""

_OUTSIDE = 1e-3
"""Share of the difference, each bin in units of its error, that may lie in directions which the covariance lacks."""


@final
@dataclass(frozen=True)
class ChiSquared:
    """A χ² and what it is worth.

    Attributes:
        value: Squared distance in units of the covariance.
        degrees: Number of directions that the covariance knows.
        p_value: Probability of a larger value, if only the covariance makes the difference.
    """

    value: float
    degrees: int
    p_value: float


def chi_squared(
    first: ArrayLike, second: ArrayLike, covariance: ArrayLike, *, replicas: float | None = None
) -> ChiSquared:
    """Compare two binned results by the covariance of their difference.

    Args:
        first: Contents, shape ``(bins,)``.
        second: Contents to compare with, shape ``(bins,)``, such as the truth.
        covariance: Covariance of the difference, shape ``(bins, bins)``; where ``second`` is exact, that of ``first``.
        replicas: Number of replicas that the covariance was estimated from (see `effective_replicas` of a sum); the
            p-value is then Hotelling's. None where the covariance is exact.

    Raises:
        DataError: If shapes do not fit, the covariance is not symmetric, has a negative variance or as many bins as
            replicas, or the results differ where it has no variance.

    References:
        Anderson, An Introduction to Multivariate Statistical Analysis (3rd ed., 2003), section 5.2.
    """
    difference = as_column(first, "the first result") - as_column(second, "the second result")
    matrix = np.asarray(covariance, dtype=np.float64)
    bins = len(difference)
    if matrix.shape != (bins, bins) or not np.allclose(matrix, matrix.T) or np.any(np.diag(matrix) < 0.0):
        raise DataError(
            f"a covariance of shape {matrix.shape} for {bins} bins; "
            "give a symmetric matrix with one row a bin and no negative variance."
        )
    if replicas is not None and replicas < bins + 2:
        raise DataError(
            f"{replicas:g} replicas are too few for the covariance of {bins} bins; make {bins + 2} or more."
        )
    value, degrees, outside = squared_distance(difference, matrix)
    if outside > _OUTSIDE:
        raise DataError(
            f"the results differ where the covariance has no variance (a share of {outside:.2g} of the difference); "
            "merge empty bins, or make more replicas."
        )
    return ChiSquared(value, degrees, tail_probability(value, degrees, replicas))


def effective_replicas(parts: Sequence[tuple[ArrayLike, int]], covariance: ArrayLike) -> float | None:
    """Return the number of replicas of one source that would tell a covariance as well as several sources do.

    Args:
        parts: Estimated covariances of independent sources, each of shape ``(bins, bins)``, and the number of replicas
            of each.
        covariance: Their sum, and whatever is known exactly beside them, same shape.

    Returns:
        As many as one source has where it is alone, more where there are others; None where no part has any variance.

    References:
        Krishnamoorthy and Yu, Modified Nel and Van der Merwe test for the multivariate Behrens-Fisher problem,
        Statistics & Probability Letters 66 (2004) 161: that many degrees of freedom, one less than there are replicas.
    """
    matrix = np.asarray(covariance, dtype=np.float64)
    spread = np.sqrt(np.diag(matrix))
    used = spread > _DEGENERATE * spread.max()
    scale, rows = np.outer(spread[used], spread[used]), np.ix_(used, used)
    inverse = np.linalg.pinv(matrix[rows] / scale, rcond=_DEGENERATE, hermitian=True)
    unknown = 0.0
    for part, replicas in parts:
        share = np.asarray(part, dtype=np.float64)[rows] / scale @ inverse
        unknown += float(np.trace(share @ share) + np.trace(share) ** 2) / (replicas - 1)
    degrees = float(np.trace(matrix[rows] / scale @ inverse))
    return 1.0 + degrees * (degrees + 1.0) / unknown if unknown > 0.0 else None


def squared_distance(difference: NDArray[np.float64], covariance: NDArray[np.float64]) -> tuple[float, int, float]:
    """Return the squared distance in units of a covariance, its rank, and the share of the difference beyond it.

    Args:
        difference: Shape ``(features,)``.
        covariance: Symmetric, shape ``(features, features)``.

    Returns:
        The squared distance in the directions that the covariance knows, their number, and the share of the squared
        difference, each feature in units of its error, in the other directions; infinite where a feature without
        variance differs.
    """
    spread = np.sqrt(np.diag(covariance))
    used = spread > _DEGENERATE * spread.max()
    differs = bool(np.any(np.abs(difference[~used]) > _DEGENERATE * spread.max()))
    if not used.any():
        return 0.0, 0, math.inf if differs else 0.0
    scaled = difference[used] / spread[used]
    values, vectors = np.linalg.eigh(covariance[np.ix_(used, used)] / np.outer(spread[used], spread[used]))
    kept = values > _DEGENERATE * values[-1]
    along = np.square(vectors.T @ scaled)
    lost = math.inf if differs else float(along[~kept].sum() / max(along.sum(), np.finfo(float).tiny))
    return float(np.sum(along[kept] / values[kept])), int(kept.sum()), lost


def tail_probability(value: float, degrees: int, samples: float | None) -> float:
    """Return the probability of a larger squared distance.

    Args:
        value: Squared distance.
        degrees: Its number of directions; without any the probability is 1.
        samples: Number of samples that the covariance is known from, which widens the distribution to Hotelling's; None
            for a covariance that is exact.
    """
    if degrees == 0:
        return 1.0
    if samples is None:
        return float(chi2.sf(value, degrees))
    freedom = max(samples - degrees, 1.0)
    return float(fisher_distribution.sf(value * freedom / (degrees * (samples - 1.0)), degrees, freedom))
