"""The model's target: what is modelled of leaves, dequantised masses, and the way back to the paper's numbers."""

import numpy as np
import pytest
from z_toys import TREE, events

from castalia.apps.unfold.coordinates import TruthCoordinates, leaves_of_columns
from castalia.rng import Stream

RNG = Stream(3, "coordinates")


def leaves(count=400, masses=(0.105658, 0.105658)):
    table = events(count)
    columns = [table[f"true_{leaf}_{what}"] for leaf in TREE.leaves for what in ("pt", "eta", "phi", "mass")]
    found = leaves_of_columns(np.stack(columns, axis=1))
    found[:, :, 3] = RNG.at().choice(masses, (count, 2))
    return found


@pytest.mark.parametrize("masses", [(0.1,), (0.0, 0.5, 1.5)])
def test_the_decay_tree_comes_back_whatever_the_noise_on_masses(masses):
    true = leaves(masses=masses)
    coordinates = TruthCoordinates.measured(TREE, "decay_tree", true)
    targets = coordinates.encode(true, RNG.at(1))
    assert targets.shape[1] == 6 + 2 * (len(masses) > 1)
    assert len(coordinates.variables) == targets.shape[1]
    np.testing.assert_allclose(coordinates.numbers(targets), TREE.cartesian(true), rtol=1e-7, atol=1e-7)
    assert [one.name for one in coordinates.variables if one.peaks] == [
        f"{leaf}_mass_number" for leaf in TREE.leaves if len(masses) > 1
    ]
    # Negative control: the number of a mass is not the mass.
    if len(masses) > 1:
        targets[:, -1] += 1.0
        assert np.abs(coordinates.numbers(targets) - TREE.cartesian(true)).max() > 0.1


def test_a_mass_that_varies_is_modelled_itself():
    true = leaves()
    true[:, 0, 3] = RNG.at(2).uniform(1.0, 20.0, len(true))
    coordinates = TruthCoordinates.measured(TREE, "decay_tree", true)
    assert coordinates.masses["plus"] == ()
    names = [variable.name for variable in coordinates.variables]
    assert coordinates.variables[names.index("plus_mass")].bounds == (0.0, np.inf)
    assert "plus_mass" in coordinates.continuous
    assert "minus_mass" not in coordinates.continuous
    np.testing.assert_allclose(coordinates.numbers(coordinates.encode(true, RNG.at())), TREE.cartesian(true), rtol=1e-7)


def test_every_mass_and_sum_of_any_target_closes():
    coordinates = TruthCoordinates.measured(TREE, "decay_tree", leaves())
    drawn = RNG.at(4).normal(0, 3, (500, 6))
    drawn[:, 3] = np.abs(drawn[:, 3]) * 30
    numbers = coordinates.numbers(drawn)
    four = TREE.stated_four_vectors(numbers)
    scale = np.abs(four["z"]).max(axis=1, keepdims=True)
    assert np.max(np.abs(four["plus"] + four["minus"] - four["z"]) / scale) < 1e-9
    mass = numbers[:, list(TREE.numbers).index("z_mass")]
    squared = four["z"][:, 3] ** 2 - np.square(four["z"][:, :3]).sum(axis=1)
    assert np.max(np.abs(squared - mass**2) / four["z"][:, 3] ** 2) < 1e-9


def test_the_papers_numbers_are_modelled_as_they_are():
    true = leaves()
    coordinates = TruthCoordinates.measured(TREE, "cartesian", true)
    targets = coordinates.encode(true, RNG.at(5))
    names = [variable.name for variable in coordinates.variables]
    assert names == list(TREE.numbers)
    continuous = [names.index(name) for name in coordinates.continuous]
    np.testing.assert_array_equal(targets[:, continuous], TREE.cartesian(true)[:, continuous])
    # What has one value only gets a width that a density can have.
    assert targets[:, names.index("plus_mass")].std() == pytest.approx(0.01, rel=0.2)
    np.testing.assert_array_equal(coordinates.numbers(targets), targets)
