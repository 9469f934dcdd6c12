"""Which particle a PDG Monte Carlo number stands for, as far as jets, leptons and resonances need to know it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["has_bottom", "has_charm", "is_elementary", "is_neutrino", "is_resonance"]

_BOTTOM, _CHARM, _TOP = 5, 4, 6
# Scheme numbers of nuclei have ten digits, those of hadrons at most seven.
_LARGEST_HADRON = 9_999_999
_FIRST_BEYOND, _LAST_BEYOND = 1_000_000, 8_999_999


def is_neutrino(pdg: ArrayLike) -> NDArray[np.bool_]:
    """Tell neutrinos of all three flavours.

    Args:
        pdg: PDG numbers, any shape; a negative one is the antiparticle.
    """
    return np.isin(np.abs(np.asarray(pdg)), (12, 14, 16))


def is_elementary(pdg: ArrayLike) -> NDArray[np.bool_]:
    """Tell quarks, leptons, gluons and photons: what a resonance decays to and a shower begins with.

    Args:
        pdg: PDG numbers, any shape.
    """
    code = np.abs(np.asarray(pdg))
    fermion = ((code >= 1) & (code <= 6)) | ((code >= 11) & (code <= 16))
    return np.asarray(fermion | (code == 21) | (code == 22), dtype=np.bool_)


def is_resonance(pdg: ArrayLike) -> NDArray[np.bool_]:
    """Tell heavy particles that decay before they could form a hadron: t, W, Z, every Higgs boson, and those beyond.

    Args:
        pdg: PDG numbers, any shape.

    References:
        Navas et al. (PDG), Review of Particle Physics 2024, section 45: Monte Carlo particle numbering scheme.
    """
    code = np.abs(np.asarray(pdg))
    fourth_family = (code == 7) | (code == 8) | (code == 17) | (code == 18)
    bosons = ((code >= 23) & (code <= 25)) | ((code >= 32) & (code <= 42))
    beyond = (code >= _FIRST_BEYOND) & (code <= _LAST_BEYOND)
    return np.asarray((code == _TOP) | fourth_family | bosons | beyond, dtype=np.bool_)


def has_bottom(pdg: ArrayLike) -> NDArray[np.bool_]:
    """Tell hadrons with open bottom: a b quark and no anti-b beside it.

    Args:
        pdg: PDG numbers, any shape.
    """
    return _open_flavour(pdg, _BOTTOM)


def has_charm(pdg: ArrayLike) -> NDArray[np.bool_]:
    """Tell hadrons whose heaviest quark is an open charm quark; a B_c meson counts as bottom.

    Args:
        pdg: PDG numbers, any shape.
    """
    return _open_flavour(pdg, _CHARM)


def _open_flavour(pdg: ArrayLike, flavour: int) -> NDArray[np.bool_]:
    """Read the quark digits ``n_q1 n_q2 n_q3`` before the last one; a meson has ``n_q1 = 0``."""
    code = np.abs(np.asarray(pdg))
    first, second, third = code // 1000 % 10, code // 100 % 10, code // 10 % 10
    hadron = (code > 100) & (code <= _LARGEST_HADRON) & ~is_resonance(code)
    meson = (first == 0) & (second == flavour) & (third != flavour)
    # A diquark has no third quark and is no hadron.
    baryon = (first == flavour) & (third != 0)
    return np.asarray(hadron & (meson | baryon), dtype=np.bool_)
