"""Whether a probability means what it says: the reliability curve and the expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf

from castalia.errors import DataError
from castalia.metrics.arrays import as_column, as_weights

__all__ = ["CalibrationError", "ReliabilityCurve", "calibration_error", "reliability_curve"]

Floats = NDArray[np.float64]

BINS: Final = 20


@final
@dataclass(frozen=True)
class ReliabilityCurve:
    """Stated and counted probabilities in bins of the stated one.

    Attributes:
        edges: Bin edges, shape ``(bins + 1,)``.
        share: Share of the weighted events in each bin, shape ``(bins,)``.
        stated: Mean stated probability, same shape.
        counted: Weighted fraction of events of the class, same shape.
        error: Standard error of ``counted - stated``, same shape.
        expected: Standard error that it would have if every event had its stated probability, same shape.
    """

    edges: Floats
    share: Floats
    stated: Floats
    counted: Floats
    error: Floats
    expected: Floats


@final
@dataclass(frozen=True)
class CalibrationError:
    """Mean distance of counted from stated probabilities.

    Attributes:
        value: As it is counted; never zero, as fractions of finite bins fluctuate.
        error: Its standard error.
        floor: Mean of ``value`` for a classifier that is calibrated, on as many events.
        debiased: ``value`` less what the fluctuations of the bins add to it, estimated from their errors.
        debiased_floor: Mean of ``debiased`` for a classifier that is calibrated: what is left of the bias.
        largest: Largest distance in a bin, in standard errors.
    """

    value: float
    error: float
    floor: float
    debiased: float
    debiased_floor: float
    largest: float


def reliability_curve(
    probability: ArrayLike, happened: ArrayLike, weight: ArrayLike | None = None, bins: int = BINS
) -> ReliabilityCurve:
    """Count how often what was given a probability happened, in bins that hold equally many events.

    Bins cannot see a miscalibration that averages out within one of them.

    Args:
        probability: Stated probabilities in [0, 1], shape ``(events,)``.
        happened: Whether the event is of the class, booleans, shape ``(events,)``.
        weight: Event weights of either sign, shape ``(events,)``; ones by default.
        bins: Most bins; equal probabilities share one, which may leave fewer.

    Raises:
        DataError: If a probability is outside [0, 1], lengths differ, or there are fewer than two events a bin.
    """
    stated, kinds = as_column(probability, "the probabilities"), np.asarray(happened)
    weights = as_weights(weight, len(stated), "the probabilities")
    if stated.min() < 0.0 or stated.max() > 1.0 or kinds.shape != stated.shape or len(stated) < 2 * bins:
        raise DataError(
            f"{len(stated)} probabilities from {stated.min():g} to {stated.max():g} for classes of shape {kinds.shape} "
            f"in {bins} bins; give probabilities within [0, 1], one class each, and two events or more a bin."
        )
    edges = np.unique(np.quantile(stated, np.linspace(0.0, 1.0, bins + 1)))
    place = np.clip(np.searchsorted(edges, stated, side="right") - 1, 0, max(len(edges) - 2, 0))
    count = max(len(edges) - 1, 1)
    edges = edges if len(edges) > 1 else np.repeat(edges, 2)

    def summed(values: Floats) -> Floats:
        return np.bincount(place, weights=values, minlength=count).astype(np.float64, copy=False)

    total = summed(weights)
    kept = total > 0.0  # negative weights may leave nothing of a bin
    total = np.where(kept, total, np.nan)
    gap = kinds.astype(np.float64) - stated
    mean = summed(weights * gap) / total
    scatter = np.sqrt(summed(np.square(weights * (gap - mean[place])))) / total
    binomial = np.sqrt(summed(np.square(weights) * stated * (1.0 - stated))) / total
    return ReliabilityCurve(
        edges, np.nan_to_num(total) / np.nansum(total), summed(weights * stated) / total,
        summed(weights * kinds) / total, scatter, binomial,
    )  # fmt: skip


def calibration_error(curve: ReliabilityCurve) -> CalibrationError:
    """Measure the expected calibration error of a reliability curve, and how much of it is only the events' number.

    A bin whose fraction fluctuates by sigma around a distance m adds the mean of a folded normal distribution, above m;
    repeating that once on what was counted estimates the excess, and two times the value less the repeated one is
    nearer to the truth (the bootstrap's estimate of a bias).

    Args:
        curve: The curve.

    References:
        Guo et al., arXiv:1706.04599: the expected calibration error. Kumar, Liang and Ma, arXiv:1909.10155: its bias in
        finite bins and the debiased estimate; the means of the folded normal distribution are exact here.
    """
    used = (curve.share > 0.0) & np.isfinite(curve.counted)
    share, error = curve.share[used], curve.error[used]
    gap, expected = np.abs(curve.counted - curve.stated)[used], curve.expected[used]
    value = float(share @ gap)
    repeated = float(share @ _folded_mean(gap, error))
    floor = float(share @ expected) * np.sqrt(2.0 / np.pi)
    known = error > 0.0
    return CalibrationError(
        value=value,
        error=float(np.sqrt(np.square(share * error).sum())),
        floor=floor,
        debiased=2.0 * value - repeated,
        # For normal gaps of mean 0, the folded mean of the gap is that of a gap with twice the variance.
        debiased_floor=floor * (2.0 - np.sqrt(2.0)),
        largest=float(np.max(gap[known] / error[known])) if known.any() else 0.0,
    )


def _folded_mean(mean: Floats, sigma: Floats) -> Floats:
    """Return the mean of the absolute value of a normal variable."""
    safe = np.where(sigma > 0.0, sigma, 1.0)
    ratio = mean / safe
    folded = sigma * np.sqrt(2.0 / np.pi) * np.exp(-0.5 * ratio**2) + mean * erf(ratio / np.sqrt(2.0))
    return np.asarray(np.where(sigma > 0.0, folded, mean), dtype=np.float64)
