"""Distances of particles from measured objects, and what they show that a table of numbers does not."""

import numpy as np
import pytest
from z_toys import MASS, TREE

from castalia.apps.unfold.coordinates import TruthCoordinates
from castalia.apps.unfold.judging import Draws, JudgedEvents, judge
from castalia.apps.unfold.measured_directions import MeasuredDirections, measured_directions
from castalia.data.feature_arrays import FeatureArrays, ObjectArrays
from castalia.data.layout import Layout, Variable
from castalia.rng import Stream

LISTS = {
    "jet": (Variable("pt"), Variable("eta"), Variable("phi", transform="angle")),
    "hit": (Variable("x"),),  # has no direction
    "lepton": (Variable("phi", transform="angle"), Variable("eta")),
}


def numbers(eta, phi, pt=40.0):
    """Return the paper's numbers of two leptons with given directions, shape ``(events, 2)``."""
    leaves = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), np.full_like(eta, MASS)], axis=2)
    return TREE.cartesian(leaves)


def test_the_nearest_object_of_any_list_counts_and_no_absent_one():
    jets = np.array([[[30, 1.0, 0.0], [20, -1.0, 2.0]], [[30, 0.0, 0.0], [0, 0, 0]]], dtype=np.float64)
    leptons = np.array([[[3.1, 0.5]], [[0.0, 0.0]]])
    masks = {"jet": [[True, True], [True, False]], "lepton": [[True], [False]], "hit": [[False], [False]]}
    objects = {
        name: ObjectArrays(values, np.array(masks[name]))
        for name, values in {"jet": jets, "hit": np.zeros((2, 1, 1)), "lepton": leptons}.items()
    }
    rows = np.arange(2)
    arrays = FeatureArrays(np.empty((2, 0)), None, np.empty((2, 0)), np.ones(2), rows, 0, objects=objects)
    found = measured_directions(Layout((), (), LISTS), arrays)
    # The lepton lies across the seam of azimuths; the second event has one jet, whose pt is no direction.
    table = numbers(np.array([[0.5, 1.0], [0.0, 0.3]]), np.array([[-3.1, 0.4], [0.2, 0.4]]))
    np.testing.assert_allclose(found.distances(TREE, table), [[2 * np.pi - 6.2, 0.4], [0.2, 0.5]], rtol=1e-9)


def test_events_without_objects_are_far_from_all():
    nothing = MeasuredDirections(np.full((3, 2), np.inf), np.zeros((3, 2)))
    table = numbers(np.zeros((3, 2)), np.zeros((3, 2)))
    assert (nothing.distances(TREE, table) == 10.0).all()
    empty = MeasuredDirections(np.empty((3, 0)), np.empty((3, 0)))
    assert (empty.distances(TREE, table) == 10.0).all()


@pytest.mark.parametrize(("width", "seen"), [(0.02, False), (0.06, True)])
def test_draws_that_are_less_sharp_than_the_detector_are_found(width, seen):
    """Objects are measured to 0.02; draws as wide as that are a posterior's, and three times as wide are found."""
    count, rng = 4_000, Stream(1, "directions").at()
    eta, phi = rng.normal(0, 1, (count, 2)), rng.uniform(-np.pi, np.pi, (count, 2))
    pt = 40.0 * np.exp(rng.normal(0, 0.7, (2, count, 2)))
    truth, drawn = (
        numbers(eta + one * rng.normal(size=eta.shape), phi + one * rng.normal(size=phi.shape), momentum)
        for one, momentum in zip((0.02, width), pt, strict=True)
    )
    coordinates = TruthCoordinates(TREE, "decay_tree", {"plus": (MASS,), "minus": (MASS,)})
    events = JudgedEvents(coordinates, truth, np.column_stack([eta, phi]), MeasuredDirections(eta, phi), 20, 1)
    judged = judge(events, Draws(drawn, np.repeat(drawn[:20, None], 40, axis=1)), with_power=False)
    if seen:
        assert judged.joint_distances.value > 0.8 > 0.65 > judged.joint.value  # a table of numbers hardly shows it
    else:
        assert abs(judged.joint_distances.significance) < 4.0
