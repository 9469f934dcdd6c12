"""Coordinates relative to a measured object: what is turned, what is not, and that the way back is the way there."""

import numpy as np
import pytest
from z_toys import TREE

from castalia.apps.unfold.coordinates import TruthCoordinates
from castalia.apps.unfold.frame import Frame, Reference
from castalia.data.feature_arrays import FeatureArrays, ObjectArrays
from castalia.data.layout import Layout, Variable
from castalia.errors import ConfigError
from castalia.physics.decay_tree import DecayTree
from castalia.rng import Stream

ANGLE = Variable("phi", "rad", transform="angle")
OBJECT = (Variable("pt", "GeV"), Variable("eta"), ANGLE)
LAYOUT = Layout((Variable("met", "GeV"), ANGLE), (Variable("x"),), {"lepton": OBJECT, "tau": OBJECT, "jet": (ANGLE,)})
ANCHORED = DecayTree(TREE.leaves, TREE.composites, TREE.resonances, ("plus",))
RNG = Stream(5, "frame")


def objects(rng, events, most, share):
    azimuth = rng.uniform(-np.pi, np.pi, (events, most))
    values = np.stack([rng.exponential(40, (events, most)), rng.normal(size=(events, most)), azimuth], axis=2)
    there = rng.random((events, most)) < share
    return ObjectArrays(values * there[..., None], there)


def measured(events=300):
    rng = RNG.at()
    flat = np.column_stack([rng.exponential(40, events), rng.uniform(-np.pi, np.pi, events)])
    lists = {"lepton": objects(rng, events, 2, 0.6), "tau": objects(rng, events, 1, 0.5)}
    lists["jet"] = ObjectArrays(rng.uniform(-np.pi, np.pi, (events, 3, 1)), rng.random((events, 3)) < 0.5)
    return FeatureArrays(flat, None, np.zeros((events, 0)), np.ones(events), np.arange(events), 0, None, lists)


def true_leaves(events=300):
    rng = RNG.at(1)
    return np.concatenate([rng.normal(0, 40, (events, 2, 3)), np.full((events, 2, 1), 0.105658)], axis=2)


def test_the_leading_object_points_along_the_axis_and_others_keep_their_distance():
    arrays, frame = measured(), Frame(LAYOUT, ("lepton",))
    reference = frame.reference(arrays)
    turned = frame.turned(arrays, reference)
    one = arrays.objects["lepton"]
    leading = np.where(one.mask, one.values[..., 0], -1.0).argmax(axis=1)
    some, rows = one.mask.any(axis=1), np.arange(len(leading))
    assert np.abs(turned.objects["lepton"].values[rows, leading, 2][some]).max() < 1e-12
    assert (reference.phi[~some] == 0).all()
    assert (reference.pt[~some] == 1).all()
    assert (~some).any()
    assert np.array_equal(reference.pt[some], one.values[rows, leading, 0][some])
    assert np.array_equal(reference.eta[some], one.values[rows, leading, 1][some])
    assert np.array_equal(turned.condition[:, 0], arrays.condition[:, 0])
    assert np.array_equal(turned.objects["lepton"].values[..., :2], one.values[..., :2])
    assert np.abs(turned.condition[:, 1]).max() <= np.pi
    before, after = arrays.condition[:, 1] - one.values[:, 0, 2], turned.condition[:, 1]
    difference = before - (after - turned.objects["lepton"].values[:, 0, 2])
    assert np.abs(np.sin(difference / 2)).max() < 1e-12
    # Negative control: the second lepton does not point there.
    both = one.mask.all(axis=1)
    assert np.abs(turned.objects["lepton"].values[rows, 1 - leading, 2][both]).min() > 1e-6


def test_the_first_list_that_an_event_has_is_taken():
    arrays = measured()
    reference = Frame(LAYOUT, ("lepton", "tau")).reference(arrays)
    none, tau = ~arrays.objects["lepton"].mask.any(axis=1), arrays.objects["tau"]
    assert np.array_equal(reference.phi[none & tau.mask[:, 0]], tau.values[none & tau.mask[:, 0], 0, 2])
    assert not np.isclose(reference.phi, tau.values[:, 0, 2])[~none].any()
    assert (reference.phi[none & ~tau.mask[:, 0]] == 0).all()
    assert Frame(LAYOUT, ()).turned(arrays, reference) is arrays


