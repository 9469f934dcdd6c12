"""How a likelihood is minimised without its gradient: a grid, a grid that zooms in, and MIGRAD by differences.

Each rival is brought to the accuracy that is asked for and no further, and starts with what ours starts with: the
ranges of the parameters. What it costs is counted in values of the likelihood of all events; ours is counted in values
with gradient, each of which takes about as long as three values.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from iminuit import Minuit
from numpy.typing import NDArray

from castalia.apps.scan.likelihood import Likelihood
from castalia.apps.scan.minimise import minimise
from castalia.apps.scan.search import search
from castalia.rng import Stream

__all__ = ["RIVALS", "VALUES_PER_GRADIENT", "Outcome", "by_gradient", "grid_evaluations", "zoom_evaluations"]

Array = NDArray[np.float64]

VALUES_PER_GRADIENT = 3.0
_ZOOM_POINTS = 5  # per parameter and level; each level is half as wide as the one before
_MIGRAD_STARTS = 32  # points valued for a start, on a part of the events as ours


@dataclass(frozen=True)
class Outcome:
    """What a minimisation found and cost.

    Attributes:
        phi: Where it ended, shape ``(parameters,)``.
        evaluations: Evaluations of the likelihood of all events: values with gradient for ours, values for the rivals.
        seconds: Wall time.
    """

    phi: Array
    evaluations: float
    seconds: float


def by_gradient(likelihood: Likelihood, errors: Array, accuracy: float) -> Outcome:
    """Minimise as ``castalia scan fit`` does, to MIGRAD's own accuracy, with the covariance on top."""
    began = time.perf_counter()
    minima, evaluations = search(likelihood, Stream(1, "scan search"))
    searched = likelihood.evaluations
    found = minimise(likelihood, minima[0].phi, minima[0].curvature, np.full(len(errors), np.nan))
    return Outcome(found.phi, evaluations + likelihood.evaluations - searched, time.perf_counter() - began)


def by_numerical_gradient(likelihood: Likelihood, errors: Array, accuracy: float) -> Outcome:
    """Run MIGRAD, which takes differences itself, from the best of scattered points, to the accuracy and no further."""
    began, values = time.perf_counter(), 0

    def value(phi: Array) -> float:
        nonlocal values
        values += 1
        return float(likelihood.value(phi[None])[0])

    part = likelihood.take(np.sort(Stream(1, "part").at(0).permutation(len(likelihood))[:1000]))
    points = likelihood.low + likelihood.range * Stream(1, "starts").at(0).random((_MIGRAD_STARTS, len(errors)))
    start = points[np.argmin(part.value(points))]
    minuit = Minuit(value, start, grad=False)
    minuit.errordef = Minuit.LIKELIHOOD
    minuit.limits = list(zip(likelihood.low, likelihood.low + likelihood.range, strict=True))
    minuit.errors = errors
    # MIGRAD stops at an estimated distance of 0.002 tol errordef; a distance of accuracy sigmas is accuracy^2 / 2.
    minuit.tol = accuracy**2 / 2.0 / (0.002 * Minuit.LIKELIHOOD)
    minuit.migrad(use_simplex=False)
    evaluations = values + _MIGRAD_STARTS * len(part) / len(likelihood)
    return Outcome(np.array(minuit.values), evaluations, time.perf_counter() - began)


def by_zoom(likelihood: Likelihood, errors: Array, accuracy: float) -> Outcome:
    """Value a grid of five points per parameter, and again around its best point, half as wide, until fine enough."""
    began, values = time.perf_counter(), 0
    centre, half = likelihood.low + likelihood.range / 2.0, likelihood.range / 2.0
    unit = np.array(list(itertools.product(np.linspace(-1.0, 1.0, _ZOOM_POINTS), repeat=len(errors))))
    for _ in range(_levels(likelihood, errors, accuracy)):
        points = np.clip(centre + half * unit, likelihood.low, likelihood.low + likelihood.range)
        found = np.concatenate([likelihood.value(some) for some in np.array_split(points, max(1, len(points) // 64))])
        values += len(points)
        centre, half = points[np.argmin(found)], half / 2.0
    return Outcome(centre, values, time.perf_counter() - began)


def grid_evaluations(likelihood: Likelihood, errors: Array, accuracy: float) -> float:
    """Return how many points a plain grid has whose nearest point is off by the accuracy at most, in each parameter."""
    return float(math.prod(np.ceil(likelihood.range / (2.0 * accuracy * errors))))


def zoom_evaluations(likelihood: Likelihood, errors: Array, accuracy: float) -> float:
    """Return how many points ``by_zoom`` values: known before it runs."""
    return float(_levels(likelihood, errors, accuracy) * _ZOOM_POINTS ** len(errors))


def _levels(likelihood: Likelihood, errors: Array, accuracy: float) -> int:
    """Return the levels after which half the distance of two points is no more than the accuracy."""
    first = likelihood.range / (_ZOOM_POINTS - 1) / 2.0
    return 1 + max(0, math.ceil(float(np.log2(np.max(first / (accuracy * errors))))))


RIVALS: dict[str, Callable[[Likelihood, Array, float], Outcome]] = {
    "MIGRAD with numerical gradients": by_numerical_gradient,
    "zooming grid": by_zoom,
}
