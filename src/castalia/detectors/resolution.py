"""Widths of the photon response: polynomials in transverse energy, pseudorapidity and pile-up.

R_X(et, eta, mu) = prefactor_X * R_X(et) * R_X(eta) * R_X(mu) with R_X(x) = sum_i p_i x**i / C (Eqs 3.1-3.3, Table 2).
The paper's print has faults, so there are three readings of it:

* ``repaired``: x is the number of a bin, the prefactors of eta and phi are the right way round and unrounded, and the
  coefficients are, inside the rounding of the print, those that reproduce the paper's Figure 2. Positive everywhere.
* ``printed``: the printed prefactors and coefficients. (x is the bin number here too: with GeV, signed eta and mu most
  photons have no positive width.) The last bins of et and eta come out negative in places.
* ``smooth``: as repaired, with x running through the middle of each bin instead of jumping from bin to bin.

References:
    Generative Machine Learning for Detector Response Modeling with a Conditional Normalizing Flow, section 3.4 and
    Table 2.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import ConfigError

__all__ = ["OBSERVABLES", "PARAMETRISATIONS", "Parametrisation", "photon_resolutions"]

Parametrisation = Literal["repaired", "printed", "smooth"]

PARAMETRISATIONS: Final[tuple[str, ...]] = get_args(Parametrisation)
OBSERVABLES: Final = ("et", "eta", "phi")

# Bins: lower edge and width in the variable's own unit, and the number of the last bin.
_BINS: Final = {"et": (20.0, 20.0, 9.0), "eta": (-2.5, 0.5, 9.0), "mu": (0.0, 5.0, 7.0)}

_REPAIRED_PREFACTOR: Final = {"et": 1.5, "eta": 0.00032, "phi": 0.00048}
_PRINTED_PREFACTOR: Final = {"et": 1.5, "eta": 0.0005, "phi": 0.0003}

# C of Table 2, by observable and variable; it is printed well enough.
_NORM: Final = {
    "et": {"et": 1.46, "eta": 1.64, "mu": 1.74},
    "eta": {"et": 3.2e-4, "eta": 3.0e-4, "mu": 3.3e-4},
    "phi": {"et": 5.4e-4, "eta": 7.8e-4, "mu": 7.6e-4},
}

_Rows = dict[str, dict[str, tuple[float, float, float, float, float]]]

# p0 ... p4 of Table 2 as printed.
_PRINTED: Final[_Rows] = {
    "et": {
        "et": (1.81, -0.56, 0.28, -0.044, 0.0024),
        "eta": (1.74, 1.04, -0.59, 0.10, -0.0057),
        "mu": (1.74, 0.058, 0.0041, -0.0031, 0.00031),
    },
    "eta": {
        "et": (0.00048, -6.7e-5, 1.5e-5, -1.7e-6, 7.8e-8),
        "eta": (0.00066, -0.00023, 5.5e-5, -6.3e-6, 3.3e-7),
        "mu": (0.00033, 2.5e-5, -9.7e-6, 2.0e-6, -1.5e-7),
    },
    "phi": {
        "et": (0.0014, -0.00021, 1.0e-5, 1.6e-6, -1.6e-7),
        "eta": (0.00091, 0.00025, -0.00016, 3.0e-5, -1.6e-6),
        "mu": (0.00076, -9.2e-6, 2.1e-5, -3.6e-6, 1.9e-7),
    },
}

# Two digits are not enough for a quartic at x = 9; these agree with the print within its rounding and with Figure 2.
_REPAIRED: Final[_Rows] = {
    "et": {
        "et": (1.805, -0.55851, 0.27576, -0.043561, 0.00238),
        "eta": (1.735, 1.045, -0.58797, 0.10403, -0.0057064),
        "mu": _PRINTED["et"]["mu"],
    },
    "eta": {
        "et": (0.000485, -6.65e-5, 1.468e-5, -1.746e-6, 7.848e-8),
        "eta": (0.000655, -0.0002302, 5.45e-5, -6.271e-6, 3.35e-7),
        "mu": _PRINTED["eta"]["mu"],
    },
    "phi": {
        "et": (0.0014278, -0.000205, 1.0039e-5, 1.65e-6, -1.6281e-7),
        "eta": (0.000915, 0.00025179, -0.00016063, 2.95e-5, -1.6394e-6),
        "mu": _PRINTED["phi"]["mu"],
    },
}


def photon_resolutions(
    parametrisation: Parametrisation, et: ArrayLike, eta: ArrayLike, mu: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the widths of a photon's response.

    Values outside the bins (et above 220 GeV, say) take the nearest bin.

    Args:
        parametrisation: ``"repaired"``, ``"printed"`` or ``"smooth"``, see the module.
        et: True transverse energies in GeV, any shape.
        eta: True pseudorapidities, signed, broadcastable with ``et``.
        mu: Mean numbers of interactions per crossing, broadcastable with ``et``.

    Returns:
        Widths of et (GeV), eta and phi (radians), of the common shape. Positive for ``repaired`` and ``smooth``; those
        of ``printed`` may be zero or negative.

    Raises:
        ConfigError: If there is no such parametrisation.
    """
    if parametrisation not in PARAMETRISATIONS:
        raise ConfigError(f"There is no parametrisation {parametrisation!r}; choose {', '.join(PARAMETRISATIONS)}.")
    printed = parametrisation == "printed"
    rows, prefactor = (_PRINTED, _PRINTED_PREFACTOR) if printed else (_REPAIRED, _REPAIRED_PREFACTOR)
    steps = parametrisation != "smooth"
    x = {name: _position(name, value, steps) for name, value in (("et", et), ("eta", eta), ("mu", mu))}
    widths = []
    for observable in OBSERVABLES:
        width: NDArray[np.float64] = np.asarray(prefactor[observable])
        for variable, position in x.items():
            width = width * _quartic(rows[observable][variable], position) / _NORM[observable][variable]
        widths.append(width)
    return widths[0], widths[1], widths[2]


def _position(variable: str, value: ArrayLike, steps: bool) -> NDArray[np.float64]:
    """Return the polynomial's x: the number of the bin, or the same scale made continuous through the bins' middles."""
    lower, width, last = _BINS[variable]
    scaled = (np.asarray(value, dtype=np.float64) - lower) / width
    return np.clip(np.floor(scaled) if steps else scaled - 0.5, 0.0, last)


def _quartic(coefficients: tuple[float, float, float, float, float], x: NDArray[np.float64]) -> NDArray[np.float64]:
    p0, p1, p2, p3, p4 = coefficients
    return p0 + x * (p1 + x * (p2 + x * (p3 + x * p4)))
