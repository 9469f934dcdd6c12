"""Mass and transverse momentum of a pair of massless particles, such as the two photons of a Higgs boson."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError

__all__ = ["diphoton_mass", "diphoton_pt"]


def diphoton_mass(et: ArrayLike, eta: ArrayLike, phi: ArrayLike) -> NDArray[np.float64]:
    """Return the invariant mass of two massless particles.

    m**2 = 2 et1 et2 (cosh(delta eta) - cos(delta phi)), written as 4 et1 et2 (sinh**2(delta eta / 2) +
    sin**2(delta phi / 2)) so that close particles do not cancel.

    Args:
        et: Transverse energies in GeV, shape ``(events, 2)``.
        eta: Pseudorapidities, shape ``(events, 2)``.
        phi: Azimuths in radians, shape ``(events, 2)``.

    Returns:
        Masses in GeV, shape ``(events,)``; 0 where a smeared ``et`` is negative and the other is not.

    Raises:
        DataError: If the arrays are not of one shape ``(events, 2)``.
    """
    et, eta, phi = _pairs(et, eta, phi)
    opening = np.sinh(0.5 * (eta[:, 0] - eta[:, 1])) ** 2 + np.sin(0.5 * (phi[:, 0] - phi[:, 1])) ** 2
    return np.asarray(2.0 * np.sqrt(np.maximum(et[:, 0] * et[:, 1], 0.0) * opening), dtype=np.float64)


def diphoton_pt(et: ArrayLike, phi: ArrayLike) -> NDArray[np.float64]:
    """Return the transverse momentum of two massless particles.

    Args:
        et: Transverse energies in GeV, shape ``(events, 2)``.
        phi: Azimuths in radians, shape ``(events, 2)``.

    Returns:
        Transverse momenta in GeV, shape ``(events,)``.

    Raises:
        DataError: If the arrays are not of one shape ``(events, 2)``.
    """
    et, phi = _pairs(et, phi)
    return np.asarray(np.hypot((et * np.cos(phi)).sum(axis=1), (et * np.sin(phi)).sum(axis=1)), dtype=np.float64)


def _pairs(*values: ArrayLike) -> list[NDArray[np.float64]]:
    arrays = [np.asarray(value, dtype=np.float64) for value in values]
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1 or arrays[0].ndim != 2 or arrays[0].shape[1] != 2:
        raise DataError(f"Pairs of particles need arrays of one shape (events, 2), not {sorted(shapes)}.")
    return arrays
