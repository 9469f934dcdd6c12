"""Trees of decays: which are refused, sums that close to the last bit, the paper's numbers there and back."""

import numpy as np
import pytest

from castalia.errors import ConfigError, DataError
from castalia.physics.decay_tree import DecayTree
from castalia.rng import Stream

from .conftest import LEAVES, SUMS, TOPS

W_AND_TOP = {name: daughters for name, daughters in SUMS.items() if name != "ttbar"}


def leaves(events=200):
    rng = Stream(1, "test decay tree").at()
    masses = np.broadcast_to([4.8, 0.106, 0.0, 4.8, 0.33, 0.33], (events, 6))
    return np.concatenate([rng.normal(0, 100, (events, 6, 3)), masses[..., None]], axis=-1)


def test_what_is_in_what():
    assert TOPS.inside("t_lep") == ("t_lep", "w_lep")
    assert TOPS.leaves_of("ttbar") == LEAVES
    assert TOPS.leaves_of("q1") == ("q1",)
    assert TOPS.loose == ()
    z = DecayTree(("lepton_plus", "lepton_minus", "jet"), {"z": ("lepton_plus", "lepton_minus")}, ("z",))
    assert z.loose == ("jet",)
    assert DecayTree(("a", "b"), {"pair": ("a", "b")}, ()).loose == ("a", "b")


def test_sums_close_to_the_last_bit():
    found = TOPS.four_vectors(leaves())
    assert tuple(found) == TOPS.particles
    for name, (first, second) in TOPS.composites.items():
        assert (found[name] == found[first] + found[second]).all(), name
    assert not (found["t_lep"] == found["b_had"] + found["w_lep"]).any(), "the negative control"
    mass2 = found["b_had"][:, 3] ** 2 - (found["b_had"][:, :3] ** 2).sum(axis=1)
    assert np.abs(mass2 - 4.8**2).max() < 1e-14 * found["b_had"][:, 3].max() ** 2


def test_the_numbers_of_the_paper():
    given = leaves()
    numbers = TOPS.cartesian(given)
    names = list(TOPS.numbers)
    assert numbers.shape == (200, 55)
    assert names[:5] == ["b_lep_px", "b_lep_py", "b_lep_pz", "b_lep_log_energy", "b_lep_mass"]
    assert names[-1] == "ttbar_mass"
    assert TOPS.numbers["t_had_mass"] == "GeV"
    assert TOPS.numbers["t_had_log_energy"] == ""
    own = numbers.reshape(200, 11, 5)[:, :6][..., [0, 1, 2, 4]]
    assert (own == given).all()
    four = TOPS.four_vectors(given)
    mass2 = four["t_lep"][:, 3] ** 2 - (four["t_lep"][:, :3] ** 2).sum(axis=1)
    assert np.allclose(numbers[:, names.index("t_lep_mass")] ** 2, mass2, rtol=1e-12)
    back = TOPS.stated_four_vectors(numbers)
    assert all(np.allclose(back[name], four[name], rtol=1e-13, atol=0) for name in TOPS.particles)


def test_numbers_that_do_not_fit_each_other_are_stated_as_they_are():
    numbers = np.zeros((1, 55))
    names = list(TOPS.numbers)
    numbers[0, names.index("t_lep_px")] = 30.0
    numbers[0, names.index("t_lep_log_energy")] = np.log(21.0)
    numbers[0, names.index("w_lep_log_energy")] = -0.5
    found = TOPS.stated_four_vectors(numbers)
    assert found["t_lep"][0].tolist() == pytest.approx([30.0, 0.0, 0.0, 20.0])
    assert -1.0 < found["w_lep"][0, 3] < 0.0


@pytest.mark.parametrize(
    ("names", "composites", "resonances", "said"),
    [
        ((), {}, (), "has no leaves"),
        (("a", "a"), {}, (), "two particles 'a'"),
        (("a", "b"), {"a": ("a", "b")}, (), "two particles 'a'"),
        (("a", "b"), {"c": ("a", "d")}, (), "Daughter 'd' of composite 'c' is no leaf and no composite before it"),
        (("a", "b"), {"c": ("a", "d"), "d": ("b", "c")}, (), "put 'd' first"),
        (("a", "b"), {"c": ("a", "c")}, (), "Daughter 'c' of composite 'c'"),
        (("a", "b"), {"c": ("a",)}, (), "'c' has 1 daughters"),
        (("a", "b"), {"c": ("a", "a")}, (), "'a' of composite 'c' is already one of 'c'"),
        (("a", "b", "x"), {"c": ("a", "b"), "d": ("x", "b")}, (), "'b' of composite 'd' is already one of 'c'"),
        (("a", "b"), {"c": ("a", "b")}, ("a",), "'a' is no composite of the decay tree; choose from c"),
        (("a", "b", "x"), {"c": ("a", "b", "x")}, ("c",), "'c' of resonance 'c' has 3 daughters"),
        (LEAVES, W_AND_TOP, ("t_lep", "w_lep"), "'w_lep' shares leaves"),
        (LEAVES, W_AND_TOP, ("t_lep", "t_lep"), "'t_lep' shares leaves"),
    ],
)
def test_what_is_no_tree_is_refused(names, composites, resonances, said):
    with pytest.raises(ConfigError, match=said):
        DecayTree(names, composites, resonances)


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match=r"need an array \(events, 6, 4\), not \(2, 5, 4\)"):
        TOPS.four_vectors(np.zeros((2, 5, 4)))
    wrong = leaves(3)
    wrong[2, 1, 3] = -0.1
    with pytest.raises(DataError, match="'lepton' has a negative mass in row 2"):
        TOPS.cartesian(wrong)
    with pytest.raises(DataError, match=r"numbers \(events, 55\), not \(2, 54\)"):
        TOPS.stated_four_vectors(np.zeros((2, 54)))
