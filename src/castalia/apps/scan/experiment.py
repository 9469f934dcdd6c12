"""One pseudo-experiment: events drawn from a pool of fresh simulation, their fit, and how far off the truth is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self, final

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.apps.scan.descent import descend
from castalia.apps.scan.fit import FitModel, build_likelihood, log_background
from castalia.apps.scan.likelihood import Likelihood, Parameter, ParametricDensity
from castalia.apps.scan.minimise import Fitted, minimise
from castalia.apps.scan.search import search
from castalia.apps.scan.support import Support
from castalia.apps.scan.surrogate import PoolDensity, degrees, fit_pool_density, row_numbers
from castalia.errors import ConfigError, DataError
from castalia.metrics.coverage import expected_overlap
from castalia.rng import Stream

__all__ = ["ExperimentResult", "Laboratory", "Plan", "open_laboratory"]

Array = NDArray[np.float64]

_BOX = 5.0
"""Half width of the surrogate's box in standard errors of one experiment."""
_EDGE = 0.9
"""Share of the half width within which a minimum is the density's own."""
_SURROGATE_ERROR = 0.05
"""Largest error of the surrogate's log-likelihood. It moves the minimum by about a twentieth of a standard error, and
twice the log-likelihood by a tenth, at random: a coverage changes by the square of that, a few tenths of a percent."""
_LOWER = 0.2
"""Fall of twice the negative log-likelihood from which a minimum is another one: twice what the surrogate may err."""
_CHECKS = 8
_ROWS = 1 << 16
_TOLERANCE = 1e-5


@final
@dataclass(frozen=True)
class Plan:
    """How many events an experiment has.

    Attributes:
        signal: Expected number of signal events.
        background: Expected number of background events.
        poisson: Whether both numbers fluctuate. Without it their sum is fixed, and what fluctuates is how many of the
            events are signal.
    """

    signal: float
    background: float = 0.0
    poisson: bool = True

    def draw(self, rng: np.random.Generator) -> tuple[int, int]:
        """Draw the numbers of signal and background events of one experiment."""
        if self.poisson:
            return int(rng.poisson(self.signal)), int(rng.poisson(self.background))
        total = round(self.signal + self.background)
        signal = int(rng.binomial(total, self.signal / (self.signal + self.background)))
        return signal, total - signal


@final
@dataclass(frozen=True)
class ExperimentResult:
    """What one pseudo-experiment says.

    Attributes:
        events: Number of events.
        estimate: Parameters at the minimum, shape ``(parameters,)``.
        error: Their standard errors, same shape; NaN where a parameter ended at a limit of its range.
        rise: 2 (NLL - minimum) at the true value of each parameter, the others at their best, same shape.
        joint: The same with all parameters at the truth.
        converged: Whether the fit did.
        exact: Whether the density itself was fitted, because the surrogate's box was too small.
        searched: Whether the whole range was searched for the lowest minimum, as a fit of observed events does, and not
            only the one nearest the truth found.
        elsewhere: Whether that search found a lower one; the numbers above are then of that.
    """

    events: int
    estimate: Array
    error: Array
    rise: Array
    joint: float
    converged: bool
    exact: bool
    searched: bool = False
    elsewhere: bool = False

    @classmethod
    def failed(cls, events: int, parameters: int) -> Self:
        """Return the result of an experiment that cannot be fitted."""
        nothing = np.full(parameters, np.nan)
        return cls(events, nothing, nothing, nothing, np.nan, converged=False, exact=False)


