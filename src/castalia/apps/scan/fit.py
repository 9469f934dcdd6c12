"""The fit of parameters to observed events, from the search to intervals, with what casts doubt on it."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from castalia.apps.scan.descent import descend
from castalia.apps.scan.doubts import doubts
from castalia.apps.scan.intervals import end_beyond_limit
from castalia.apps.scan.likelihood import Likelihood, Parameter, ParametricDensity
from castalia.apps.scan.minimise import Fitted, minimise
from castalia.apps.scan.search import Minimum, search
from castalia.apps.scan.support import Support
from castalia.errors import ConfigError, GateError
from castalia.rng import Stream

__all__ = [
    "BackgroundDensity",
    "FitModel",
    "FitResult",
    "FitSettings",
    "FittedParameter",
    "build_likelihood",
    "fit",
    "log_background",
]

Array = NDArray[np.float64]

_ROWS = 1 << 16  # events per pass through the background density


class BackgroundDensity(Protocol):
    """A density that does not depend on the parameters."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x), shape ``(events,)``, of events of shape ``(events, observables)``."""


@final
@dataclass(frozen=True)
class FitModel:
    """What a fit needs of a model: of a trained one, or of an analytic one.

    Attributes:
        parameters: The theta of the signal, each with the range it was trained in.
        signal: Density of the signal.
        support: Training points, shape ``(points, parameters)``.
        background: Density of the background, where there is one.
        expected_signal: Expected signal events after selection, shape ``(points,)``, of points of shape
            ``(points, parameters)``, differentiable; None where the fit is not extended.
        background_yield: Expected background events of an extended fit, and their error where it is constrained.
        members: Signal densities of the members of an ensemble; empty where there is none.
    """

    parameters: tuple[Parameter, ...]
    signal: ParametricDensity
    support: Array
    background: BackgroundDensity | None = None
    expected_signal: Callable[[Tensor], Tensor] | None = None
    background_yield: tuple[float, float | None] | None = None
    members: tuple[ParametricDensity, ...] = ()


@final
@dataclass(frozen=True)
class FitSettings:
    """How to fit.

    Attributes:
        starts: Descents of the search.
        search_events: Most events the search begins with.
        fixed: Values of parameters that are not fitted, by name.
        minos: Whether to run MINOS.
        thresholds: Rise of twice the negative log-likelihood at the ends of a parameter's interval, by name, where
            pseudo-experiments have calibrated it; 1 otherwise.
        members: Whether to fit with each member of an ensemble.
        seed: Seed of the search.
    """

    starts: int = 8
    search_events: int = 1000
    fixed: Mapping[str, float] = field(default_factory=dict)
    minos: bool = True
    thresholds: Mapping[str, float] = field(default_factory=dict)
    members: bool = True
    seed: int = 1


@final
@dataclass(frozen=True)
class FittedParameter:
    """One parameter as fitted.

    Attributes:
        name: Name.
        unit: Unit.
        value: Value at the minimum.
        error: Standard deviation by HESSE; None for a fixed parameter, at a limit, or without convergence.
        minos_low: Distance to the lower end of the interval, negative; None where a range ends inside it, its own or
            that of another parameter.
        minos_high: Distance to the upper end, likewise.
        at_limit: The limit of its range the parameter ended at.
        fixed: Whether it was not fitted.
        model_error: Standard deviation of the value over the members of the ensemble; None without one.
    """

    name: str
    unit: str
    value: float
    error: float | None
    minos_low: float | None
    minos_high: float | None
    at_limit: Literal["low", "high"] | None
    fixed: bool
    model_error: float | None


