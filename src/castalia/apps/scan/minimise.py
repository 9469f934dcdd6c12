"""The minimum of a likelihood by MIGRAD with the exact gradient, its covariance by HESSE and intervals by MINOS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np
from iminuit import Minuit
from numpy.typing import NDArray

from castalia.apps.scan.likelihood import Likelihood

__all__ = ["Fitted", "minimise"]

Array = NDArray[np.float64]

_TOLERANCE = 0.01  # of MIGRAD: an estimated vertical distance of 1e-5, 0.5 % of a standard deviation
_CALLS = 500
_AT_LIMIT = 1e-6  # of the range
_LOWER = 0.01  # of the log-likelihood: what MINOS finds this much lower is another minimum
_RESTARTS = 2
_NAMED = 0.3  # of a direction's unit vector: smaller parts are not named


@final
@dataclass(frozen=True)
class Fitted:
    """A minimum with its covariance.

    Attributes:
        phi: Parameters at the minimum, shape ``(parameters,)``.
        value: Negative log-likelihood there.
        free: True where a parameter could move: neither fixed nor at a limit of its range, shape ``(parameters,)``.
        at_limit: The limit of its range that a parameter ended at; None where it did not, or was fixed.
        hessian: Second derivatives of the negative log-likelihood, shape ``(parameters, parameters)``.
        covariance: Its inverse, with the sandwich of weighted events; NaN in the rows and columns of parameters that
            are not free, and everywhere without convergence.
        low: How far MINOS went below the minimum, negative, shape ``(parameters,)``; NaN where a range ends before, be
            it another parameter's, or MINOS was not asked for.
        high: How far above, likewise.
        failure: Why there is no result to rely on; empty where there is one.
    """

    phi: Array
    value: float
    free: NDArray[np.bool_]
    at_limit: tuple[Literal["low", "high"] | None, ...]
    hessian: Array
    covariance: Array
    low: Array
    high: Array
    failure: str

    @property
    def errors(self) -> Array:
        """Standard deviations, shape ``(parameters,)``; NaN where there are none."""
        deviations: Array = np.sqrt(np.diag(self.covariance))
        return deviations

    @property
    def inflation(self) -> Array:
        """By how much weights make each variance larger than the curvature says, shape ``(parameters,)``.

        Twice the log-likelihood of weighted events rises to this at one standard deviation. 1 without weights, and
        where there is no covariance.
        """
        ratio = np.ones(len(self.phi))
        known = np.isfinite(np.diag(self.covariance))
        if known.any():
            ratio[known] = np.diag(self.covariance)[known] / np.diag(np.linalg.inv(self.hessian[np.ix_(known, known)]))
        return ratio

    @property
    def movable(self) -> NDArray[np.bool_]:
        """True where a parameter was not fixed, shape ``(parameters,)``; one at a limit may leave it elsewhere."""
        movable: NDArray[np.bool_] = self.free | np.array([limit is not None for limit in self.at_limit])
        return movable


def minimise(
    likelihood: Likelihood,
    start: Array,
    curvature: Array,
    fixed: Array,
    thresholds: Array | None = None,
    restarts: int = _RESTARTS,
) -> Fitted:
    """Run MIGRAD and HESSE from a point near the minimum, and MINOS where thresholds are given.

    A parameter that starts at a limit of its range stays there. Where MINOS comes upon a lower minimum, all begins
    again from that.

    Args:
        likelihood: What to minimise.
        start: Start point, shape ``(parameters,)``, such as one ``search`` found.
        curvature: Approximate second derivatives there, with each parameter in units of its range, for where the exact
            ones are not those of a minimum.
        fixed: Values of parameters that are not to move, NaN for those that are, shape ``(parameters,)``.
        thresholds: Rise of twice the negative log-likelihood at the ends of the interval of each parameter, shape
            ``(parameters,)``; 1 by Wilks' theorem for 68.3 %.
        restarts: How often a lower minimum may turn up.

    Returns:
        The minimum. Without convergence, or with a direction in which the likelihood is flat, it has no covariance, and
        its ``failure`` says why.

    References:
        James and Roos, Minuit: a system for function minimization and analysis of the parameter errors and
        correlations, Computer Physics Communications 10 (1975) 343.
    """
    phi = np.where(np.isnan(fixed), start, fixed)
    at_limit = _limits(likelihood, phi, fixed)
    free = np.isnan(fixed) & np.array([limit is None for limit in at_limit])
    scale = np.outer(likelihood.range, likelihood.range)
    metric = likelihood.hessian(phi, curvature / scale)
    if not _positive(metric[np.ix_(free, free)]):
        metric = curvature / scale
    function = _Function(likelihood, phi, free, metric)
    nothing = np.full(len(phi), np.nan)
    if not free.any():
        function.value(phi[free])
        unknown = np.full_like(curvature, np.nan)
        return Fitted(phi, function.lowest, free, at_limit, metric, unknown, nothing, nothing, "")
    minuit = _minuit(likelihood, function)
    minuit.migrad(ncall=_CALLS, use_simplex=False)
    phi = function.whole(np.array(minuit.values))
    hessian = likelihood.hessian(phi, metric)
    function.metric = hessian
    fitted = Fitted(
        phi=phi,
        value=float(minuit.fval),
        free=free,
        at_limit=_limits(likelihood, phi, fixed),
        hessian=hessian,
        covariance=np.full_like(hessian, np.nan),
        low=nothing,
        high=nothing,
        failure=_failure(likelihood, minuit, hessian, free),
    )
    if not fitted.failure:
        minuit.hesse()
        fitted = replace(fitted, covariance=_covariance(likelihood, phi, np.array(minuit.covariance), free))
        if thresholds is not None:
            low, high = _minos(minuit, free, thresholds * fitted.inflation)
            fitted = replace(fitted, low=low, high=high)
    if function.lowest < minuit.fval - _LOWER and restarts > 0:
        return minimise(likelihood, function.lowest_at, curvature, fixed, thresholds, restarts - 1)
    return fitted


@final
class _Function:
    """The likelihood of the free parameters, as Minuit calls it: value and gradient of one point are computed once."""

    def __init__(self, likelihood: Likelihood, phi: Array, free: NDArray[np.bool_], metric: Array) -> None:
        self.likelihood, self.phi, self.free, self.metric = likelihood, phi.copy(), free, metric
        self.lowest, self.lowest_at = np.inf, phi
        self._last: tuple[bytes, float, Array] | None = None

    def whole(self, point: Array) -> Array:
        phi = self.phi.copy()
        phi[self.free] = point
        return phi

    def value(self, point: Array) -> float:
        return self._at(point)[1]

    def gradient(self, point: Array) -> Array:
        return self._at(point)[2]

    def hessian(self, point: Array) -> Array:
        """Return what is known of the second derivatives: MIGRAD begins with them, and improves on them as it goes."""
        return self.metric[np.ix_(self.free, self.free)]

    def _at(self, point: Array) -> tuple[bytes, float, Array]:
        key = np.asarray(point).tobytes()
        if self._last is None or self._last[0] != key:
            phi = self.whole(point)
            values, gradients = self.likelihood.value_and_gradient(phi[None])
            self._last = key, float(values[0]), gradients[0][self.free]
            if values[0] < self.lowest:
                self.lowest, self.lowest_at = float(values[0]), phi
        return self._last


def _minuit(likelihood: Likelihood, function: _Function) -> Minuit:
    parameters = [p for p, free in zip(likelihood.parameters, function.free, strict=True) if free]
    minuit = Minuit(
        function.value,
        function.phi[function.free],
        grad=function.gradient,
        hessian=function.hessian,
        name=[parameter.name for parameter in parameters],
    )
    minuit.errordef = Minuit.LIKELIHOOD
    minuit.tol = _TOLERANCE
    minuit.limits = [(parameter.low, parameter.high) for parameter in parameters]
    minuit.errors = 1.0 / np.sqrt(np.diag(function.hessian(function.phi)))
    return minuit


def _positive(matrix: Array) -> bool:
    return bool(np.isfinite(matrix).all()) and bool((np.linalg.eigvalsh(matrix) > 0.0).all())


def _limits(likelihood: Likelihood, phi: Array, fixed: Array) -> tuple[Literal["low", "high"] | None, ...]:
    place = np.where(np.isnan(fixed), (phi - likelihood.low) / likelihood.range, 0.5)
    return tuple("low" if u < _AT_LIMIT else "high" if u > 1.0 - _AT_LIMIT else None for u in place)


def _failure(likelihood: Likelihood, minuit: Minuit, hessian: Array, free: NDArray[np.bool_]) -> str:
    """Say in one sentence why there is no minimum with a covariance; nothing where there is."""
    names = [parameter.name for parameter, moves in zip(likelihood.parameters, free, strict=True) if moves]
    scale = likelihood.range[free]
    matrix = hessian[np.ix_(free, free)] * np.outer(scale, scale)
    if not np.isfinite(matrix).all():
        return "the likelihood has no finite second derivatives at its minimum; select the events as in the training."
    curvatures, directions = np.linalg.eigh(matrix)
    # Over the whole range the likelihood would change by less than half a unit: no error can be given within it.
    if curvatures[0] < 1.0:
        parts = [(name, part) for name, part in zip(names, directions[:, 0], strict=True) if abs(part) > _NAMED]
        sign = np.sign(parts[0][1])
        words = " ".join(f"{part * sign:+.2f} {name}" for name, part in parts).removeprefix("+")
        return (
            f"the likelihood is flat along {words} (each in units of its range): the events do not constrain it; "
            f"fix or constrain one of {', '.join(name for name, _ in parts)}, or add events or observables."
        )
    if not minuit.valid:
        return (
            f"MIGRAD did not converge after {minuit.nfcn} calls (the estimated distance to the minimum is "
            f"{minuit.fmin.edm:.2g}); try another seed, or a model trained with more events."
        )
    return ""


def _covariance(likelihood: Likelihood, phi: Array, inverse: Array, free: NDArray[np.bool_]) -> Array:
    """Return the covariance of all parameters; of weighted events, that of the slope between two inverses.

    References:
        Langenbruch, Parameter uncertainties in weighted unbinned maximum likelihood fits, Eur. Phys. J. C 82 (2022)
        393.
    """
    block = np.ix_(free, free)
    covariance = np.full((len(phi), len(phi)), np.nan)
    covariance[block] = inverse
    if likelihood.weighted:
        covariance[block] = inverse @ likelihood.information(phi, power=2)[block] @ inverse
    return covariance


def _minos(minuit: Minuit, free: NDArray[np.bool_], thresholds: Array) -> tuple[Array, Array]:
    low, high = np.full(len(free), np.nan), np.full(len(free), np.nan)
    for place, name in zip(np.flatnonzero(free), minuit.parameters, strict=True):
        # Given as a confidence level, a threshold beyond 70 is 1 in floating point, which Minuit takes for 1 sigma. Its
        # HESSE has to come before, for the first step of MINOS is the error that it finds.
        minuit.errordef = Minuit.LIKELIHOOD * thresholds[place]
        minuit.hesse()
        minuit.minos(name)
        found = minuit.merrors[name]
        low[place] = found.lower if found.lower_valid and not found.at_lower_limit else np.nan
        high[place] = found.upper if found.upper_valid and not found.at_upper_limit else np.nan
    return low, high
