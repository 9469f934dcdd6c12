"""How each composite of a decay tree decays along its own flight: the helicity angles, to read and to set.

An energy shared in a decay, and with it a particle's spin, is in the angle between the first daughter, seen from the
composite at rest, and the composite's flight, seen from its mother at rest (of a resonance: in the laboratory). It
follows from directions and momenta, but as a function that networks are slow to learn; as a number of its own it need
not be. That number is the pseudorapidity about the flight, whose hyperbolic tangent is the cosine of the angle: it has
no ends, and loses no digits close to the axis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from castalia.physics.decay_coordinates import laboratory_momentum
from castalia.physics.decay_tree import DecayTree
from castalia.physics.two_body import direction_to_normal, normal_to_direction, unit

__all__ = ["helicities", "with_helicities"]

Floats = NDArray[np.float64]
ByName = Mapping[str, Floats]

_CLOSEST = 1e-9  # to the axis: a pseudorapidity of 21
_FARTHEST = 700.0  # whose hyperbolic cosine is finite


def helicities(tree: DecayTree, coordinates: ByName, masses: ByName) -> dict[str, Floats]:
    """Return the pseudorapidity of each composite's first daughter about its flight.

    Args:
        tree: What decays to what.
        coordinates: Those of ``decay_coordinates`` by name, of any one shape; releases are not read.
        masses: Masses of the resonances in GeV, of the same shape.

    Returns:
        By the names of all composites in resonances; 0 for one at rest, of which no flight is known.
    """
    found: dict[str, Floats] = {}

    def read(one: str, direction: Floats, flight: Floats) -> Floats:
        along = np.sum(direction * flight, axis=-1)
        across = np.linalg.norm(direction - along[..., None] * flight, axis=-1)
        found[one] = np.arcsinh(along / np.maximum(across, _CLOSEST))
        return direction

    _visit(tree, coordinates, masses, read)
    return found


def with_helicities(tree: DecayTree, coordinates: ByName, masses: ByName, wanted: ByName) -> dict[str, Floats]:
    """Return the directions of coordinates with other helicity angles, and the same azimuths about each flight.

    Args:
        tree: What decays to what.
        coordinates: As in ``helicities``.
        masses: As in ``helicities``.
        wanted: What ``helicities`` is to be.

    Returns:
        ``COMPOSITE_u`` and ``COMPOSITE_v`` of all composites in resonances. What is wanted already changes nothing.
    """
    found: dict[str, Floats] = {}

    def write(one: str, direction: Floats, flight: Floats) -> Floats:
        along = np.sum(direction * flight, axis=-1, keepdims=True)
        across = unit(direction - along * flight)
        pseudorapidity = np.clip(wanted[one][..., None], -_FARTHEST, _FARTHEST)
        turned = np.tanh(pseudorapidity) * flight + across / np.cosh(pseudorapidity)
        found[f"{one}_u"], found[f"{one}_v"] = np.moveaxis(direction_to_normal(turned), -1, 0)
        return unit(turned)

    _visit(tree, coordinates, masses, write)
    return found


def _visit(
    tree: DecayTree, coordinates: ByName, masses: ByName, visit: Callable[[str, Floats, Floats], Floats]
) -> None:
    """Call ``visit`` with name, direction of the first daughter and flight of each composite, mothers first.

    What it returns is the direction that the flights of the daughters follow from.
    """
    for name in tree.resonances:
        flights = {name: unit(laboratory_momentum(name, masses[name], coordinates))}
        for one in tree.inside(name):
            normal = np.stack([coordinates[f"{one}_u"], coordinates[f"{one}_v"]], axis=-1)
            direction = visit(one, normal_to_direction(normal), flights[one])
            flights |= dict(zip(tree.composites[one], (direction, -direction), strict=True))
