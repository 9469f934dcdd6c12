"""Draws that contradict the objects drawn for them are drawn again, and only those."""

from __future__ import annotations

import numpy as np
import torch
from z_toys import TREE

from castalia.apps.unfold.coordinates import TruthCoordinates
from castalia.apps.unfold.frame import Reference
from castalia.apps.unfold.matching import NEAR, Matching
from castalia.apps.unfold.placed import Placed, total_energy
from castalia.data.feature_arrays import FeatureArrays, ObjectArrays
from castalia.data.layout import Layout, Variable
from castalia.estimators.base import Events, Sampler
from castalia.rng import Stream

JET = (Variable("pt"), Variable("eta"), Variable("phi", transform="angle"))
LAYOUT = Layout((Variable("c"),), (), {"jet": JET})
COORDINATES = TruthCoordinates(TREE, "cartesian", {"plus": (0.1,), "minus": (0.1,)})
EVENTS, DRAWS = 50, 40
STILL = Reference(np.ones(EVENTS), np.zeros(EVENTS), np.zeros(EVENTS))


class Careless(Sampler):
    """Draws the direction of one particle without a look at the jet, and its place in one case of two."""

    takes_lists = True

    def __init__(self, spread: float) -> None:
        self.spread, self.rows = spread, 0

    def sample(self, condition: Events, draws: int, rng: np.random.Generator) -> Events:
        count = len(condition) * draws
        self.rows += count
        numbers = rng.normal(0, 10, (count, len(TREE.numbers)))
        names = list(TREE.numbers)
        eta = self.spread * rng.standard_normal(count)
        momentum = {"px": np.full(count, 50.0), "py": np.zeros(count), "pz": 50 * np.sinh(eta), "mass": np.zeros(count)}
        for name, values in momentum.items():
            numbers[:, names.index(f"plus_{name}")] = values
        place = np.where(rng.random(count) < 0.5, 0, -1)
        return Events(torch.from_numpy(np.column_stack([numbers, place])))


def arrays() -> FeatureArrays:
    jets = np.tile([40.0, 0.0, 0.0], (EVENTS, 1, 1))
    return FeatureArrays(
        np.zeros((EVENTS, 1)),
        None,
        np.empty((EVENTS, 0)),
        np.ones(EVENTS),
        np.arange(EVENTS),
        0,
        objects={"jet": ObjectArrays(jets, np.ones((EVENTS, 1), dtype=np.bool_))},
    )


def drawn(sampler: Careless, measured_as: dict[str, str], energy: float = np.inf) -> tuple[np.ndarray, np.ndarray]:
    """Return pseudorapidities and places of draws."""
    placed = Placed(sampler, COORDINATES, Matching(LAYOUT, TREE.leaves, measured_as), energy)
    found = placed.draw(arrays(), STILL, DRAWS, Stream(1, "placed").at())
    pz = found[:, list(TREE.numbers).index("plus_pz")]
    return np.arcsinh(pz / 50.0), found[:, -1]


def test_every_draw_agrees_with_its_place():
    sampler = Careless(0.5)
    eta, place = drawn(sampler, {"plus": "jet"})
    assert ((np.abs(eta) < NEAR) == (place == 0)).all()
    # Half of all draws agree at any pseudorapidity, so that its distribution is what it was.
    assert abs(np.mean(place == 0) - 0.576) < 0.05
    assert abs(eta.std() - 0.5) < 0.03
    assert 1.9 < sampler.rows / (EVENTS * DRAWS) < 2.1
    # Negative control: without places nothing is drawn again.
    sampler = Careless(0.5)
    eta, place = drawn(sampler, {})
    assert abs(np.mean((np.abs(eta) < NEAR) == (place == 0)) - 0.5) < 0.05
    assert sampler.rows == EVENTS * DRAWS


def test_what_agrees_stays_as_it_is():
    free, bound = drawn(Careless(0.5), {}), drawn(Careless(0.5), {"plus": "jet"})
    agrees = (np.abs(free[0]) < NEAR) == (free[1] == 0)
    assert np.array_equal(free[0][agrees], bound[0][agrees])
    assert not np.isin(free[0][~agrees], bound[0]).any()


def test_where_nothing_agrees_nothing_is_drawn_again():
    class Stubborn(Careless):
        def sample(self, condition: Events, draws: int, rng: np.random.Generator) -> Events:
            values = super().sample(condition, draws, rng).flat
            values[:, -1] = 0.0
            values[:, list(TREE.numbers).index("plus_pz")] = 500.0
            return Events(values)

    sampler = Stubborn(0.5)
    _, place = drawn(sampler, {"plus": "jet"})
    assert (place == 0).all()
    assert sampler.rows == EVENTS * DRAWS


class Reckless(Careless):
    """Gives one event in ten a particle far beyond any collider."""

    def sample(self, condition: Events, draws: int, rng: np.random.Generator) -> Events:
        values = super().sample(condition, draws, rng).flat
        far = torch.from_numpy(rng.random(len(values)) < 0.1)
        values[far, list(TREE.numbers).index("plus_pz")] = 1e9
        return Events(values)


def test_no_draw_has_an_energy_that_no_event_could_have():
    wild, _ = drawn(Reckless(0.1), {})
    assert abs(np.mean(wild > 5.0) - 0.1) < 0.03
    for measured_as in ({}, {"plus": "jet"}):
        tame, _ = drawn(Reckless(0.1), measured_as, energy=500.0)
        assert tame.max() < 5.0


def test_a_total_energy_is_that_of_all_leaves():
    leaves = np.array([[[3.0, 0.0, 0.0, 4.0], [0.0, 0.0, 1e30, 0.0]], [[0.0, 3.0, 4.0, 12.0], [0.0, 0.0, 0.0, 1.0]]])
    assert np.allclose(total_energy(leaves), [1e30, 14.0])
