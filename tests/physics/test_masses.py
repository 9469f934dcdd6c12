"""The mass of two photons agrees with their four-momenta, and with an expansion where those cancel."""

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.physics.four_vectors import from_cartesian, to_cartesian
from castalia.physics.masses import diphoton_mass, diphoton_pt
from castalia.rng import Stream

EPSILON = np.finfo(np.float64).eps


def pairs(n: int = 5_000):
    rng = Stream(1, "test masses").at()
    return rng.uniform(20.0, 500.0, (n, 2)), rng.uniform(-2.5, 2.5, (n, 2)), rng.uniform(-np.pi, np.pi, (n, 2))


def test_against_four_momenta():
    et, eta, phi = pairs()
    total = to_cartesian(et, eta, phi).sum(axis=1)
    pt, _, _, mass = from_cartesian(total)
    # The sum's energy carries a rounding error that its mass squared inherits.
    assert (np.abs(diphoton_mass(et, eta, phi) ** 2 - mass**2) < 20 * EPSILON * total[:, 3] ** 2).all()
    assert np.abs(diphoton_pt(et, phi) - pt).max() < 20 * EPSILON * 1000.0


def test_a_known_pair():
    assert diphoton_mass([[62.5, 62.5]], [[0.0, 0.0]], [[0.0, np.pi]])[0] == pytest.approx(125.0, rel=4 * EPSILON)
    assert diphoton_pt([[62.5, 62.5]], [[0.0, np.pi]])[0] == pytest.approx(0.0, abs=62.5 * 4 * EPSILON)
    assert diphoton_pt([[30.0, 40.0]], [[0.0, np.pi / 2]])[0] == pytest.approx(50.0, rel=4 * EPSILON)


def test_close_photons_do_not_cancel():
    et, eta, phi = np.array([[100.0, 100.0]]), np.array([[0.0, 1e-9]]), np.array([[0.0, 0.0]])
    assert diphoton_mass(et, eta, phi)[0] == pytest.approx(100.0 * 1e-9, rel=1e-14)
    plain = np.sqrt(2 * 100.0 * 100.0 * (np.cosh(eta[0, 1]) - 1.0))
    assert abs(plain / 1e-7 - 1.0) > 0.1, "the textbook formula is the negative control"


def test_a_negative_smeared_energy_gives_zero_and_not_nan():
    assert diphoton_mass([[50.0, -1.0]], [[0.0, 1.0]], [[0.0, 3.0]])[0] == 0.0
    assert diphoton_pt([[50.0, -1.0]], [[0.0, np.pi]])[0] == pytest.approx(51.0, rel=4 * EPSILON)


@pytest.mark.parametrize("shape", [(4,), (4, 3), (2, 4, 2)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(DataError, match=r"shape \(events, 2\)"):
        diphoton_mass(np.ones(shape), np.ones(shape), np.ones(shape))


def test_unequal_lengths_are_refused():
    with pytest.raises(DataError, match="one shape"):
        diphoton_pt(np.ones((3, 2)), np.ones((4, 2)))
