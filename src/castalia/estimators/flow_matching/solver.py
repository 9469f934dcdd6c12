"""Numerical solution of ordinary differential equations with a fixed number of steps."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

__all__ = ["runge_kutta"]


def runge_kutta(
    rate: Callable[[float, Tensor], Tensor], state: Tensor, start: float, stop: float, steps: int
) -> Tensor:
    """Carry ``state`` from ``start`` to ``stop`` by the classical Runge-Kutta method, with four evaluations a step.

    Its error falls as ``steps**-4``.

    Args:
        rate: Time derivative of the state at a time and a state, of the state's shape.
        state: State at ``start``, any shape.
        start: First time.
        stop: Last time; may be before ``start``.
        steps: Number of equal steps, at least 1.

    Returns:
        The state at ``stop``.

    References:
        Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I (1993), table II.1.2.
    """
    step = (stop - start) / steps
    for number in range(steps):
        time = start + number * step
        first = rate(time, state)
        second = rate(time + step / 2, state + step / 2 * first)
        third = rate(time + step / 2, state + step / 2 * second)
        fourth = rate(time + step, state + step * third)
        state = state + step / 6 * (first + 2 * (second + third) + fourth)
    return state
