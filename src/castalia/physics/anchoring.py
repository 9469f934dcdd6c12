"""Giving a resonance's leaf a momentum that is known better, at no cost to any mass and little to anything else.

From the leaf up to the resonance, each composite keeps its mass, as the daughter that does not contain the leaf follows
in one of two ways, whichever changes its momentum less: by the shortest way to where the mass is right, or by the boost
that the other side got. Of a top quark with the lepton as anchor it is first the neutrino that gives way, for the
mass of the W boson, and then the b quark: what is measured worst.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from castalia.physics.decay_tree import DecayTree
from castalia.physics.two_body import boost, boost_between, mass_of_sum

__all__ = ["anchored"]

Floats = NDArray[np.float64]

_STEPS = 12
_CLOSE = 1e-9  # of the excess: what is right already is left alone
_TINY = np.finfo(np.float64).tiny


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
        Momenta of the leaves, for which all masses of composites in the resonance are what they were.
    """
    (side,) = (leaf for leaf in tree.leaves_of(resonance) if leaf in tree.anchors)
    changed = {**momenta, side: wanted}
    while side != resonance:
        mother = next(name for name in tree.inside(resonance) if side in tree.composites[name])
        (other,) = (name for name in tree.composites[mother] if name != side)
        near, far = tree.leaves_of(side), tree.leaves_of(other)
        before, after = (np.sum([each[leaf] for leaf in near], axis=0) for each in (momenta, changed))
        along = np.sum([momenta[leaf] for leaf in far], axis=0)
        mass, far_mass, total = (_mass(momenta, masses, leaves) for leaves in (near, far, (*near, *far)))
        follow = boost_between(before, after, mass)
        boosted = boost(along, far_mass, follow, 1.0)
        stretched = _kept_direction(after, mass, _nearest(after, mass, along, far_mass, total), far_mass, total)
        gentle = _distance(stretched, along) <= _distance(boosted, along)
        shift = np.where(gentle, boost_between(along, np.where(gentle, stretched, along), far_mass), follow)
        changed |= {leaf: boost(momenta[leaf], masses[leaf], shift, 1.0) for leaf in far}
        side = mother
    return changed


def _distance(one: Floats, other: Floats) -> Floats:
    return np.asarray(np.linalg.norm(one - other, axis=1, keepdims=True), dtype=np.float64)


def _mass(momenta: Mapping[str, Floats], masses: Mapping[str, Floats], leaves: tuple[str, ...]) -> Floats:
    if len(leaves) == 1:
        return masses[leaves[0]]
    return mass_of_sum(np.stack([momenta[leaf] for leaf in leaves]), np.stack([masses[leaf] for leaf in leaves]))


def _nearest(near: Floats, mass: Floats, far: Floats, far_mass: Floats, total: Floats) -> Floats:
    """Return momenta about as close to ``far`` as can be that give both together the mass ``total``, or nearly so.

    Newton's steps along the gradient of ``f(q) = E e(q) - p q - K`` in the notation of ``_kept_direction``: f is
    convex, so that from the first step on they come down to its zero from one side.
    """
    energy, k = np.hypot(np.linalg.norm(near, axis=1), mass), _excess(mass, far_mass, total)
    q = far
    for _ in range(_STEPS):
        own = np.hypot(np.linalg.norm(q, axis=1), far_mass)
        gradient = (energy / np.maximum(own, _TINY))[:, None] * q - near
        slope = np.maximum(np.sum(gradient * gradient, axis=1), _TINY)
        off = energy * own - np.sum(near * q, axis=1) - k
        step = np.where(np.abs(off) > _CLOSE * np.abs(k), off / slope, 0.0)
        q = q - step[:, None] * gradient
    return q


def _excess(mass: Floats, far_mass: Floats, total: Floats) -> Floats:
    return np.asarray(0.5 * (np.square(total) - np.square(mass) - np.square(far_mass)), dtype=np.float64)


def _kept_direction(near: Floats, mass: Floats, far: Floats, far_mass: Floats, total: Floats) -> Floats:
    """Return the momentum along ``far``, closest to it, that gives both together the mass ``total``; NaN without any.

    Solves ``E e = K + c q`` for the momentum q, where e is the energy of ``far``, E that of ``near``, c its momentum
    along ``far``, and ``2 K`` the excess of the squared masses.
    """
    size = np.linalg.norm(far, axis=1)
    axis = far / np.where(size > 0.0, size, 1.0)[:, None]
    energy, c = np.hypot(np.linalg.norm(near, axis=1), mass), np.sum(near * axis, axis=1)
    k = _excess(mass, far_mass, total)
    across = np.maximum(np.square(energy) - np.square(c), _TINY)
    with np.errstate(invalid="ignore"):
        root = energy * np.sqrt(np.square(k) - np.square(far_mass) * across)
        both = np.stack([(k * c + root) / across, (k * c - root) / across])
        both[~((both >= 0.0) & (k + c * both >= 0.0))] = np.nan
        distance = np.abs(both - size)
        nearer = np.where(np.nan_to_num(distance[0], nan=np.inf) <= np.nan_to_num(distance[1], nan=np.inf), *both)
    return np.asarray(nearer[:, None] * axis, dtype=np.float64)
