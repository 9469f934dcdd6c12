"""Four-momenta in the collider's coordinates (pt, eta, phi, mass) and in Cartesian ones (px, py, pz, E)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["from_cartesian", "to_cartesian"]


def to_cartesian(pt: ArrayLike, eta: ArrayLike, phi: ArrayLike, mass: ArrayLike = 0.0) -> NDArray[np.float64]:
    """Turn (pt, eta, phi, mass) into (px, py, pz, E).

    Args:
        pt: Transverse momenta in GeV, at least 0, any shape.
        eta: Pseudorapidities, broadcastable with ``pt``.
        phi: Azimuths in radians, broadcastable with ``pt``.
        mass: Masses in GeV, at least 0, broadcastable with ``pt``; photons by default.

    Returns:
        Four-momenta in GeV, shape ``(*shape, 4)``.
    """
    pt, eta, phi, mass = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (pt, eta, phi, mass)))
    # hypot(p, m) keeps E - p of a light particle, where sqrt(p**2 + m**2) would overflow or round early.
    energy = np.hypot(pt * np.cosh(eta), mass)
    return np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), energy], axis=-1)


def from_cartesian(momentum: ArrayLike) -> tuple[NDArray[np.float64], ...]:
    """Turn (px, py, pz, E) into (pt, eta, phi, mass).

    The mass squared is (E - p)(E + p), which loses nothing beyond what the four numbers have lost themselves: its
    relative error is about 2**-52 (E / m)**2. A space-like momentum, as rounding makes of a photon's, has mass 0.

    Args:
        momentum: Four-momenta in GeV, shape ``(*shape, 4)``.

    Returns:
        ``pt`` in GeV, ``eta`` (infinite along the beam, 0 for a momentum of zero), ``phi`` in radians in (-pi, pi] and
        ``mass`` in GeV, each of shape ``shape``.
    """
    px, py, pz, energy = np.moveaxis(np.asarray(momentum, dtype=np.float64), -1, 0)
    pt = np.hypot(px, py)
    with np.errstate(divide="ignore", invalid="ignore"):
        eta = np.where((pt == 0.0) & (pz == 0.0), 0.0, np.arcsinh(pz / pt))
    phi = np.arctan2(py, px)
    phi = np.where(phi == -np.pi, np.pi, phi)
    p = np.hypot(pt, pz)
    mass = np.sqrt(np.maximum((energy - p) * (energy + p), 0.0))
    return pt, eta, phi, mass
