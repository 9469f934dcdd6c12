"""Whole events: missing momentum, what is missed, determinism, truth that is kept, selection, bad truth."""

import awkward as ak
import numpy as np
import pytest

from castalia.data.table import Table
from castalia.detectors.parametric.card import load_card
from castalia.detectors.parametric.reconstruct import reconstruct
from castalia.errors import DataError
from castalia.rng import Stream

OBJECTS = ("electron", "muon", "jet")


def busy(made, events: int) -> Table:
    """Events with a W's lepton and neutrino, a dozen hadrons, photons and a b hadron."""
    rng = Stream(3, "busy events").at()
    made_events = []
    for _ in range(events):
        lepton = made.ELECTRON if rng.random() < 0.5 else made.MUON
        event = [(made.W, 50.0, 0.0, 0.0, -1)]
        event += [(lepton, *direction(rng, 20, 90), 0), (made.NEUTRINO, *direction(rng, 20, 90), 0)]
        event += [(made.PION, *direction(rng, 2, 120), -1) for _ in range(rng.integers(0, 12))]
        event += [(made.PHOTON, *direction(rng, 2, 20), -1) for _ in range(rng.integers(0, 5))]
        event += [(made.B_HADRON, *direction(rng, 10, 90), -1)]
        event += [((13, 1), *direction(rng, 5, 40), len(event) - 1)]
        made_events.append(event)
    return made.events(*made_events)


def direction(rng, low: float, high: float) -> tuple[float, float, float]:
    return float(rng.uniform(low, high)), float(rng.normal(0, 1.5)), float(rng.uniform(-3.1, 3.1))


def flat(table: Table, name: str) -> np.ndarray:
    return ak.to_numpy(ak.flatten(table[name]))


def vector(table: Table, name: str) -> np.ndarray:
    pt, phi = table[f"{name}_pt"], table[f"{name}_phi"]
    parts = [pt * np.cos(phi), pt * np.sin(phi)]
    return np.array([ak.to_numpy(ak.sum(part, axis=1)) if isinstance(part, ak.Array) else part for part in parts])


@pytest.mark.parametrize("name", ["cms-like", "ideal"])
def test_missing_momentum_balances_everything(made, name):
    card = load_card(name)
    card = card.model_copy(update={"pileup": card.pileup.model_copy(update={"mean": 30.0, "jets": "0.02 * mu"})})
    table = reconstruct(busy(made, 200), card, 1, 0)
    total = sum(vector(table, objects) for objects in (*OBJECTS, "soft", "met"))
    assert np.abs(total).max() < 1e-10 * 1e3  # rounding of sums of some hundred GeV
    assert min(ak.sum(ak.num(table[f"{objects}_pt"])) for objects in OBJECTS) > 10
    without = sum(vector(table, objects) for objects in (*OBJECTS, "met"))
    assert np.abs(without).max() > 1.0, "control: without the soft term nothing balances"


def test_a_perfect_detector_misses_the_neutrinos_and_what_is_beyond_it(made):
    truth = made.events(
        [(made.W, 50, 0, 0, -1), (made.MUON, 40.0, 0.0, 0.0, 0), (made.NEUTRINO, 30.0, 1.0, 2.0, 0)],
        [(made.PION, 3.0, 0.0, 1.0, -1), (made.PION, 40.0, 4.5, -2.0, -1), (made.PION, 20.0, 5.5, 0.0, -1)],
    )
    table = reconstruct(truth, made.card(), 1, 0)
    assert np.allclose(table["truth_met_pt"], [30.0, 0.0])
    assert np.allclose(table["truth_met_phi"][0], 2.0)
    assert np.allclose(table["soft_pt"][0], 0.0, atol=1e-12)
    assert np.allclose(table["met_pt"][0], 40.0)
    assert np.allclose(table["met_phi"][0], np.pi)
    assert table["jet_pt"].tolist() == [[], []]
    soft = 3.0 * np.array([np.cos(1), np.sin(1)]) + 40.0 * np.array([np.cos(-2), np.sin(-2)])
    assert np.allclose(table["met_pt"][1], np.hypot(*soft))


