"""Giving a resonance's leaf a momentum that is known better, at no cost to any mass and little to anything else.

The other leaves give way: among all their momenta for which every composite keeps its mass, those are found that are
nearest, by the sum of the squares of what they change. Of a top quark with the lepton as anchor, neutrino and b quark
give way together, for the masses of the W boson and of the top quark. It is a problem of least squares with as many
conditions as composites, solved by Newton's steps on linearised conditions (Nocedal and Wright, Numerical Optimization,
2nd ed., 2006, section 18.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from castalia.physics.decay_tree import DecayTree
from castalia.physics.two_body import boost, boost_between

__all__ = ["anchored"]

Floats = NDArray[np.float64]

_STEPS: Final = 20
_CLOSE: Final = 1e-9  # of squared masses: what is right already is left alone
_ROUNDING: Final = 1e-13  # of squared energies
_LONGEST: Final = 0.5  # step, in units of the sum of all momenta
_TINY: Final = 1e-14


def anchored(
    tree: DecayTree, resonance: str, momenta: Mapping[str, Floats], masses: Mapping[str, Floats], wanted: Floats
) -> dict[str, Floats]:
    """Return the leaves of a resonance with its anchor's momentum changed.

    Args:
        tree: What decays to what.
        resonance: A resonance with an anchor.
        momenta: Momenta of its leaves in GeV, each of shape ``(events, 3)``.
        masses: Masses of the leaves in GeV, each of shape ``(events,)``.
        wanted: The momentum that the anchor is to have, shape ``(events, 3)``.

    Returns:
        Momenta of the leaves, for which all masses of composites in the resonance are what they were. Where no nearest
        ones are found, in some events in a thousand, the others follow by the boost that the anchor got.
    """
    (side,) = (leaf for leaf in tree.leaves_of(resonance) if leaf in tree.anchors)
    others = [leaf for leaf in tree.leaves_of(resonance) if leaf != side]
    order = [*others, side]
    given = np.stack([momenta[leaf] for leaf in order], axis=1)
    mass = np.stack([masses[leaf] for leaf in order], axis=1)
    inside = [tree.leaves_of(one) for one in tree.inside(resonance)]
    members = np.array([[float(leaf in leaves) for leaf in order] for leaves in inside])
    found, good = _nearest(given, mass, members, wanted)
    shift = boost_between(momenta[side], wanted, masses[side])
    result = {side: wanted}
    for place, leaf in enumerate(others):
        result[leaf] = found[:, place]
        if not good.all():
            result[leaf] = np.where(good[:, None], found[:, place], boost(momenta[leaf], masses[leaf], shift, 1.0))
    return result


def _nearest(given: Floats, mass: Floats, members: Floats, wanted: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return momenta near to those given with the last one changed, and where their composites have their masses.

    Args:
        given: Shape ``(events, leaves, 3)``.
        mass: Shape ``(events, leaves)``.
        members: 1 where a leaf is in a composite, shape ``(composites, leaves)``.
        wanted: The last leaf's momentum, shape ``(events, 3)``.
    """
    found = given.copy()
    found[:, -1] = wanted
    kept, _ = _squares(given, mass, members)
    good, rows = np.zeros(len(given), dtype=np.bool_), np.arange(len(given))
    longest = _LONGEST * np.linalg.norm(given, axis=2).sum(axis=1)
    for step in range(_STEPS + 1):
        now, square = _squares(found[rows], mass[rows], members)
        off = now - kept[rows]
        close = (np.abs(off) <= _CLOSE * kept[rows] + _ROUNDING * square).all(axis=1)
        good[rows[close]] = True
        rows, off = rows[~close], off[~close]
        if step == _STEPS or not len(rows):
            break
        change = _step(found[rows], given[rows], mass[rows], members, off)
        size = np.sqrt(np.square(change).sum(axis=(1, 2))) / np.maximum(longest[rows], _TINY)
        found[rows, :-1] += change / np.maximum(size, 1.0)[:, None, None]
    return found, good


def _step(at: Floats, given: Floats, mass: Floats, members: Floats, off: Floats) -> Floats:
    """Return the way to the nearest momenta whose conditions, linearised here, hold; of all leaves but the last."""
    energy = np.maximum(np.hypot(np.linalg.norm(at, axis=2), mass), _TINY)
    total, along = energy @ members.T, np.einsum("kl,elx->ekx", members, at)
    # Of M^2 = E^2 - P^2 by a leaf's momentum p, with which its energy e changes by p / e.
    velocity = at / energy[..., None]
    slopes = 2.0 * members[:, :, None] * (total[:, :, None, None] * velocity[:, None] - along[:, :, None])
    slopes = slopes[:, :, :-1].reshape(len(at), len(members), -1)
    size = np.maximum(np.linalg.norm(slopes, axis=2), _TINY)
    slopes, off = slopes / size[..., None], off / size
    back = (given - at)[:, :-1].reshape(len(at), -1)
    across = slopes @ slopes.transpose(0, 2, 1) + _TINY * np.eye(len(members))
    push = np.linalg.solve(across, (-off - np.einsum("ekv,ev->ek", slopes, back))[..., None])
    change = back + (slopes.transpose(0, 2, 1) @ push)[..., 0]
    return np.asarray(change.reshape(len(at), -1, 3), dtype=np.float64)


def _squares(momenta: Floats, mass: Floats, members: Floats) -> tuple[Floats, Floats]:
    """Return squared masses and energies of composites, each of shape ``(events, composites)``."""
    energy = np.square(np.hypot(np.linalg.norm(momenta, axis=2), mass) @ members.T)
    return energy - np.square(np.einsum("kl,elx->ekx", members, momenta)).sum(axis=2), energy
