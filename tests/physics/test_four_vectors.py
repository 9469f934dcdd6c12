"""Coordinates turn into each other and back, at the accuracy that double precision allows at the beam's energy."""

import numpy as np
import pytest

from castalia.physics.constants import BEAM_ENERGY, HIGGS_MASS
from castalia.physics.four_vectors import from_cartesian, to_cartesian
from castalia.rng import Stream

EPSILON = np.finfo(np.float64).eps


def particles(n: int = 5_000):
    rng = Stream(1, "test four-vectors").at()
    pt, eta = np.exp(rng.uniform(np.log(1e-3), np.log(BEAM_ENERGY), n)), rng.uniform(-5.0, 5.0, n)
    phi, mass = rng.uniform(-np.pi, np.pi, n), np.exp(rng.uniform(np.log(0.1), np.log(200.0), n))
    return pt, eta, phi, mass


def test_there_and_back():
    pt, eta, phi, mass = particles()
    momentum = to_cartesian(pt, eta, phi, mass)
    back = from_cartesian(momentum)
    assert np.abs(back[0] / pt - 1.0).max() < 10 * EPSILON
    assert np.abs(back[1] - eta).max() < 40 * EPSILON
    assert np.abs(back[2] - phi).max() < 10 * EPSILON
    # The energy has lost eps * E, and the mass squared eps * E**2 with it: nothing beyond may be lost.
    lost = np.abs(back[3] ** 2 - mass**2) / momentum[:, 3] ** 2
    assert lost.max() < 10 * EPSILON


def test_the_mass_of_a_light_fast_particle():
    momentum = to_cartesian(BEAM_ENERGY, 0.0, 0.1, 1.0)
    exact = 10 * EPSILON * BEAM_ENERGY**2
    assert abs(float(from_cartesian(momentum)[3]) - 1.0) < exact
    single = momentum.astype(np.float32).astype(np.float64)
    assert abs(float(from_cartesian(single)[3]) - 1.0) > exact, "single precision is the negative control"


def test_energy_is_exact_where_a_square_would_overflow():
    assert float(to_cartesian(3e200, 0.0, 0.0, 4e200)[3]) == pytest.approx(5e200, rel=4 * EPSILON)


def test_photons_have_no_mass_and_no_nan():
    pt, eta, phi, _ = particles()
    mass = from_cartesian(to_cartesian(pt, eta, phi))[3]
    energy = pt * np.cosh(eta)
    assert (mass <= np.sqrt(10 * EPSILON) * energy).all()


def test_along_the_beam_and_at_rest():
    pt, eta, phi, mass = from_cartesian([[0.0, 0.0, -5.0, 5.0], [0.0, 0.0, 0.0, HIGGS_MASS]])
    assert eta[0] == -np.inf
    assert eta[1] == 0.0
    assert mass.tolist() == [0.0, HIGGS_MASS]
    assert pt.tolist() == phi.tolist() == [0.0, 0.0]


def test_phi_has_one_name_for_the_seam():
    assert float(from_cartesian([-1.0, -0.0, 0.0, 1.0])[2]) == np.pi


def test_shapes_broadcast():
    assert to_cartesian(np.ones((3, 1)), np.zeros(4), 0.0).shape == (3, 4, 4)
