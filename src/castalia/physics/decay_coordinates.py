"""Coordinates of a decay tree's leaves in which every mass and every sum closes by construction.

Each resonance has, in this order:

- ``NAME_px``, ``NAME_py`` (GeV) and ``NAME_rapidity``, in the laboratory;
- ``COMPOSITE_release`` (GeV), for itself and every composite in it: the mass less those of both daughters, which is
  their kinetic energy in the composite's rest frame. Every value from 0 on decodes, so thresholds hold;
- ``COMPOSITE_u`` and ``COMPOSITE_v``, likewise: the direction of the first daughter in the composite's rest frame, as
  two numbers that are standard normal where the decay is isotropic (``castalia.physics.two_body``).

Rest frames are reached by boosts without rotation down the tree: from the laboratory to that of the resonance, from
there to that of its daughter, and so on, so that the angles in a decay do not depend on how the resonance moves. A leaf
in no resonance has ``LEAF_px``, ``LEAF_py`` and ``LEAF_rapidity``. Masses of leaves are no coordinates.

None of these is redundant. A leaf that the detector knows to a per cent is a curved and narrow shell in them, which a
model blurs. Where the tree names such leaves as anchors, their ``LEAF_px``, ``LEAF_py`` and ``LEAF_rapidity`` come
last, and the leaves of the resonance follow it as ``castalia.physics.anchoring`` says: not at all where they were
encoded, and a little where a model drew them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.physics.anchoring import anchored
from castalia.physics.decay_tree import DecayTree
from castalia.physics.two_body import (
    boost,
    decay_momentum,
    direction_to_normal,
    mass_of_sum,
    normal_to_direction,
    release,
)

__all__ = ["coordinates", "decode", "encode", "laboratory_momentum"]

_ByName: TypeAlias = dict[str, NDArray[np.float64]]

# A massless particle along the beam has no rapidity; a transverse mass of 1 eV gives it one.
_SMALLEST_MT: Final = 1e-9


def coordinates(tree: DecayTree) -> dict[str, str]:
    """Return the units of the coordinates by name, in order: three for each leaf."""
    units: dict[str, str] = {}
    for name in tree.resonances:
        units |= {f"{name}_px": "GeV", f"{name}_py": "GeV", f"{name}_rapidity": ""}
        units |= {f"{one}_release": "GeV" for one in tree.inside(name)}
        units |= {f"{one}_{axis}": "" for one in tree.inside(name) for axis in ("u", "v")}
    for name in (*tree.loose, *tree.anchors):
        units |= {f"{name}_px": "GeV", f"{name}_py": "GeV", f"{name}_rapidity": ""}
    return units


def encode(tree: DecayTree, leaves: ArrayLike) -> NDArray[np.float64]:
    """Return the coordinates of events.

    Args:
        tree: What decays to what.
        leaves: (px, py, pz, mass) in GeV, shape ``(events, leaves, 4)``; NaN gives NaN.

    Returns:
        Shape ``(events, coordinates)``. ``decode`` gives the leaves back within some ``2**-52 E / m`` of the energy E
        of their resonance, where m is the smallest mass of it and the composites in it. Massless daughters that are
        parallel to the last bit come back with other energies.

    Raises:
        DataError: If the shape does not fit or a mass is negative.
    """
    values = tree.check(leaves)
    momenta = dict(zip(tree.leaves, np.moveaxis(values[..., :3], 1, 0), strict=True))
    masses = dict(zip(tree.leaves, values[..., 3].T, strict=True))
    found: _ByName = {}
    for name in tree.resonances:
        own = {leaf: momenta[leaf] for leaf in tree.leaves_of(name)}
        mass = _take_apart(tree, name, own, masses, found)
        found |= _in_laboratory(name, np.sum(list(own.values()), axis=0), mass)
    for name in (*tree.loose, *tree.anchors):
        found |= _in_laboratory(name, momenta[name], masses[name])
    return np.stack([found[name] for name in coordinates(tree)], axis=1)


def decode(tree: DecayTree, values: ArrayLike, masses: ArrayLike) -> NDArray[np.float64]:
    """Return the leaves of events; the inverse of ``encode``.

    Args:
        tree: What decays to what.
        values: Coordinates, shape ``(events, coordinates)``; NaN gives NaN.
        masses: Masses of the leaves in GeV, shape ``(leaves,)`` or ``(events, leaves)``.

    Returns:
        (px, py, pz, mass) in GeV, shape ``(events, leaves, 4)``.

    Raises:
        DataError: If a shape does not fit, or a mass or a release is negative.
    """
    given = _named(tree, values)
    rows = len(np.asarray(values))
    leaves = np.zeros((rows, len(tree.leaves), 4))
    mass = np.asarray(masses, dtype=np.float64)
    if mass.shape not in (leaves.shape[1:2], leaves.shape[:2]):
        raise DataError(f"{rows} events need masses of {len(tree.leaves)} leaves each or once, not {mass.shape}.")
    leaves[..., 3] = mass
    of_leaf = dict(zip(tree.leaves, tree.check(leaves)[..., 3].T, strict=True))
    found: _ByName = {}
    for name in tree.resonances:
        at_rest, total = _put_together(tree, name, of_leaf, given)
        frame = laboratory_momentum(name, total, given)
        own = {leaf: boost(momentum, of_leaf[leaf], frame, total) for leaf, momentum in at_rest.items()}
        if (anchor := tree.anchor_of(name)) is not None:
            own = anchored(tree, name, own, of_leaf, laboratory_momentum(anchor, of_leaf[anchor], given))
        found |= own
    for name in tree.loose:
        found[name] = laboratory_momentum(name, of_leaf[name], given)
    leaves[..., :3] = np.stack([found[name] for name in tree.leaves], axis=1)
    return leaves


def laboratory_momentum(
    name: str, mass: NDArray[np.float64], given: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return the momentum that the coordinates ``NAME_px``, ``NAME_py`` and ``NAME_rapidity`` mean for a mass.

    Args:
        name: A resonance, a leaf in none, or an anchor.
        mass: In GeV, of the coordinates' shape.
        given: Coordinates by name, of any shape.

    Returns:
        (px, py, pz) in GeV, shape ``(*shape, 3)``.
    """
    px, py = given[f"{name}_px"], given[f"{name}_py"]
    return np.stack([px, py, _transverse_mass(px, py, mass) * np.sinh(given[f"{name}_rapidity"])], axis=-1)


