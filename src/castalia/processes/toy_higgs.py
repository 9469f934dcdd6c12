"""A Higgs boson with a made-up spectrum, for tests and machines without Pythia."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from castalia.physics.angles import wrap_phi
from castalia.physics.constants import HIGGS_MASS

__all__ = ["toy_photons"]

# Mean 120 GeV and standard deviation 79 GeV: the ttH spectrum's first two moments, nearly.
_PT_SHAPE, _PT_SCALE = 2.3, 52.0


def toy_photons(events: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the two photons of ``events`` Higgs bosons, without any cut.

    The boson has pt ~ Gamma(2.3, 52 GeV), rapidity ~ N(0, 1) and a uniform azimuth, and decays isotropically.

    Args:
        events: How many decays to draw.
        rng: Random numbers.

    Returns:
        ``(et, eta, phi)`` of both photons in no order, shape ``(events, 2, 3)``; GeV and radians, phi in (-pi, pi].
    """
    pt = rng.gamma(_PT_SHAPE, _PT_SCALE, events)
    rapidity = rng.standard_normal(events)
    phi = rng.uniform(-np.pi, np.pi, events)
    cosine = rng.uniform(-1.0, 1.0, events)
    azimuth = rng.uniform(-np.pi, np.pi, events)
    transverse_mass = np.hypot(HIGGS_MASS, pt)
    sine = np.sqrt((1.0 - cosine) * (1.0 + cosine))
    # In the rest frame with x along the boson's pt and z along the beam: both photons have half of the mass.
    rest = 0.5 * HIGGS_MASS * np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine], axis=-1)
    directions = np.stack([rest, -rest], axis=1)
    px, py, pz = np.moveaxis(directions, -1, 0)
    energy = 0.5 * HIGGS_MASS
    # First the transverse boost, gamma = mT / m and gamma beta = pt / m, which leaves pz; then the one along the beam.
    boosted_energy = (transverse_mass[:, None] * energy + pt[:, None] * px) / HIGGS_MASS
    boosted_px = (pt[:, None] * energy + transverse_mass[:, None] * px) / HIGGS_MASS
    final_pz = np.sinh(rapidity)[:, None] * boosted_energy + np.cosh(rapidity)[:, None] * pz
    et = np.hypot(boosted_px, py)
    return np.stack([et, np.arcsinh(final_pz / et), wrap_phi(np.arctan2(py, boosted_px) + phi[:, None])], axis=-1)
