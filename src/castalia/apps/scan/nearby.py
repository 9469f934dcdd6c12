"""The likelihood near a minimum, made cheap: what profiles and contours are drawn with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.scan.fit import FitResult
from castalia.apps.scan.likelihood import Likelihood
from castalia.apps.scan.minimise import Fitted
from castalia.apps.scan.surrogate import fit_pool_density, row_numbers
from castalia.errors import DataError
from castalia.rng import Stream

__all__ = ["Nearby", "nearby"]

_REACH = 5.0  # standard errors from the minimum to the limits of the box
_CHECKED = 3.0  # standard errors within which points are compared
_CHECKS = 12
_ALLOWED = 0.05  # of twice the log-likelihood, root mean square: one per cent of the size of a 68 % contour


@final
@dataclass(frozen=True)
class Nearby:
    """A likelihood that profiles and contours can be computed with.

    Attributes:
        likelihood: The fit's own, or one whose signal density is a polynomial in the parameters, event by event.
        fitted: The minimum, with the value of ``likelihood`` there.
        exact: Whether it is the fit's own.
    """

    likelihood: Likelihood
    fitted: Fitted
    exact: bool


def nearby(fit: FitResult) -> Nearby:
    """Return a cheap likelihood within five standard errors of the minimum, or the fit's own where none is good enough.

    Its theta are limited to that box; a contour that is cut by it belongs to the fit's own likelihood.

    Args:
        fit: A converged fit.
    """
    own = Nearby(fit.likelihood, fit.fitted, exact=True)
    thetas = [i for i, parameter in enumerate(fit.likelihood.parameters) if parameter.kind == "theta"]
    errors = fit.fitted.errors
    if not np.isfinite(errors[thetas]).all():  # one is fixed or at a limit
        return own
    boxed = list(fit.likelihood.parameters)
    for i in thetas:
        low, high = fit.fitted.phi[i] - _REACH * errors[i], fit.fitted.phi[i] + _REACH * errors[i]
        boxed[i] = replace(boxed[i], low=max(low, boxed[i].low), high=min(high, boxed[i].high))
    low, high = (np.array([getattr(boxed[i], end) for i in thetas]) for end in ("low", "high"))
    x = fit.likelihood.x.numpy()
    try:
        density = fit_pool_density(fit.likelihood.signal, x, low, high)
    except DataError:
        return own  # an event is impossible somewhere in the box, which a polynomial cannot say
    background = fit.likelihood.log_background
    cheap = Likelihood(
        density,
        row_numbers(np.arange(len(x))),
        boxed,
        weights=fit.likelihood.weights.numpy(),
        log_background=None if background is None else background.numpy(),
        expected_signal=fit.likelihood.expected_signal,
    )
    points = _around(fit, cheap)
    off = 2.0 * (cheap.value(points) - fit.likelihood.value(points))
    if not np.sqrt(np.mean(np.square(off[1:] - off[0]))) <= _ALLOWED:
        return own
    return Nearby(cheap, replace(fit.fitted, value=fit.fitted.value + 0.5 * float(off[0])), exact=False)


def _around(fit: FitResult, cheap: Likelihood) -> NDArray[np.float64]:
    """Return the minimum and points that are normal around it, with its covariance, as far as contours reach."""
    free, phi = fit.fitted.free, np.repeat(fit.fitted.phi[None], _CHECKS + 1, axis=0)
    drawn = Stream(0, "checks near a minimum").at().standard_normal((_CHECKS, int(free.sum())))
    directions = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    root = np.linalg.cholesky(fit.fitted.covariance[np.ix_(free, free)])
    phi[1:, free] += _CHECKED * directions @ root.T
    limited: NDArray[np.float64] = np.clip(phi, cheap.low, cheap.low + cheap.range)
    return limited
