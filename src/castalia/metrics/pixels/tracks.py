"""Muon-like tracks through both layers, and what their two hits say of where they come from.

A track's curvature is known from the detectors outside; a circle of that radius through the hits of the two layers
gives the distance d0 from the beam's axis, and a straight line of path against z gives z0. Material is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from castalia.detectors.pxd.geometry import LAYERS, PITCH_U, SENSOR_LAYER, SENSOR_PHI, SHIFT, WIDTH, along_beam
from castalia.detectors.pxd.helix import Crossings, Helices, crossings, curvature_radius

__all__ = ["Tracks", "draw_tracks", "impact_parameters", "space_points"]

_PT: Final = (500.0, 3000.0)  # MeV
_SLOPE: Final = (-0.8, 1.4)  # tan lambda, forward more than backward as the acceptance is
_Z_SPREAD: Final = 0.3  # mm, of the interaction point
_TRIED: Final = 2  # tracks drawn for one that has one hit in either layer

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Tracks:
    """Tracks from the beam's axis with one true crossing in either layer.

    Attributes:
        z0: True start along the beam in mm, shape ``(tracks,)``; the true d0 is zero.
        radius: Of the circle in the transverse plane in mm, same shape.
        sense: +1 where the track turns towards growing phi, else −1, same shape.
        sensor: Sensors that are hit in layer 1 and 2, shape ``(tracks, 2)``.
        u: True positions counted in cells, same shape.
        v: True positions counted in cells, same shape.
    """

    z0: Floats
    radius: Floats
    sense: Floats
    sensor: NDArray[np.int64]
    u: Floats
    v: Floats

    def __len__(self) -> int:
        return len(self.z0)


def draw_tracks(number: int, rng: np.random.Generator) -> Tracks:
    """Draw tracks of 0.5 to 3 GeV in transverse momentum.

    Args:
        number: How many.
        rng: Random numbers.
    """
    found = _tracks_of(_helices(_TRIED * number, rng))
    while len(found) < number:
        found = _joined(found, _tracks_of(_helices(_TRIED * number, rng)))
    return _taken(found, np.arange(number))


def _helices(number: int, rng: np.random.Generator) -> Helices:
    zero = np.zeros(number)
    low, high = np.log(_PT)
    return Helices(
        event=np.arange(number),
        x=zero,
        y=zero,
        z=_Z_SPREAD * rng.standard_normal(number),
        phi=rng.uniform(-np.pi, np.pi, number),
        radius=curvature_radius(np.exp(rng.uniform(low, high, number))),
        sense=rng.choice([-1.0, 1.0], number),
        slope=rng.uniform(*_SLOPE, number),
        ionisation=zero + 1.0,
    )


def _tracks_of(helices: Helices) -> Tracks:
    """Keep what crosses either layer once."""
    crossed = crossings(helices, 1)
    number = len(helices.z)
    layer = SENSOR_LAYER[crossed.sensor]
    once = np.all([np.bincount(crossed.event[layer == one], minlength=number) == 1 for one in (1, 2)], axis=0)
    kept = np.flatnonzero(once)
    first, second = (_of_layer(crossed, layer == one, once) for one in (1, 2))
    sensor, u, v = (np.stack(pair, axis=1) for pair in zip(first, second, strict=True))
    return Tracks(helices.z[kept], helices.radius[kept], helices.sense[kept], sensor, u, v)


def _of_layer(
    crossed: Crossings, layer: NDArray[np.bool_], once: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], Floats, Floats]:
    rows = np.flatnonzero(layer & once[crossed.event])
    rows = rows[np.argsort(crossed.event[rows])]
    return crossed.sensor[rows], crossed.u[rows], crossed.v[rows]


def _joined(one: Tracks, other: Tracks) -> Tracks:
    return Tracks(*(np.concatenate(pair) for pair in zip(_columns(one), _columns(other), strict=True)))


def _taken(tracks: Tracks, rows: NDArray[np.int64]) -> Tracks:
    return Tracks(*(column[rows] for column in _columns(tracks)))


def _columns(tracks: Tracks) -> tuple[NDArray[Any], ...]:
    return tracks.z0, tracks.radius, tracks.sense, tracks.sensor, tracks.u, tracks.v


def space_points(sensor: NDArray[np.int64], u: Floats, v: Floats) -> Floats:
    """Return points of sensors in space, in mm.

    Args:
        sensor: Sensors from 0 to 39, any shape.
        u: Positions counted in cells, same shape.
        v: Positions counted in cells, same shape.

    Returns:
        x, y and z, shape ``(..., 3)``.
    """
    distance = np.array([one.distance for one in LAYERS])[SENSOR_LAYER[sensor] - 1]
    tangential = SHIFT - 0.5 * WIDTH + u * PITCH_U
    cos, sin = np.cos(SENSOR_PHI[sensor]), np.sin(SENSOR_PHI[sensor])
    x, y = distance * cos - tangential * sin, distance * sin + tangential * cos
    return np.stack([x, y, along_beam(sensor, v)], axis=-1)


def impact_parameters(points: Floats, radius: Floats, sense: Floats) -> tuple[Floats, Floats]:
    """Return the signed distance from the beam's axis, and z at the point closest to it, in mm.

    Args:
        points: Hits in layer 1 and 2, shape ``(tracks, 2, 3)``, in mm.
        radius: Of the circles, shape ``(tracks,)``.
        sense: +1 where the track turns towards growing phi, else −1.
    """
    first, second = points[:, 0], points[:, 1]
    chord = second[:, :2] - first[:, :2]
    length = np.hypot(chord[:, 0], chord[:, 1])
    left = np.stack([-chord[:, 1], chord[:, 0]], axis=1) / length[:, None]
    height = np.sqrt(np.maximum(radius**2 - 0.25 * length**2, 0.0))
    centre = 0.5 * (first[:, :2] + second[:, :2]) + (sense * height)[:, None] * left
    away = np.hypot(centre[:, 0], centre[:, 1])
    closest = centre * (1.0 - radius / away)[:, None]
    to_first = np.hypot(*(first[:, :2] - closest).T)
    path, step = (2.0 * radius * np.arcsin(np.minimum(0.5 * one / radius, 1.0)) for one in (to_first, length))
    slope = (second[:, 2] - first[:, 2]) / step
    return sense * (away - radius), first[:, 2] - slope * path