@pytest.mark.parametrize(("kind", "tree"), [("decay_tree", TREE), ("decay_tree", ANCHORED), ("cartesian", TREE)])
def test_what_is_relative_does_not_turn_with_the_event_and_comes_back(kind, tree):
    leaves, reference = true_leaves(), Frame(LAYOUT, ("lepton",)).reference(measured())
    coordinates = TruthCoordinates.measured(tree, kind, leaves)
    targets = coordinates.encode(leaves, RNG.at(2))
    relative = coordinates.relative(targets, reference)
    assert relative.shape[1] == len(coordinates.variables)
    back = coordinates.absolute(relative[:, None], reference)[:, 0]
    np.testing.assert_allclose(back, targets, rtol=1e-9, atol=1e-9)
    # The whole event turned by an angle of its own, detector and truth, is the same to the model.
    angle = RNG.at(3).uniform(-np.pi, np.pi, len(leaves))
    turned = leaves.copy()
    turned[..., 0] = np.cos(angle)[:, None] * leaves[..., 0] - np.sin(angle)[:, None] * leaves[..., 1]
    turned[..., 1] = np.sin(angle)[:, None] * leaves[..., 0] + np.cos(angle)[:, None] * leaves[..., 1]
    moved = coordinates.encode(turned, RNG.at(2))
    same = coordinates.relative(moved, Reference(reference.pt, reference.eta, reference.phi + angle))
    np.testing.assert_allclose(same, relative, atol=1e-8)
    assert np.abs(coordinates.relative(moved, reference) - relative).max() > 1.0, "the negative control"


def test_resonances_are_learned_as_their_sum():
    tree = DecayTree(("a", "b", "c", "d"), {"one": ("a", "b"), "two": ("c", "d")}, ("one", "two"))
    count = len(measured().condition)
    rng = RNG.at(7)
    leaves = np.concatenate([rng.normal(0, 60, (count, 4, 3)), np.full((count, 4, 1), 0.1)], axis=2)
    coordinates = TruthCoordinates.measured(tree, "decay_tree", leaves)
    reference = Frame(LAYOUT, ("lepton",)).reference(measured())
    targets = coordinates.encode(leaves, RNG.at(8))
    relative = coordinates.relative(targets, reference)
    names = [variable.name for variable in coordinates.variables]
    assert {"one_px_less_share", "one_py_less_share", "two_px_of_all", "two_py_of_all"} <= set(names)
    total = leaves[..., :3].sum(axis=1)
    across = [relative[:, names.index(f"two_p{axis}_of_all")] for axis in "xy"]
    np.testing.assert_allclose(np.hypot(*across), np.hypot(total[:, 0], total[:, 1]), rtol=1e-9)
    difference = leaves[:, :2, :3].sum(axis=1) - leaves[:, 2:, :3].sum(axis=1)
    along = np.cos(reference.phi) * difference[:, 0] + np.sin(reference.phi) * difference[:, 1]
    np.testing.assert_allclose(relative[:, names.index("one_px_less_share")], 0.5 * along, atol=1e-9)
    np.testing.assert_allclose(coordinates.absolute(relative[:, None], reference)[:, 0], targets, rtol=1e-7, atol=1e-7)


def test_an_anchor_is_relative_to_what_was_measured():
    leaves = true_leaves()
    pt, phi = np.hypot(leaves[:, 0, 0], leaves[:, 0, 1]), np.arctan2(leaves[:, 0, 1], leaves[:, 0, 0])
    eta = np.arcsinh(leaves[:, 0, 2] / pt)
    coordinates = TruthCoordinates.measured(ANCHORED, "decay_tree", leaves)
    names = [variable.name for variable in coordinates.variables]
    places = [names.index(f"plus_{what}") for what in ("log_pt_ratio", "azimuth", "rapidity_difference")]
    reference = Reference(pt / 1.1, eta - 0.02, phi + 0.01)
    relative = coordinates.relative(coordinates.encode(leaves, RNG.at()), reference)[:, places]
    np.testing.assert_allclose(relative[:, 0], np.log(1.1), atol=1e-9)
    np.testing.assert_allclose(relative[:, 1], -0.01, atol=1e-9)
    np.testing.assert_allclose(relative[:, 2], 0.02, atol=5e-3)  # rapidity, of a muon of some GeV


def test_what_cannot_be_a_frame_is_named():
    with pytest.raises(ConfigError, match="names 'muon', which is no list; choose from lepton, tau, jet"):
        Frame(LAYOUT, ("muon",))
    with pytest.raises(ConfigError, match="names 'jet', which needs the variables pt, eta, and phi.*it has phi"):
        Frame(LAYOUT, ("jet",))


def test_a_mass_is_learned_as_it_is_and_one_below_threshold_decodes():
    leaves, reference = true_leaves(), Frame(LAYOUT, ("lepton",)).reference(measured())
    coordinates = TruthCoordinates.measured(TREE, "decay_tree", leaves)
    place = [variable.name for variable in coordinates.variables].index("z_mass")
    relative = coordinates.relative(coordinates.encode(leaves, RNG.at()), reference)
    four = TREE.four_vectors(leaves)["z"]
    np.testing.assert_allclose(relative[:, place] ** 2, four[:, 3] ** 2 - np.square(four[:, :3]).sum(1), rtol=1e-9)
    relative[:, place] = 0.2  # of two muons
    drawn = coordinates.numbers(coordinates.absolute(relative[:, None], reference)[:, 0])
    np.testing.assert_allclose(drawn[:, list(TREE.numbers).index("z_mass")], 2 * 0.105658, rtol=1e-5)