@final
@dataclass(frozen=True)
class FitResult:
    """A fit.

    Attributes:
        parameters: The parameters, in the order of the likelihood's.
        fitted: The minimum as arrays, for profiles and contours.
        likelihood: What was minimised.
        minima: All minima that were found, the lowest first.
        members: Values with each member of the ensemble, shape ``(members, parameters)``; no rows without one.
        evaluations: Values with gradient of the likelihood of all events, a part of the events counting in proportion.
        seconds: Wall time.
        warnings: What a reader has to know, one sentence each.
        goodness_of_fit: Filled in by the test of the fitted model, which is not part of the fit.
    """

    parameters: tuple[FittedParameter, ...]
    fitted: Fitted
    likelihood: Likelihood
    minima: tuple[Minimum, ...]
    members: Array
    evaluations: float
    seconds: float
    warnings: tuple[str, ...]
    goodness_of_fit: Mapping[str, Any] | None = None

    @property
    def converged(self) -> bool:
        """Whether there is a minimum with errors."""
        return not self.fitted.failure

    def require_converged(self) -> None:
        """Refuse a fit without a result to rely on.

        Raises:
            GateError: If the fit did not converge, or a direction is flat; exit code 5.
        """
        if not self.converged:
            raise GateError(f"the fit of {len(self.likelihood)} events has no result: {self.fitted.failure}")

    def to_json(self) -> dict[str, Any]:
        """Return what ``fit.json`` holds; null where there is no number."""
        names = [parameter.name for parameter in self.parameters]
        keys = ("value", "error", "minos_low", "minos_high", "unit", "at_limit", "fixed", "model_error")
        return {
            "parameters": {p.name: {key: getattr(p, key) for key in keys} for p in self.parameters},
            "covariance": {"names": names, "matrix": [[_number(v) for v in row] for row in self.fitted.covariance]},
            "nll": _number(self.fitted.value),
            "events": len(self.likelihood),
            "evaluations": round(self.evaluations, 1),
            "seconds": round(self.seconds, 3),
            "goodness_of_fit": self.goodness_of_fit,
            "converged": self.converged,
            "failure": self.fitted.failure or None,
            "warnings": list(self.warnings),
            "minima": [{"phi": dict(zip(names, m.phi.tolist(), strict=True)), "nll": m.value} for m in self.minima],
        }


def build_likelihood(model: FitModel, x: Array, weights: Array | None = None) -> Likelihood:
    """Return the likelihood of events under a model, with the parameters that its parts bring.

    A background brings ``signal_fraction``; expected yields bring ``signal_strength``, the signal over its expectation,
    and with a background ``background_yield``, constrained where its error is given.

    Args:
        model: The model.
        x: Observed events, shape ``(events, observables)``.
        weights: Event weights, shape ``(events,)``.

    Raises:
        DataError: If there are no events, or a value or weight cannot be used.
    """
    parameters = list(model.parameters)
    total = float(len(x) if weights is None else np.sum(weights))
    if model.expected_signal is not None:
        with torch.no_grad():
            typical = float(model.expected_signal(torch.as_tensor(model.support)).median())
        parameters.append(Parameter("signal_strength", 0.0, max(2.0, 3.0 * total / typical), kind="signal_strength"))
        if model.background is not None:
            mean, error = model.background_yield or (total, None)
            high = 2.0 * max(total, mean) + 5.0 * (error or 0.0)
            constraint = None if error is None else (mean, error)
            parameters.append(Parameter("background_yield", 0.0, high, "", "background_yield", constraint))
    elif model.background is not None:
        parameters.append(Parameter("signal_fraction", 0.0, 1.0, kind="signal_fraction"))
    return Likelihood(
        model.signal,
        x,
        parameters,
        weights=weights,
        log_background=log_background(model, x),
        expected_signal=model.expected_signal,
    )


def log_background(model: FitModel, x: Array) -> Array | None:
    """Return the log-density of the background of events, shape ``(events,)``; ``None`` without background."""
    if model.background is None:
        return None
    found = np.empty(len(x))
    with torch.no_grad():
        for start in range(0, len(x), _ROWS):
            rows = torch.as_tensor(x[start : start + _ROWS], dtype=torch.float64)
            found[start : start + _ROWS] = model.background.log_prob(rows).numpy()
    return found


