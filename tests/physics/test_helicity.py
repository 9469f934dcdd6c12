"""Helicity angles against the textbook's formula, and setting them: what is asked for, and nothing else."""

import numpy as np

from castalia.physics.decay_coordinates import coordinates, decode, encode
from castalia.physics.decay_tree import DecayTree
from castalia.physics.helicity import helicities, with_helicities
from castalia.physics.two_body import normal_to_direction
from castalia.rng import Stream

from .conftest import LEAVES, MASSES, SUMS, TOPS, mass, to_rest, top_pairs

COMPOSITES = ("t_lep", "w_lep", "t_had", "w_had")


def named_and_masses(tree, leaves):
    named = dict(zip(coordinates(tree), encode(tree, leaves).T, strict=True))
    return named, {name: mass(tree.four_vectors(leaves)[name]) for name in tree.resonances}


def cosine(one, other):
    return (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def test_they_are_the_angles_of_the_textbook():
    leaves, _ = top_pairs(2_000, fastest=200.0)
    found = helicities(TOPS, *named_and_masses(TOPS, leaves))
    assert set(found) == set(COMPOSITES)
    four = TOPS.four_vectors(leaves)
    t, w = four["t_had"], four["w_had"]
    b, w_flight = (to_rest(one, t)[:, :3] for one in (four["b_had"], w))
    quark = to_rest(to_rest(four["q1"], t), to_rest(w, t))[:, :3]
    np.testing.assert_allclose(np.tanh(found["t_had"]), cosine(b, t[:, :3]), atol=1e-8)
    np.testing.assert_allclose(np.tanh(found["w_had"]), cosine(quark, w_flight), atol=1e-8)
    # Negative control: about the b quark's direction it is the other way round.
    assert np.abs(np.tanh(found["w_had"]) - cosine(quark, b)).max() > 1.0


def test_a_resonance_in_a_resonance_flies_as_its_mother_sees_it():
    tree = DecayTree(LEAVES, SUMS, ("ttbar",))
    leaves, _ = top_pairs(500, fastest=200.0)
    found = helicities(tree, *named_and_masses(tree, leaves))
    four = tree.four_vectors(leaves)
    in_pair = {name: to_rest(four[name], four["ttbar"]) for name in ("t_had", "b_had")}
    b = to_rest(in_pair["b_had"], in_pair["t_had"])[:, :3]
    np.testing.assert_allclose(np.tanh(found["t_had"]), cosine(b, in_pair["t_had"][:, :3]), atol=1e-8)


def test_they_can_be_set_and_azimuths_stay():
    leaves, _ = top_pairs(2_000, fastest=200.0)
    named, masses = named_and_masses(TOPS, leaves)
    rng = Stream(1, "test helicity").at()
    wanted = {one: rng.logistic(0.0, 0.5, 2_000) for one in COMPOSITES}
    changed = {**named, **with_helicities(TOPS, named, masses, wanted)}
    back = helicities(TOPS, changed, masses)
    for one in COMPOSITES:
        np.testing.assert_allclose(back[one], wanted[one], atol=1e-7)
    before, after = (
        normal_to_direction(np.stack([given["t_had_u"], given["t_had_v"]], axis=-1)) for given in (named, changed)
    )
    flight = TOPS.four_vectors(leaves)["t_had"][:, :3]
    across = [one - (one * flight).sum(1, keepdims=True) / np.square(flight).sum(1, keepdims=True) * flight
              for one in (before, after)]  # fmt: skip
    np.testing.assert_allclose(cosine(*across), 1.0, atol=1e-9)
    # Momenta of the resonances and all masses are what they were; the leaves are not.
    moved = decode(TOPS, np.column_stack([changed[name] for name in coordinates(TOPS)]), MASSES)
    then, now = TOPS.four_vectors(leaves), TOPS.four_vectors(moved)
    for name in COMPOSITES:
        np.testing.assert_allclose(mass(now[name]), mass(then[name]), rtol=1e-7)
    np.testing.assert_allclose(now["t_had"], then["t_had"], rtol=1e-7, atol=1e-7)
    assert np.median(np.abs(now["b_had"] - then["b_had"]).max(axis=1)) > 10.0


def test_what_they_are_already_changes_nothing():
    leaves, _ = top_pairs(2_000, fastest=200.0)
    named, masses = named_and_masses(TOPS, leaves)
    same = with_helicities(TOPS, named, masses, helicities(TOPS, named, masses))
    for name, values in same.items():
        np.testing.assert_allclose(values, named[name], atol=1e-8)


def test_what_has_no_flight_has_none_and_keeps_its_direction():
    leaves, _ = top_pairs(4)
    named, masses = named_and_masses(TOPS, leaves)
    named |= {f"t_lep_{what}": np.zeros(4) for what in ("px", "py", "rapidity")}
    found = helicities(TOPS, named, masses)
    assert (found["t_lep"] == 0.0).all()
    assert (found["w_lep"] != 0.0).all()
    same = with_helicities(
        TOPS, named, masses, {one: np.full(4, 1e6) if one == "t_lep" else found[one] for one in found}
    )
    assert all(np.isfinite(values).all() for values in same.values())
    kept = with_helicities(TOPS, named, masses, {one: np.zeros(4) for one in found})
    np.testing.assert_allclose(kept["t_lep_u"], named["t_lep_u"], atol=1e-9)
