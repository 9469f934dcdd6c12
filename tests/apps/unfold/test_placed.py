"""Draws that contradict the objects drawn for them are drawn again, and only those."""

from __future__ import annotations

import numpy as np
import torch
from z_toys import TREE

from castalia.apps.unfold.coordinates import TruthCoordinates
from castalia.apps.unfold.frame import Reference
from castalia.apps.unfold.matching import NEAR, Matching
from castalia.apps.unfold.placed import Placed, energy_and_mass
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
        np.arange(EVENTS, dtype=np.float64)[:, None],
        None,
        np.empty((EVENTS, 0)),
        np.ones(EVENTS),
        np.arange(EVENTS),
        0,
        objects={"jet": ObjectArrays(jets, np.ones((EVENTS, 1), dtype=np.bool_))},
    )


def drawn(
    sampler: Careless, measured_as: dict[str, str], largest: tuple[float, float] = (np.inf, np.inf)
) -> tuple[np.ndarray, np.ndarray]:
    """Return pseudorapidities and places of draws."""
    placed = Placed(sampler, COORDINATES, Matching(LAYOUT, TREE.leaves, measured_as), np.array(largest))
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


class Mostly(Careless):
    """Draws far from the jet and says that the particle is it, but for a part of the draws."""

    def __init__(self, agrees: float) -> None:
        super().__init__(0.5)
        self.agrees = agrees

    def sample(self, condition: Events, draws: int, rng: np.random.Generator) -> Events:
        values = super().sample(condition, draws, rng).flat
        values[:, list(TREE.numbers).index("plus_pz")] = 500.0
        values[:, -1] = torch.from_numpy(np.where(rng.random(len(values)) < self.agrees, -1.0, 0.0))
        return Events(values)


def test_a_model_that_is_mostly_wrong_is_left_alone():
    sampler = Mostly(0.4)
    _, place = drawn(sampler, {"plus": "jet"})
    assert (place == -1.0).all()
    sampler = Mostly(0.2)
    _, place = drawn(sampler, {"plus": "jet"})
    assert abs(np.mean(place == -1.0) - 0.2) < 0.05
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
    """Gives some of the draws of the first events a particle far beyond any collider."""

    def __init__(self, spread: float, part: float, events: int = EVENTS) -> None:
        super().__init__(spread)
        self.part, self.chosen = part, torch.arange(EVENTS) < events

    def sample(self, condition: Events, draws: int, rng: np.random.Generator) -> Events:
        values = super().sample(condition, draws, rng).flat
        of_event = condition.flat[:, 0].long().repeat_interleave(draws)
        far = torch.from_numpy(rng.random(len(values)) < self.part) & self.chosen[of_event]
        values[far, list(TREE.numbers).index("plus_pz")] = 1e9
        return Events(values)


def test_no_draw_has_an_energy_that_no_event_could_have():
    wild, _ = drawn(Reckless(0.1, 0.1), {})
    assert abs(np.mean(wild > 5.0) - 0.1) < 0.03
    for measured_as in ({}, {"plus": "jet"}):
        tame, _ = drawn(Reckless(0.1, 0.1), measured_as, (500.0, np.inf))
        assert tame.max() < 5.0


def test_no_draw_has_a_mass_that_no_event_could_have():
    tame, _ = drawn(Reckless(0.1, 0.1), {}, (np.inf, 500.0))
    assert tame.max() < 5.0


def test_another_draw_of_the_event_takes_the_place_of_what_cannot_be_to_the_last():
    tame, _ = drawn(Reckless(0.1, 0.9), {}, (500.0, 500.0))
    assert tame.max() < 5.0
    values, repeats = np.unique(tame, return_counts=True)
    assert repeats.max() > 1
    by_event = tame.reshape(EVENTS, DRAWS)
    assert sum(len(np.unique(one)) for one in by_event) == len(values)


def test_the_draw_that_takes_the_place_agrees_with_its_places_where_one_does():
    class Both(Reckless):
        def sample(self, condition: Events, draws: int, rng: np.random.Generator) -> Events:
            values = super().sample(condition, draws, rng).flat
            values[:, -1] = torch.from_numpy(np.where(rng.random(len(values)) < 0.25, 0.0, 5.0))
            return Events(values)

    sampler = Both(0.01, 0.9, events=3)
    tame, place = drawn(sampler, {"plus": "jet"}, (500.0, np.inf))
    assert tame.max() < 5.0
    # The model is left alone, one in four of its draws agrees, and of the first events only such are repeated.
    by_event = np.round(tame, 12).reshape(EVENTS, DRAWS), place.reshape(EVENTS, DRAWS)
    assert 0.1 < np.mean(by_event[1][3:] == 0.0) < 0.4
    for values, places in zip(by_event[0][:3], by_event[1][:3], strict=True):
        found, counts = np.unique(values, return_counts=True)
        repeated = np.isin(values, found[counts > 1])
        assert repeated.any()
        assert (places[repeated] == 0.0).all()


def test_of_an_event_without_a_draw_that_can_be_all_stay():
    found, _ = drawn(Reckless(0.1, 1.0, events=3), {}, (500.0, 500.0))
    beyond = (found > 5.0).reshape(EVENTS, DRAWS)
    assert beyond[:3].all()
    assert not beyond[3:].any()


def test_a_model_that_knows_nothing_of_places_still_has_its_energies_looked_at():
    class Both(Reckless):
        def sample(self, condition: Events, draws: int, rng: np.random.Generator) -> Events:
            values = super().sample(condition, draws, rng).flat
            values[:, -1] = 5.0  # a place that no list has
            return Events(values)

    sampler = Both(0.1, 0.1)
    tame, place = drawn(sampler, {"plus": "jet"}, (500.0, np.inf))
    assert tame.max() < 5.0
    assert (place == 5.0).all()
    assert sampler.rows < 1.3 * EVENTS * DRAWS


def test_energy_and_mass_are_those_of_all_leaves():
    leaves = np.array([[[3.0, 0.0, 0.0, 4.0], [0.0, 0.0, 1e30, 0.0]], [[0.0, 3.0, 4.0, 12.0], [0.0, 0.0, 0.0, 1.0]]])
    assert np.allclose(energy_and_mass(leaves), [[1e30, 0.0], [14.0, np.sqrt(14.0**2 - 5.0**2)]])
    opposite = np.array([[[0.0, 0.0, 1e4, 0.0], [0.0, 0.0, -1e4, 0.0]]])
    assert np.allclose(energy_and_mass(opposite), [[2e4, 2e4]])