@pytest.mark.statistical
def test_the_soft_term_is_scaled_and_smeared(made):
    events = 20_000
    truth = made.many(made.PION, events, 2.0, 9.0, 4.0)  # too soft for a jet
    pt = ak.to_numpy(truth["particle_pt"][:, 1])
    phi = ak.to_numpy(truth["particle_phi"][:, 1])
    for stretch, agrees in ((1.0, True), (1.05, False)):
        changes = {"missing": {"response": 0.8, "resolution": f"{stretch} * sqrt(4 + 0.5 * sumet + mu)"}}
        table = reconstruct(truth, made.card({**changes, "pileup.mean": 10.0}), 1, 0)
        width = np.sqrt(4 + 0.5 * pt + table["pileup"])
        pulls = (-vector(table, "met") - 0.8 * pt * np.array([np.cos(phi), np.sin(phi)])) / width
        assert [made.is_standard(one) for one in pulls] == [agrees] * 2


def test_a_missed_electron_is_a_jet_and_a_missed_muon_is_nothing(made):
    truth = made.events(
        [(made.W, 50, 0, 0, -1), (made.ELECTRON, 40.0, 0.0, 0.0, 0)],
        [(made.W, 50, 0, 0, -1), (made.MUON, 40.0, 0.0, 0.0, 0)],
    )
    blind = made.card({"electrons.efficiency": 0, "muons.efficiency": 0})
    table = reconstruct(truth, blind, 1, 0)
    assert np.allclose(ak.flatten(table["jet_pt"]), [40.0])
    assert table["jet_truth"].tolist() == [[-1], []]
    assert table["truth_jet_pt"].tolist() == [[], []]
    assert np.allclose(table["met_pt"], [40.0, 0.0])
    seen = reconstruct(truth, made.card(), 1, 0)
    assert seen["jet_pt"].tolist() == [[], []]
    assert np.allclose(seen["met_pt"], 40.0)


def test_a_muon_that_is_not_isolated_stays_in_its_jet(made):
    event = [(made.B_HADRON, 50, 0, 0, -1), (made.MUON, 20.0, 0.0, 0.0, 0), (made.PION, 30.0, 0.1, 0.0, -1)]
    isolated = made.card({"muons.isolation.maximum": 0.2})
    table = reconstruct(made.events(event), isolated, 1, 0)
    assert table["muon_pt"].tolist() == [[]]
    assert np.allclose(ak.flatten(table["jet_pt"]), [50.0], atol=0.1)
    assert np.allclose(table["met_pt"], 50.0, atol=0.1)


def test_a_function_of_its_arguments(made):
    truth, card = busy(made, 60), load_card("cms-like")
    card = card.model_copy(update={"pileup": card.pileup.model_copy(update={"mean": 20.0, "jets": "0.1 * mu"})})
    table = reconstruct(truth, card, 1, 3)
    first = reconstruct(truth.slice(0, 25), card, 1, 3)
    for name in table.names:
        assert ak.array_equal(first[name], table[name][:25], equal_nan=False), name
    for seed, unit in ((2, 3), (1, 4), (1, "other 3")):
        other = reconstruct(truth, card, seed, unit)
        assert not np.isin(flat(other, "jet_pt"), flat(table, "jet_pt")).any()
        assert ak.array_equal(other["truth_jet_pt"], table["truth_jet_pt"])


def test_one_key_of_the_card_moves_no_other_quantity(made):
    truth, card = busy(made, 60), load_card("cms-like")
    other = card.model_copy(update={"jets": card.jets.model_copy(update={"eta_resolution": "0.05"})})
    before, after = reconstruct(truth, card, 1, 0), reconstruct(truth, other, 1, 0)
    assert ak.array_equal(before["electron_pt"], after["electron_pt"])
    assert np.isin(flat(after, "jet_pt"), flat(before, "jet_pt")).mean() > 0.9
    assert not ak.array_equal(before["jet_eta"], after["jet_eta"])


def test_no_event_is_dropped_and_the_selection_is_a_column(made):
    truth = busy(made, 120)
    selection = {"leptons_min": 1, "leptons_max": 1, "jets_min": 2, "btags_min": 1}
    everything = reconstruct(truth, made.card(), 1, 0)
    table = reconstruct(truth, made.card({"selection": selection}), 1, 0)
    assert everything["selected"].all()
    assert np.array_equal(table["event"], truth["event"])
    assert np.array_equal(table["theta_m"], truth["theta_m"])
    leptons = ak.num(table["electron_pt"]) + ak.num(table["muon_pt"])
    tags = ak.sum(table["jet_btag"], axis=1)
    expected = (leptons == 1) & (ak.num(table["jet_pt"]) >= 2) & (tags >= 1)
    assert table["selected"].tolist() == expected.tolist()
    assert 0 < table["selected"].sum() < 120
    assert ak.array_equal(table["truth_jet_pt"], everything["truth_jet_pt"])


