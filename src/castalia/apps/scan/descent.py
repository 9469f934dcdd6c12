"""Descents of a function with its gradient from many points at once: a projected, damped BFGS method in a box."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Boxed", "Descent", "descend"]

Array = NDArray[np.float64]

_FIRST_STEP = 0.1  # of the range, where nothing is known of the curvature
_LONGEST_STEP = 0.25  # of the range of any one parameter
_SUFFICIENT = 1e-4  # Armijo's constant
_HALVINGS = 12
_DAMPING = 0.2
_ROUNDING = 1e-13  # of a function's value: what lies below is noise


class Boxed(Protocol):
    """What can be descended: a function within limits, such as a likelihood."""

    low: Array
    range: Array

    @abstractmethod
    def value_and_gradient(self, phi: Array) -> tuple[Array, Array]:
        """Return values, shape ``(points,)``, and gradients, shape ``(points, parameters)``."""


@dataclass(frozen=True)
class Descent:
    """Where the descents ended.

    Attributes:
        phi: End points, shape ``(starts, parameters)``.
        value: Values there, shape ``(starts,)``; infinite where a start was already impossible.
        curvature: Approximate second derivatives with each parameter in units of its range, shape
            ``(starts, parameters, parameters)``.
        converged: True where the estimated distance to the minimum fell below the tolerance, shape ``(starts,)``.
    """

    phi: Array
    value: Array
    curvature: Array
    converged: NDArray[np.bool_]


def descend(
    function: Boxed,
    starts: Array,
    *,
    free: NDArray[np.bool_] | None = None,
    curvature: Array | None = None,
    tolerance: float = 1e-4,
    iterations: int = 100,
) -> Descent:
    """Follow the gradient down from every start, all of them in one batch per step.

    A parameter at a limit of its range stays there while the function falls beyond it. Descents that have ended cost
    nothing.

    Args:
        function: What to minimise.
        starts: Start points, shape ``(starts, parameters)``; those outside the limits start at the limit.
        free: Parameters that may move, shape ``(parameters,)`` or, to differ between starts, ``(starts, parameters)``.
        curvature: Second derivatives to begin with, in units of the ranges, shape ``(parameters, parameters)`` or one
            per start; sound ones save most of the steps.
        tolerance: Largest estimated vertical distance to the minimum.
        iterations: Most steps.

    References:
        Nocedal and Wright, Numerical Optimization, 2nd edition, procedure 18.2 (damped BFGS) and section 16.7
        (gradient projection).
    """
    count, size = starts.shape
    u = np.clip((starts - function.low) / function.range, 0.0, 1.0)
    movable = np.broadcast_to(np.ones(size, dtype=bool) if free is None else free, u.shape)
    value, gradient = _evaluate(function, u)
    b = _first_curvature(gradient * movable) if curvature is None else curvature
    b = np.array(np.broadcast_to(b, (count, size, size)))
    known = np.full(count, curvature is not None)
    converged = np.zeros(count, dtype=bool)
    active = np.isfinite(value)
    for _ in range(iterations):
        at = np.flatnonzero(active)
        if not len(at):
            break
        step = _newton_step(u[at], gradient[at], b[at], movable[at])
        distance = -0.5 * (step * gradient[at]).sum(axis=1)
        done = (distance < tolerance) & known[at] | ~np.any(step, axis=1)
        converged[at[done]] = True
        active[at[done]] = False
        at, step = at[~done], step[~done]
        if not len(at):
            break
        moved, new_value, new_gradient, stuck = _line_search(function, u[at], value[at], gradient[at], step)
        b[at] = _updated(b[at], moved - u[at], new_gradient - gradient[at], ~known[at])
        # A search that finds nothing lower within rounding is at the bottom, if that is where it seemed to be.
        converged[at[stuck]] = distance[~done][stuck] < 100.0 * tolerance
        active[at[stuck]] = False
        known[at] = True
        u[at], value[at], gradient[at] = moved, new_value, new_gradient
    return Descent(function.low + u * function.range, value, b, converged)


def _evaluate(function: Boxed, u: Array) -> tuple[Array, Array]:
    value, gradient = function.value_and_gradient(function.low + u * function.range)
    usable = np.isfinite(value) & np.isfinite(gradient).all(axis=1)
    return np.where(usable, value, np.inf), np.where(usable[:, None], gradient * function.range, 0.0)


def _first_curvature(gradient: Array) -> Array:
    """Return a multiple of the unit matrix that makes the first step a tenth of the range long."""
    size = np.sqrt((gradient**2).sum(axis=1))
    curvature: Array = np.maximum(size, 1e-300)[:, None, None] / _FIRST_STEP * np.eye(gradient.shape[1])
    return curvature


def _newton_step(u: Array, gradient: Array, b: Array, movable: NDArray[np.bool_]) -> Array:
    """Return the quasi-Newton step within the parameters that can move, no longer than a quarter of the range."""
    outward = ((u <= 0.0) & (gradient > 0.0)) | ((u >= 1.0) & (gradient < 0.0))
    moving = movable & ~outward
    slope = gradient * moving
    reduced = np.where(moving[:, :, None] & moving[:, None, :], b, np.eye(u.shape[1]))
    step = -np.linalg.solve(reduced, slope[:, :, None])[:, :, 0] * moving
    uphill = (step * slope).sum(axis=1) >= 0.0
    if uphill.any():
        step[uphill] = -slope[uphill] / _first_curvature(slope[uphill])[:, :1, 0]
    longest = np.abs(step).max(axis=1, keepdims=True)
    shortened: Array = step * np.minimum(1.0, _LONGEST_STEP / np.maximum(longest, 1e-300))
    return shortened


def _line_search(
    function: Boxed, u: Array, value: Array, gradient: Array, step: Array
) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
    """Shorten each step, projected into the box, until the value falls enough; say which steps never did."""
    length = np.ones(len(u))
    moved, new_value, new_gradient = u.copy(), value.copy(), gradient.copy()
    left = np.arange(len(u))
    for _ in range(_HALVINGS):
        trial = np.clip(u[left] + length[left, None] * step[left], 0.0, 1.0)
        found, slope_there = _evaluate(function, trial)
        fall = (gradient[left] * (trial - u[left])).sum(axis=1)
        enough = found <= value[left] + _SUFFICIENT * fall + _ROUNDING * np.abs(value[left])
        good = left[enough]
        moved[good], new_value[good], new_gradient[good] = trial[enough], found[enough], slope_there[enough]
        # The minimum of the parabola through value, slope and the value found.
        with np.errstate(invalid="ignore", divide="ignore"):
            parabola = -0.5 * fall / (found - value[left] - fall)
        length[left] *= np.where(np.isfinite(parabola), np.clip(parabola, 0.1, 0.5), 0.1)
        left = left[~enough]
        if not len(left):
            break
    stuck = np.zeros(len(u), dtype=bool)
    stuck[left] = True
    return moved, new_value, new_gradient, stuck


def _updated(b: Array, s: Array, y: Array, first: NDArray[np.bool_]) -> Array:
    """Return the curvature after a step ``s`` that changed the gradient by ``y``, kept positive by Powell's damping."""
    sy = (s * y).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.where(first & (sy > 0.0), (y * y).sum(axis=1) / sy, np.nan)
    b = np.where(np.isfinite(scale)[:, None, None], scale[:, None, None] * np.eye(s.shape[1]), b)
    bs = np.einsum("kij,kj->ki", b, s)
    sbs = (s * bs).sum(axis=1)
    moved = sbs > 0.0
    damped = moved & (sy < _DAMPING * sbs)
    mix = np.where(damped, (1.0 - _DAMPING) * sbs / np.where(damped, sbs - sy, 1.0), 1.0)[:, None]
    r = mix * y + (1.0 - mix) * bs
    sr = np.where(moved, (s * r).sum(axis=1), 1.0)
    change = r[:, :, None] * r[:, None, :] / sr[:, None, None]
    change -= bs[:, :, None] * bs[:, None, :] / np.where(moved, sbs, 1.0)[:, None, None]
    return np.where(moved[:, None, None], b + change, b)
