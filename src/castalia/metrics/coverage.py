"""Coverage by pseudo-experiments: pulls, how often intervals hold the truth, and the thresholds with which they would.

Pseudo-experiments drawn from a finite pool of events share events. Each is drawn without replacement, so that two of
them have the fraction n/P of their events in common. Over many pools that is exact; with the one pool at hand the mean
pull moves by sqrt(n/P), the pulls are narrower by sqrt(1 - n/P), and the coverage is uncertain beyond its binomial
error. Both are part of the errors here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta, binom, chi2, norm

from castalia.errors import DataError
from castalia.metrics.arrays import as_column

__all__ = [
    "Coverage",
    "PullSummary",
    "Threshold",
    "binomial_interval",
    "calibrated_threshold",
    "coverage_of",
    "covered_by_errors",
    "expected_overlap",
    "median_error",
    "pool_error",
    "summarise_pulls",
    "wilks_threshold",
]


@final
@dataclass(frozen=True)
class PullSummary:
    """Location and width of pulls, (estimate - truth) / error.

    Attributes:
        mean: Mean pull; 0 for an unbiased estimate.
        mean_error: Its standard error, that of the shared pool included.
        width: Standard deviation; 1 for honest errors.
        width_error: Its standard error.
        experiments: Number of pulls.
    """

    mean: float
    mean_error: float
    width: float
    width_error: float
    experiments: int


@final
@dataclass(frozen=True)
class Coverage:
    """How often an interval of a nominal level held the truth.

    Attributes:
        level: Nominal probability.
        covered: Number of experiments whose interval held the truth.
        experiments: Number of experiments.
        fraction: ``covered / experiments``; NaN without experiments.
        low: Lower end of the 99 % Clopper-Pearson interval of the true coverage.
        high: Upper end.
        pool_error: Standard deviation of the coverage over pools of this size; see ``pool_error``.
        left_out: Further experiments that have no interval, because the fit failed or ended at a limit.
    """

    level: float
    covered: int
    experiments: int
    fraction: float
    low: float
    high: float
    pool_error: float
    left_out: int = 0

    @property
    def of_all(self) -> float:
        """Fraction of all experiments whose interval held the truth: one without an interval does not cover."""
        return self.covered / max(self.experiments + self.left_out, 1)

    @property
    def right(self) -> bool:
        """Whether the nominal level lies inside the 99 % binomial interval, the pool's error not counted."""
        return self.low <= self.level <= self.high


@final
@dataclass(frozen=True)
class Threshold:
    """Value of 2 (NLL(truth) - NLL(best)) below which a fraction of the experiments lies.

    Attributes:
        level: That fraction.
        value: The quantile; an interval or contour cut there covers by construction.
        error: Half the width of the quantile's 68 % order-statistics interval.
        wilks: What the chi-squared distribution says.
        parameters: Number of parameters that the truth fixes.
    """

    level: float
    value: float
    error: float
    wilks: float
    parameters: int


def summarise_pulls(pulls: ArrayLike, *, overlap: float = 0.0) -> PullSummary:
    """Measure mean and width of pulls with their errors.

    Args:
        pulls: One pull for each experiment, shape ``(experiments,)``.
        overlap: Expected fraction of events that two experiments share.

    Raises:
        DataError: If there are fewer than two pulls or one is not finite.

    References:
        Kenney and Keeping, Mathematics of Statistics (1951), section 7.8: the variance of a sample variance.
    """
    values = as_column(pulls, "the pulls")
    count = len(values)
    if count < 2:
        raise DataError("One pull has no width; run at least two pseudo-experiments.")
    variance = float(values.var(ddof=1))
    fourth = float(np.mean((values - values.mean()) ** 4))
    # The delta method for the square root of the variance.
    scatter = max(fourth - variance**2 * (count - 3) / (count - 1), 0.0) / count
    width = math.sqrt(variance)
    return PullSummary(
        mean=float(values.mean()),
        mean_error=math.sqrt(variance / count + variance * overlap),
        width=width,
        width_error=math.sqrt(scatter) / (2.0 * width) if width > 0.0 else 0.0,
        experiments=count,
    )


def binomial_interval(successes: int, trials: int, level: float) -> tuple[float, float]:
    """Return the central Clopper-Pearson interval of a probability.

    Args:
        successes: Number of successes, from 0 to ``trials``.
        trials: Number of trials, at least 1.
        level: Confidence level in (0, 1).

    Raises:
        DataError: If the counts make no sense.

    References:
        Clopper and Pearson, The use of confidence or fiducial limits, Biometrika 26 (1934).
    """
    if not 0 <= successes <= trials or trials < 1:
        raise DataError(f"{successes} of {trials} is no binomial count; give 0 <= successes <= trials, trials >= 1.")
    tail = 0.5 * (1.0 - level)
    low = float(beta.ppf(tail, successes, trials - successes + 1)) if successes else 0.0
    high = float(beta.isf(tail, successes + 1, trials - successes)) if successes < trials else 1.0
    return low, high