@final
@dataclass(frozen=True)
class Laboratory:
    """All that pseudo-experiments at one true point have in common; it can be sent to other processes.

    Attributes:
        model: The model whose fit is tested.
        pool: Signal events, then background events, shape ``(pool, observables)``.
        signal: How many of them are signal.
        log_background: Log-density of the background, shape ``(pool,)``; ``None`` without background.
        parameters: Parameters of the fit, as ``Likelihood`` takes them.
        truth: True parameters, shape ``(parameters,)``.
        plan: Numbers of events.
        curvature: Second derivatives expected at the truth, shape ``(parameters, parameters)``.
        surrogate: The density near the truth; ``None`` where it would not be good enough.
        surrogate_error: How far its log-likelihood of one experiment is off, relative to that at the truth: root mean
            square over points uniform in its box, at which nothing was fitted. 0 without one.
    """

    model: FitModel
    pool: Array
    signal: int
    log_background: Array | None
    parameters: tuple[Parameter, ...]
    truth: Array
    plan: Plan
    curvature: Array
    surrogate: PoolDensity | None = None
    surrogate_error: float = 0.0

    @property
    def overlap(self) -> float:
        """Largest expected fraction of events of one kind that two experiments share."""
        shares = [expected_overlap(self.plan.signal, self.signal)]
        if self.plan.background:
            shares.append(expected_overlap(self.plan.background, len(self.pool) - self.signal))
        return max(shares)

    @property
    def searches_all(self) -> bool:
        """Whether every experiment is searched, which is cheap where the surrogate's box is the whole range."""
        near, thetas = self.surrogate, len(self.model.parameters)
        return near is not None and all(
            (low, high) == (p.low, p.high)
            for low, high, p in zip(near.low, near.high, self.parameters[:thetas], strict=True)
        )

    def run(self, rng: np.random.Generator, *, searched: bool = False) -> ExperimentResult:
        """Draw the events of one experiment and fit them, from the truth.

        Constrained parameters have been measured elsewhere: that measurement fluctuates around the truth as well.

        Args:
            rng: Random numbers of this experiment.
            searched: Search the whole range for a lower minimum as well.
        """
        rows = _draw(self.plan, self.signal, len(self.pool), rng)
        parameters = tuple(_measured(p, t, rng) for p, t in zip(self.parameters, self.truth, strict=True))
        if not len(rows):
            return ExperimentResult.failed(0, len(self.truth))
        stream = Stream(int(rng.integers(2**53)), "search of an experiment")
        if self.surrogate is not None:
            likelihood = self.near(rows, parameters, self.surrogate)
            result = self._fit(likelihood, self.truth, exact=False)
            if result.converged and self._inside(result.estimate, self.surrogate):
                if self.searches_all:
                    return self._searched(likelihood, result, stream)
                return self._searched(self.likelihood(rows, parameters), result, stream) if searched else result
        likelihood = self.likelihood(rows, parameters)
        result = self._fit(likelihood, self.truth, exact=True)
        return self._searched(likelihood, result, stream) if searched or self.searches_all else result

    def _searched(self, likelihood: Likelihood, result: ExperimentResult, stream: Stream) -> ExperimentResult:
        """Return the result at the lowest minimum of the range, found as a fit of observed events finds it."""
        thetas = len(self.model.parameters)
        low, high = likelihood.low[:thetas], (likelihood.low + likelihood.range)[:thetas]
        support = Support(self.model.support, low, high)
        minima, _ = search(likelihood, stream, allowed=lambda phi: support.holds(phi[:, :thetas]))
        best = next((minimum for minimum in minima if support.holds(minimum.phi[None, :thetas])[0]), minima[0])
        local = float(likelihood.value(result.estimate[None])[0])
        if np.isfinite(local) and 2.0 * (local - best.value) < _LOWER:
            return replace(result, searched=True)
        exact = likelihood.signal is self.model.signal
        return replace(self._fit(likelihood, best.phi, exact=exact), searched=True, elsewhere=True)

    def likelihood(self, rows: NDArray[np.int64], parameters: tuple[Parameter, ...]) -> Likelihood:
        """Return the likelihood of the pool's events ``rows``."""
        return self._of(self.model.signal, self.pool[rows], rows, parameters)

    def near(self, rows: NDArray[np.int64], parameters: tuple[Parameter, ...], surrogate: PoolDensity) -> Likelihood:
        """Return the likelihood by a surrogate, its theta held to the surrogate's box."""
        boxed = list(parameters)
        for i, (low, high) in enumerate(zip(surrogate.low, surrogate.high, strict=True)):
            boxed[i] = replace(parameters[i], low=float(low), high=float(high))
        return self._of(surrogate, row_numbers(rows), rows, tuple(boxed))

    def _of(
        self, density: ParametricDensity, x: Array, rows: NDArray[np.int64], parameters: tuple[Parameter, ...]
    ) -> Likelihood:
        background = None if self.log_background is None else self.log_background[rows]
        expected = self.model.expected_signal
        return Likelihood(density, x, parameters, log_background=background, expected_signal=expected)

    def _inside(self, estimate: Array, surrogate: PoolDensity) -> bool:
        """Tell whether the minimum is one of the density's, and not made by the edge of the surrogate's box."""
        thetas = len(surrogate.low)
        ends = np.array([(parameter.low, parameter.high) for parameter in self.parameters[:thetas]])
        centre, half = 0.5 * (surrogate.low + surrogate.high), 0.5 * (surrogate.high - surrogate.low)
        place = (estimate[:thetas] - centre) / half
        # A side of the box that is the range's own is no edge of the surrogate.
        below = (surrogate.low > ends[:, 0]) & (place < -_EDGE)
        above = (surrogate.high < ends[:, 1]) & (place > _EDGE)
        return not bool(np.any(below | above))

    def _fit(self, likelihood: Likelihood, start: Array, *, exact: bool) -> ExperimentResult:
        """Find the minimum from a start and, in the same batch, that with each parameter held at its truth."""
        size = len(self.truth)
        curvature = self.curvature * np.outer(likelihood.range, likelihood.range)
        held = [np.repeat(self.truth[None], size, axis=0)]
        if start is not self.truth:  # with one parameter at the truth the others may still do better elsewhere
            held.append(np.where(np.eye(size, dtype=bool), self.truth, start))
        free = np.concatenate([np.ones((1, size), dtype=bool), *(~np.eye(size, dtype=bool) for _ in held)])
        starts = np.concatenate([start[None], *held])
        ended = descend(likelihood, starts, free=free, curvature=curvature, tolerance=_TOLERANCE)
        fitted: Fitted = minimise(likelihood, ended.phi[0], ended.curvature[0], np.full(size, np.nan))
        lowest = min(fitted.value, float(ended.value[0]))
        at_truth = float(likelihood.value(self.truth[None])[0])
        return ExperimentResult(
            events=len(likelihood),
            estimate=fitted.phi,
            error=fitted.errors,
            rise=2.0 * (ended.value[1:].reshape(len(held), size).min(axis=0) - lowest),
            joint=2.0 * (at_truth - lowest),
            converged=not fitted.failure and bool(ended.converged[1:].all()),
            exact=exact,
        )


