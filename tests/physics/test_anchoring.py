"""A leaf gets another momentum: masses stay, what is right stays, and little else moves."""

import numpy as np
from scipy.optimize import minimize

from castalia.physics.anchoring import anchored
from castalia.physics.decay_tree import DecayTree
from castalia.physics.two_body import boost, boost_between, mass_of_sum
from castalia.rng import Stream

TREE = DecayTree(("b", "lepton", "neutrino"), {"w": ("lepton", "neutrino"), "t": ("b", "w")}, ("t",), ("lepton",))
EVENTS = 5_000


def top_quarks():
    """Momenta and masses of top quarks' leaves: isotropic decays of moving resonances."""
    rng = Stream(1, "test anchoring").at()

    def isotropic(size):
        direction = rng.standard_normal((EVENTS, 3))
        return size * direction / np.linalg.norm(direction, axis=1, keepdims=True)

    masses = {"b": np.full(EVENTS, 4.8), "lepton": np.full(EVENTS, 0.000511), "neutrino": np.zeros(EVENTS)}
    b, lepton, top = isotropic(67.6), isotropic(40.2), rng.normal(0, 80, (EVENTS, 3))
    w, of_top = np.full(EVENTS, 80.4), np.full(EVENTS, 172.5)
    in_top = {"b": b, **{leaf: boost(at_rest, masses[leaf], -b, w) for leaf, at_rest in
                         {"lepton": lepton, "neutrino": -lepton}.items()}}  # fmt: skip
    return {leaf: boost(momentum, masses[leaf], top, of_top) for leaf, momentum in in_top.items()}, masses


def mass(momenta, masses, leaves):
    return mass_of_sum(np.stack([momenta[leaf] for leaf in leaves]), np.stack([masses[leaf] for leaf in leaves]))


def test_a_momentum_that_is_right_already_changes_nothing():
    momenta, masses = top_quarks()
    found = anchored(TREE, "t", momenta, masses, momenta["lepton"])
    for leaf, momentum in momenta.items():
        assert np.abs(found[leaf] - momentum).max() < 1e-8


def test_masses_stay_and_the_rest_moves_less_than_by_a_boost():
    momenta, masses = top_quarks()
    rng = Stream(2, "test anchoring").at()
    wanted = momenta["lepton"] * np.exp(0.2 * rng.standard_normal((EVENTS, 1))) + rng.normal(0, 3, (EVENTS, 3))
    found = anchored(TREE, "t", momenta, masses, wanted)
    assert np.array_equal(found["lepton"], wanted)
    for leaves in (("lepton", "neutrino"), ("b", "lepton", "neutrino")):
        assert np.abs(mass(found, masses, leaves) - mass(momenta, masses, leaves)).max() < 1e-6
    # Negative control: the lepton alone changes the mass.
    alone = {**momenta, "lepton": wanted}
    assert np.abs(mass(alone, masses, ("lepton", "neutrino")) - 80.4).mean() > 3.0
    # The other way to keep every mass: a boost of the whole top quark.
    shift = boost_between(momenta["lepton"], wanted, masses["lepton"])
    boosted = {leaf: boost(momentum, masses[leaf], shift, 1.0) for leaf, momentum in momenta.items()}
    assert np.allclose(boosted["lepton"], wanted)
    moved = [np.median(np.linalg.norm(sum(one.values()) - sum(momenta.values()), axis=1)) for one in (found, boosted)]
    assert moved[0] < 0.7 * moved[1]


def test_the_masses_stay_however_far_the_anchor_goes():
    # A slow b quark behind a fast W boson, which no energy of its own brings up to the mass of the top quark.
    momenta = {"b": [[0.0, 0.0, 600.0]], "lepton": [[0.0, 1.0, 900.0]], "neutrino": [[0.0, -1.0, 900.0]]}
    given = {leaf: np.array(momentum) for leaf, momentum in momenta.items()}
    masses = {"b": np.array([4.8]), "lepton": np.zeros(1), "neutrino": np.zeros(1)}
    found = anchored(TREE, "t", given, masses, np.array([[0.0, 0.3, 100.0]]))
    assert all(np.isfinite(momentum).all() for momentum in found.values())
    before, after = (mass(one, masses, ("b", "lepton", "neutrino")) for one in (given, found))
    assert np.allclose(before, after, rtol=1e-6)


def test_what_gives_way_is_the_nearest_that_keeps_the_masses():
    """Held against a general optimiser; the others' boost, which keeps the masses too, is the negative control."""
    momenta, masses = ({leaf: values[:12] for leaf, values in one.items()} for one in top_quarks())
    wanted = momenta["lepton"] * 1.1 + Stream(3, "test anchoring").at().normal(0, 2, (12, 3))
    found = anchored(TREE, "t", momenta, masses, wanted)
    shift = boost_between(momenta["lepton"], wanted, masses["lepton"])

    def moved(one):
        return sum(np.square(one[leaf] - momenta[leaf]).sum(axis=-1) for leaf in ("b", "neutrino"))

    boosted = {leaf: boost(momenta[leaf], masses[leaf], shift, 1.0) for leaf in momenta}
    assert (moved(found) < 0.9 * moved(boosted)).sum() >= 10
    for event in range(12):
        mine = {leaf: values[event] for leaf, values in masses.items()}
        start = np.concatenate([momenta[leaf][event] for leaf in ("b", "neutrino")])

        def squares(x, mine=mine, lepton=wanted[event]):
            every = {"b": x[:3], "neutrino": x[3:], "lepton": lepton}
            return np.array([mass(every, mine, leaves) for leaves in (("lepton", "neutrino"), tuple(every))])

        kept = [mass({leaf: values[event] for leaf, values in momenta.items()}, mine, leaves)
                for leaves in (("lepton", "neutrino"), ("b", "neutrino", "lepton"))]  # fmt: skip
        best = minimize(
            lambda x, start=start: np.square(x - start).sum(),
            start,
            constraints={"type": "eq", "fun": lambda x, squares=squares, kept=kept: squares(x) - kept},
            options={"ftol": 1e-12, "maxiter": 500},
        )
        assert np.allclose(squares(best.x), kept, rtol=1e-5)  # whatever it says it ended for
        assert moved(found)[event] < best.fun * 1.001 + 1e-6
