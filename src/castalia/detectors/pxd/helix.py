"""Helices in the field of 1.5 T, and where they cross the planes of the pixel detector's ladders.

A helix is a circle in the transverse plane with a constant advance along the beam. A ladder's plane is a line there,
so that its crossings are the two roots of a quadratic equation, and a track that curls has them again in every turn.
Energy loss and multiple scattering are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from castalia.detectors.pxd.geometry import LADDERS, LAYERS, PITCH_U, SHIFT, WIDTH, sensor_at, v_position

__all__ = ["FIELD", "Crossings", "Helices", "crossings", "curvature_radius"]

FIELD: Final = 1.5
"""Magnetic field along the beam, in tesla."""

# A track that touches a plane would run on in it for ever; scattering ends this within 27 times the depth.
_STEEPEST: Final = 27.0
# Beyond this distance of the interaction point, in mm, no track comes back within a turn: they only move on.
_FARTHEST: Final = 150.0


@final
@dataclass(frozen=True)
class Helices:
    """Tracks by their start; every array has the shape ``(tracks,)``.

    Attributes:
        event: Number of the event, from 0.
        x: Start, in mm.
        y: Start, in mm.
        z: Start along the beam, in mm.
        phi: Azimuth of the direction at the start, in radians.
        radius: Of the circle in the transverse plane, in mm.
        sense: +1 where the track turns towards growing phi, else −1.
        slope: Advance along the beam over transverse path, tan lambda.
        ionisation: Charge liberated over that of a relativistic electron.
    """

    event: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    phi: NDArray[np.float64]
    radius: NDArray[np.float64]
    sense: NDArray[np.float64]
    slope: NDArray[np.float64]
    ionisation: NDArray[np.float64]


@final
@dataclass(frozen=True)
class Crossings:
    """Passages through a sensor; every array has the shape ``(crossings,)``.

    Attributes:
        event: Number of the event, from 0.
        sensor: From 0 to 39.
        u: Position in the middle of the silicon, counted in cells.
        v: Position in the middle of the silicon, counted in cells.
        pitch_v: Size of a cell along v there, in mm.
        slope_u: Path along u over path along the normal of the plane, which points outwards.
        slope_v: Path along v over path along the normal.
        ionisation: Charge liberated over that of a relativistic electron.
    """

    event: NDArray[np.int64]
    sensor: NDArray[np.int64]
    u: NDArray[np.float64]
    v: NDArray[np.float64]
    pitch_v: NDArray[np.float64]
    slope_u: NDArray[np.float64]
    slope_v: NDArray[np.float64]
    ionisation: NDArray[np.float64]


def curvature_radius(pt: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the radius in mm of particles of unit charge with transverse momenta ``pt`` in MeV, any shape."""
    return pt / (0.299792458 * FIELD)


def crossings(tracks: Helices, turns: int) -> Crossings:
    """Find where tracks pass through active silicon.

    Args:
        tracks: The tracks; their starts lie inside of the first layer.
        turns: Turns after which a track ends.
    """
    roots = _on_ladders(tracks)
    track, ladder, offset, reach = roots.track, roots.ladder, roots.offset, roots.reach
    radius, sense, slope = tracks.radius[track], tracks.sense[track], tracks.slope[track]
    # The point is at the angle phi + acos(offset / radius) of the circle, or minus it where the reach is negative; the
    # direction is a quarter of a turn ahead.
    azimuth = _LADDER_PHI[ladder] + np.arctan2(reach, offset) + 0.5 * np.pi * sense
    turned = np.mod(sense * (azimuth - tracks.phi[track]), 2.0 * np.pi)
    along_normal = -sense * reach / radius
    along_normal = np.copysign(np.maximum(np.abs(along_normal), 1e-9), along_normal)
    slope_u, slope_v = sense * offset / radius / along_normal, slope / along_normal

    hit, sensor, distance = _in_silicon(ladder, tracks.z[track] + radius * slope * turned, radius * slope, turns)
    v, pitch_v = v_position(sensor, distance)
    towards_middle = np.where(sensor % 2 == 0, -1.0, 1.0)  # v runs against z in the forward sensor
    return Crossings(
        event=tracks.event[track[hit]],
        sensor=sensor,
        u=(roots.tangential[hit] - SHIFT + 0.5 * WIDTH) / PITCH_U,
        v=v,
        pitch_v=pitch_v,
        slope_u=_limited(slope_u[hit]),
        slope_v=towards_middle * _limited(slope_v[hit]),
        ionisation=tracks.ionisation[track[hit]],
    )


def _limited(slope: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring slopes below the steepest, without a peak of slopes there."""
    return np.asarray(slope / np.hypot(1.0, slope / _STEEPEST), dtype=np.float64)


def _in_silicon(
    ladder: NDArray[np.int64], z: NDArray[np.float64], advance: NDArray[np.float64], turns: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Follow crossings of planes turn by turn; return their places, the sensors and the distances from outer ends.

    ``advance`` is the way along the beam in a radian.
    """
    found = []
    place = np.arange(len(z))
    for turn in range(turns):
        here = z[place] + 2.0 * np.pi * turn * advance[place]
        place, here = place[np.abs(here) < _FARTHEST], here[np.abs(here) < _FARTHEST]
        sensor, distance = sensor_at(ladder[place], here)
        inside = sensor >= 0
        found.append((place[inside], sensor[inside], distance[inside]))
    places, sensors, distances = zip(*found, strict=True)
    return np.concatenate(places), np.concatenate(sensors), np.concatenate(distances)


_LADDER_PHI: Final = np.array([phi for _, phi in LADDERS])
_NORMAL: Final = np.stack([np.cos(_LADDER_PHI), np.sin(_LADDER_PHI)], axis=1)
_DISTANCE: Final = np.array([LAYERS[layer].distance for layer, _ in LADDERS])


@final
@dataclass(frozen=True)
class _Roots:
    """Where circles meet the width of a ladder; every array has the shape ``(roots,)``, lengths are in mm.

    Attributes:
        track: Number of the track.
        ladder: Place in ``LADDERS``.
        tangential: Coordinate along the plane.
        offset: Of the plane from the circle's centre, along the normal.
        reach: Of the point from the circle's centre, along the plane; its sign tells the two roots apart.
    """

    track: NDArray[np.int64]
    ladder: NDArray[np.int64]
    tangential: NDArray[np.float64]
    offset: NDArray[np.float64]
    reach: NDArray[np.float64]


def _on_ladders(tracks: Helices) -> _Roots:
    """Solve the quadratic equation of every circle with every ladder."""
    arm = tracks.sense * tracks.radius
    x, y = tracks.x - arm * np.sin(tracks.phi), tracks.y + arm * np.cos(tracks.phi)
    squared = tracks.radius**2
    found = []
    for ladder, (cos, sin) in enumerate(_NORMAL):
        offset = _DISTANCE[ladder] - x * cos - y * sin
        reach2 = squared - offset**2
        track = np.flatnonzero(reach2 > 0.0)
        reach, middle, offset = np.sqrt(reach2[track]), (y * cos - x * sin)[track], offset[track]
        for root in (-reach, reach):
            inside = np.flatnonzero(np.abs(middle + root - SHIFT) < 0.5 * WIDTH)
            place = np.full(len(inside), ladder)
            found.append((track[inside], place, (middle + root)[inside], offset[inside], root[inside]))
    return _Roots(*(np.concatenate(column) for column in zip(*found, strict=True)))
