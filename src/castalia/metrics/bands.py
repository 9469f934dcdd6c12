"""The uncertainty band of an ensemble: per-bin intervals from the histograms of bootstrap members."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, t

from castalia.errors import DataError
from castalia.metrics.arrays import as_column, as_columns

__all__ = ["ONE_SIGMA", "MemberBand", "coverage", "member_band"]

ONE_SIGMA = float(norm.cdf(1.0) - norm.cdf(-1.0))
"""Probability of a normal variable within one standard deviation, 0.683: the level of every band."""


@dataclass(frozen=True)
class MemberBand:
    """What an ensemble says of each bin.

    Attributes:
        nominal: Content by the nominal model, shape ``(bins,)``, in the unit of the histograms.
        mean: Mean of the bootstrap members, same shape.
        spread: Standard deviation of one member around the mean of all, unbiased in its square, same shape.
        low: Lower end of the 68 % interval, same shape.
        high: Upper end, same shape.
        members: Number of bootstrap members.
    """

    nominal: NDArray[np.float64]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    members: int

    def covers(self, values: ArrayLike) -> NDArray[np.bool_]:
        """Tell which of ``values``, shape ``(bins,)``, lie inside the band.

        Raises:
            DataError: If there is not one value for each bin.
        """
        inside = as_column(values, "the values to cover")
        if inside.shape != self.mean.shape:
            raise DataError(f"{len(inside)} values for a band of {len(self.mean)} bins; give one for each bin.")
        return np.asarray((self.low <= inside) & (inside <= self.high), dtype=np.bool_)


def member_band(histograms: ArrayLike) -> MemberBand:
    """Turn the histograms of an ensemble into a band around the nominal one, bin by bin.

    A member is to the nominal model as that is to the truth: trained on a sample drawn from the other's, in a course of
    optimisation of its own. So the members' root-mean-square distance from the nominal model, spread and shift
    together, estimates that of the nominal model from the truth. The shift matters in tails: noise in a width fills
    both tails, so the yields of noisy models are too high on average, those of members by twice as much. As the spread
    is known from M members only, the normal quantile becomes Student's with M − 1 degrees of freedom. What all models
    share is in no band: a network that cannot follow the truth, and the statistical error of the events sampled.

    Args:
        histograms: Content of each bin by member, shape ``(1 + members, bins)``: the nominal model first, then at least
            two bootstrap members. All from the same true events and the same base noise, as
            ``castalia simulate sample --members`` gives them.

    Raises:
        DataError: If there are fewer than two members beside the nominal model or a content is not finite.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap (1993): spread, chapter 6; shift as the estimate of bias,
        and the root mean square of both rather than a correction, chapter 10; Student's t for the normal quantile,
        chapter 12.
    """
    table = as_columns(histograms, "the histograms of the members")
    nominal, others = table[0], table[1:]
    members = len(others)
    if members < 2:
        raise DataError("A band needs the nominal histogram and those of at least two members; one has no spread.")
    mean, spread = others.mean(axis=0), others.std(axis=0, ddof=1)
    half = float(t.ppf(0.5 + 0.5 * ONE_SIGMA, members - 1)) * np.hypot(spread, mean - nominal)
    return MemberBand(nominal, mean, spread, nominal - half, nominal + half, members)


def coverage(inside: ArrayLike, cluster: ArrayLike) -> tuple[float, float]:
    """Return the covered fraction of bins and its standard error.

    Bins of one training sample err together, so the error is that of whole samples, not of bins.

    Args:
        inside: Whether each bin is covered, shape ``(bins,)``, the bins of all samples together.
        cluster: Number of the training sample of each bin, same shape, whole numbers.

    Returns:
        The fraction, and its error from the scatter of the samples' fractions; NaN for a single sample.

    References:
        Cochran, Sampling Techniques (1977), chapter 9: clusters of equal size.
    """
    found, numbers = np.asarray(inside, dtype=np.float64), np.asarray(cluster)
    each = np.array([found[numbers == one].mean() for one in np.unique(numbers)])
    error = float(each.std(ddof=1) / np.sqrt(len(each))) if len(each) > 1 else float("nan")
    return float(found.mean()), error
