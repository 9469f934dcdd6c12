"""The quality gate: what a model may miss before ``evaluate`` refuses it, judged beyond the statistical errors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from castalia.metrics.auc import AucEstimate
from castalia.metrics.correlation import CorrelationCheck
from castalia.metrics.width_ratio import WidthCheck

__all__ = ["Gate", "Thresholds", "judge"]


@dataclass(frozen=True)
class Thresholds:
    """What may be missed, beyond ``sigmas`` standard errors.

    Attributes:
        width: Largest distance of a core-width ratio from one.
        correlation: Largest difference of a pull correlation.
        auc: Largest conditional two-sample AUC.
        sigmas: Number of standard errors a figure must be beyond its threshold.
    """

    width: float = 0.02
    correlation: float = 0.05
    auc: float = 0.55
    sigmas: float = 3.0


_STANDARD = Thresholds()


@dataclass(frozen=True)
class Gate:
    """The verdict on a model.

    Attributes:
        passed: Whether no threshold is missed.
        reasons: One sentence for each miss, naming variable, bin, figure and threshold; empty if passed.
    """

    passed: bool
    reasons: tuple[str, ...]


def judge(
    widths: Iterable[WidthCheck],
    correlations: Iterable[CorrelationCheck] = (),
    auc: AucEstimate | None = None,
    thresholds: Thresholds = _STANDARD,
) -> Gate:
    """Judge a model by its core widths, its correlations and its conditional two-sample test.

    Bins with too few events are not judged, but a gate that could measure no width at all does not pass.

    Args:
        widths: Ratios of generated to target widths, binned and inclusive; the latter catch a common factor.
        correlations: Pairs of pull correlations.
        auc: The conditional two-sample AUC, if it was measured.
        thresholds: What may be missed.
    """
    ratios = list(widths)
    measured = [check for check in ratios if check.measured]
    reasons = [_width_reason(check, thresholds) for check in _worst_first(measured, thresholds)]
    if not measured:
        reasons.append(f"None of {len(ratios)} core widths could be measured; evaluate on more events.")
    for pair in correlations:
        excess = abs(pair.difference) - thresholds.sigmas * pair.error
        if not excess <= thresholds.correlation:
            reasons.append(
                f"The correlation of {pair.first} and {pair.second} is {pair.generated:.3f} where the target has "
                f"{pair.target:.3f}, a difference of {pair.difference:+.3f} ± {pair.error:.3f}; "
                f"at most {thresholds.correlation:g} is allowed beyond {thresholds.sigmas:g} errors."
            )
    if auc is not None and not auc.value - thresholds.sigmas * auc.error <= thresholds.auc:
        reasons.append(
            f"A classifier that sees the conditions tells generated from target events with an AUC of {auc.value:.4f} "
            f"± {auc.error:.4f}; at most {thresholds.auc:g} is allowed beyond {thresholds.sigmas:g} errors."
        )
    return Gate(passed=not reasons, reasons=tuple(reasons))


def _worst_first(measured: list[WidthCheck], thresholds: Thresholds) -> list[WidthCheck]:
    failing = [check for check in measured if check.deviation - thresholds.sigmas * check.error > thresholds.width]
    return sorted(failing, key=lambda check: -(check.deviation / max(check.error, float(np.finfo(float).tiny))))


def _width_reason(check: WidthCheck, thresholds: Thresholds) -> str:
    return (
        f"The core width of {check.target} ({check.where}) is {100 * (check.ratio - 1):+.2f} ± "
        f"{100 * check.error:.2f} % "
        f"off the target's; at most {100 * thresholds.width:g} % is allowed beyond {thresholds.sigmas:g} errors."
    )