def open_laboratory(
    model: FitModel, theta: Array, signal: Array, plan: Plan, *, background: Array | None = None, seed: int = 1
) -> Laboratory:
    """Prepare pseudo-experiments at one true point: the expected information, and the surrogate of the density.

    Args:
        model: The model whose fit is tested.
        theta: True values of its parameters, shape ``(parameters,)``.
        signal: Fresh signal events simulated there, shape ``(events, observables)``: unweighted, in no training.
        plan: Numbers of events. The true fraction, strength and background yield follow from it.
        background: Fresh background events, same columns, where the model has a background.
        seed: Seed of the one experiment whose information sizes the surrogate's box.

    Raises:
        DataError: If a pool is too small for the plan, or the truth lies outside the parameters' ranges.
        ConfigError: If model, pools and plan do not go together, or an experiment of this size cannot measure
            the truth.
    """
    if (model.background is None) != (background is None) or (background is None) != (plan.background == 0.0):
        raise ConfigError("give background events to draw from if, and only if, the model has a background.")
    pool = signal if background is None else np.concatenate([signal, background])
    _check_pools(plan, len(signal), len(pool) - len(signal))
    rng = Stream(seed, "laboratory").at()
    rows = _draw(plan, len(signal), len(pool), rng)
    likelihood = build_likelihood(model, pool[rows])
    parameters = likelihood.parameters
    truth = _truth(model, theta, plan)
    _check_truth(truth, parameters)
    curvature = likelihood.information(truth)
    errors = _errors(curvature, parameters)[: len(theta)]
    ends = np.array([(parameter.low, parameter.high) for parameter in parameters[: len(theta)]])
    low, high = np.maximum(theta - _BOX * errors, ends[:, 0]), np.minimum(theta + _BOX * errors, ends[:, 1])
    laboratory = Laboratory(
        model=model,
        pool=pool,
        signal=len(signal),
        log_background=log_background(model, pool),
        parameters=parameters,
        truth=truth,
        plan=plan,
        curvature=curvature,
    )
    for degree in degrees(len(theta)):
        surrogate = fit_pool_density(model.signal, pool, low, high, degree)
        error = _surrogate_error(laboratory, surrogate, rows, rng)
        if error <= _SURROGATE_ERROR:
            return replace(laboratory, surrogate=surrogate, surrogate_error=error)
    return laboratory


