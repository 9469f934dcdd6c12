"""The object that a particle is: the nearest of its list, around the end of the azimuth, or none."""

import numpy as np
import pytest
from z_toys import TREE

from castalia.apps.unfold.matching import NEAR, Matching
from castalia.data.feature_arrays import FeatureArrays, ObjectArrays
from castalia.data.layout import Layout, Variable
from castalia.errors import ConfigError

ANGLE = Variable("phi", "rad", transform="angle")
OBJECT = (Variable("eta"), Variable("pt", "GeV"), ANGLE)
LAYOUT = Layout((Variable("met"),), (), {"jet": OBJECT, "tau": OBJECT, "track": (ANGLE,)})


def arrays(jets, there):
    jets, there = np.array(jets, dtype=float), np.array(there)
    lists = {"jet": ObjectArrays(jets, there), "tau": ObjectArrays(np.zeros((len(jets), 0, 3)), there[:, :0])}
    events = len(jets)
    return FeatureArrays(
        np.zeros((events, 1)), None, np.zeros((events, 0)), np.ones(events), np.arange(events), 0, None, lists
    )


def leaves(eta, phi):
    eta, phi = np.array(eta, dtype=float), np.array(phi, dtype=float)
    first = np.stack([20 * np.cos(phi), 20 * np.sin(phi), 20 * np.sinh(eta), 0 * eta], axis=1)
    return np.stack([first, -first], axis=1)


def test_the_nearest_object_is_found_and_none_that_is_far_or_missing():
    jets = [
        [[0.0, 30, 1.0], [0.3, 40, 1.0], [9.0, 0, 0.0]],
        [[0.0, 30, -3.1], [0.0, 40, 0.0], [0.0, 50, 3.0]],  # the azimuth has no end
        [[0.0, 30, 1.0], [0.1, 40, 1.0], [0.0, 0, 0.0]],
        [[0.0, 30, 1.0 + NEAR - 1e-9], [5.0, 40, 1.0], [0.0, 0, 0.0]],
        [[0.0, 30, 1.0 + NEAR + 1e-9], [5.0, 40, 1.0], [0.0, 0, 0.0]],
        [[0.0, 0, 0.0], [0.0, 0, 0.0], [0.0, 0, 0.0]],
    ]
    there = [[1, 1, 0], [1, 1, 1], [0, 1, 0], [1, 1, 0], [1, 1, 0], [0, 0, 0]]
    matching = Matching(LAYOUT, TREE.leaves, {"plus": "jet", "minus": "tau"})
    found = matching.places(leaves([0.2, 0, 0, 0, 0, 0], [1, 3.13, 1, 1, 1, 0]), arrays(jets, np.array(there, bool)))
    assert found[:, 0].tolist() == [1, 0, 1, 0, -1, -1]
    assert (found[:, 1] == -1).all()  # a list in which no event has anything


def test_places_stand_behind_the_other_targets():
    layout = Matching(LAYOUT, TREE.leaves, {"minus": "jet"}).with_places((Variable("x"),))
    assert [variable.name for variable in layout.target] == ["x", "minus_jet"]
    assert layout.places == {"minus_jet": "jet"}
    assert Matching(LAYOUT, TREE.leaves, {}).places(leaves([0], [0]), arrays([[[0, 1, 0]]], [[True]])).shape == (1, 0)


@pytest.mark.parametrize("name", ["muon", "track"])
def test_a_list_that_cannot_be_matched_is_refused(name):
    with pytest.raises(ConfigError, match=f"measured_as names '{name}'"):
        Matching(LAYOUT, TREE.leaves, {"plus": name})