def fit(model: FitModel, x: Array, weights: Array | None = None, settings: FitSettings | None = None) -> FitResult:
    """Fit a model's parameters to observed events.

    Args:
        model: The model.
        x: Observed events, shape ``(events, observables)``.
        weights: Event weights, shape ``(events,)``; one each if not given.
        settings: How to fit.

    Returns:
        The fit. It may not have converged: see ``FitResult.require_converged``.

    Raises:
        DataError: If there are no events, a value cannot be used, or no parameter point explains an event.
        ConfigError: If a parameter to be fixed is unknown, or its value outside what was trained on.
    """
    began = time.perf_counter()
    settings = settings or FitSettings()
    likelihood = build_likelihood(model, x, weights)
    fixed = _by_name(likelihood, settings.fixed, np.nan)
    _refuse_outside(likelihood, fixed)
    thetas = len(model.parameters)
    support = Support(model.support, likelihood.low[:thetas], (likelihood.low + likelihood.range)[:thetas])

    def supported(phi: Array) -> NDArray[np.bool_]:
        return support.holds(phi[:, :thetas])

    minima, evaluations = search(
        likelihood,
        Stream(settings.seed, "scan search"),
        starts=settings.starts,
        events=settings.search_events,
        fixed=fixed,
        allowed=supported,
    )
    best = next((minimum for minimum in minima if supported(minimum.phi[None])[0]), minima[0])
    before = likelihood.evaluations
    thresholds = _by_name(likelihood, settings.thresholds, 1.0) if settings.minos else None
    fitted = minimise(likelihood, best.phi, best.curvature, fixed, thresholds)
    ends = _ends(likelihood, fitted, thresholds)
    members, spent = _members(likelihood, fitted, model.members if settings.members else ())
    evaluations += likelihood.evaluations - before + spent
    return FitResult(
        parameters=_parameters(likelihood, fitted, ends, members),
        fitted=fitted,
        likelihood=likelihood,
        minima=minima,
        members=members,
        evaluations=evaluations,
        seconds=time.perf_counter() - began,
        warnings=doubts(likelihood, fitted, minima, support, thresholds),
    )


def _by_name(likelihood: Likelihood, values: Mapping[str, float], otherwise: float) -> Array:
    names = [parameter.name for parameter in likelihood.parameters]
    unknown = [name for name in values if name not in names]
    if unknown:
        raise ConfigError(f"there is no parameter {unknown[0]!r} in this fit; there are {', '.join(names)}.")
    return np.array([values.get(name, otherwise) for name in names], dtype=np.float64)


def _refuse_outside(likelihood: Likelihood, fixed: Array) -> None:
    for parameter, value in zip(likelihood.parameters, fixed, strict=True):
        if not np.isnan(value) and not parameter.low <= value <= parameter.high:
            raise ConfigError(
                f"{parameter.name} cannot be fixed at {value:g} {parameter.unit}".rstrip()
                + f": it was trained from {parameter.low:g} to {parameter.high:g}."
            )


def _ends(likelihood: Likelihood, fitted: Fitted, thresholds: Array | None) -> tuple[Array, Array]:
    """Return the ends of the intervals: those of MINOS, and the inner one of a parameter at a limit."""
    low, high = fitted.low.copy(), fitted.high.copy()
    if thresholds is not None and not fitted.failure:
        for place, limit in enumerate(fitted.at_limit):
            if limit is not None:
                end = end_beyond_limit(likelihood, fitted, place, float(thresholds[place]))
                (high if limit == "low" else low)[place] = end
    return low, high


def _members(likelihood: Likelihood, fitted: Fitted, members: Sequence[ParametricDensity]) -> tuple[Array, float]:
    """Fit again with each member, from the minimum; return the values and the evaluations."""
    found, spent = [np.empty((0, len(fitted.phi)))], 0
    if not fitted.failure:
        curvature = fitted.hessian * np.outer(likelihood.range, likelihood.range)
        for member in members:
            own = likelihood.with_signal(member)
            found.append(descend(own, fitted.phi[None], free=fitted.movable, curvature=curvature).phi)
            spent += own.evaluations
    return np.concatenate(found), spent


def _parameters(
    likelihood: Likelihood, fitted: Fitted, ends: tuple[Array, Array], members: Array
) -> tuple[FittedParameter, ...]:
    spread = members.std(axis=0, ddof=1) if len(members) > 1 else np.full(len(fitted.phi), np.nan)
    return tuple(
        FittedParameter(
            parameter.name,
            parameter.unit,
            float(fitted.phi[i]),
            _number(fitted.errors[i]),
            _number(ends[0][i]),
            _number(ends[1][i]),
            fitted.at_limit[i],
            not fitted.movable[i],
            _number(spread[i]),
        )
        for i, parameter in enumerate(likelihood.parameters)
    )


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
