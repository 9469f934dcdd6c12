"""The charged particles of the background, drawn for many events at once from the state of the machine."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from castalia.detectors.pxd.conditions import BeamConditions
from castalia.detectors.pxd.helix import Helices, curvature_radius
from castalia.detectors.pxd.tuning import HALO_HER, HALO_LER, PAIRS, Halo

__all__ = ["common_factor", "events_of", "tracks"]


def common_factor(common_mode: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the factor of mean 1 that all rates of an event share, from a gamma distribution.

    Args:
        common_mode: Its standard deviation, shape ``(events,)``, from 0.
        rng: Random numbers.
    """
    variance = np.maximum(common_mode, 1e-6) ** 2
    return np.where(common_mode > 0.0, rng.gamma(1.0 / variance) * variance, 1.0)


def events_of(rate: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw how often something happens in each event, and return the event's number as often.

    Args:
        rate: Mean of every event's Poisson distribution, shape ``(events,)``.
        rng: Random numbers.
    """
    return np.repeat(np.arange(len(rate)), rng.poisson(rate))


def tracks(conditions: BeamConditions, factor: NDArray[np.float64], rng: np.random.Generator) -> Helices:
    """Draw the charged particles of all sources.

    Args:
        conditions: State of the machine.
        factor: Common factor of every event, shape ``(events,)``.
        rng: Random numbers.
    """
    pieces = [_pairs(PAIRS.rate * factor * conditions.luminosity, rng)]
    for halo, current in ((HALO_LER, conditions.current_ler), (HALO_HER, conditions.current_her)):
        rate = halo.touschek * current**2 + halo.gas * current * conditions.pressure
        pieces.append(_halo(halo, rate * factor, rng))
    names = (one.name for one in fields(Helices))
    return Helices(*(np.concatenate([getattr(piece, name) for piece in pieces]) for name in names))


def _pairs(rate: NDArray[np.float64], rng: np.random.Generator) -> Helices:
    source = PAIRS
    event = events_of(rate, rng)
    count = len(event)
    # The power law's distribution function, inverted between its ends.
    power = 1.0 - source.pt_power
    low, high = source.pt_low**power, source.pt_high**power
    pt = (low + (high - low) * rng.random(count)) ** (1.0 / power)
    rapidity = source.rapidity + source.rapidity_reach * rng.uniform(-1.0, 1.0, count)
    return Helices(
        event=event,
        x=np.zeros(count),
        y=np.zeros(count),
        z=source.z_width * rng.standard_normal(count),
        phi=rng.uniform(0.0, 2.0 * np.pi, count),
        radius=curvature_radius(pt),
        sense=_sense(count, rng),
        slope=np.sinh(rapidity),
        ionisation=np.ones(count),
    )


def _halo(source: Halo, rate: NDArray[np.float64], rng: np.random.Generator) -> Helices:
    shower_event = events_of(rate, rng)
    showers = len(shower_event)
    shower = np.repeat(np.arange(showers), rng.geometric(1.0 / source.particles, showers))
    count = len(shower)
    shower_phi = _modulated(source.modulation, showers, rng)
    shower_z = source.z_reach * rng.uniform(-1.0, 1.0, showers)
    phi = shower_phi[shower] + source.phi_spread * rng.standard_normal(count)
    heavy = rng.random(count) < source.heavy
    return Helices(
        event=shower_event[shower],
        x=source.pipe_radius * np.cos(phi),
        y=source.pipe_radius * np.sin(phi),
        z=shower_z[shower] + source.z_spread * rng.standard_normal(count),
        phi=phi + source.phi_spread * rng.standard_normal(count),
        radius=curvature_radius(_log_normal(source.pt, source.pt_spread, count, rng)),
        sense=_sense(count, rng),
        slope=source.direction * _log_normal(source.steepness, source.steepness_spread, count, rng),
        ionisation=np.where(heavy, _log_normal(source.heavy_ionisation, source.heavy_spread, count, rng), 1.0),
    )


def _sense(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return np.where(rng.random(count) < 0.5, 1.0, -1.0)


def _log_normal(median: float, spread: float, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return median * np.exp(spread * rng.standard_normal(count))


def _modulated(amplitude: float, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw azimuths with the density 1 + amplitude cos(phi): the opposite one is taken instead where it is likelier."""
    phi = rng.uniform(-np.pi, np.pi, count)
    # The share of phi among phi and phi + pi is (1 + amplitude cos(phi)) / 2.
    return np.where(rng.random(count) < 0.5 * (1.0 + amplitude * np.cos(phi)), phi, phi + np.pi)
