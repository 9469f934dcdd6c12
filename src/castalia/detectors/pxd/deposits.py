"""Charge in the silicon: of tracks by segments of their path, of photons at one point.

In thin silicon the charge of a relativistic particle has Landau's distribution. It is a stable one: independent
segments add up to what their whole path has. Its tail is that of electrons which were hit hard, and the hardest leave
the segment: the charge of each is cut.

References:
    Particle Data Group, Passage of particles through matter, section on fluctuations in energy loss; Chambers, Mallows
    and Stuck, A method for simulating stable random variables (J. Am. Stat. Assoc. 71, 1976).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from castalia.detectors.pxd.conditions import BeamConditions
from castalia.detectors.pxd.geometry import LAYERS, PITCH_U, SENSORS, THICKNESS, U_CELLS, v_position
from castalia.detectors.pxd.helix import Crossings
from castalia.detectors.pxd.sources import events_of
from castalia.detectors.pxd.tuning import COLLECTED, CONTAINED, SYNCHROTRON

__all__ = ["Deposits", "Floats", "ionise", "joined", "landau", "most_probable", "photons"]

Floats = NDArray[np.float32]

_PAIR_ENERGY: Final = 3.65  # eV of energy lost for each electron liberated in silicon
_LANDAU_WIDTH: Final = 17.8  # eV per micrometre of silicon: 0.1535 MeV cm2/g * Z/A * density
_PLASMA_ENERGY: Final = 31.05  # eV, of silicon
_ELECTRON_MASS: Final = 510_999.0  # eV
_MODE: Final = -0.22278  # of Landau's distribution in its standard form
_LONGEST: Final = 0.030  # mm of path in a segment, about half of a cell


@final
@dataclass(frozen=True)
class Deposits:
    """Point charges in sensors; every array has the shape ``(deposits,)``.

    Attributes:
        row: 40 times the event's number plus the sensor's.
        u: Position counted in cells.
        v: Position counted in cells.
        pitch_v: Size of a cell along v there, in mm.
        drift: Way to the gates over the thickness, 0 to 1.
        electrons: Charge, not negative.
    """

    row: NDArray[np.int32]
    u: Floats
    v: Floats
    pitch_v: Floats
    drift: Floats
    electrons: Floats


def most_probable(length: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the most probable charge of a relativistic electron, in electrons.

    Args:
        length: Path in silicon in mm, any shape, positive.
    """
    width = _LANDAU_WIDTH * 1000.0 * length
    # Landau's most probable loss with the density effect at its limit.
    logarithm = np.log(2.0 * _ELECTRON_MASS * width / _PLASMA_ENERGY**2)
    return np.asarray(width / _PAIR_ENERGY * (logarithm + 0.2), dtype=np.float64)


def ionise(passages: Crossings, rng: np.random.Generator) -> Deposits:
    """Draw the charge of tracks, segment by segment.

    Args:
        passages: Where tracks pass through silicon.
        rng: Random numbers.
    """
    path = THICKNESS * np.sqrt(1.0 + passages.slope_u**2 + passages.slope_v**2)
    # At least three segments, so that the drift is sampled over the depth.
    number = np.maximum(np.ceil(path / _LONGEST).astype(np.int64), 3)
    length = path / number
    yielded = COLLECTED * passages.ionisation
    peak = yielded * most_probable(length)
    width = yielded * length * (1000.0 * _LANDAU_WIDTH / _PAIR_ENERGY)
    total = int(number.sum())

    def each(values: NDArray[np.float64]) -> Floats:
        return np.repeat(values.astype(np.float32), number)

    place = (np.arange(total) - np.repeat(np.cumsum(number) - number, number)).astype(np.float32)
    along = (place + np.float32(0.5)) * each(1.0 / number) - np.float32(0.5)
    above = each(width) * (landau(total, rng) - np.float32(_MODE))
    # Of what a hard collision gave, a part stays that differs from one to the next: a sharp cut would be a peak.
    limit = each(CONTAINED * yielded)
    hard = np.flatnonzero(above > limit)
    above[hard] = limit[hard] * (np.float32(0.5) + rng.random(len(hard), dtype=np.float32))
    return Deposits(
        row=np.repeat((passages.event * SENSORS + passages.sensor).astype(np.int32), number),
        u=each(passages.u) + along * each(passages.slope_u * THICKNESS / PITCH_U),
        v=each(passages.v) + along * each(passages.slope_v * THICKNESS / passages.pitch_v),
        pitch_v=each(passages.pitch_v),
        drift=np.float32(0.5) - along,
        electrons=np.maximum(each(peak) + above, np.float32(0.0)),
    )


def landau(count: int, rng: np.random.Generator) -> Floats:
    """Draw from Landau's distribution in its standard form, whose mode is −0.22278.

    Args:
        count: Number of values.
        rng: Random numbers.

    References:
        Chambers, Mallows and Stuck, Eq. 2.3 with index 1 and skewness 1, with the angle counted from its lower end.
    """
    angle = np.float32(np.pi) * (rng.random(count, dtype=np.float32) + np.float32(2.0**-25))
    sine = np.sin(angle)
    waiting = rng.standard_exponential(count, dtype=np.float32) + np.float32(1e-12)
    return np.asarray(-angle * np.cos(angle) / sine - np.log(waiting * np.abs(sine) / angle), dtype=np.float32)


def photons(conditions: BeamConditions, factor: NDArray[np.float64], rng: np.random.Generator) -> Deposits:
    """Draw the charge of synchrotron photons, which are absorbed at one point of layer 1, on the side of phi = 0.

    Args:
        conditions: State of the machine.
        factor: Common factor of every event, shape ``(events,)``.
        rng: Random numbers.
    """
    source = SYNCHROTRON
    event = events_of(source.rate * factor * conditions.synchrotron * conditions.current_her, rng)
    count = len(event)
    ladder = rng.choice(len(_SIDE), size=count, p=_SIDE)
    sensor = 2 * ladder + (rng.random(count) >= source.forward)
    # Exponentials from the ladder's middle outwards and from the inner face, cut at the ends of the silicon.
    outwards = _cut_exponential(source.decay, LAYERS[0].length, count, rng)
    depth = _cut_exponential(source.attenuation, THICKNESS, count, rng)
    v, pitch_v = v_position(sensor, LAYERS[0].length - outwards)
    return Deposits(
        row=(event * SENSORS + sensor).astype(np.int32),
        u=(rng.random(count) * U_CELLS).astype(np.float32),
        v=v.astype(np.float32),
        pitch_v=pitch_v.astype(np.float32),
        drift=(1.0 - depth / THICKNESS).astype(np.float32),
        electrons=rng.exponential(COLLECTED * 1000.0 * source.energy / _PAIR_ENERGY, count).astype(np.float32),
    )


def joined(*pieces: Deposits) -> Deposits:
    """Put deposits one after the other."""
    return Deposits(*(np.concatenate([getattr(piece, one.name) for piece in pieces]) for one in fields(Deposits)))


_FACING: Final = (1.0 + np.cos(2.0 * np.pi * np.arange(LAYERS[0].ladders) / LAYERS[0].ladders)) ** 2
_SIDE: Final = _FACING / _FACING.sum()


def _cut_exponential(decay: float, end: float, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return np.asarray(-decay * np.log1p(np.expm1(-end / decay) * rng.random(count)), dtype=np.float64)