def coverage_of(
    inside: ArrayLike, level: float, *, overlap: float = 0.0, parameters: int = 1, left_out: int = 0
) -> Coverage:
    """Count how often the truth was inside.

    Args:
        inside: Whether each experiment's interval holds the truth, shape ``(experiments,)``.
        level: Nominal probability in (0, 1).
        overlap: Expected fraction of events that two experiments share.
        parameters: Number of parameters that the region is in.
        left_out: Further experiments that have no interval.

    Returns:
        The coverage; without experiments it is not known, and its interval is [0, 1].
    """
    flags = np.asarray(inside, dtype=np.bool_)
    low, high = binomial_interval(int(flags.sum()), flags.size, 0.99) if flags.size else (0.0, 1.0)
    return Coverage(
        level=level,
        covered=int(flags.sum()),
        experiments=flags.size,
        fraction=float(flags.mean()) if flags.size else math.nan,
        low=low,
        high=high,
        pool_error=pool_error(level, overlap, parameters),
        left_out=left_out,
    )


def calibrated_threshold(statistic: ArrayLike, level: float, parameters: int) -> Threshold:
    """Find the quantile of 2 (NLL(truth) - NLL(best)) over pseudo-experiments, beside Wilks' value.

    Args:
        statistic: One value for each experiment, shape ``(experiments,)``.
        level: Probability in (0, 1).
        parameters: Number of parameters that the truth fixes.

    Raises:
        DataError: If a value is not finite, or there are too few experiments for an interval of the quantile.

    References:
        David and Nagaraja, Order Statistics (3rd ed., 2003), section 7.1: intervals of quantiles.
        Feldman and Cousins, Phys. Rev. D 57 (1998) 3873: thresholds from pseudo-experiments.
    """
    values = np.sort(as_column(statistic, "the test statistic"))
    count, error = len(values), _quantile_error(values, level)
    if math.isnan(error):
        raise DataError(
            f"{count} pseudo-experiments are too few for the {level:g} quantile with an error; "
            f"run at least {math.ceil(10.0 / min(level, 1.0 - level))}."
        )
    return Threshold(
        level=level,
        value=float(np.quantile(values, level)),
        error=error,
        wilks=wilks_threshold(level, parameters),
        parameters=parameters,
    )


def median_error(values: ArrayLike) -> float:
    """Return half the width of the median's 68 % order-statistics interval; NaN with fewer than four values.

    Args:
        values: Independent values, shape ``(events,)``.

    Raises:
        DataError: If a value is not finite.

    References:
        David and Nagaraja, Order Statistics (3rd ed., 2003), section 7.1: intervals of quantiles.
    """
    return _quantile_error(np.sort(as_column(values, "the values")), 0.5)


def _quantile_error(ordered: NDArray[np.float64], level: float) -> float:
    """Return half the width of a quantile's 68 % order-statistics interval; NaN where there are too few values."""
    count = len(ordered)
    low, high = (int(binom.ppf(norm.cdf(side), count, level)) for side in (-1.0, 1.0))
    return 0.5 * float(ordered[high] - ordered[low - 1]) if low >= 1 and high < count else math.nan


def wilks_threshold(level: float, parameters: int) -> float:
    """Return the chi-squared quantile for ``parameters`` degrees of freedom.

    References:
        Wilks, The large-sample distribution of the likelihood ratio, Ann. Math. Statist. 9 (1938).
    """
    return float(chi2.ppf(level, parameters))


def expected_overlap(events: float, pool: int) -> float:
    """Return the expected fraction of events that two experiments of ``events`` from one pool share.

    Each is drawn without replacement and independently of the other, so that the number in common is hypergeometric
    with mean ``events**2 / pool``.

    Raises:
        DataError: If the pool has fewer events than one experiment takes.
    """
    if not 0.0 <= events <= pool or pool < 1:
        raise DataError(
            f"{events:g} events cannot be drawn from a pool of {pool} without replacement; enlarge the pool."
        )
    return events / pool


def pool_error(level: float, overlap: float, parameters: int = 1) -> float:
    """Return the standard deviation of a coverage over pools, when experiments share the fraction ``overlap``.

    In one pool the P pulls, made independent, are normal with mean b and variance 1 - r each, where every component of
    b is itself normal with variance r, the overlap. With F_k the chi-squared distribution of k degrees of freedom at
    the region's threshold, the coverage changes by -(F_P - F_{P+2}) (b^2 - P r) / 2 to first order in r, and
    b^2 - P r has the standard deviation sqrt(2 P) r. Not a small effect: experiments of a tenth of the pool leave 68 %
    of one parameter uncertain by 3.4 points.

    Args:
        level: Nominal probability in (0, 1).
        overlap: Expected fraction of events that two experiments share.
        parameters: Number of parameters P that the region is in.

    References:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995), section 29.5: the
        derivative of the noncentral chi-squared distribution.
    """
    edge = wilks_threshold(level, parameters)
    fall = float(chi2.cdf(edge, parameters) - chi2.cdf(edge, parameters + 2))
    return 0.5 * fall * math.sqrt(2.0 * parameters) * overlap


def covered_by_errors(
    values: NDArray[np.float64], errors: NDArray[np.float64], truth: float, level: float
) -> NDArray[np.bool_]:
    """Tell which of the symmetric intervals ``value ± z error`` hold the truth, with the normal quantile z.

    Args:
        values: Estimates, shape ``(experiments,)``.
        errors: Their standard errors, same shape.
        truth: True value.
        level: Nominal probability in (0, 1).
    """
    return np.asarray(np.abs(values - truth) <= norm.isf(0.5 * (1.0 - level)) * errors, dtype=np.bool_)
