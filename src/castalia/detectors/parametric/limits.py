"""What values a card's formulas may have, and the grids on which they are tried when a card is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from castalia.detectors.parametric.formula import FormulaError, described, evaluate, shortened
from castalia.errors import DataError

__all__ = [
    "LARGEST_MU",
    "Variables",
    "ask",
    "missing_grid",
    "object_grid",
    "object_variables",
    "pileup_grid",
    "require",
]

Variables = Mapping[str, NDArray[np.float64]]
"""Values of a formula's variables, each of shape ``(objects,)``."""

LARGEST_MU: Final = 200.0
"""Most pile-up interactions that a card may ask for: those of the high-luminosity LHC."""

_HIGHEST_PT: Final = 7000.0  # GeV, one beam of the LHC
_LIMITS: Final = {"resolution": (0.0, np.inf), "efficiency": (0.0, 1.0), "response": (0.0, np.inf), "rate": (0.0, 1e3)}
_MU: Final = np.linspace(0.0, LARGEST_MU, 5)


def ask(formula: str, kind: str, place: str, variables: Variables) -> NDArray[np.float64]:
    """Return a card's formula for real objects.

    Args:
        formula: The formula.
        kind: ``"resolution"``, ``"efficiency"``, ``"response"`` or ``"rate"``: what values it may have.
        place: Name of the card and of the key, for errors.
        variables: Values by name, each of shape ``(objects,)``.

    Returns:
        Values, shape ``(objects,)``.

    Raises:
        DataError: If a value is not finite or outside what its kind allows.
    """
    try:
        return _checked(formula, kind, variables)
    except FormulaError as error:
        raise DataError(f"{place}: {error}; mend the card, or leave such events out.") from None


def require(section: Any, key: str, kind: str, grid: Variables, prefix: str = "") -> None:
    """Try the formula ``key`` of a section of a card on a grid.

    Args:
        section: The section.
        key: Name of the formula.
        kind: What values it may have, as for :func:`ask`.
        grid: Values of the variables.
        prefix: What comes before the key in an error.

    Raises:
        ValueError: If the formula cannot be read, or gives a wrong value somewhere on the grid.
    """
    try:
        _checked(getattr(section, key), kind, grid)
    except FormulaError as error:
        raise ValueError(f"key '{prefix}{key}': {error}") from None


def object_variables(
    pt: NDArray[np.float64], eta: NDArray[np.float64], phi: NDArray[np.float64], mu: NDArray[np.float64]
) -> Variables:
    """Return what formulas of objects know; ``energy`` is that of a massless object. All of shape ``(objects,)``."""
    return {"pt": pt, "eta": eta, "phi": phi, "energy": pt * np.cosh(eta), "mu": mu}


def object_grid(pt_min: float, eta_max: float) -> Variables:
    """Return points in pt from ``pt_min`` (GeV), in eta up to ``eta_max`` and in mu."""
    eta = np.linspace(-eta_max, eta_max, 21)
    pt, eta, mu = (x.ravel() for x in np.meshgrid(np.geomspace(pt_min, _HIGHEST_PT, 40), eta, _MU))
    return object_variables(pt, eta, np.linspace(-np.pi, np.pi, pt.size), mu)


def missing_grid() -> Variables:
    """Return points in sumet (GeV) and mu."""
    sumet, mu = (x.ravel() for x in np.meshgrid(np.linspace(0.0, _HIGHEST_PT, 40), _MU))
    return {"sumet": sumet, "mu": mu}


def pileup_grid() -> Variables:
    """Return points in mu."""
    return {"mu": np.linspace(0.0, LARGEST_MU, 201)}


def _checked(formula: str, kind: str, variables: Variables) -> NDArray[np.float64]:
    values = evaluate(formula, variables)
    low, high = _LIMITS[kind]
    bad = np.flatnonzero((values < low) | (values > high))
    if bad.size:
        allowed = f"at least {low:g}" if high == np.inf else f"in [{low:g}, {high:g}]"
        found = f"{values[bad[0]]:.4g} at {described(variables, bad[0])}"
        raise FormulaError(f"'{shortened(formula)}' is {found}; every {kind} is {allowed}")
    return values
