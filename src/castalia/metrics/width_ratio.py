"""Generated over target core widths: bin by bin, inclusive, and the largest discrepancy with its meaning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.arrays import as_columns
from castalia.metrics.resolution import ResolutionProfile, core_width, width_influence

__all__ = ["LargestDiscrepancy", "WidthCheck", "inclusive_width_checks", "largest_discrepancy", "width_checks"]


@dataclass(frozen=True)
class WidthCheck:
    """One core width of generated events over that of the target.

    Attributes:
        target: Name of the response.
        where: The bin it was measured in, such as ``"mu in [10, 15)"``, or ``"all events"``.
        ratio: Generated over target width; NaN where either has too few events.
        error: Statistical error of ``ratio``; NaN likewise.
        events: Number of target events behind it.
        binned: Whether it is one of many bins rather than a figure of all events.
    """

    target: str
    where: str
    ratio: float
    error: float
    events: int
    binned: bool = False

    @property
    def deviation(self) -> float:
        """Distance of the ratio from one, at least 0."""
        return abs(self.ratio - 1.0)

    @property
    def measured(self) -> bool:
        """Whether ratio and error are numbers."""
        return bool(np.isfinite(self.ratio) and np.isfinite(self.error))


@dataclass(frozen=True)
class LargestDiscrepancy:
    """The largest of many width ratios' distances from one.

    Attributes:
        largest: The ratio farthest from one, which among many poor bins is often only noise; None if none is measured.
        significant: The farthest among those more than three errors from one; None if there is none.
        bins: Number of measured ratios.
        unmeasured: Number of bins with too few events.
        chi2: Sum of squared distances over squared errors, to be compared with ``bins``.
    """

    largest: WidthCheck | None
    significant: WidthCheck | None
    bins: int
    unmeasured: int
    chi2: float


def width_checks(
    target: str, against: str, unit: str, true: ResolutionProfile, generated: ResolutionProfile
) -> tuple[WidthCheck, ...]:
    """Divide two profiles of one response, bin by bin.

    Errors are added in quadrature; an analytic profile may have errors of zero.

    Args:
        target: Name of the response.
        against: Name of the truth variable.
        unit: Unit of the truth variable, empty if none.
        true: Profile of the target events.
        generated: Profile of the generated events, with the same edges.

    Raises:
        DataError: If the edges differ.
    """
    if not np.array_equal(true.edges, generated.edges):
        raise DataError(f"the profiles of {target} against {against} have different bin edges; use the same for both.")
    usable = (true.width > 0.0) & (generated.width > 0.0)
    ratio = np.full(true.width.shape, np.nan)
    relative = np.full(true.width.shape, np.nan)
    np.divide(generated.width, true.width, out=ratio, where=usable)
    np.hypot(
        np.divide(generated.error, generated.width, out=np.full_like(ratio, np.nan), where=usable),
        np.divide(true.error, true.width, out=np.full_like(ratio, np.nan), where=usable),
        out=relative,
        where=usable,
    )
    ending = f" {unit}" if unit else ""
    return tuple(
        WidthCheck(
            target, f"{against} in [{low:g}, {high:g}){ending}", float(value), float(value * error), int(events), True
        )
        for low, high, value, error, events in zip(
            true.edges[:-1], true.edges[1:], ratio, relative, true.events, strict=True
        )
    )


def inclusive_width_checks(names: Sequence[str], true: ArrayLike, generated: ArrayLike) -> tuple[WidthCheck, ...]:
    """Compare the widths of all events at once: per target, and the mean over targets.

    A common factor on all widths, such as 1.03, shows in the mean over targets with a few 10⁴ events, where no single
    bin has the statistics. Pass pulls (responses over their known or fitted widths) rather than responses, so that the
    events with the poorest resolution do not decide alone. Rows are events: with the targets of one event correlated,
    the error of the mean grows as it must.

    Args:
        names: Names of the targets.
        true: Pulls of the target events, shape ``(events, targets)``.
        generated: Pulls of the generated events, shape ``(generated, targets)``.

    Returns:
        One check a target, and one named ``"all targets"`` if there are several.

    Raises:
        DataError: If the numbers of columns and names differ, or a value is not finite.
    """
    first, second = as_columns(true, "the target pulls"), as_columns(generated, "the generated pulls")
    if not len(names) == first.shape[1] == second.shape[1]:
        raise DataError(f"{len(names)} names for {first.shape[1]} target and {second.shape[1]} generated columns.")
    logs, checks = [], []
    for name, x, y in zip(names, first.T, second.T, strict=True):
        one, other = core_width(x), core_width(y)
        usable = one.width > 0.0 and other.width > 0.0
        ratio = other.width / one.width if usable else float("nan")
        error = ratio * float(np.hypot(one.error / one.width, other.error / other.width)) if usable else float("nan")
        checks.append(WidthCheck(name, "all events", ratio, error, len(first)))
        logs.append(np.log(ratio) if usable else np.nan)
    if len(names) > 1:
        ratio = float(np.exp(np.mean(logs)))
        error = ratio * float(np.hypot(_mean_error(first), _mean_error(second)))
        checks.append(WidthCheck("all targets", "all events", ratio, error, len(first)))
    return tuple(checks)


def largest_discrepancy(checks: Iterable[WidthCheck]) -> LargestDiscrepancy:
    """Find the width ratio farthest from one, and the farthest that is not noise."""
    every = list(checks)
    measured = [check for check in every if check.measured]
    significant = [check for check in measured if check.deviation > 3.0 * check.error]
    return LargestDiscrepancy(
        largest=max(measured, key=lambda check: check.deviation, default=None),
        significant=max(significant, key=lambda check: check.deviation, default=None),
        bins=len(measured),
        unmeasured=len(every) - len(measured),
        chi2=float(sum((check.deviation / check.error) ** 2 for check in measured if check.error > 0.0)),
    )


def _mean_error(table: NDArray[np.float64]) -> float:
    """Relative error of the geometric mean of all columns' widths, their correlation included."""
    influence = np.mean([width_influence(column) for column in table.T], axis=0)
    return float(np.std(influence) / np.sqrt(len(table)))
