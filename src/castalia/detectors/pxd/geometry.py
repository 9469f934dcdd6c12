"""Belle II's pixel detector: two layers of ladders set like the sails of a windmill, two sensors a ladder.

A ladder's plane has the normal (cos phi, sin phi) and stands at a distance from the beam's axis; along the plane, the
tangential coordinate s runs towards growing phi from the foot of the perpendicular. The cells ``u`` count along s. The
cells ``v`` count along the beam from the ladder's outer end to the middle, as basf2 counts them: towards smaller z in
the forward sensor (number 1), towards larger z in the backward one (number 2).

References:
    The detector's description in basf2 (pxd/data/PXD.xml, PXD-Components.xml); Belle II Technical Design Report,
    arXiv:1011.0352, for the acceptance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from castalia.physics.angles import wrap_phi

__all__ = [
    "LADDERS",
    "LAYERS",
    "PITCH_U",
    "SENSORS",
    "SENSOR_LADDER",
    "SENSOR_LAYER",
    "SENSOR_NUMBER",
    "SENSOR_PHI",
    "SHIFT",
    "THICKNESS",
    "U_CELLS",
    "VXD_IDS",
    "V_CELLS",
    "WIDTH",
    "Layer",
    "along_beam",
    "cell_positions",
    "sensor_at",
    "v_position",
]

U_CELLS: Final = 250
V_CELLS: Final = 768
SENSORS: Final = 40

PITCH_U: Final = 0.050
"""Size of a cell along u, in mm."""
WIDTH: Final = U_CELLS * PITCH_U
"""Active width of a sensor, in mm."""
SHIFT: Final = 3.5
"""Tangential coordinate of the middle of a sensor, in mm: what makes it a windmill."""
THICKNESS: Final = 0.075
"""Thickness of the active silicon, in mm."""

_OUTER_CELLS: Final = 512
_GAP: Final = 0.85  # mm between the active parts of a ladder's two sensors


@final
@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        ladders: Number of ladders, evenly in phi from phi = 0.
        distance: From the beam's axis to the middle of the silicon, in mm.
        middle: Position along the beam of the middle of a ladder, in mm.
        outer_pitch: Size along v of the 512 cells of the outer end, in mm.
        inner_pitch: Size along v of the 256 cells next to the middle, in mm.
    """

    ladders: int
    distance: float
    middle: float
    outer_pitch: float
    inner_pitch: float

    @property
    def split(self) -> float:
        """Where the pitch changes, in mm from the outer end."""
        return _OUTER_CELLS * self.outer_pitch

    @property
    def length(self) -> float:
        """Active length of a sensor, in mm."""
        return self.split + (V_CELLS - _OUTER_CELLS) * self.inner_pitch


# The middles are not in the files read: both ends reach equally far beyond the acceptance of 17 to 150 degrees.
LAYERS: Final = (Layer(8, 14.21, 10.9, 0.060, 0.055), Layer(12, 21.79, 16.8, 0.085, 0.070))

LADDERS: Final = tuple(
    (layer, 2.0 * np.pi * ladder / LAYERS[layer].ladders) for layer in (0, 1) for ladder in range(LAYERS[layer].ladders)
)
"""Place of the layer in ``LAYERS`` and phi of every ladder; ladder ``i`` has the sensors ``2 i`` and ``2 i + 1``."""

_NAMED: Final = [
    (layer + 1, ladder + 1, number) for layer in (0, 1) for ladder in range(LAYERS[layer].ladders) for number in (1, 2)
]
SENSOR_LAYER: Final[NDArray[np.int64]] = np.array([one[0] for one in _NAMED])
"""basf2's layer of every sensor, 1 or 2, shape ``(40,)``."""
SENSOR_LADDER: Final[NDArray[np.int64]] = np.array([one[1] for one in _NAMED])
"""basf2's ladder of every sensor, from 1, shape ``(40,)``."""
SENSOR_NUMBER: Final[NDArray[np.int64]] = np.array([one[2] for one in _NAMED])
"""basf2's sensor in the ladder, 1 forward and 2 backward, shape ``(40,)``."""
SENSOR_PHI: Final[NDArray[np.float64]] = np.repeat([phi for _, phi in LADDERS], 2)
"""Azimuth of the normal of every sensor's plane, in radians, shape ``(40,)``."""
VXD_IDS: Final[NDArray[np.uint16]] = (SENSOR_LAYER << 13 | SENSOR_LADDER << 8 | SENSOR_NUMBER << 5).astype(np.uint16)
"""basf2's VxdID of every sensor: 3 bits of layer, 5 of ladder, 3 of sensor, 5 of segment; shape ``(40,)``."""


def sensor_at(ladder: NDArray[np.int64], z: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the sensor of a ladder at a position along the beam.

    Args:
        ladder: Places in ``LADDERS``, any shape.
        z: Positions along the beam in mm, same shape.

    Returns:
        Sensors from 0 to 39, or −1 beside the active silicon, and distances from their outer ends in mm.
    """
    layer = np.array([one for one, _ in LADDERS])[ladder]
    middle, length = (np.array([getattr(one, name) for one in LAYERS])[layer] for name in ("middle", "length"))
    forward = z > middle
    distance = length + 0.5 * _GAP - np.abs(z - middle)
    inside = (distance >= 0.0) & (distance < length)
    return np.where(inside, 2 * ladder + ~forward, -1), distance


def v_position(
    sensor: NDArray[np.int64], distance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return positions along v counted in cells, and the size of a cell there in mm.

    Args:
        sensor: Sensors from 0 to 39, any shape.
        distance: Distances from the outer end in mm, same shape.
    """
    layer = SENSOR_LAYER[sensor] - 1
    outer, inner, split = (
        np.array([getattr(one, name) for one in LAYERS])[layer] for name in ("outer_pitch", "inner_pitch", "split")
    )
    is_outer = distance < split
    pitch = np.where(is_outer, outer, inner)
    return np.where(is_outer, distance / outer, _OUTER_CELLS + (distance - split) / inner), pitch


def cell_positions(
    sensor: NDArray[np.integer[Any]], u: NDArray[np.integer[Any]], v: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return azimuth in radians, in (−pi, pi], and position along the beam in mm of the middles of cells.

    Args:
        sensor: Sensors from 0 to 39, any shape.
        u: Cells along u, same shape.
        v: Cells along v, same shape.
    """
    distance = np.array([one.distance for one in LAYERS])[SENSOR_LAYER[sensor] - 1]
    tangential = SHIFT - 0.5 * WIDTH + (u + 0.5) * PITCH_U
    return wrap_phi(SENSOR_PHI[sensor] + np.arctan2(tangential, distance)), along_beam(sensor, v + 0.5)


def along_beam(sensor: NDArray[np.integer[Any]], v: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return positions along the beam in mm.

    Args:
        sensor: Sensors from 0 to 39, any shape.
        v: Positions along v counted in cells, same shape; the middle of the first cell is 0.5.
    """
    outer, inner, split, length, middle = (
        np.array([getattr(one, name) for one in LAYERS])[SENSOR_LAYER[sensor] - 1]
        for name in ("outer_pitch", "inner_pitch", "split", "length", "middle")
    )
    from_end = np.where(v < _OUTER_CELLS, v * outer, split + (v - _OUTER_CELLS) * inner)
    off_middle = 0.5 * _GAP + length - from_end
    return np.asarray(middle + np.where(SENSOR_NUMBER[sensor] == 1, off_middle, -off_middle), dtype=np.float64)
