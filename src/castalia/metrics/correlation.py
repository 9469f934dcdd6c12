"""Pearson correlations of targets with their errors, and the largest difference between two matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.arrays import as_columns, as_groups, as_weights, effective_events, sum_by_group

__all__ = ["CorrelationCheck", "CorrelationMatrix", "correlation_checks", "correlation_matrix", "largest_difference"]


@dataclass(frozen=True)
class CorrelationMatrix:
    """Correlations of several columns.

    Attributes:
        value: Pearson coefficients in [−1, 1], shape ``(columns, columns)``, ones on the diagonal.
        error: Their standard errors, zero on the diagonal; ``(1 − r²) / sqrt(events)`` for Gaussian columns.
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


def correlation_matrix(
    values: ArrayLike, weights: ArrayLike | None = None, *, group: ArrayLike | None = None
) -> CorrelationMatrix:
    """Measure the correlations of all pairs of columns.

    Correlate pulls rather than responses: the widths' common dependence on the conditions biases the latter. The errors
    follow from the coefficient's influence function ``z₁z₂ − r (z₁² + z₂²) / 2`` of the standardised columns, which
    holds for heavy tails too.

    Args:
        values: Targets, shape ``(events, columns)``.
        weights: Event weights, shape ``(events,)``; the sum must be positive.
        group: Number of the event each row belongs to, integers from 0, where events come in several draws.

    Raises:
        DataError: If there are fewer than four effective events, a value is not finite, or a column is constant.

    References:
        Devlin, Gnanadesikan and Kettenring, Robust estimation and outlier detection with correlation coefficients
        (Biometrika 62, 1975).
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
    number = None if group is None else as_groups(group, len(table), "the correlated targets")
    return CorrelationMatrix(value, _errors(centred / np.sqrt(spread), value, weight, number), events)


def _errors(
    standard: NDArray[np.float64],
    value: NDArray[np.float64],
    weight: NDArray[np.float64],
    group: NDArray[np.int64] | None,
) -> NDArray[np.float64]:
    error = np.zeros_like(value)
    for i, j in zip(*np.triu_indices(len(value), 1), strict=True):
        one, other = standard[:, i], standard[:, j]
        influence = weight * (one * other - 0.5 * value[i, j] * (one**2 + other**2))
        error[i, j] = error[j, i] = np.sqrt(np.square(sum_by_group(influence, group)).sum()) / weight.sum()
    return error


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
