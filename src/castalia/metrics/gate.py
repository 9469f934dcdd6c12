"""The quality gate: what a model may miss before ``evaluate`` refuses it, judged beyond the statistical errors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from castalia.metrics.auc import AucEstimate
from castalia.metrics.correlation import CorrelationCheck
from castalia.metrics.efficiency import EfficiencyCheck
from castalia.metrics.location import LocationCheck
from castalia.metrics.width_ratio import WidthCheck

__all__ = ["FEWEST_IN_A_BIN", "Gate", "Thresholds", "judge"]


@dataclass(frozen=True)
class Thresholds:
    """What may be missed, beyond ``sigmas`` standard errors.

    Attributes:
        width: Largest distance of a core-width ratio from one; of its logarithm from zero in a bin.
        correlation: Largest difference of a pull correlation.
        auc: Largest conditional two-sample AUC.
        sigmas: Number of standard errors a figure must be beyond its threshold. All bins of widths together are given
            the false-alarm rate of one such figure, and so are all bins of efficiencies.
        location: Largest difference of a mean pull, in units of the width.
        efficiency: Largest difference of an efficiency.
    """

    width: float = 0.02
    correlation: float = 0.05
    auc: float = 0.55
    sigmas: float = 3.0
    location: float = 0.05
    efficiency: float = 0.02


FEWEST_IN_A_BIN = 200
"""Target events from which a bin's width is judged: below, its error is too poorly known for the far tail."""

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
    locations: Iterable[LocationCheck] = (),
    thresholds: Thresholds = _STANDARD,
    efficiencies: Iterable[EfficiencyCheck] = (),
) -> Gate:
    """Judge a model by its core widths, locations, correlations, its conditional two-sample test and its efficiency.

    Bins with fewer than 200 events are not judged, but a gate that could measure no width at all does not pass. A bin
    must miss its threshold by as many errors as keep the false alarms of all judged bins together at those of one
    figure beyond three errors (Bonferroni): with 84 bins at three errors each, 2 to 10 % of exact models failed.

    Args:
        widths: Ratios of generated to target widths, binned and inclusive; the latter catch a common factor.
        correlations: Pairs of pull correlations.
        auc: The conditional two-sample AUC, if it was measured.
        locations: Differences of mean pulls.
        thresholds: What may be missed.
        efficiencies: Predicted beside counted efficiencies, binned and of all events.
    """
    ratios = list(widths)
    measured = [check for check in ratios if check.measured and (not check.binned or check.events >= FEWEST_IN_A_BIN)]
    reasons = _width_reasons(measured, thresholds)
    if not measured:
        reasons.append(f"None of {len(ratios)} core widths could be measured; evaluate on more events.")
    for place in locations:
        if not abs(place.shift) - thresholds.sigmas * place.error <= thresholds.location:
            reasons.append(
                f"The mean pull of {place.target} is {place.shift:+.3f} ± {place.error:.3f} widths off the target's; "
                f"at most {thresholds.location:g} is allowed beyond {thresholds.sigmas:g} errors."
            )
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
    reasons += _efficiency_reasons(efficiencies, thresholds)
    return Gate(passed=not reasons, reasons=tuple(reasons))


def _width_reasons(measured: list[WidthCheck], thresholds: Thresholds) -> list[str]:
    bins = sum(check.binned for check in measured)
    local = _local(bins, thresholds)
    failing = []
    for check in measured:
        # A ratio's error grows with the ratio: its logarithm keeps low and high ones of poor bins alike.
        deviation = abs(float(np.log(check.ratio))) if check.binned else check.deviation
        error = check.error / check.ratio if check.binned else check.error
        if deviation - (local if check.binned else thresholds.sigmas) * error > thresholds.width:
            failing.append((deviation / max(error, float(np.finfo(float).tiny)), check))
    failing.sort(key=lambda pair: -pair[0])
    return [_width_reason(check, thresholds, bins) for _, check in failing]


def _local(bins: int, thresholds: Thresholds) -> float:
    """Return how many errors off one of ``bins`` counts, so that all alarm together as often as one figure."""
    return float(norm.isf(norm.sf(thresholds.sigmas) / max(bins, 1)))


def _beyond(binned: bool, bins: int, thresholds: Thresholds) -> str:
    one = f"{thresholds.sigmas:g} errors"
    if not binned:
        return one
    return f"{_local(bins, thresholds):.2g} errors, which for {bins} bins together is {one} of one figure"


def _width_reason(check: WidthCheck, thresholds: Thresholds, bins: int) -> str:
    return (
        f"The core width of {check.target} ({check.where}) is {100 * (check.ratio - 1):+.2f} ± "
        f"{100 * check.error:.2f} % off the target's; at most {100 * thresholds.width:g} % is allowed beyond "
        f"{_beyond(check.binned, bins, thresholds)}."
    )


def _efficiency_reasons(checks: Iterable[EfficiencyCheck], thresholds: Thresholds) -> list[str]:
    judged = [check for check in checks if not check.binned or check.events >= FEWEST_IN_A_BIN]
    bins = sum(check.binned for check in judged)
    local = _local(bins, thresholds)
    return [
        f"The efficiency ({check.where}) is predicted as {check.predicted:.4f} where {check.counted:.4f} ± "
        f"{check.error:.4f} of {check.events} events were reconstructed; a difference of at most "
        f"{thresholds.efficiency:g} is allowed beyond {_beyond(check.binned, bins, thresholds)}."
        for check in judged
        if not abs(check.difference) - (local if check.binned else thresholds.sigmas) * check.error
        <= thresholds.efficiency
    ]
