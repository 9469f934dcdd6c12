"""Coordinates of decays: leaves come back, whatever they are; what a coordinate is, by independent formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import kstest

from castalia.errors import ConfigError, DataError
from castalia.physics.constants import BEAM_ENERGY
from castalia.physics.decay_coordinates import coordinates, decode, encode
from castalia.physics.decay_tree import DecayTree
from castalia.physics.two_body import decay_momentum, direction_to_normal
from castalia.rng import Stream

from .conftest import LEAVES, MASSES, SUMS, TOPS, mass, to_rest, top_pairs

EPSILON = np.finfo(np.float64).eps
FIVE_SIGMA = 5.7e-7  # probability of a normal number beyond five standard deviations
# The same leaves as a resonance of resonances, and a pair of leptons beside two jets.
ZPRIME = DecayTree(LEAVES, SUMS, ("ttbar",))
Z = DecayTree(("jet", "lepton_plus", "lepton_minus", "other"), {"z": ("lepton_plus", "lepton_minus")}, ("z",))
TREES = {"tops": TOPS, "zprime": ZPRIME, "z": Z}


def lost(tree, leaves):
    """How far the leaves of each event move, there and back, and how far rounding may move them, both in GeV."""
    values = encode(tree, leaves)
    back = decode(tree, values, leaves[..., 3])
    assert np.isfinite(values).all()
    named, four = dict(zip(coordinates(tree), values.T, strict=True)), tree.four_vectors(leaves)
    mass = dict(zip(tree.leaves, leaves[..., 3].T, strict=True))
    for name, daughters in tree.composites.items():
        if f"{name}_release" in named:
            mass[name] = named[f"{name}_release"] + sum(mass[one] for one in daughters)
    energy = np.max([four[name][:, 3] for name in (*tree.resonances, *tree.loose)], axis=0)
    smallest = np.min([mass[one] for name in tree.resonances for one in tree.inside(name)], axis=0)
    return np.abs(back - leaves).max(axis=(1, 2)), 20 * EPSILON * energy**2 / np.minimum(smallest, energy)


def test_names_and_units():
    top = ["px", "py", "rapidity", "release", "w_release", "u", "v", "w_u", "w_v"]
    for side in ("lep", "had"):
        wanted = [f"w_{side}{one[1:]}" if one.startswith("w_") else f"t_{side}_{one}" for one in top]
        assert [name for name in coordinates(TOPS) if name.split("_")[1] == side] == wanted
    units = coordinates(TOPS)
    assert len(units) == 18
    assert (units["t_lep_px"], units["w_had_release"], units["t_lep_rapidity"], units["w_lep_u"]) == (
        "GeV",
        "GeV",
        "",
        "",
    )
    assert list(coordinates(Z)) == [
        "z_px", "z_py", "z_rapidity", "z_release", "z_u", "z_v",
        "jet_px", "jet_py", "jet_rapidity", "other_px", "other_py", "other_rapidity",
    ]  # fmt: skip
    assert len(coordinates(ZPRIME)) == 18


@pytest.mark.parametrize("name", TREES)
@given(data=st.data())
def test_any_leaves_come_back(name, data):
    tree = TREES[name]
    count = len(tree.leaves)
    # Of every size, and no two parallel to the last bit: a direction of its own is added to each.
    size = 10.0 ** data.draw(arrays(np.float64, (4, count, 1), elements=st.floats(-3, 4)))
    axis = data.draw(arrays(np.float64, (4, count, 3), elements=st.floats(-1, 1)))
    own = Stream(data.draw(st.integers(0, 2**32)), "test any leaves").at().standard_normal((4, count, 3))
    momenta = size * (axis + 10.0 ** data.draw(st.floats(-6, 0)) * own)
    masses = data.draw(arrays(np.float64, (4, count, 1), elements=st.sampled_from([0.0, 0.000511, 0.106, 0.33, 4.8])))
    moved, allowed = lost(tree, np.concatenate([momenta, masses], axis=-1))
    assert (moved <= allowed).all()


@given(
    arrays(np.float64, (5, 2), elements=st.floats(-BEAM_ENERGY, BEAM_ENERGY)),
    arrays(np.float64, (5, 1), elements=st.floats(-5, 5)),
    arrays(np.float64, (5, 2), elements=st.floats(-9, 4)),
    arrays(np.float64, (5, 4), elements=st.floats(-12, 12)),
    st.sampled_from([0.0, 0.000511, 0.106]),
)
def test_any_coordinates_decode_and_what_they_decode_to_comes_back(pt, rapidity, logarithm, normal, mass):
    tree = DecayTree(LEAVES[:3], {"w": ("lepton", "neutrino"), "t": ("b_lep", "w")}, ("t",))
    values = np.column_stack([pt, rapidity, 10.0**logarithm, normal])
    leaves = decode(tree, values, [4.8, mass, 0.0])
    assert np.isfinite(leaves).all()
    named = dict(zip(coordinates(tree), values.T, strict=True))
    energy = tree.four_vectors(leaves)["t"][:, 3]
    w = mass + named["w_release"]
    moved = np.abs(decode(tree, encode(tree, leaves), [4.8, mass, 0.0]) - leaves).max(axis=(1, 2))
    assert (moved <= 20 * EPSILON * energy * (1.0 + energy / np.minimum(w, energy))).all()
    top = w + 4.8 + named["t_release"]
    found = np.hypot(np.hypot(*pt.T), top) * np.cosh(rapidity[:, 0])
    assert np.allclose(energy, found, rtol=100 * EPSILON, atol=0), "the energy is that of the coordinates' mass"


def test_fast_top_quarks_come_back_to_one_part_in_a_billion():
    leaves, _ = top_pairs(20_000)
    four = TOPS.four_vectors(leaves)
    assert np.quantile(four["t_lep"][:, 3], 0.5) > 2000.0
    back = decode(TOPS, encode(TOPS, leaves), MASSES)
    own = np.stack([four[name][:, 3] for name in LEAVES], axis=1)
    assert (np.abs(back - leaves)[..., :3].max(axis=-1) < 1e-9 * own).all(), "of each leaf's own energy"
    single = encode(TOPS, leaves.astype(np.float32))
    back = decode(TOPS, single, MASSES)
    assert not (np.abs(back - leaves)[..., :3].max(axis=-1) < 1e-9 * own).all(), "single precision is the control"


@pytest.mark.parametrize(
    "leaves",
    [
        [(0, 0, 45, 0), (0, 0, -45, 0)],  # at rest, along the beam: the map's pole
        [(0, 0, -45, 0), (0, 0, 45, 0)],  # and the singular one
        [(0, 1e-9, -45, 0.1), (0, 0, 46, 0.1)],
        [(0, 0, 0, 45), (0, 0, 0, 45)],  # both at rest: nothing is released
        [(0, 0, 0, 45), (30, 0, 0, 0)],
        [(3000, 1, 2, 0.000511), (2000, 1, 2, 0.000511)],
        [(0, 0, 0, 0), (0, 0, 0, 0)],
    ],
)
def test_special_decays_come_back(leaves):
    beside = [(0, 0, 100, 0), (0, 0, 0, 5)]  # massless along the beam, and at rest
    given = np.array([[beside[0], *leaves, beside[1]]], dtype=np.float64)
    values = encode(Z, given)
    assert np.isfinite(values).all()
    assert np.abs(decode(Z, values, given[..., 3]) - given).max() < 1e-9 * 100.0


def test_an_anchor_has_the_momentum_that_is_asked_for_and_leaves_come_back():
    anchored = DecayTree(LEAVES, SUMS, ("t_lep", "t_had"), ("lepton",))
    leaves, _ = top_pairs(2_000, fastest=200.0)
    encoded = encode(anchored, leaves)
    assert list(coordinates(anchored)) == [*coordinates(TOPS), "lepton_px", "lepton_py", "lepton_rapidity"]
    assert np.array_equal(encoded[:, :18], encode(TOPS, leaves))
    assert np.array_equal(encoded[:, 18:20], leaves[:, 1, :2])
    assert np.abs(decode(anchored, encoded, MASSES) - leaves).max() < 1e-7
    # A top quark that was blurred gets its lepton back, and keeps its masses; the other one is left alone.
    blurred = encoded.copy()
    blurred[:, :9] += 0.02 * encoded[:, :9].std(axis=0) * Stream(3, "test anchors").at().standard_normal((2_000, 9))
    blurred[:, 3:5] = encoded[:, 3:5]
    found = decode(anchored, blurred, MASSES)
    assert np.abs(found[:, 1] - leaves[:, 1]).max() < 1e-7
    for name in ("t_lep", "w_lep"):
        masses = [mass(TOPS.four_vectors(one)[name]) for one in (leaves, found)]
        assert np.abs(masses[0] - masses[1]).max() < 1e-5
    assert np.abs(found[:, 3:] - leaves[:, 3:]).max() < 1e-7
    # Negative control: without an anchor the lepton is blurred as well.
    assert np.median(np.abs(decode(TOPS, blurred[:, :18], MASSES)[:, 1] - leaves[:, 1]).max(axis=1)) > 1.0
    with pytest.raises(
        ConfigError, match="Anchor 'b_had' is a leaf of no resonance; choose from b_lep, lepton, neutrino"
    ):
        DecayTree(LEAVES, SUMS, ("t_lep",), ("b_had",))
    with pytest.raises(ConfigError, match="'t_had' has the anchors q1, q2; one of them"):
        DecayTree(LEAVES, SUMS, ("t_lep", "t_had"), ("q1", "q2"))


def test_what_each_coordinate_is():
    leaves, _ = top_pairs(2_000, fastest=200.0)
    named = dict(zip(coordinates(TOPS), encode(TOPS, leaves).T, strict=True))
    four = TOPS.four_vectors(leaves)
    t, w = four["t_had"], four["w_had"]
    assert np.allclose(named["t_had_px"], t[:, 0], rtol=1e-12)
    assert np.allclose(named["t_had_rapidity"], 0.5 * np.log((t[:, 3] + t[:, 2]) / (t[:, 3] - t[:, 2])), atol=1e-9)
    assert np.allclose(named["t_had_release"], mass(t) - mass(w) - 4.8, atol=1e-8)
    assert np.allclose(named["w_had_release"], mass(w) - 0.66, atol=1e-8)
    b = to_rest(four["b_had"], t)[:, :3]
    assert np.allclose(np.stack([named["t_had_u"], named["t_had_v"]], 1), direction_to_normal(b), atol=1e-8)
    # By way of the top quark's rest frame; straight from the laboratory the axes of the W boson's are turned.
    quark = to_rest(to_rest(four["q1"], t), to_rest(w, t))[:, :3]
    uv = np.stack([named["w_had_u"], named["w_had_v"]], 1)
    assert np.allclose(uv, direction_to_normal(quark), atol=1e-8)
    assert not np.allclose(uv, direction_to_normal(to_rest(four["q1"], w)[:, :3]), atol=0.1), "the negative control"


def test_angles_do_not_depend_on_how_the_resonance_moves():
    leaves, values = top_pairs(500)
    named = list(coordinates(TOPS))
    slow = values.copy()
    slow[:, [named.index("t_had_px"), named.index("t_had_rapidity")]] = 0.0
    found = encode(TOPS, decode(TOPS, slow, MASSES))
    inner = [named.index(name) for name in ("t_had_u", "t_had_v", "w_had_u", "w_had_v", "w_had_release")]
    assert np.allclose(found[:, inner], encode(TOPS, leaves)[:, inner], atol=1e-7)


@pytest.mark.statistical
@pytest.mark.parametrize(("slope", "isotropic"), [(0.0, True), (0.3, False)])
def test_isotropic_decays_are_standard_normal(slope, isotropic):
    rng = Stream(2, "test decay coordinates isotropic").at()
    events = 20_000

    def direction():
        many = rng.standard_normal((2 * events, 3))
        many /= np.linalg.norm(many, axis=1)[:, None]
        return many[rng.uniform(0, 1 + slope, 2 * events) < 1.0 + slope * many[:, 1]][:events]

    def moving(p, m, frame):  # the inverse of ``to_rest``
        back = np.column_stack([-frame[:, :3], frame[:, 3]])
        return to_rest(np.column_stack([p, np.sqrt((p**2).sum(axis=1) + m**2)]), back)

    t = np.column_stack([rng.normal(0, 150, (events, 3)), np.zeros(events)])
    t[:, 3] = np.sqrt((t[:, :3] ** 2).sum(axis=1) + 172.5**2)
    p = float(decay_momentum(172.5 - 80.4 - 4.8, 80.4, 4.8)) * direction()
    q = float(decay_momentum(80.4, 0.0, 0.0)) * direction()
    b, w = moving(p, 4.8, t), np.column_stack([-p, np.sqrt((p**2).sum(axis=1) + 80.4**2)])
    daughters = [moving(moving(one, 0.0, w)[:, :3], 0.0, t) for one in (q, -q)]
    tree = DecayTree(LEAVES[:3], {"w": ("lepton", "neutrino"), "t": ("b_lep", "w")}, ("t",))
    momenta = np.stack([one[:, :3] for one in (b, *daughters)], axis=1)
    leaves = np.concatenate([momenta, np.broadcast_to([[[4.8], [0.0], [0.0]]], (events, 3, 1))], axis=-1)
    named = dict(zip(coordinates(tree), encode(tree, leaves).T, strict=True))
    for name in ("t_u", "t_v", "w_u", "w_v"):
        agrees = kstest(named[name], "norm").pvalue > FIVE_SIGMA
        # The control leans to y: v sees it, and u, across it, must not.
        assert agrees == (isotropic or name.endswith("_u")), name
    assert np.abs(named["t_release"] - (172.5 - 80.4 - 4.8)).max() < 1e-9


def test_not_a_number_stays_one():
    leaves, _ = top_pairs(3)
    leaves[1] = np.nan
    values = encode(TOPS, leaves)
    assert np.isnan(values[1]).all()
    assert np.isfinite(values[[0, 2]]).all()
    assert np.isnan(decode(TOPS, values, MASSES)[1, :, :3]).all()


def test_what_does_not_fit_is_refused():
    _, values = top_pairs(4)
    with pytest.raises(DataError, match=r"coordinates \(events, 18\), not \(4, 17\)"):
        decode(TOPS, values[:, :17], MASSES)
    with pytest.raises(DataError, match=r"4 events need masses of 6 leaves each or once, not \(5,\)"):
        decode(TOPS, values, MASSES[:5])
    with pytest.raises(DataError, match="'neutrino' has a negative mass in row 0"):
        decode(TOPS, values, MASSES - 0.05)
    values[2, list(coordinates(TOPS)).index("w_had_release")] = -1e-3
    with pytest.raises(DataError, match="'w_had_release' is negative in row 2"):
        decode(TOPS, values, MASSES)
