"""Figures of an evaluation, for resonances of any mass and width."""

import numpy as np
import pytest
from z_toys import MASS, TREE

from castalia.apps.unfold.coordinates import TruthCoordinates
from castalia.apps.unfold.figures import _migration
from castalia.apps.unfold.judging import Draws, JudgedEvents
from castalia.apps.unfold.measured_directions import MeasuredDirections
from castalia.physics.decay_coordinates import coordinates, decode
from castalia.rng import Stream


@pytest.mark.parametrize(
    ("mass", "width", "digits"),
    [(3.097, 1e-4, 5), (3.1, 0.3, 2), (91.2, 2.5, 1), (125.0, 0.004, 4), (500.0, 100.0, -1)],
)
def test_bins_of_a_migration_are_apart_at_any_mass(mass, width, digits):
    rng = Stream(1, "migration").at()
    values = rng.normal(0.0, 1.0, (5_000, len(coordinates(TREE))))
    values[:, list(coordinates(TREE)).index("z_release")] = rng.normal(mass, width, 5_000) - 2 * MASS
    truth = TREE.cartesian(decode(TREE, values, np.array([MASS, MASS])))
    known = TruthCoordinates(TREE, "decay_tree", {"plus": (MASS,), "minus": (MASS,)})
    nothing = np.empty((5_000, 0))
    events = JudgedEvents(known, truth, nothing, MeasuredDirections(nothing, nothing), 0, 1)
    matrix, *_ = _migration(events, Draws(truth, truth[None, :0])).axes
    labels = [label.get_text() for label in matrix.get_xticklabels()]
    edges = np.array(labels, dtype=np.float64)
    assert len(edges) == 9
    assert (np.diff(edges) > 0.0).all()
    np.testing.assert_allclose(edges, np.round(edges, digits), rtol=1e-9)
