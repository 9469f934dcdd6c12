"""Everything that is known after a fit, and the numbers of it that ``metrics.json`` holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import combinations, islice
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from castalia.apps.scan.expected import ExpectedPart
from castalia.apps.scan.fit import FitResult, FittedParameter
from castalia.apps.scan.intervals import Contour, Profile, contours, profile
from castalia.apps.scan.nearby import Nearby
from castalia.apps.scan.workspace import BinnedTests
from castalia.metrics.bands import ONE_SIGMA
from castalia.metrics.goodness import GoodnessOfFit

__all__ = ["CONTOUR_LEVELS", "FitStudy", "metrics_of", "pull_of", "study_contours", "study_profiles"]

CONTOUR_LEVELS = (ONE_SIGMA, 0.95)
"""Confidence levels of the contours, the inner one first."""

_POINTS = 15
_REACH = 3.0  # standard deviations to either side of a profile
_MOST_PAIRS = 6


@final
@dataclass(frozen=True)
class FitStudy:
    """A fit with what was found out about it.

    Attributes:
        fit: The fit.
        profiles: Profile of each parameter that has an error.
        contours: Contours of pairs of these parameters, at ``CONTOUR_LEVELS``; of six pairs at most.
        expected: Components of the fitted model, from the bottom of the stack up; none without convergence.
        goodness: Joint test of the observed events; ``None`` without convergence.
        uncorrected: The same against the model as it was learned; ``None`` without convergence.
        tests: pyhf's statistics of the binned projection; ``None`` where there is no background, or no pyhf.
        truth: True values by parameter, as far as they are known.
        thresholds: Calibrated rise at the ends of the 68 % interval by parameter; empty where Wilks' theorem was used.
    """

    fit: FitResult
    profiles: tuple[Profile, ...] = ()
    contours: tuple[tuple[Contour, ...], ...] = ()
    expected: tuple[ExpectedPart, ...] = ()
    goodness: GoodnessOfFit | None = None
    uncorrected: GoodnessOfFit | None = None
    tests: BinnedTests | None = None
    truth: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)


def study_profiles(fit: FitResult, near: Nearby) -> tuple[Profile, ...]:
    """Profile each parameter that has an error, three standard deviations to either side."""
    result = []
    for parameter, limits in zip(fit.parameters, near.likelihood.parameters, strict=True):
        if parameter.error is not None:
            ends = parameter.value + _REACH * parameter.error * np.array([-1.0, 1.0])
            values = np.linspace(max(ends[0], limits.low), min(ends[1], limits.high), _POINTS)
            result.append(profile(near.likelihood, near.fitted, parameter.name, values))
    return tuple(result)


def study_contours(fit: FitResult, near: Nearby) -> tuple[tuple[Contour, ...], ...]:
    """Find the contours of every pair of parameters that have errors, six pairs at most.

    Args:
        fit: A converged fit.
        near: Its likelihood near the minimum; the fit's own takes its place where a contour leaves the box.
    """
    names = [parameter.name for parameter in fit.parameters if parameter.error is not None]
    thresholds: NDArray[np.float64] = chi2.ppf(CONTOUR_LEVELS, 2)
    found = []
    for pair in islice(combinations(names, 2), _MOST_PAIRS):
        curves = contours(near.likelihood, near.fitted, pair, thresholds)
        if not near.exact and any(curve.cut.any() or np.isnan(curve.points).any() for curve in curves):
            curves = contours(fit.likelihood, fit.fitted, pair, thresholds)
        found.append(curves)
    return tuple(found)


def metrics_of(study: FitStudy, counts: Mapping[str, int]) -> dict[str, Any]:
    """Collect the numbers of a study.

    Args:
        study: The fit and what was found out about it.
        counts: Events read, selected and left out, by name.

    Returns:
        A JSON mapping. ``pull`` of a parameter is (value − truth) / error where the truth is known.
    """
    fit = study.fit
    return {
        "events": {"fitted": len(fit.likelihood), **counts},
        "converged": fit.converged,
        "parameters": {
            parameter.name: {
                "value": parameter.value,
                "error": parameter.error,
                "minos_low": parameter.minos_low,
                "minos_high": parameter.minos_high,
                "model_error": parameter.model_error,
                "truth": study.truth.get(parameter.name),
                "pull": pull_of(parameter, study.truth),
            }
            for parameter in fit.parameters
        },
        "goodness_of_fit": None if study.goodness is None else asdict(study.goodness),
        "goodness_of_fit_uncorrected": None if study.uncorrected is None else asdict(study.uncorrected),
        "expected": {part.label.lower(): part.expected for part in study.expected},
        "binned_tests": None if study.tests is None else asdict(study.tests),
        "thresholds": dict(study.thresholds),
        "cost": {"evaluations": fit.evaluations, "seconds": fit.seconds},
    }


def pull_of(parameter: FittedParameter, truth: Mapping[str, float]) -> float | None:
    """Return (value − truth) / error; ``None`` where one of them is not known."""
    if parameter.name not in truth or parameter.error is None:
        return None
    return (parameter.value - truth[parameter.name]) / parameter.error
