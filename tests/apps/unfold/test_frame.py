"""Azimuths relative to a measured one: what is turned, what is not, and that the way back is the way there."""

import numpy as np
import pytest
from z_toys import TREE

from castalia.apps.unfold.coordinates import TruthCoordinates, turned_leaves
from castalia.apps.unfold.frame import Frame
from castalia.data.feature_arrays import FeatureArrays, ObjectArrays
from castalia.data.layout import Layout, Variable
from castalia.errors import ConfigError
from castalia.rng import Stream

ANGLE = Variable("phi", "rad", transform="angle")
LAYOUT = Layout(
    (Variable("met", "GeV"), ANGLE), (Variable("x"),), {"lepton": (Variable("pt", "GeV"), ANGLE), "jet": (ANGLE,)}
)
RNG = Stream(5, "frame")


def measured(events=200):
    rng = RNG.at()
    flat = np.column_stack([rng.exponential(40, events), rng.uniform(-np.pi, np.pi, events)])
    lepton = np.stack([rng.exponential(40, (events, 2)), rng.uniform(-np.pi, np.pi, (events, 2))], axis=2)
    there = rng.random((events, 2)) < 0.6
    jets = ObjectArrays(rng.uniform(-np.pi, np.pi, (events, 3, 1)), rng.random((events, 3)) < 0.5)
    lists = {"lepton": ObjectArrays(lepton * there[..., None], there), "jet": jets}
    return FeatureArrays(flat, None, np.zeros((events, 0)), np.ones(events), np.arange(events), 0, None, lists)


def test_the_leading_object_points_along_the_axis_and_others_keep_their_distance():
    arrays, frame = measured(), Frame(LAYOUT, ("lepton.phi",))
    azimuth = frame.azimuth(arrays)
    turned = frame.turned(arrays, azimuth)
    one = arrays.objects["lepton"]
    leading = np.where(one.mask, one.values[..., 0], -1.0).argmax(axis=1)
    some, rows = one.mask.any(axis=1), np.arange(len(leading))
    assert np.abs(turned.objects["lepton"].values[rows, leading, 1][some]).max() < 1e-12
    assert (azimuth[~some] == 0).all()
    assert (~some).any()
    assert np.array_equal(turned.condition[:, 0], arrays.condition[:, 0])
    assert np.abs(turned.condition[:, 1]).max() <= np.pi
    before, after = arrays.condition[:, 1] - one.values[:, 0, 1], turned.condition[:, 1]
    difference = before - (after - turned.objects["lepton"].values[:, 0, 1])
    assert np.abs(np.sin(difference / 2)).max() < 1e-12
    # Negative control: the second lepton does not point there.
    both = one.mask.all(axis=1)
    assert np.abs(turned.objects["lepton"].values[rows, 1 - leading, 1][both]).min() > 1e-6


def test_the_first_source_that_an_event_has_is_taken():
    arrays = measured()
    azimuth = Frame(LAYOUT, ("lepton.phi", "phi")).azimuth(arrays)
    none = ~arrays.objects["lepton"].mask.any(axis=1)
    assert np.array_equal(azimuth[none], arrays.condition[none, 1])
    assert not np.isclose(azimuth[~none], arrays.condition[~none, 1]).any()
    assert Frame(LAYOUT, ()).turned(arrays, azimuth) is arrays


@pytest.mark.parametrize("kind", ["decay_tree", "cartesian"])
def test_turned_targets_are_those_of_turned_particles(kind):
    rng = RNG.at(1)
    leaves = np.concatenate([rng.normal(0, 40, (300, 2, 3)), np.full((300, 2, 1), 0.105658)], axis=2)
    azimuth = rng.uniform(-np.pi, np.pi, 300)
    coordinates = TruthCoordinates.measured(TREE, kind, leaves)
    targets = coordinates.encode(leaves, RNG.at(2))
    wanted = coordinates.encode(turned_leaves(leaves, azimuth), RNG.at(2))
    found = coordinates.turned(targets[:, None], azimuth)[:, 0]
    np.testing.assert_allclose(found, wanted, atol=1e-9)
    np.testing.assert_allclose(coordinates.turned(found[:, None], -azimuth)[:, 0], targets, atol=1e-9)
    assert np.abs(targets - wanted).max() > 1.0, "the negative control"


def test_what_is_no_angle_is_named():
    with pytest.raises(ConfigError, match="names 'met', which is no measured angle; choose from phi, lepton.phi"):
        Frame(LAYOUT, ("met",))
