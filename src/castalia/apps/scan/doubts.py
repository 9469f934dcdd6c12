"""What casts doubt on a fit, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from castalia.apps.scan.likelihood import Likelihood
from castalia.apps.scan.minimise import Fitted
from castalia.apps.scan.search import Minimum
from castalia.apps.scan.support import Support

__all__ = ["doubts"]

Array = NDArray[np.float64]

_NO_PARABOLA = 0.2  # relative difference of MINOS and HESSE that is told
_AMBIGUOUS = 4.0  # of twice the log-likelihood: a second minimum this close is within two standard deviations


def doubts(
    likelihood: Likelihood, fitted: Fitted, minima: Sequence[Minimum], support: Support, thresholds: Array | None
) -> tuple[str, ...]:
    """Return what a reader of a fit has to know, one sentence each.

    Args:
        likelihood: What was fitted.
        fitted: The minimum.
        minima: All minima that were found, the lowest first.
        support: Where the signal was trained.
        thresholds: Rise at the ends of the intervals, shape ``(parameters,)``; ``None`` without MINOS.
    """
    found = []
    if support.few:
        found.append(
            f"the signal was trained at {support.points} points of its parameters: between so few nothing says whether "
            "it is right; simulate at more of them, or per event."
        )
    for parameter, limit in zip(likelihood.parameters, fitted.at_limit, strict=True):
        if limit is not None:
            edge = parameter.low if limit == "low" else parameter.high
            cure = "simulate beyond it" if parameter.kind == "theta" else "quote an upper or lower limit"
            found.append(f"{parameter.name} ended at the limit of its range, {edge:g}; {cure}.")
    if not support.holds(fitted.phi[None, : support.parameters])[0]:
        found.append("the minimum lies where training points are sparse: simulate more points around it.")
    elif not support.holds(minima[0].phi[None, : support.parameters])[0]:
        found.append("a lower minimum was left out, as it lies where training points are sparse: simulate there.")
    others = [m for m in minima if 0.1 < 2.0 * (m.value - fitted.value) < _AMBIGUOUS]
    if others:
        place = ", ".join(f"{p.name} = {v:.4g}" for p, v in zip(likelihood.parameters, others[0].phi, strict=True))
        found.append(
            f"a second minimum at {place} is higher by only {2.0 * (others[0].value - fitted.value):.2g} in twice the "
            "log-likelihood: the errors describe the first alone."
        )
    return (*found, *_of_intervals(likelihood, fitted, thresholds))


def _of_intervals(likelihood: Likelihood, fitted: Fitted, thresholds: Array | None) -> tuple[str, ...]:
    """Say which intervals were cut by a range, and which are not what the covariance says."""
    if thresholds is None or fitted.failure:
        return ()
    found = []
    for i in np.flatnonzero(fitted.free):
        name, ends = likelihood.parameters[i].name, {"low": fitted.low[i], "high": fitted.high[i]}
        missing = [side for side, end in ends.items() if np.isnan(end)]
        # Half of the whole interval: a skew one differs from the error on either side.
        ratio = 0.5 * (fitted.high[i] - fitted.low[i]) / (fitted.errors[i] * np.sqrt(thresholds[i]))
        if missing:
            found.append(
                f"the interval of {name} has no {' and no '.join(missing)} end: a range, its own or that of another "
                "parameter, ends inside it, or MINOS found none."
            )
        elif abs(ratio - 1.0) > _NO_PARABOLA:
            found.append(
                f"the interval of {name} by MINOS is {ratio:.2g} times as wide as its error by HESSE: the likelihood "
                "is no parabola there; quote the interval."
            )
    return tuple(found)
