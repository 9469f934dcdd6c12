"""Stress samples: quantities of pairs, candidates from what was measured, and truths that are another on purpose."""

import numpy as np
import pytest

from castalia.data.feature_arrays import FeatureArrays, ObjectArrays
from castalia.errors import DataError
from castalia.physics.constants import TOP_MASS, W_MASS
from castalia.physics.decay_tree import DecayTree
from castalia.physics.four_vectors import from_cartesian, to_cartesian
from castalia.rng import Stream
from unfold_stress import (
    LAYOUT,
    PAIR,
    REWEIGHTED,
    SHARE,
    STRESSES,
    PairEvents,
    accepted,
    mixed,
    pairs_of_numbers,
    pairs_of_tops,
    seen_decay,
    stress_samples,
)

TREE = DecayTree(
    ("b_lep", "lepton", "neutrino", "b_had", "q_up", "q_down"),
    {
        "w_lep": ("lepton", "neutrino"),
        "w_had": ("q_up", "q_down"),
        "t_lep": ("b_lep", "w_lep"),
        "t_had": ("b_had", "w_had"),
        "ttbar": ("t_lep", "t_had"),
    },
    ("t_lep", "t_had"),
)


def events(number, seed=1, shift=0.0):
    """Pairs of made-up quantities; detector and draws tell which event is which."""
    rng = Stream(seed, "pairs").at()
    truth = np.column_stack(
        [350 + 150 * rng.exponential(1, number) + shift, rng.exponential(120, number), rng.normal(size=(number, 4))]
    )
    tag = np.arange(number, dtype=float)
    return PairEvents(truth, np.tile(tag[:, None], (1, 7)), np.tile(tag[:, None, None], (1, 2, 6)))


def test_quantities_of_a_pair():
    t_lep = to_cartesian(100.0, 0.5, 0.0, 170.0)[None]
    t_had = to_cartesian(100.0, -0.5, np.pi, 170.0)[None]
    mass, pt, y, pt_lep, y_t, pt_tt = pairs_of_tops(t_lep, t_had)[0]
    energy = t_lep[0, 3]
    assert (mass, pt, pt_lep) == pytest.approx((2 * energy, 100, 100))
    assert (y, pt_tt) == pytest.approx((0, 0), abs=1e-9)
    assert y_t == pytest.approx(np.arctanh(t_had[0, 2] / energy))
    assert len(LAYOUT.target) == len(PAIR) == 6
    boosted = t_lep.copy()
    boosted[0, 2:] = 3 * energy * 0.5, np.hypot(3 * energy * 0.5, energy)
    assert pairs_of_tops(boosted, t_had)[0, 2] > 0  # control


def test_the_papers_numbers_are_the_same_pairs():
    rng = Stream(2, "leaves").at()
    leaves = np.concatenate([rng.normal(0, 80, (3, 4, 6, 3)), np.full((3, 4, 6, 1), 1.0)], axis=3)
    flat = leaves.reshape(12, 6, 4)
    four = TREE.four_vectors(flat)
    expected = pairs_of_tops(four["t_lep"], four["t_had"]).reshape(3, 4, 6)
    found = pairs_of_numbers(TREE, TREE.cartesian(flat).reshape(3, 4, -1))
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_a_perfectly_measured_decay_is_found():
    """Two top quarks at rest: b and W back to back, W decays to two massless particles."""

    def decay(axis):
        axis = np.asarray(axis, dtype=float)
        momentum = (TOP_MASS**2 - W_MASS**2) / (2 * TOP_MASS)
        b = np.append(momentum * axis, momentum)
        side = np.cross(axis, [0.3, 0.2, 1.0])
        side *= W_MASS / 2 / np.linalg.norm(side)
        half = -0.5 * momentum * axis
        return b, *(np.append(half + sign * side, np.linalg.norm(half + sign * side)) for sign in (1, -1))

    b_lep, lepton, neutrino = decay([1, 0, 0])
    b_had, q_up, q_down = decay([0, 1, 0])
    # hardest first
    four = np.stack(sorted([b_lep, b_had, q_up, q_down], key=lambda one: -np.hypot(*one[:2])))
    tagged = [np.allclose(one, b_lep) or np.allclose(one, b_had) for one in four]
    jets = np.column_stack([*np.nan_to_num(from_cartesian(four)), np.array(tagged, dtype=float)])
    jets = np.concatenate([jets, np.zeros((1, 5))])[None]  # a place without a jet

    def objects(values, present):
        return ObjectArrays(np.asarray(values, dtype=float), np.asarray(present))

    pt, eta, phi, _ = from_cartesian(lepton)
    missing = np.array([[np.hypot(*neutrino[:2]), np.arctan2(neutrino[1], neutrino[0])]])
    arrays = FeatureArrays(
        missing,
        None,
        np.zeros((1, 0)),
        np.ones(1),
        np.arange(1),
        0,
        objects={
            "jet": objects(jets, [[True] * 4 + [False]]),
            "electron": objects(np.zeros((1, 1, 4)), [[False]]),
            "muon": objects([[[pt, eta, phi, 1.0]]], [[True]]),
        },
    )
    seen = seen_decay(arrays)
    assert seen.lepton[0] == pytest.approx(lepton)
    assert from_cartesian(seen.t_had)[3] == pytest.approx([TOP_MASS])
    assert seen.t_had[0] == pytest.approx(b_had + q_up + q_down, abs=1e-6)
    assert seen.missing[0] == pytest.approx(neutrino[:2])


@pytest.mark.statistical
@pytest.mark.parametrize("name", REWEIGHTED)
def test_accepted_events_have_the_weighted_truth(name):
    data = events(40_000)
    weights = REWEIGHTED[name](data.truth)
    assert 0 < weights.min() < weights.max() <= 1
    kept = accepted(weights, Stream(3, "accept").at())
    place = list(REWEIGHTED).index(name)
    values = data.truth[:, 1 - place]
    expected = np.average(values, weights=weights)
    error = values[kept].std() / np.sqrt(kept.sum())
    assert abs(values[kept].mean() - expected) < 5 * error
    assert abs(values[kept].mean() - values.mean()) > 10 * error  # control: it is another truth


def test_a_share_is_mixed_in():
    pairs, others = events(1_000), events(300, seed=2, shift=5_000)
    found = mixed(pairs, others, 0.1, Stream(4, "mix").at())
    foreign = found.truth[:, 0] > 5_000
    assert (len(found.truth), foreign.sum()) == (1_000, 100)
    # Rows stay together, and none comes twice.
    for source, rows in ((pairs, ~foreign), (others, foreign)):
        tag = found.detector[rows, 0].astype(int)
        assert len(set(tag)) == rows.sum()
        assert np.array_equal(found.truth[rows], source.truth[tag])
        assert np.array_equal(found.draws[rows, 0, 0], tag)
    with pytest.raises(DataError, match="make 900"):
        mixed(pairs, others, 0.9, Stream(4, "mix").at())


def test_all_samples_are_of_one_size():
    found = stress_samples(events(3_000), events(400, seed=2, shift=5_000), events(1_200, seed=3), seed=1)
    assert list(found) == ["unshifted", *STRESSES, "A14 tune"]
    sizes = {len(one.truth) for one in found.values()}
    assert len(sizes) == 1
    assert sizes.pop() <= 1_200
    assert np.mean(found["Z' admixture"].truth[:, 0] > 5_000) == pytest.approx(SHARE, abs=1e-3)
