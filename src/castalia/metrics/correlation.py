"""Pearson correlations of targets with their errors, and the largest difference between two matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.arrays import as_columns, as_weights, effective_events

__all__ = ["CorrelationCheck", "CorrelationMatrix", "correlation_checks", "correlation_matrix", "largest_difference"]


@dataclass(frozen=True)
class CorrelationMatrix:
    """Correlations of several columns.

    Attributes:
        value: Pearson coefficients in [−1, 1], shape ``(columns, columns)``, ones on the diagonal.
        error: Their standard errors by Fisher's transformation, ``(1 − r²) / sqrt(events − 3)``, zero on the diagonal.
        events: Effective number of events.
    """

    value: NDArray[np.float64]
    error: NDArray[np.float64]
    events: float


@dataclass(frozen=True)
class CorrelationCheck:
    """One correlation of generated events beside that of the target.

    Attributes:
        first: Name of one target.
        second: Name of the other.
        target: Coefficient of the target events, in [−1, 1].
        generated: Coefficient of the generated events, in [−1, 1].
        difference: Generated minus target.
        error: Standard error of ``difference``.
    """

    first: str
    second: str
    target: float
    generated: float
    difference: float
    error: float


def correlation_matrix(values: ArrayLike, weights: ArrayLike | None = None) -> CorrelationMatrix:
    """Measure the correlations of all pairs of columns.

    Correlate pulls rather than responses: the widths' common dependence on the conditions biases the latter.

    Args:
        values: Targets, shape ``(events, columns)``.
        weights: Event weights, shape ``(events,)``; the sum must be positive.

    Raises:
        DataError: If there are fewer than four effective events, a value is not finite, or a column is constant.

    References:
        Fisher, On the probable error of a coefficient of correlation (Metron 1, 1921).
    """
    table = as_columns(values, "the correlated targets")
    weight = as_weights(weights, len(table), "the correlated targets")
    events = effective_events(weight)
    if events < 4.0:
        raise DataError(f"{events:.1f} effective events give no error of a correlation; use at least four.")
    centred = table - np.average(table, axis=0, weights=weight)
    covariance = (centred * weight[:, None]).T @ centred / weight.sum()
    spread = np.diag(covariance)
    if np.any(spread <= 0.0):
        raise DataError(f"column {int(np.argmin(spread))} of the correlated targets is constant; leave it out.")
    value = np.clip(covariance / np.sqrt(np.outer(spread, spread)), -1.0, 1.0)
    np.fill_diagonal(value, 1.0)
    return CorrelationMatrix(value, (1.0 - value**2) / np.sqrt(events - 3.0), events)


def correlation_checks(
    names: Sequence[str], target: CorrelationMatrix, generated: CorrelationMatrix
) -> tuple[CorrelationCheck, ...]:
    """Compare two matrices pair by pair; one entry for each unordered pair of columns.

    Raises:
        DataError: If the matrices differ in size from each other or from ``names``.
    """
    count = len(names)
    if target.value.shape != (count, count) or generated.value.shape != (count, count):
        raise DataError(f"{count} names for matrices of shapes {target.value.shape} and {generated.value.shape}.")
    return tuple(
        CorrelationCheck(
            first=names[i],
            second=names[j],
            target=float(target.value[i, j]),
            generated=float(generated.value[i, j]),
            difference=float(generated.value[i, j] - target.value[i, j]),
            error=float(np.hypot(target.error[i, j], generated.error[i, j])),
        )
        for i in range(count)
        for j in range(i + 1, count)
    )


def largest_difference(checks: Sequence[CorrelationCheck]) -> CorrelationCheck | None:
    """Return the pair whose correlations differ most; None if there is only one column."""
    return max(checks, key=lambda check: abs(check.difference), default=None)
