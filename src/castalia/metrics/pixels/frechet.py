"""Fréchet distance of two samples of features: of the normal distributions with their means and covariances."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError

__all__ = ["frechet_distance", "standardised"]


def frechet_distance(first: ArrayLike, second: ArrayLike) -> float:
    """Return the squared distance ``|m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½)``.

    Of finite samples it is too large, the more so with many features: compare it with its floor at the same size.

    Args:
        first: Features, shape ``(events, features)``.
        second: Features of the other sample, shape ``(others, features)``.

    Raises:
        DataError: If the numbers of features differ, or a sample has fewer than two events.

    References:
        Dowson and Landau (J. Multivariate Anal. 12, 1982); Heusel et al., GANs trained by a two time-scale update rule
        (NeurIPS 2017).
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.ndim != 2 or other.ndim != 2 or one.shape[1] != other.shape[1] or min(len(one), len(other)) < 2:
        raise DataError(f"Features of shapes {one.shape} and {other.shape} have no Fréchet distance; give equal ones.")
    means = one.mean(axis=0) - other.mean(axis=0)
    # The singular values of the product of roots of the covariances, which the centred samples are, have the trace of
    # (C1 C2)^½; this is exact for singular covariances, too.
    left, right = _centred(one), _centred(other)
    shared = np.linalg.svd(left @ right.T, compute_uv=False).sum()
    return float(means @ means + np.square(left).sum() + np.square(right).sum() - 2.0 * shared)


def standardised(truth: ArrayLike, made: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both samples in units of the truth's spread about the truth's mean; constant features stay as they are.

    Args:
        truth: Features, shape ``(events, features)``.
        made: Features of the sampled events, same number of features.
    """
    true, sampled = np.asarray(truth, dtype=np.float64), np.asarray(made, dtype=np.float64)
    spread = true.std(axis=0)
    scale = np.where(spread > 0.0, spread, 1.0)
    return (true - true.mean(axis=0)) / scale, (sampled - true.mean(axis=0)) / scale


def _centred(sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a root of the covariance, shape ``(features, features)``."""
    covariance = np.atleast_2d(np.cov(sample, rowvar=False))
    values, vectors = np.linalg.eigh(covariance)
    root: NDArray[np.float64] = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    return root
