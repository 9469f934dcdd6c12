"""Profiles of the likelihood and two-dimensional contours, every point of them profiled in one batch.

The log-likelihood of weighted events rises faster, or slower, than its errors say. What is returned follows the errors:
a profile is divided by the inflation of its parameter's variance, and a contour is where the rise is that of the
sandwich covariance, which of a parabola is the ellipse of that covariance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.scan.descent import descend
from castalia.apps.scan.likelihood import Likelihood
from castalia.apps.scan.minimise import Fitted
from castalia.errors import ConfigError

__all__ = ["Contour", "Profile", "contours", "end_beyond_limit", "profile"]

Array = NDArray[np.float64]
Places = NDArray[np.int64]

_STEPS = 12
_CLOSE = 0.004  # of a threshold: 0.2 % of the distance to it
_TOLERANCE = 1e-4


@final
@dataclass(frozen=True)
class Profile:
    """The likelihood against one parameter, minimised over all others.

    Attributes:
        name: The parameter.
        values: Its values, shape ``(points,)``.
        rise: Twice the negative log-likelihood above the minimum, shape ``(points,)``; of weighted events over the
            inflation of the variance, so that it is 1 at one standard deviation all the same.
        phi: All parameters at each point, shape ``(points, parameters)``.
    """

    name: str
    values: Array
    rise: Array
    phi: Array


@final
@dataclass(frozen=True)
class Contour:
    """Where the profile likelihood of two parameters has risen by one threshold.

    Attributes:
        names: The two parameters.
        threshold: Rise of twice the negative log-likelihood, for events without weights.
        points: Points of the contour in order around the minimum, the first repeated at the end, shape ``(points, 2)``;
            NaN where the threshold was not found on a ray.
        cut: True where the range of a parameter ends inside the contour, shape ``(points,)``.
    """

    names: tuple[str, str]
    threshold: float
    points: Array
    cut: NDArray[np.bool_]


def profile(likelihood: Likelihood, fitted: Fitted, name: str, values: Array) -> Profile:
    """Profile the likelihood at given values of one parameter.

    Args:
        likelihood: The likelihood that was fitted.
        fitted: Its minimum.
        name: The parameter.
        values: Values within its limits, shape ``(points,)``.

    Raises:
        ConfigError: If the parameter is unknown, or a value lies outside its limits.
    """
    place = _place(likelihood, name)
    limits = likelihood.parameters[place]
    if not ((values >= limits.low) & (values <= limits.high)).all():
        raise ConfigError(f"a profile of {name!r} has to stay within its limits, {limits.low:g} to {limits.high:g}.")
    direction = np.zeros((1, len(fitted.phi)))
    direction[0, place] = 1.0
    slope, _ = _response(likelihood, fitted, np.array([place]), direction)
    start = fitted.phi + (values - fitted.phi[place])[:, None] * slope
    value, phi = _profiled(likelihood, fitted, np.array([place]), start)
    return Profile(name, values, 2.0 * (value - fitted.value) / fitted.inflation[place], phi)


def contours(
    likelihood: Likelihood, fitted: Fitted, names: tuple[str, str], thresholds: Array, rays: int = 24
) -> tuple[Contour, ...]:
    """Find the contours of two parameters, on rays from the minimum.

    A contour is found whole if each ray meets it once, as it does where the likelihood has one minimum; other minima
    have contours of their own.

    Args:
        likelihood: The likelihood that was fitted.
        fitted: Its minimum; where events are weighted, with a covariance of the two.
        names: The two parameters.
        thresholds: Rises of twice the negative log-likelihood, shape ``(contours,)``; by Wilks' theorem 2.30 for 68.3 %
            and 5.99 for 95 %.
        rays: Points per contour.

    Raises:
        ConfigError: If a parameter is unknown.
    """
    places = np.array([_place(likelihood, name) for name in names])
    _, metric = _response(likelihood, fitted, places, np.eye(len(fitted.phi))[places])
    angles = np.linspace(0.0, 2.0 * np.pi, rays, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    directions = np.zeros((rays, len(fitted.phi)))
    # Evenly spaced on the ellipse of the curvature M: the direction M^-1/2 c has the rise r^2 at the distance r.
    values, vectors = np.linalg.eigh(metric)
    directions[:, places] = circle @ (vectors / np.sqrt(np.maximum(values, 1e-6 * np.abs(values).max()))).T
    repeated = np.tile(directions, (len(thresholds), 1))
    levels = np.outer(thresholds, _inflation(likelihood, fitted, places, metric, directions)).ravel()
    phi, cut = _crossings(likelihood, fitted, places, repeated, levels)
    found = []
    for k, threshold in enumerate(thresholds):
        rows = np.r_[k * rays : (k + 1) * rays, k * rays]
        found.append(Contour(names, float(threshold), phi[rows][:, places], cut[rows]))
    return tuple(found)


def end_beyond_limit(likelihood: Likelihood, fitted: Fitted, place: int, threshold: float) -> float:
    """Return how far the interval of a parameter that ended at a limit reaches inwards; NaN if over its whole range.

    Args:
        likelihood: The likelihood that was fitted.
        fitted: Its minimum.
        place: The parameter's place.
        threshold: Rise of twice the negative log-likelihood at the end of the interval.

    Returns:
        A signed distance from the minimum.
    """
    direction = np.zeros((1, len(fitted.phi)))
    direction[0, place] = likelihood.range[place] if fitted.at_limit[place] == "low" else -likelihood.range[place]
    if likelihood.weighted:
        # There is no covariance at a limit: the variance of the slope over what it would be without weights.
        slope, _ = _response(likelihood, fitted, np.array([place]), direction)
        variance, information = (slope[0] @ likelihood.information(fitted.phi, k) @ slope[0] for k in (2, 1))
        threshold = threshold * float(variance / information)
    phi, cut = _crossings(likelihood, fitted, np.array([place]), direction, np.array([threshold]))
    return float("nan") if cut[0] else float(phi[0, place] - fitted.phi[place])


def _place(likelihood: Likelihood, name: str) -> int:
    names = [parameter.name for parameter in likelihood.parameters]
    if name not in names:
        raise ConfigError(f"there is no parameter {name!r} in this fit; there are {', '.join(names)}.")
    return names.index(name)


def _response(likelihood: Likelihood, fitted: Fitted, places: Places, directions: Array) -> tuple[Array, Array]:
    """Return how all parameters follow a change along the directions, and the curvature that is left in the places.

    To second order: the others move by ``-H_oo^-1 H_op``, and what is left is ``H_pp - H_po H_oo^-1 H_op``.
    """
    others = np.setdiff1d(np.flatnonzero(fitted.free), places)
    hessian = fitted.hessian
    following = -np.linalg.solve(hessian[np.ix_(others, others)], hessian[np.ix_(others, places)])
    whole = directions.copy()
    whole[:, others] += directions[:, places] @ following.T
    metric: Array = hessian[np.ix_(places, places)] + hessian[np.ix_(places, others)] @ following
    return whole, metric


def _inflation(likelihood: Likelihood, fitted: Fitted, places: Places, metric: Array, directions: Array) -> Array:
    """Return by how much weights make the square of the distance along each direction larger, shape ``(rays,)``."""
    if not likelihood.weighted:
        return np.ones(len(directions))
    along = directions[:, places]
    sandwich = np.linalg.inv(fitted.covariance[np.ix_(places, places)])
    ratio: Array = np.einsum("ki,ij,kj->k", along, metric, along) / np.einsum("ki,ij,kj->k", along, sandwich, along)
    return ratio


def _profiled(likelihood: Likelihood, fitted: Fitted, places: Places, start: Array) -> tuple[Array, Array]:
    """Minimise over all parameters but those in the places, from each start; return values and points."""
    free = fitted.movable.copy()
    free[places] = False
    curvature = fitted.hessian * np.outer(likelihood.range, likelihood.range)
    end = descend(likelihood, start, free=free, curvature=curvature, tolerance=_TOLERANCE)
    return end.value, end.phi


def _crossings(
    likelihood: Likelihood, fitted: Fitted, places: Places, directions: Array, thresholds: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """Return where each ray from the minimum reaches its threshold, and True where its range ends before.

    A ray on which the threshold was not found is NaN.

    The square root of the rise is nearly linear in the distance, so that a secant in it takes two or three steps, kept
    between what is known to lie inside and outside.
    """
    slope, metric = _response(likelihood, fitted, places, directions)
    curvature = np.einsum("ki,ij,kj->k", directions[:, places], metric, directions[:, places])
    end = _room(likelihood, fitted, directions)
    goal = np.sqrt(thresholds)
    r = np.minimum(goal / np.sqrt(np.maximum(curvature, 1e-300)), end)
    inside, root_inside = np.zeros(len(r)), np.zeros(len(r))
    outside, root_outside = np.full(len(r), np.inf), np.full(len(r), np.inf)
    phi = fitted.phi + r[:, None] * slope
    cut = np.zeros(len(r), dtype=bool)
    active = np.arange(len(r))
    for _ in range(_STEPS):
        value, phi[active] = _profiled(likelihood, fitted, places, phi[active])
        rise = 2.0 * (value - fitted.value)
        root = np.sqrt(np.clip(rise, 0.0, None))
        below = rise < thresholds[active]
        inner, outer = active[below], active[~below]
        inside[inner], root_inside[inner] = r[inner], root[below]
        outside[outer], root_outside[outer] = r[outer], root[~below]
        cut[active] = below & (r[active] >= end[active])
        active = active[~(cut[active] | (np.abs(rise - thresholds[active]) < _CLOSE * thresholds[active]))]
        if not len(active):
            break
        a = active
        with np.errstate(invalid="ignore", divide="ignore"):
            between = inside[a] + (outside[a] - inside[a]) * np.clip(
                (goal[a] - root_inside[a]) / (root_outside[a] - root_inside[a]), 0.05, 0.95
            )
            further = inside[a] * np.clip(goal[a] / root_inside[a], 1.02, 2.0)
        longer = np.minimum(np.where(np.isfinite(outside[a]), between, further), end[a])
        phi[a] = fitted.phi + (phi[a] - fitted.phi) * (longer / r[a])[:, None]
        r[a] = longer
    phi[active] = np.nan
    return phi, cut


def _room(likelihood: Likelihood, fitted: Fitted, directions: Array) -> Array:
    """Return how far each ray runs within the limits."""
    with np.errstate(divide="ignore", invalid="ignore"):
        up = (likelihood.low + likelihood.range - fitted.phi) / directions
        down = (likelihood.low - fitted.phi) / directions
    room: Array = np.where(directions > 0, up, np.where(directions < 0, down, np.inf)).min(axis=1)
    return room