def _surrogate_error(
    laboratory: Laboratory, surrogate: PoolDensity, rows: NDArray[np.int64], rng: np.random.Generator
) -> float:
    phi = np.repeat(laboratory.truth[None], _CHECKS + 1, axis=0)
    phi[1:, : len(surrogate.low)] = rng.uniform(surrogate.low, surrogate.high, (_CHECKS, len(surrogate.low)))
    near = laboratory.near(rows, laboratory.parameters, surrogate).value(phi)
    off = near - laboratory.likelihood(rows, laboratory.parameters).value(phi)
    return float(np.sqrt(np.mean(np.square(off[1:] - off[0]))))


def _truth(model: FitModel, theta: Array, plan: Plan) -> Array:
    """Return the true parameters in the order of ``build_likelihood``."""
    others = []
    if model.expected_signal is not None:
        with torch.no_grad():
            expected = float(model.expected_signal(torch.as_tensor(theta, dtype=torch.float64)[None])[0])
        others.append(plan.signal / expected)
        if model.background is not None:
            others.append(plan.background)
    elif model.background is not None:
        others.append(plan.signal / (plan.signal + plan.background))
    return np.concatenate([np.asarray(theta, dtype=np.float64), others])


def _draw(plan: Plan, signal: int, pool: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the rows of one experiment, no event twice."""
    numbers, sizes = plan.draw(rng), (signal, pool - signal)
    drawn = [rng.choice(size, number, replace=False) for number, size in zip(numbers, sizes, strict=True) if number]
    starts = [start for number, start in zip(numbers, (0, signal), strict=True) if number]
    if not drawn:
        return np.empty(0, dtype=np.int64)
    return np.sort(np.concatenate([start + rows for start, rows in zip(starts, drawn, strict=True)]))


def _errors(curvature: Array, parameters: tuple[Parameter, ...]) -> Array:
    scale = np.array([parameter.high - parameter.low for parameter in parameters])
    scaled = curvature * np.outer(scale, scale)
    values = np.linalg.eigvalsh(scaled)
    if not values[0] > 1e-9 * values[-1]:
        raise ConfigError(
            "an experiment of this size cannot measure its parameters: the likelihood is flat in some direction; "
            "plan more events, or fix or constrain a parameter."
        )
    errors: Array = scale * np.sqrt(np.diag(np.linalg.inv(scaled)))
    return errors


def _measured(parameter: Parameter, truth: float, rng: np.random.Generator) -> Parameter:
    if parameter.constraint is None:
        return parameter
    width = parameter.constraint[1]
    return replace(parameter, constraint=(float(rng.normal(truth, width)), width))


def _check_pools(plan: Plan, signal: int, background: int) -> None:
    for name, wanted, pool in (("signal", plan.signal, signal), ("background", plan.background, background)):
        most = wanted + 6.0 * np.sqrt(wanted)
        if most > pool:
            raise DataError(
                f"experiments of {wanted:g} {name} events cannot be drawn from a pool of {pool} without taking one "
                f"twice; give at least {int(np.ceil(most))}, and twenty times as many for a sound coverage."
            )


def _check_truth(truth: Array, parameters: tuple[Parameter, ...]) -> None:
    for value, parameter in zip(truth, parameters, strict=True):
        if not parameter.low < value < parameter.high:
            raise DataError(
                f"the true {parameter.name} of the pool is {value:g}, outside ({parameter.low:g}, {parameter.high:g}); "
                "give pseudo-experiments inside the range of the fit."
            )
