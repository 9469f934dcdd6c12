"""Every constant of the background that was tuned, with what it was tuned to; the rest is geometry or a measurement.

Tuned by hand to the reference figures of the released evaluation of IEA-GAN (arXiv:2303.08046): occupancies of the 16
sensors of layer 1, the means of both layers, the amplitude of cos(phi) in both, quantiles of the charge, and variance
over mean of a sensor's occupancy. ``benchmarks/pxd_sanity.py`` holds the simulation against them. There is no table of
factors by sensor: whatever differs from sensor to sensor comes from where tracks go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

__all__ = [
    "COLLECTED",
    "CONTAINED",
    "HALO_HER",
    "HALO_LER",
    "PAIRS",
    "SYNCHROTRON",
    "TURNS",
    "Halo",
    "Pairs",
    "Synchrotron",
]

COLLECTED: Final = 0.92
"""Fraction of the liberated electrons that reaches the gates; sets the median of the charge."""
CONTAINED: Final = 7_800.0
"""Charge in electrons that a hard collision adds to a segment on average: faster electrons leave it. Sets the tail."""
TURNS: Final = 2
"""Turns of a curling track: scattering in the silicon and the beam pipe ends it after some crossings."""


@final
@dataclass(frozen=True)
class Pairs:
    """Electrons and positrons of e+e− → e+e− e+e−, from the interaction point.

    Attributes:
        rate: Tracks an event with enough transverse momentum to reach the first layer.
        pt_power: Power of the falling spectrum of the transverse momentum; sets layer 2 over layer 1.
        pt_low: Lower end of the spectrum, in MeV: below, the circle does not reach the first layer.
        pt_high: Upper end, in MeV.
        rapidity: Middle of the flat distribution of pseudorapidity: the boost; sets forward over backward.
        rapidity_reach: Half of its length.
        z_width: Standard deviation of the interaction point along the beam, in mm.
    """

    rate: float = 5020.0
    pt_power: float = 3.8
    pt_low: float = 3.36
    pt_high: float = 300.0
    rapidity: float = 0.2
    rapidity_reach: float = 2.0
    z_width: float = 0.3


@final
@dataclass(frozen=True)
class Halo:
    """Showers of beam particles that were lost upstream and come through the beam pipe, grazing.

    Attributes:
        touschek: Showers an event from Touschek scattering, proportional to the square of the ring's current.
        gas: Showers an event from scattering on rest gas, proportional to current and pressure.
        direction: +1 where the beam flies towards growing z, else −1.
        modulation: Amplitude of cos(phi) in the showers' azimuth: losses are in the horizontal plane.
        particles: Mean number of particles of a shower; sets the variance of the occupancy.
        pipe_radius: Where they start, in mm.
        z_reach: Showers start evenly within this distance of the interaction point along the beam, in mm.
        z_spread: Standard deviation of a particle's start about its shower's, in mm.
        phi_spread: Standard deviation of a particle's azimuth about its shower's, in radians.
        steepness: Median of path along the beam over transverse path; sets the length of the clusters.
        steepness_spread: Standard deviation of its logarithm.
        pt: Median transverse momentum, in MeV.
        pt_spread: Standard deviation of its logarithm.
        heavy: Fraction of slow, strongly ionising particles; sets the tail of the charge.
        heavy_ionisation: Their median charge over that of a relativistic electron.
        heavy_spread: Standard deviation of its logarithm.
    """

    touschek: float
    gas: float
    direction: float
    modulation: float
    particles: float = 1.5
    pipe_radius: float = 10.0
    z_reach: float = 120.0
    z_spread: float = 10.0
    phi_spread: float = 0.35
    steepness: float = 3.0
    steepness_spread: float = 0.7
    pt: float = 20.0
    pt_spread: float = 0.8
    heavy: float = 0.10
    heavy_ionisation: float = 4.0
    heavy_spread: float = 0.6


@final
@dataclass(frozen=True)
class Synchrotron:
    """Photons of the electron ring's final focus that reach layer 1 on one side.

    Attributes:
        rate: Photons absorbed an event.
        energy: Mean of the exponential distribution of their energy, in keV.
        attenuation: Length of absorption in silicon at these energies, in mm.
        decay: Fall of the rate from the middle of the ladder to its outer ends, in mm.
        forward: Fraction in the forward sensor.
    """

    rate: float = 3900.0
    energy: float = 6.0
    attenuation: float = 0.05
    decay: float = 30.0
    forward: float = 0.8


PAIRS: Final = Pairs()
HALO_LER: Final = Halo(touschek=1320.0, gas=1320.0, direction=-1.0, modulation=0.315)
HALO_HER: Final = Halo(touschek=215.0, gas=870.0, direction=1.0, modulation=0.315)
SYNCHROTRON: Final = Synchrotron()
