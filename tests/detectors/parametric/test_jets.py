"""Jets: clustering, flavour, response and resolution, b-tags by flavour, pile-up jets, overlap."""

import awkward as ak
import numpy as np
import pytest

from castalia.detectors.parametric.reconstruct import reconstruct
from castalia.physics.angles import delta_phi

EVENTS = 20_000
RESPONSE, RESOLUTION = "1.1 - 2 / pt", "sqrt(2**2 / pt**2 + 0.5**2 / pt + 0.04**2)"


def flat(table, name: str) -> np.ndarray:
    return ak.to_numpy(ak.flatten(table[name]))


@pytest.mark.statistical
def test_response_and_resolution_come_back(made):
    truth = made.many(made.PION, EVENTS, 60.0, 600.0, 3.5)
    for response, stretch, agrees in (("", 1.0, True), (" + 0.005", 1.05, False)):
        changes = {
            "jets.response": RESPONSE + response,
            "jets.pt_resolution": f"{stretch} * {RESOLUTION}",
            "jets.eta_resolution": f"{stretch} * 0.02",
            "jets.phi_resolution": f"{stretch} * 1 / pt",
        }
        table = reconstruct(truth, made.card(changes), 1, 0)
        pt, eta, phi = (flat(table, f"truth_jet_{name}") for name in ("pt", "eta", "phi"))
        assert len(flat(table, "jet_pt")) == len(pt) == EVENTS
        width = np.sqrt((2 / pt) ** 2 + 0.5**2 / pt + 0.04**2)
        ratio = flat(table, "jet_pt") / pt / (1.1 - 2 / pt)
        spread = np.sqrt(np.log1p(width**2))
        pulls = [
            np.log(ratio) / spread + 0.5 * spread,
            (flat(table, "jet_eta") - eta) / 0.02,
            delta_phi(flat(table, "jet_phi"), phi) * pt,
        ]
        assert [made.is_standard(one) for one in pulls] == [agrees] * 3
        # Energy closure: the mean response itself, in bins of pt.
        for low, high in ((60, 100), (100, 300), (300, 600)):
            inside = (pt >= low) & (pt < high)
            error = ratio[inside].std() / np.sqrt(inside.sum())
            assert (abs(ratio[inside].mean() - 1.0) < 5.0 * error) or not agrees


@pytest.mark.statistical
@pytest.mark.parametrize(("key", "hadron"), [("b", "B_HADRON"), ("c", "D_HADRON"), ("light", "W")])
def test_tags_come_at_the_rate_of_the_flavour(made, key, hadron):
    truth = made.many(made.PION, EVENTS, 40.0, 300.0, 3.0, getattr(made, hadron))
    rates = {"b": "0.7 * tanh(pt / 50)", "c": "0.1 + 0.1 * (abs(eta) > 1)", "light": "0.01 + pt / 1e4"}
    for other in ("", "b", "c", "light"):
        changes = {f"jets.btag.{name}": 0.5 if name == other else rate for name, rate in rates.items()}
        table = reconstruct(truth, made.card({**changes, "jets.pt_resolution": 0.2}), 1, 0)
        pt, eta, tagged = flat(table, "jet_pt"), flat(table, "jet_eta"), flat(table, "jet_btag")
        expected = {"b": 0.7 * np.tanh(pt / 50), "c": 0.1 + 0.1 * (np.abs(eta) > 1), "light": 0.01 + pt / 1e4}[key]
        expected = np.where(np.abs(eta) < 2.5, expected, 0.0)
        assert set(flat(table, "jet_flavour")) == {{"b": 5, "c": 4, "light": 0}[key]}
        assert made.is_fraction(tagged.sum(), expected) == (other != key)
        assert not tagged[np.abs(eta) >= 2.5].any()


def test_close_particles_are_one_jet_and_the_nearest_hadron_tags_it(made):
    two = [(made.PION, 30.0, 0.0, 0.0, -1), (made.PION, 20.0, 0.1, 0.1, -1), (made.PION, 40.0, 1.0, 3.1, -1)]
    hadrons = [(made.D_HADRON, 20.0, 0.1, 0.1, -1), (made.B_HADRON, 6.0, 1.1, -3.1, -1)]
    soft = [(made.B_HADRON, 4.0, 0.0, 0.0, -1), (made.B_HADRON, 50.0, -1.0, 0.0, -1)]
    table = reconstruct(made.events([*two, *hadrons, *soft], [], two[2:]), made.card(), 1, 0)
    assert np.allclose(table["jet_pt"][0], [50.0, 40.0], atol=0.5)
    assert table["jet_flavour"].tolist() == [[4, 5], [], [0]]
    assert table["jet_btag"].tolist() == [[0, 1], [], [0]]
    assert table["jet_truth"].tolist() == [[0, 1], [], [0]]
    assert table["jet_mass"][0, 0] > 3.0 > 0.2 > table["jet_mass"][0, 1]
    wide = reconstruct(made.events(two), made.card({"jets.radius": 0.1}), 1, 0)
    assert len(wide["jet_pt"][0]) == 3, "control: a smaller radius keeps them apart"


def test_jets_close_to_a_lepton_are_left_out(made):
    event = [(made.W, 40, 0, 0, -1), (made.MUON, 40.0, 0.0, 0.0, 0), (made.PION, 30.0, 0.3, 0.0, -1)]
    for overlap, jets in ((0.4, 0), (0.2, 1)):
        table = reconstruct(made.events(event), made.card({"jets.overlap": overlap}), 1, 0)
        assert len(table["jet_pt"][0]) == jets
        assert len(table["truth_jet_pt"][0]) == 1
        assert table["met_pt"][0] == pytest.approx(abs(70.0), rel=1e-9), "the jet moves into the soft term"


@pytest.mark.statistical
def test_pile_up_jets(made):
    changes = {"pileup": {"mean": 20.0, "jets": "0.05 * mu", "jet_power": 4.0}}
    table = reconstruct(made.events(*[[]] * 5_000), made.card(changes), 1, 0)
    number, pt = len(flat(table, "jet_pt")), flat(table, "jet_pt")
    assert abs(number - 0.05 * table["pileup"].sum()) < 5.0 * np.sqrt(number)
    # A pt falling like pt**-4 from 20 GeV on: ln(pt / 20) is exponential of mean 1/3.
    assert abs(np.log(pt / 20.0).mean() - 1 / 3) < 5.0 / 3.0 / np.sqrt(number)
    assert abs(np.log(pt / 20.0).mean() - 1 / 4) > 5.0 / 3.0 / np.sqrt(number)
    assert set(flat(table, "jet_truth")) == {-1}
    assert np.abs(flat(table, "jet_eta")).max() < 4.0
    assert np.allclose(table["met_pt"], 0.0, atol=1e-9), "their recoil is pile-up, too"
    assert len(flat(reconstruct(made.events([], []), made.card(), 1, 0), "jet_pt")) == 0
