"""What the analytic scan benchmark measures of a model: pseudo-experiments, minima, fits and the goodness of fit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter

from castalia.apps.scan.coverage import LEVELS
from castalia.apps.scan.descent import descend
from castalia.apps.scan.expected import expected_parts
from castalia.apps.scan.experiment import Laboratory, Plan, open_laboratory
from castalia.apps.scan.fit import FitModel, FitSettings, build_likelihood, fit
from castalia.apps.scan.goodness import HeldOut, fitted_goodness
from castalia.apps.scan.likelihood import Likelihood
from castalia.apps.scan.search import search
from castalia.metrics.coverage import coverage_of, covered_by_errors, wilks_threshold
from castalia.processes.mixture import analytic_mixture
from castalia.rng import Stream
from scan_analytic_model import BACKGROUND, EXACT, FRACTION, OBSERVABLES, PARAMETERS, SIGNAL, draw
from scan_costs import NUMERICAL, ZOOM, cost_row

__all__ = [
    "ACCURACY",
    "ALTERNATIVES",
    "NAMES",
    "NUMERICAL",
    "ZOOM",
    "Experiments",
    "Pool",
    "costs",
    "global_minima",
    "open_pool",
    "rejections",
    "run_experiments",
]

Array = NDArray[np.float64]

NAMES = (*PARAMETERS, "signal_fraction")
SIDE = 0.9  # theta of data sets that are drawn anywhere, of a range from -1 to 1
ACCURACY = 0.05  # standard deviations of the estimate, of the rivals in cost

_GRID = 11  # points in each theta of the exhaustive search
_FRACTIONS = (0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95)  # and in the share of signal
_FOLLOWED = 12  # lowest local minima of that grid that descend
_MISSED = 0.01  # of the log-likelihood: a minimum found higher by more is not the lowest
_SCALED = 1.05


@dataclass(frozen=True)
class Pool:
    """Fresh events at one true point, from which pseudo-experiments are drawn.

    Attributes:
        theta: The true point, shape ``(parameters,)``.
        signal: Signal events, shape ``(events, observables)``.
        background: Background events, likewise.
        plan: How many of each an experiment has.
        best: Maximum of the exact likelihood of the whole pool, shape ``(parameters + 1,)``: what estimates scatter
            about, whatever the pool's own fluctuation is.
    """

    theta: Array
    signal: Array
    background: Array
    plan: Plan
    best: Array


@dataclass(frozen=True)
class Experiments:
    """Pseudo-experiments with one model; all arrays are per experiment.

    Attributes:
        truth: True parameters, shape ``(parameters,)``.
        estimate: Estimates, shape ``(experiments, parameters)``.
        error: Standard errors, same shape.
        rise: Twice the profiled log-likelihood above the minimum at each true parameter, same shape.
        converged: Whether the fit has a result, shape ``(experiments,)``.
        exact: How many were fitted without the polynomial.
        overlap: Share of events that two experiments have in common.
        seconds: CPU time of all.
    """

    truth: Array
    estimate: Array
    error: Array
    rise: Array
    converged: NDArray[np.bool_]
    exact: int
    overlap: float
    seconds: float

    def summary(self) -> dict[str, Any]:
        """Return coverage by parameter: of profile intervals and of standard errors, at both levels."""
        good = self.converged & np.isfinite(self.error).all(axis=1)
        found: dict[str, Any] = {"failed": int((~good).sum()), "exact": self.exact, "seconds": self.seconds}
        for i, name in enumerate(NAMES):
            ends = [covered_by_errors(self.estimate[good, i], self.error[good, i], self.truth[i], p) for p in LEVELS]
            profile = [self.rise[good, i] <= wilks_threshold(level, 1) for level in LEVELS]
            found[name] = {
                what: {
                    f"{level:.0%}": _share(inside, level, self.overlap)
                    for level, inside in zip(LEVELS, which, strict=True)
                }
                for what, which in (("profile", profile), ("errors", ends))
            }
        return found


def _share(inside: NDArray[np.bool_], level: float, overlap: float) -> dict[str, float]:
    found = coverage_of(inside, level, overlap=overlap)
    binomial = float(np.sqrt(level * (1.0 - level) / found.experiments))
    return {"value": found.fraction, "binomial_error": binomial, "pool_error": found.pool_error}


def open_pool(theta: Sequence[float], events: int, times: int, seed: int) -> Pool:
    """Draw a pool that holds ``times`` experiments of a given number of events."""
    rng, at = Stream(seed, "scan analytic pool", str(events)).at(), np.array(theta)
    plan = Plan(FRACTION * events, (1.0 - FRACTION) * events, poisson=False)
    signal = SIGNAL.sample(at, round(plan.signal * times), rng)
    background = BACKGROUND.sample(round(plan.background * times), rng)
    everything = build_likelihood(EXACT, np.concatenate([signal, background]))
    start = np.append(at, FRACTION)[None]
    # Its own information as curvature: from the truth, a few steps are enough.
    curvature = everything.information(start[0]) * np.outer(everything.range, everything.range)
    best = descend(everything, start, curvature=curvature, tolerance=1e-3).phi[0]
    return Pool(at, signal, background, plan, best)


def run_experiments(model: FitModel, pool: Pool, experiments: int, seed: int) -> Experiments:
    """Run pseudo-experiments; those of one seed have the same events whatever the model."""
    begin = time.process_time()
    laboratory: Laboratory = open_laboratory(
        model, pool.theta, pool.signal, pool.plan, background=pool.background, seed=seed
    )
    stream = Stream(seed, "pseudo-experiments")
    found = [laboratory.run(stream.at(number)) for number in range(experiments)]
    return Experiments(
        truth=laboratory.truth,
        estimate=np.array([one.estimate for one in found]),
        error=np.array([one.error for one in found]),
        rise=np.array([one.rise for one in found]),
        converged=np.array([one.converged for one in found]),
        exact=sum(one.exact for one in found),
        overlap=laboratory.overlap,
        seconds=time.process_time() - begin,
    )


def global_minima(model: FitModel, events: int, sets: range) -> dict[str, Any]:
    """Count the data sets in which the search finds the lowest minimum there is; each has a true point of its own.

    What there is is found by a grid over all parameters: each of its local minima descends.
    """
    missed, several, seconds = [], 0, 0.0
    for number in sets:
        rng = Stream(number, "scan analytic search").at()
        likelihood = build_likelihood(model, draw(rng.uniform(-SIDE, SIDE, len(PARAMETERS)), events, rng))
        begin = time.process_time()
        minima, _ = search(likelihood, Stream(number, "scan search"))
        seconds += time.process_time() - begin
        values = _all_minima(likelihood)
        several += len(values) > 1
        if minima[0].value > values[0] + _MISSED:
            missed.append(number)
    return {"sets": len(sets), "missed": missed, "several_minima": several, "seconds_of_searches": seconds}


def _all_minima(likelihood: Likelihood) -> Array:
    """Return the values of the distinct minima, the lowest first."""
    theta = np.stack(np.meshgrid(*[np.linspace(-1.0, 1.0, _GRID)] * len(PARAMETERS), indexing="ij"), axis=-1)
    ones = np.ones((_GRID ** len(PARAMETERS), 1))
    # The flow is asked once per theta: with the background's density, the fraction costs nothing.
    signal = np.exp(likelihood.event_terms(np.hstack([theta.reshape(len(ones), -1), ones])))
    background = np.exp(likelihood.event_terms(np.zeros((1, len(NAMES)))))
    values = [-np.log(f * signal + (1.0 - f) * background).sum(axis=1) for f in _FRACTIONS]
    value = np.stack(values, axis=-1).reshape(*theta.shape[:-1], len(_FRACTIONS))
    lowest = np.argwhere(value == minimum_filter(value, size=3, mode="nearest"))
    lowest = lowest[np.argsort(value[tuple(lowest.T)])][:_FOLLOWED]
    starts = np.column_stack([theta[tuple(lowest[:, :-1].T)], np.array(_FRACTIONS)[lowest[:, -1]]])
    return np.unique(np.round(descend(likelihood, starts, tolerance=1e-5).value, 2))


def costs(model: FitModel, events: int, sets: range) -> list[dict[str, Any]]:
    """Fit data sets and minimise their likelihoods by the rivals; the zooming grid runs on the first data set only."""
    rows = []
    for number in sets:
        rng = Stream(number, "scan analytic costs").at()
        x = draw(rng.uniform(-SIDE, SIDE, len(PARAMETERS)), events, rng)
        rows.append(cost_row(model, x, ACCURACY, zoom=number == sets.start))
    return rows


def _another_process(theta: Array, events: int, rng: np.random.Generator) -> Array:
    return draw(theta, events, rng, signal=analytic_mixture(len(PARAMETERS), len(OBSERVABLES), seed=2))


def _another_scale(theta: Array, events: int, rng: np.random.Generator) -> Array:
    x = draw(theta, events, rng)
    x[:, 0] *= _SCALED
    return x


ALTERNATIVES: dict[str, Callable[[Array, int, np.random.Generator], Array]] = {
    "the process itself": draw,
    "another process": _another_process,
    "scale of one observable + 5 %": _another_scale,
}


def rejections(model: FitModel, held_out: dict[str, HeldOut], what: str, events: int, sets: range) -> dict[str, Any]:
    """Fit data sets of one of ``ALTERNATIVES``, and count those that the test of the fit rejects at 99 %."""
    settings, p_values, begin = FitSettings(starts=4, minos=False), [], time.process_time()
    for number in sets:
        rng = Stream(number, "scan analytic goodness", what).at()
        x = ALTERNATIVES[what](rng.uniform(-SIDE, SIDE, len(PARAMETERS)), events, rng)
        result = fit(model, x, settings=settings)
        parts = expected_parts(model, result, seed=number)
        p_values.append(fitted_goodness(model, result, parts, OBSERVABLES, held_out, seed=number).p_value)
    return {
        "sets": len(p_values),
        "rejected": int(np.sum(np.array(p_values) < 0.01)),
        "median_p_value": float(np.median(p_values)),
        "seconds": time.process_time() - begin,
    }
