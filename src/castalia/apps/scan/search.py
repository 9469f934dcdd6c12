"""The search for the lowest minimum of a likelihood: many starts in one batch, first on a part of the events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from castalia.apps.scan.descent import Descent, descend
from castalia.apps.scan.likelihood import Likelihood
from castalia.errors import DataError
from castalia.rng import Stream

__all__ = ["Minimum", "search"]

Array = NDArray[np.float64]

_CANDIDATES = (8, 32)  # points looked at per start, and where that did not settle it
_FEWEST, _PART = 200, 5  # events in the part: a fifth of all, but not fewer than this
_KEPT = 4  # minima of the part of the events that are followed with all events
_EXCLUDED = 4.0  # standard deviations
_SAME = 1.0  # of twice the log-likelihood: minima closer than one standard deviation are the same
_NEAR = 0.05  # of the range: descents that end this close have found the same minimum
_AGREEING = 3  # descents that end in the lowest minimum; two meet by chance at a fluctuation of the background
_ROUGH, _FINE = 1e-2, 1e-4  # tolerances of the descents


@dataclass(frozen=True)
class Minimum:
    """A local minimum.

    Attributes:
        phi: Parameters, shape ``(parameters,)``.
        value: Negative log-likelihood.
        curvature: Approximate second derivatives with each parameter in units of its range.
        converged: Whether the descent to it ended within its tolerance.
    """

    phi: Array
    value: float
    curvature: Array
    converged: bool


def search(
    likelihood: Likelihood,
    stream: Stream,
    *,
    starts: int = 8,
    events: int = 1000,
    fixed: Array | None = None,
    allowed: Callable[[Array], NDArray[np.bool_]] | None = None,
) -> tuple[tuple[Minimum, ...], float]:
    """Find the local minima, the lowest first.

    Scattered points are valued on a part of the events, with the best yields at each, and the best of them descend on
    it, all at once. Where no three of them end in the lowest minimum, the same is done once more with many more points:
    a narrow signal falls between a few. The distinct minima that are left descend again on all events.

    Args:
        likelihood: What to minimise.
        stream: Random numbers of the start points and of the part of the events.
        starts: Number of descents that begin at once.
        events: Most events in the part, which is a fifth of all, or 200 where that is more.
        fixed: Values of parameters that are not to move, NaN for those that are, shape ``(parameters,)``.
        allowed: Says of points, shape ``(points, parameters)``, which may be started from.

    Returns:
        The minima, and the number of values with gradient it took, in units of all events.

    Raises:
        DataError: If an event is impossible at every point.
    """
    fixed = np.full(len(likelihood.range), np.nan) if fixed is None else fixed
    free = np.isnan(fixed)
    part = likelihood
    size = min(events, max(_FEWEST, len(likelihood) // _PART))
    if size < len(likelihood):
        part = likelihood.take(np.sort(stream.at(1).permutation(len(likelihood))[:size]))
    before = likelihood.evaluations
    rough, valued = _explored(part, stream, starts, fixed, allowed, _FINE if part is likelihood else _ROUGH)
    share = len(part) / len(likelihood)
    minima = _distinct(rough, likelihood)[:_KEPT]
    if part is not likelihood:
        minima = _plausible(minima, part, share)
        scale = np.outer(likelihood.range, likelihood.range)
        found = np.stack([minimum.phi for minimum in minima])
        # The exact second derivatives of the part are cheap, and save steps with all events.
        curvature = np.stack([_sound(part.hessian(m.phi) * scale, m.curvature) for m in minima])
        minima = _distinct(descend(likelihood, found, free=free, curvature=curvature, tolerance=_FINE), likelihood)
    # A value alone costs about a third of a value with its gradient.
    spent = share * (valued / 3.0 + (part.evaluations if part is not likelihood else 0))
    return tuple(minima), spent + likelihood.evaluations - before


def _explored(
    part: Likelihood,
    stream: Stream,
    starts: int,
    fixed: Array,
    allowed: Callable[[Array], NDArray[np.bool_]] | None,
    tolerance: float,
) -> tuple[Descent, int]:
    """Descend from the best of scattered points, again from more where the ends disagree; count the points valued."""
    free, valued = np.isnan(fixed), 0
    ends: list[Descent] = []
    for candidates in _CANDIDATES:
        points = _scattered(part, stream, candidates * starts, fixed, allowed)[valued:]
        points, value = part.with_best_yields(points, free)
        valued += len(points)
        best = points[np.argsort(value, kind="stable")[:starts]]
        if not np.isfinite(value).any():
            raise DataError(_impossible(part, points))
        ends.append(descend(part, best, free=free, tolerance=tolerance))
        found = _joined(ends)
        if _agreed(found, part):
            break
    return found, valued


def _joined(ends: list[Descent]) -> Descent:
    return Descent(*(np.concatenate([getattr(end, field.name) for end in ends]) for field in fields(Descent)))


def _agreed(found: Descent, part: Likelihood) -> bool:
    """Tell whether three descents ended in the lowest minimum.

    Without signal its theta tell nothing: ends far apart, however equal their values, are no agreement.
    """
    lowest = int(np.argmin(found.value))
    apart = (found.phi - found.phi[lowest]) / part.range
    same = np.einsum("ki,ij,kj->k", apart, found.curvature[lowest], apart) <= _SAME
    return int((same & (np.abs(apart).max(axis=1) < _NEAR)).sum()) >= _AGREEING


def _scattered(
    likelihood: Likelihood,
    stream: Stream,
    count: int,
    fixed: Array,
    allowed: Callable[[Array], NDArray[np.bool_]] | None,
) -> Array:
    """Return points of a shifted Sobol sequence over the ranges, those that are allowed if there are any."""
    # A random shift modulo one instead of scipy's scrambling, which takes no generator of counters.
    regular = qmc.Sobol(len(fixed), scramble=False).random_base2(int(np.ceil(np.log2(4 * count))))
    points = likelihood.low + likelihood.range * ((regular + stream.at(0).random(len(fixed))) % 1.0)
    points = np.where(np.isnan(fixed), points, fixed)
    good = np.ones(len(points), dtype=bool) if allowed is None else allowed(points)
    return points[good][:count] if good.any() else points[:count]


def _distinct(descent: Descent, likelihood: Likelihood) -> list[Minimum]:
    """Return the end points from low to high, without those that lie within one standard deviation of a lower one."""
    kept: list[Minimum] = []
    for k in np.argsort(descent.value, kind="stable"):
        apart = [(descent.phi[k] - lower.phi) / likelihood.range for lower in kept]
        if np.isfinite(descent.value[k]) and all(
            d @ lower.curvature @ d > _SAME for d, lower in zip(apart, kept, strict=True)
        ):
            kept.append(
                Minimum(descent.phi[k], float(descent.value[k]), descent.curvature[k], bool(descent.converged[k]))
            )
    return kept


def _sound(exact: Array, approximate: Array) -> Array:
    """Return the exact second derivatives where they are those of a minimum."""
    return exact if np.linalg.eigvalsh(exact)[0] > 0.0 else approximate


def _plausible(minima: list[Minimum], part: Likelihood, share: float) -> list[Minimum]:
    """Return the minima that the lowest one does not exclude: all the events may order them otherwise.

    The difference of two minima, scaled to all events, fluctuates as the sum of the events' differences does.
    """
    terms = part.event_terms(np.stack([minimum.phi for minimum in minima])) * part.weights.numpy()
    fluctuation = (terms - terms[0]).std(axis=1) * np.sqrt(len(part) * (1.0 - share))
    return [
        minimum
        for minimum, width in zip(minima, fluctuation, strict=True)
        if minimum.value - minima[0].value <= _EXCLUDED * width
    ]


def _impossible(likelihood: Likelihood, points: Array) -> str:
    worst = likelihood.event_terms(points).max(axis=0)
    rows = np.flatnonzero(~np.isfinite(worst))
    return (
        f"{len(rows)} of {len(likelihood)} events looked at have no probability at any parameter point "
        f"(such as {likelihood.x[rows[:1]].tolist()}); select the events as those of the training."
    )
