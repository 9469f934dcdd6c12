"""Two-body decays: boosts, the kinetic energy released and the momentum it gives, directions as two normal numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "boost",
    "boost_between",
    "decay_momentum",
    "direction_to_normal",
    "mass_of_sum",
    "normal_to_direction",
    "release",
    "unit",
]

_SHORTEST = 1e-150
_EPSILON, _TINY = np.finfo(np.float64).eps, np.finfo(np.float64).tiny


def boost(momentum: ArrayLike, mass: ArrayLike, frame: ArrayLike, frame_mass: ArrayLike) -> NDArray[np.float64]:
    """Carry momenta over from a frame to one in which the origin of that frame moves, without rotating the axes.

    Along the boost ``E + p`` grows by a factor and ``E - p = (m**2 + pt**2) / (E + p)`` shrinks by it. Neither is
    formed as a difference, so that rounding costs 2**-52 gamma of the momentum, and not 2**-52 gamma**2. With the
    opposite ``frame`` it is the way back.

    Args:
        momentum: Momenta (px, py, pz) in GeV, shape ``(*shape, 3)``.
        mass: Masses in GeV, at least 0, shape ``shape``.
        frame: Momentum, in the new frame, of a particle at rest in the old one, in GeV, shape ``(*shape, 3)``.
        frame_mass: The mass of that particle in GeV, shape ``shape``; below 2**-52 of its momentum it counts as that,
            as what has no mass has no rest frame.

    Returns:
        Momenta in the new frame, shape ``(*shape, 3)``.
    """
    momentum, frame = np.asarray(momentum, dtype=np.float64), np.asarray(frame, dtype=np.float64)
    axis, across, forward, backward = _light_cone(momentum, mass, frame)
    size = _length(frame)
    frame_mass = np.maximum(frame_mass, np.maximum(_EPSILON * size, _TINY))
    factor = (np.hypot(size, frame_mass) + size) / frame_mass
    along = 0.5 * (forward * factor - backward / factor)
    return np.asarray(across + along[..., None] * axis, dtype=np.float64)


def boost_between(before: ArrayLike, after: ArrayLike, mass: ArrayLike) -> NDArray[np.float64]:
    """Return the one boost without rotation that carries a momentum over to another of the same mass.

    It is along their difference, across which they agree, so that ``E + p`` along it grows by the factor that tells the
    rapidity of the boost, and ``E - p`` shrinks by it; whichever is no small difference says how much.

    Args:
        before: Momenta (px, py, pz) in GeV, shape ``(*shape, 3)``.
        after: What they are to become, same shape.
        mass: Their masses in GeV, at least 0, shape ``shape``.

    Returns:
        Momentum over mass, in the new frame, of a particle at rest in the old one: ``frame`` of ``boost`` for a
        ``frame_mass`` of 1; shape ``(*shape, 3)``.
    """
    before, after = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    axis, _, *first = _light_cone(before, mass, after - before)
    _, _, *last = _light_cone(after, mass, after - before)
    plus, minus = (np.maximum(pair, _TINY) for pair in zip(first, last, strict=True))
    factor = np.where(plus.min(axis=0) > minus.min(axis=0), plus[1] / plus[0], minus[0] / minus[1])
    return np.asarray(0.5 * (factor - 1.0 / factor)[..., None] * axis, dtype=np.float64)


def mass_of_sum(momentum: ArrayLike, mass: ArrayLike) -> NDArray[np.float64]:
    """Return the mass of the sum of particles, from ``E + p`` and ``E - p`` of each as in ``boost``.

    Args:
        momentum: Momenta (px, py, pz) in GeV, shape ``(particles, *shape, 3)``.
        mass: Their masses in GeV, at least 0, shape ``(particles, *shape)``.

    Returns:
        Masses in GeV, shape ``shape``.
    """
    momentum = np.asarray(momentum, dtype=np.float64)
    _, _, forward, backward = _light_cone(momentum, mass, momentum.sum(axis=0))
    return np.asarray(np.sqrt(forward.sum(axis=0) * backward.sum(axis=0)), dtype=np.float64)


def release(momentum: ArrayLike, mass_1: ArrayLike, mass_2: ArrayLike) -> NDArray[np.float64]:
    """Return the kinetic energy of two daughters, ``M - mass_1 - mass_2`` of their mother, which cannot cancel.

    Args:
        momentum: Magnitude of either daughter's momentum in the mother's rest frame in GeV, any shape.
        mass_1: Mass of one daughter in GeV, at least 0, broadcastable.
        mass_2: Mass of the other.
    """
    momentum = np.asarray(momentum, dtype=np.float64)
    return _kinetic_energy(momentum, mass_1) + _kinetic_energy(momentum, mass_2)


def decay_momentum(released: ArrayLike, mass_1: ArrayLike, mass_2: ArrayLike) -> NDArray[np.float64]:
    """Return the momentum of either daughter in the mother's rest frame; the inverse of ``release``.

    Källén's function of ``M = mass_1 + mass_2 + Q``, each of its four factors written as a sum of what is not negative:
    ``p = sqrt(Q (Q + 2 m1) (Q + 2 m2) (Q + 2 m1 + 2 m2)) / (2 M)``.

    Args:
        released: Kinetic energy Q in GeV, at least 0, any shape.
        mass_1: Mass of one daughter in GeV, at least 0, broadcastable.
        mass_2: Mass of the other.

    References:
        Navas et al. (PDG), Review of Particle Physics 2024, section 49: Kinematics, two-body decays.
    """
    q, m1, m2 = (np.asarray(value, dtype=np.float64) for value in (released, mass_1, mass_2))
    product = q * (q + 2.0 * m1) * (q + 2.0 * m2) * (q + 2.0 * (m1 + m2))
    return np.asarray(np.sqrt(product) / np.maximum(2.0 * (q + m1 + m2), _TINY), dtype=np.float64)


def direction_to_normal(direction: ArrayLike) -> NDArray[np.float64]:
    """Map directions to the plane so that isotropic ones become two independent standard normal numbers.

    Lambert's azimuthal equal-area map about +z has the radius ``r = 2 sin(theta / 2)``, and ``r**2 / 4`` is uniform
    in (0, 1) for isotropic directions; ``R = sqrt(-2 log(1 - r**2 / 4)) = sqrt(-2 log cos(theta / 2)**2)`` is then
    distributed as the length of two normal numbers. Only -z has no image, and is given one at R = 37.6, which is as
    far as double precision goes.

    Args:
        direction: Vectors of any length, shape ``(*shape, 3)``; a vanishing one counts as +z.

    Returns:
        ``(u, v)``, shape ``(*shape, 2)``; (0, 0) is +z, and u and v grow with x and y.
    """
    x, y, z = np.moveaxis(unit(direction), -1, 0)
    transverse = np.hypot(x, y)
    # The smaller one of sin(theta / 2)**2 and cos(theta / 2)**2, neither of them as a difference.
    smaller = 0.5 * transverse * transverse / (1.0 + np.abs(z))
    logarithm = np.where(z < 0.0, np.log(np.maximum(smaller, _TINY)), np.log1p(-np.minimum(smaller, 0.5)))
    radius = np.sqrt(-2.0 * logarithm)
    off_axis = np.where(transverse > 0.0, transverse, 1.0)
    return np.stack([radius * np.where(transverse > 0.0, x / off_axis, 1.0), radius * (y / off_axis)], axis=-1)


def normal_to_direction(normal: ArrayLike) -> NDArray[np.float64]:
    """Map two numbers to a direction; the inverse of ``direction_to_normal``.

    Args:
        normal: ``(u, v)``, any finite numbers, shape ``(*shape, 2)``.

    Returns:
        Vectors of length one, shape ``(*shape, 3)``.
    """
    u, v = np.moveaxis(np.asarray(normal, dtype=np.float64), -1, 0)
    radius = np.hypot(u, v)
    sine2, cosine2 = -np.expm1(-0.5 * radius * radius), np.exp(-0.5 * radius * radius)  # of theta / 2
    per_radius = 2.0 * np.sqrt(sine2 * cosine2) / np.where(radius > 0.0, radius, 1.0)
    return np.stack([per_radius * u, per_radius * v, cosine2 - sine2], axis=-1)


def unit(vector: ArrayLike) -> NDArray[np.float64]:
    """Return vectors of length one along others, shape ``(*shape, 3)``.

    Zero for what is shorter than 1e-150: its square would have lost its digits.
    """
    vector = np.asarray(vector, dtype=np.float64)
    length = _length(vector)
    short = length < _SHORTEST
    return np.asarray(
        np.where(short[..., None], 0.0, vector) / np.where(short, 1.0, length)[..., None], dtype=np.float64
    )


def _light_cone(
    momentum: NDArray[np.float64], mass: ArrayLike, frame: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the unit vector along ``frame``, the momentum across it, and energy plus and minus that along it."""
    axis = unit(frame)
    along = np.sum(momentum * axis, axis=-1)
    across = momentum - along[..., None] * axis
    larger = np.hypot(_length(momentum), mass) + np.abs(along)
    smaller = (np.square(mass) + np.sum(across * across, axis=-1)) / np.maximum(larger, _TINY)
    return axis, across, np.where(along < 0.0, smaller, larger), np.where(along < 0.0, larger, smaller)


def _kinetic_energy(momentum: NDArray[np.float64], mass: ArrayLike) -> NDArray[np.float64]:
    total = np.hypot(momentum, mass) + mass
    return np.asarray(momentum * (momentum / np.maximum(total, _TINY)), dtype=np.float64)


def _length(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.sum(vector * vector, axis=-1)), dtype=np.float64)
