"""Figures of an evaluation, for resonances of any mass and width."""

import numpy as np
import pytest
from z_toys import MASS, TREE

from castalia.apps.unfold.coordinates import TruthCoordinates
from castalia.apps.unfold.figures import _masses, _migration, _posteriors
from castalia.apps.unfold.judging import Draws, JudgedEvents
from castalia.apps.unfold.measured_directions import MeasuredDirections
from castalia.physics.decay_coordinates import coordinates, decode
from castalia.rng import Stream


def _decays(rng, mass=91.2, width=2.5, count=2_000):
    """Events of a resonance's decays, nothing of which was measured."""
    values = rng.normal(0.0, 1.0, (count, len(coordinates(TREE))))
    values[:, list(coordinates(TREE)).index("z_release")] = rng.normal(mass, width, count) - 2 * MASS
    truth = TREE.cartesian(decode(TREE, values, np.array([MASS, MASS])))
    known = TruthCoordinates(TREE, "decay_tree", {"plus": (MASS,), "minus": (MASS,)})
    nothing = np.empty((count, 0))
    return JudgedEvents(known, truth, nothing, MeasuredDirections(nothing, nothing), 0, 1)


@pytest.mark.parametrize(
    ("mass", "width", "digits"),
    [(3.097, 1e-4, 5), (3.1, 0.3, 2), (91.2, 2.5, 1), (125.0, 0.004, 4), (500.0, 100.0, -1)],
)
def test_bins_of_a_migration_are_apart_at_any_mass(mass, width, digits):
    events = _decays(Stream(1, "migration").at(), mass, width, 5_000)
    matrix, *_ = _migration(events, Draws(events.truth, events.truth[None, :0])).axes
    labels = [label.get_text() for label in matrix.get_xticklabels()]
    edges = np.array(labels, dtype=np.float64)
    assert len(edges) == 9
    assert (np.diff(edges) > 0.0).all()
    np.testing.assert_allclose(edges, np.round(edges, digits), rtol=1e-9)


def test_masses_that_contradict_the_four_momentum_are_seen():
    events = _decays(Stream(2, "masses").at())
    names, drawn = list(TREE.numbers), events.truth.copy()
    drawn[:, names.index("z_mass")] *= 1.02
    (panel,) = _masses(events, Draws(drawn, drawn[None, :0]))
    medians = {one.label: np.median(one.values) for one in panel.generated}
    assert medians["Daughters"] == pytest.approx(np.median(panel.target.values), rel=1e-9)
    assert medians[r"$\sqrt{E^2 - p^2}$"] == pytest.approx(medians["Daughters"], rel=1e-6)
    assert medians["Drawn mass"] == pytest.approx(1.02 * medians["Daughters"], rel=1e-9)


def test_the_particle_with_the_widest_posteriors_comes_first_in_events_narrow_to_wide():
    """Forty draws of 101 events: 'minus' is known, 'plus' the less the later an event comes."""
    events, draws = _decays(Stream(3, "widths").at(), count=101), 40
    many = np.repeat(events.truth[:, None], draws, axis=1)
    pz = list(TREE.numbers).index("plus_pz")
    spread = np.linspace(1.0, 50.0, 101)[:, None] * Stream(4, "widths").at().standard_normal(draws)
    many[:, :, pz] += spread * np.hypot(many[:, :, pz - 2], many[:, :, pz - 1])
    axes = _posteriors(events, Draws(events.truth, many)).axes
    labels = [one.get_xlabel() for one in axes if one.get_xlabel()]
    assert ["plus" in label for label in labels[:2]] == [True, False]
    titles = " ".join(text.get_text() for one in axes for text in one.texts)
    numbers = [int(word) for word in titles.split() if word.isdigit()]
    assert numbers == sorted(numbers)
    assert numbers[0] < 20 < 80 < numbers[-1]