def _named(tree: DecayTree, values: ArrayLike) -> _ByName:
    names, array = tuple(coordinates(tree)), np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != len(names):
        raise DataError(f"This decay tree has coordinates (events, {len(names)}), not {array.shape}.")
    given = dict(zip(names, array.T, strict=True))
    for name, column in given.items():
        if name.endswith("_release") and (column < 0.0).any():
            row = int(np.flatnonzero(column < 0.0)[0])
            raise DataError(f"Coordinate {name!r} is negative in row {row}; a release is at least 0.")
    return given


def _take_apart(
    tree: DecayTree, name: str, momenta: _ByName, masses: Mapping[str, NDArray[np.float64]], found: _ByName
) -> NDArray[np.float64]:
    """Add release and direction of a composite and all in it to ``found``; return its mass.

    Args:
        tree: What decays to what.
        name: The composite.
        momenta: Momenta of its leaves, in the rest frame of its mother.
        masses: Masses of leaves.
        found: Coordinates by name.
    """
    frame = np.sum(list(momenta.values()), axis=0)
    mass = mass_of_sum(np.stack(list(momenta.values())), np.stack([masses[leaf] for leaf in momenta]))
    at_rest = {leaf: boost(momentum, masses[leaf], -frame, mass) for leaf, momentum in momenta.items()}
    of_daughter = []
    for one in tree.composites[name]:
        own = {leaf: at_rest[leaf] for leaf in tree.leaves_of(one)}
        of_daughter.append(masses[one] if one in masses else _take_apart(tree, one, own, masses, found))
    first = np.sum([at_rest[leaf] for leaf in tree.leaves_of(tree.composites[name][0])], axis=0)
    found[f"{name}_release"] = release(np.linalg.norm(first, axis=-1), *of_daughter)
    found[f"{name}_u"], found[f"{name}_v"] = direction_to_normal(first).T
    # As ``decode`` will have it; ``mass`` differs from it by rounding.
    return np.asarray(of_daughter[0] + of_daughter[1] + found[f"{name}_release"], dtype=np.float64)


def _put_together(
    tree: DecayTree, name: str, masses: Mapping[str, NDArray[np.float64]], given: _ByName
) -> tuple[_ByName, NDArray[np.float64]]:
    """Return the momenta of a composite's leaves in its rest frame, and its mass."""
    parts: list[tuple[_ByName, NDArray[np.float64]]] = []
    for one in tree.composites[name]:
        still = {one: np.zeros((len(given[f"{name}_u"]), 3))}
        parts.append((still, masses[one]) if one in masses else _put_together(tree, one, masses, given))
    released = given[f"{name}_release"]
    direction = normal_to_direction(np.stack([given[f"{name}_u"], given[f"{name}_v"]], axis=-1))
    first = decay_momentum(released, parts[0][1], parts[1][1])[:, None] * direction
    found: _ByName = {}
    for one, (at_rest, mass), momentum in zip(tree.composites[name], parts, (first, -first), strict=True):
        if one in masses:
            found[one] = momentum
        else:
            found |= {leaf: boost(old, masses[leaf], momentum, mass) for leaf, old in at_rest.items()}
    return found, np.asarray(parts[0][1] + parts[1][1] + released, dtype=np.float64)


def _in_laboratory(name: str, momentum: NDArray[np.float64], mass: NDArray[np.float64]) -> _ByName:
    px, py, pz = momentum.T
    return {f"{name}_px": px, f"{name}_py": py, f"{name}_rapidity": np.arcsinh(pz / _transverse_mass(px, py, mass))}


def _transverse_mass(
    px: NDArray[np.float64], py: NDArray[np.float64], mass: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray(np.maximum(np.hypot(np.hypot(px, py), mass), _SMALLEST_MT), dtype=np.float64)
