"""Quantities of a particle at truth level, by a name such as ``ttbar_mass``: what an observable is made of."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from castalia.errors import ConfigError
from castalia.physics.decay_tree import DecayTree

__all__ = ["quantity", "quantity_names", "quantity_unit"]

_UNITS: Final = {"pt": "GeV", "eta": "", "phi": "rad", "mass": "GeV", "rapidity": "", "energy": "GeV"}


def quantity_names(tree: DecayTree) -> tuple[str, ...]:
    """Return the names of all quantities of all particles."""
    return tuple(f"{particle}_{kind}" for particle in tree.particles for kind in _UNITS)


def quantity_unit(name: str) -> str:
    """Return the unit of a quantity, empty for a pure number."""
    return _UNITS[name.rpartition("_")[2]]


def quantity(tree: DecayTree, numbers: NDArray[np.floating], name: str) -> NDArray[np.float64]:
    """Compute one quantity.

    Args:
        tree: How the particles belong together.
        numbers: The paper's numbers, shape ``(*shape, numbers)``; see ``DecayTree.cartesian``.
        name: Particle and quantity, such as ``"ttbar_mass"``.

    Returns:
        Shape ``shape``; momenta, energies and masses in GeV.

    Raises:
        ConfigError: If there is no such quantity.
    """
    particle, _, kind = name.rpartition("_")
    if particle not in tree.particles or kind not in _UNITS:
        raise ConfigError(f"there is no quantity '{name}'; choose from {', '.join(quantity_names(tree))}.")
    place = 5 * tree.particles.index(particle)
    px, py, pz, log_energy, mass = np.moveaxis(np.asarray(numbers[..., place : place + 5], dtype=np.float64), -1, 0)
    pt = np.hypot(px, py)
    # Rapidity and pseudorapidity are both asinh(pz / m_T), of the particle itself and of a massless one.
    transverse = np.maximum(np.hypot(pt, mass) if kind == "rapidity" else pt, np.finfo(float).tiny)
    found: dict[str, NDArray[np.float64]] = {
        "pt": pt,
        "eta": np.arcsinh(pz / transverse),
        "phi": np.arctan2(py, px),
        "mass": mass,
        "rapidity": np.arcsinh(pz / transverse),
        "energy": np.expm1(log_energy),
    }
    return found[kind]
