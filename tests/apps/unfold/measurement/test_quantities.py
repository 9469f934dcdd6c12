import numpy as np
import pytest

from castalia.apps.unfold.measurement.quantities import quantity, quantity_names, quantity_unit
from castalia.errors import ConfigError
from castalia.physics.decay_tree import DecayTree
from castalia.physics.four_vectors import from_cartesian
from castalia.rng import Stream

TREE = DecayTree(("a", "b_1"), {"pair": ("a", "b_1")}, ())


def test_quantities_are_those_of_the_four_vectors():
    rng = Stream(1, "test quantities").at()
    leaves = np.concatenate([rng.normal(0, 30, (50, 2, 3)), rng.uniform(1, 9, (50, 2, 1))], axis=2)
    numbers = TREE.cartesian(leaves)
    for particle, momentum in TREE.four_vectors(leaves).items():
        pt, eta, phi, mass = from_cartesian(momentum)
        rapidity = 0.5 * np.log((momentum[:, 3] + momentum[:, 2]) / (momentum[:, 3] - momentum[:, 2]))
        found = {"pt": pt, "eta": eta, "phi": phi, "mass": mass, "rapidity": rapidity, "energy": momentum[:, 3]}
        for kind, expected in found.items():
            name = f"{particle}_{kind}"
            assert name in quantity_names(TREE)
            np.testing.assert_allclose(quantity(TREE, numbers, name), expected, rtol=1e-9, atol=1e-9)
    many = quantity(TREE, numbers.reshape(10, 5, -1), "pair_mass")
    assert many.shape == (10, 5)
    assert quantity_unit("b_1_phi") == "rad"


def test_a_particle_at_rest_has_no_direction():
    assert quantity(TREE, np.zeros((1, 15)), "a_eta") == 0.0


@pytest.mark.parametrize("name", ["c_pt", "a_charge", "pt", "a"])
def test_an_unknown_quantity_is_refused(name):
    with pytest.raises(ConfigError, match=f"there is no quantity '{name}'; choose from a_pt, a_eta"):
        quantity(TREE, np.zeros((1, 15)), name)
