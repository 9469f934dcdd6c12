"""Azimuths and distances on the (eta, phi) cylinder."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["delta_phi", "delta_r", "wrap_phi"]

TWO_PI = 2.0 * np.pi


def wrap_phi(phi: ArrayLike) -> NDArray[np.float64]:
    """Bring angles into (-pi, pi].

    Angles that are inside already come back bit for bit, so that wrapping twice changes nothing.

    Args:
        phi: Angles in radians, any shape.

    Returns:
        The same angles modulo 2 pi, same shape; NaN and infinities give NaN.
    """
    angle = np.asarray(phi, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        turned = angle - TWO_PI * np.rint(angle / TWO_PI)
    inside = (angle > -np.pi) & (angle <= np.pi)
    wrapped = np.where(inside, angle, turned)
    # Rounding half to even leaves -pi where pi is meant, and one unit in the last place beyond pi.
    return np.where(wrapped <= -np.pi, np.pi, np.minimum(wrapped, np.pi))


def delta_phi(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Return ``first - second`` as an angle in (-pi, pi].

    Args:
        first: Angles in radians, any shape.
        second: Angles in radians, broadcastable with ``first``.
    """
    return wrap_phi(np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64))


def delta_r(eta_1: ArrayLike, phi_1: ArrayLike, eta_2: ArrayLike, phi_2: ArrayLike) -> NDArray[np.float64]:
    """Return the distance sqrt(delta eta**2 + delta phi**2), at least 0.

    Args:
        eta_1: Pseudorapidities of the first objects, any shape.
        phi_1: Azimuths of the first objects in radians.
        eta_2: Pseudorapidities of the second objects, broadcastable.
        phi_2: Azimuths of the second objects in radians.
    """
    delta_eta = np.asarray(eta_1, dtype=np.float64) - np.asarray(eta_2, dtype=np.float64)
    return np.asarray(np.hypot(delta_eta, delta_phi(phi_1, phi_2)), dtype=np.float64)
