"""Does unfolding invent sensitivity? The bottom-line test, and what bins are worth over many data sets.

Two models can be told apart by the data as they were measured, no better after unfolding: a χ² between them that is
larger after than before shows a covariance that is too small or a bias that was unfolded into the result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.arrays import as_column, as_columns
from castalia.metrics.bands import ONE_SIGMA
from castalia.metrics.chi_squared import ChiSquared, chi_squared
from castalia.metrics.coverage import Coverage, coverage_of, covered_by_errors

__all__ = ["BinPerformance", "BottomLine", "bin_performance", "bottom_line"]

_ROUNDING = 1e-6


@final
@dataclass(frozen=True)
class BottomLine:
    """How well two models are told apart before and after unfolding.

    Attributes:
        smeared: χ² between the models at detector level.
        unfolded: χ² between them after unfolding.
    """

    smeared: ChiSquared
    unfolded: ChiSquared

    @property
    def ratio(self) -> float:
        """Unfolded over smeared χ²; NaN where the models are the same at detector level."""
        return self.unfolded.value / self.smeared.value if self.smeared.value > 0.0 else float("nan")

    @property
    def passed(self) -> bool:
        """Whether unfolding made the models no easier to tell apart."""
        return self.unfolded.value <= self.smeared.value * (1.0 + _ROUNDING) + _ROUNDING


@final
@dataclass(frozen=True)
class BinPerformance:
    """Bias, variance and coverage of each bin over many data sets.

    Attributes:
        bias: Mean content minus the true one, shape ``(bins,)``.
        bias_error: Its standard error.
        bias_squared: Square of the bias without what its own error adds on average, shape ``(bins,)``; may be negative.
        variance: Variance of the content over data sets, shape ``(bins,)``.
        coverage: How often ``content ± error`` holds the truth, bin by bin; 68.3 % where errors are honest.
        data_sets: Number of data sets.
    """

    bias: NDArray[np.float64]
    bias_error: NDArray[np.float64]
    bias_squared: NDArray[np.float64]
    variance: NDArray[np.float64]
    coverage: tuple[Coverage, ...]
    data_sets: int


def bottom_line(
    smeared: tuple[ArrayLike, ArrayLike],
    smeared_covariance: ArrayLike,
    unfolded: tuple[ArrayLike, ArrayLike],
    unfolded_covariance: ArrayLike,
    *,
    replicas: int | None = None,
) -> BottomLine:
    """Compare two models at detector level and after unfolding.

    Args:
        smeared: The two models' expected contents at detector level, each shape ``(detector_bins,)``.
        smeared_covariance: Covariance of the data there, shape ``(detector_bins, detector_bins)``.
        unfolded: The models after unfolding, each shape ``(bins,)``: their true contents, as a reader of the result
            would compare them with it.
        unfolded_covariance: Covariance of the unfolded data, shape ``(bins, bins)``.
        replicas: Number of replicas that it was estimated from: it is then widened so that its inverse is right on
            average, and p-values are Hotelling's. None where it is exact.

    Raises:
        DataError: If shapes do not fit, the models differ where a covariance has no variance, or there are not three
            replicas more than bins.

    References:
        Cousins, May and Sun, Should unfolded histograms be used to test hypotheses? arXiv:1607.07038: the name and the
        test. With the covariance ``R⁻¹ V R⁻ᵀ`` of an inverted response R both are equal.
        Hartlap, Simon and Schneider, Why your model parameter confidences might be too optimistic (2007),
        arXiv:astro-ph/0608064: the factor (n - 1) / (n - p - 2) on a covariance of p bins from n replicas.
    """
    found = chi_squared(unfolded[0], unfolded[1], unfolded_covariance, replicas=replicas)
    if replicas is not None:
        bins = len(as_column(unfolded[0], "the unfolded contents"))
        if replicas < bins + 3:
            raise DataError(f"{replicas} replicas are too few for a bottom line of {bins} bins; make {bins + 3}.")
        found = replace(found, value=found.value * (replicas - bins - 2) / (replicas - 1))
    return BottomLine(chi_squared(smeared[0], smeared[1], smeared_covariance), found)


def bin_performance(
    contents: ArrayLike, errors: ArrayLike, truth: ArrayLike, *, overlap: float = 0.0
) -> BinPerformance:
    """Measure bias², variance and the coverage of 68 % over data sets of one truth.

    Args:
        contents: Unfolded contents, shape ``(data_sets, bins)``.
        errors: Their standard errors as quoted for each data set, same shape.
        truth: True contents, expected in each data set, shape ``(bins,)``.
        overlap: Fraction of events that two data sets share; see ``castalia.metrics.coverage.expected_overlap``.

    Raises:
        DataError: If shapes do not fit, a value is not finite, or there are fewer than two data sets.

    References:
        Kuusela, Uncertainty quantification in unfolding elementary particle spectra (EPFL thesis, 2016): why the
        coverage of bins is to be measured, where regularisation makes a bias that no error holds.
    """
    table, quoted = as_columns(contents, "the unfolded contents"), as_columns(errors, "the quoted errors")
    true = as_column(truth, "the true contents")
    if table.shape != quoted.shape or table.shape[1] != len(true) or len(table) < 2:
        raise DataError(
            f"contents of shape {table.shape}, errors of shape {quoted.shape} and {len(true)} true bins; "
            "give two or more data sets, as (data_sets, bins)."
        )
    sets, variance = len(table), table.var(axis=0, ddof=1)
    bias = table.mean(axis=0) - true
    # Data sets that share events share their fluctuation.
    squared_error = variance * (1.0 / sets + overlap)
    return BinPerformance(
        bias=bias,
        bias_error=np.sqrt(squared_error),
        bias_squared=np.square(bias) - squared_error,
        variance=variance,
        coverage=tuple(
            coverage_of(
                covered_by_errors(table[:, i], quoted[:, i], float(value), ONE_SIGMA), ONE_SIGMA, overlap=overlap
            )
            for i, value in enumerate(true)
        ),
        data_sets=sets,
    )