def test_the_record_is_kept_and_its_links_lead_on(made):
    event = [
        (made.PION, 5.0, 0.0, 0.0, -1),
        ((6, 2), 90.0, 0.0, 0.0, -1),
        (made.D_HADRON, 80.0, 0.0, 0.0, 1),
        (made.W, 80.0, 0.0, 0.0, 2),
        ((13, 2), 40.0, 0.0, 0.0, 3),
        (made.MUON, 39.0, 0.0, 0.0, 4),
    ]
    table = reconstruct(made.events(event, [], event[:2]), made.card(), 1, 0)
    assert table["particle_pdg"].tolist() == [[6, 24, 13], [], [6]]
    assert table["particle_mother"].tolist() == [[-1, 0, 1], [], [-1]]
    assert table["truth_lepton_mother"].tolist() == [[2], [], []]


BAD = {
    "pt": (np.nan, "particle_pt.* for particle 1 of row 1"),
    "eta": (np.inf, "particle_eta"),
    "phi": (np.nan, "particle_phi"),
    "mass": (-1.0, "particle_mass"),
    "mother": (2, "particle_mother.* is no particle of its event"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_truth_is_refused(made, name):
    value, sentence = BAD[name]
    event = [(made.PION, 5.0, 0.0, 0.0, -1), (made.PION, 5.0, 0.0, 0.0, 0)]
    truth = made.events(event, event)
    column = truth[f"particle_{name}"].tolist()
    assert len(reconstruct(truth, made.card(), 1, 0)) == 2
    column[1][1] = value
    with pytest.raises(DataError, match=sentence):
        reconstruct(truth.with_columns({f"particle_{name}": ak.Array(column)}), made.card(), 1, 0)


def test_a_circle_of_mothers_is_refused(made):
    truth = made.events([(made.PION, 5.0, 0.0, 0.0, 1), (made.PION, 5.0, 0.0, 0.0, 0)])
    with pytest.raises(DataError, match="leads round in a circle"):
        reconstruct(truth, made.card(), 1, 0)


def test_a_missing_column_is_named(made):
    with pytest.raises(DataError, match="particle_status"):
        reconstruct(made.events([]).without(["particle_status"]), made.card(), 1, 0)


def test_events_of_nothing(made):
    table = reconstruct(made.events([], []), load_card("cms-like"), 1, 0)
    assert len(table) == 2
    assert table["jet_pt"].tolist() == [[], []]
    assert len(reconstruct(made.events([]).slice(0, 0), load_card("cms-like"), 1, 0)) == 0


def test_jets_print_no_banner(made, capfd):
    reconstruct(made.events([(made.PION, 50.0, 0.0, 0.0, -1)]), made.card(), 1, 0)
    assert capfd.readouterr().out == ""


def test_top_pairs_of_pythia(made):
    pytest.importorskip("pythia8mc")
    from castalia.processes.collider import collider_truth

    table = reconstruct(collider_truth("ttbar", 50, 1, 0), load_card("ideal"), 1, 0)
    one = ak.to_numpy(ak.num(table["truth_lepton_pt"])) == 1
    assert one.mean() > 0.9, "one W decays to e or mu"
    lepton = table["truth_lepton_mother"]  # in the record it is the bare lepton, and that one's mother the W
    mothers = table["particle_pdg"][table["particle_mother"][lepton]]
    assert set(ak.to_numpy(ak.flatten(abs(mothers)))) == {24}
    assert 80 <= ak.sum(table["truth_jet_flavour"] == 5) <= 102, "two b quarks an event, some lost, few from gluons"
    found = ak.to_numpy(ak.num(table["electron_pt"]) + ak.num(table["muon_pt"])) > 0
    assert found.mean() > 0.6
    assert abs(np.median(table["met_pt"] / table["truth_met_pt"]) - 1.0) < 0.25
