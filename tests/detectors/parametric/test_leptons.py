"""Electrons and muons: the card's efficiencies and resolutions come back out of the events; isolation and dressing."""

import awkward as ak
import numpy as np
import pytest

from castalia.detectors.parametric.reconstruct import reconstruct
from castalia.physics.angles import delta_phi

EVENTS = 20_000
RESOLUTION = "sqrt(0.02**2 + (1e-4 * pt)**2) * (1 + abs(eta))"
EFFICIENCY = "0.5 + 0.2 * (abs(eta) < 1) + min(pt, 300) / 1e3"


def flat(table, name: str) -> np.ndarray:
    return ak.to_numpy(ak.flatten(table[name]))


def seen(table, name: str) -> tuple[np.ndarray, ...]:
    """Events with a lepton, and its truth as the generated particle."""
    has = ak.to_numpy(ak.num(table[f"{name}_pt"])) == 1
    return has, *(flat(table, f"truth_lepton_{x}")[has] for x in ("pt", "eta", "phi"))


def pulls(table, name: str, pt, eta, phi) -> dict[str, np.ndarray]:
    width = np.sqrt(0.02**2 + (1e-4 * pt) ** 2) * (1 + np.abs(eta))
    spread = np.sqrt(np.log1p(width**2))  # of the logarithm
    return {
        "pt": np.log(flat(table, f"{name}_pt") / pt) / spread + 0.5 * spread,
        "eta": (flat(table, f"{name}_eta") - eta) / 0.002,
        "phi": delta_phi(flat(table, f"{name}_phi"), phi) / (0.1 / pt),
    }


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["electron", "muon"])
def test_resolutions_come_back(made, name):
    keys = {"pt_resolution": RESOLUTION, "eta_resolution": 0.002, "phi_resolution": "0.1 / pt"}
    truth = made.many(made.ELECTRON if name == "electron" else made.MUON, EVENTS, 40.0, 400.0, 2.4)
    for stretch, agrees in ((1.0, True), (1.05, False)):
        changes = {f"{name}s.{key}": f"{stretch} * ({formula})" for key, formula in keys.items()}
        table = reconstruct(truth, made.card(changes), 1, 0)
        has, *true = seen(table, name)
        assert has.all()
        assert [made.is_standard(one) for one in pulls(table, name, *true).values()] == [agrees] * 3


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["electron", "muon"])
def test_efficiencies_come_back(made, name):
    truth = made.many(made.ELECTRON if name == "electron" else made.MUON, EVENTS, 15.0, 300.0, 3.0)
    for factor, agrees in ((1.0, True), (0.9, False)):
        table = reconstruct(truth, made.card({f"{name}s.efficiency": f"{factor} * ({EFFICIENCY})"}), 1, 0)
        has = ak.to_numpy(ak.num(table[f"{name}_pt"])) == 1
        pt, eta = flat(table, "truth_lepton_pt"), flat(table, "truth_lepton_eta")
        expected = np.where(np.abs(eta) < 2.5, 0.5 + 0.2 * (np.abs(eta) < 1) + pt / 1e3, 0.0)
        for low, high in ((0.0, 1.0), (1.0, 2.5), (2.5, 3.0)):
            inside = (np.abs(eta) >= low) & (np.abs(eta) < high)
            assert made.is_fraction(has[inside].sum(), expected[inside]) == (agrees or low == 2.5)


def test_acceptance_charge_and_truth(made):
    table = reconstruct(
        made.events(
            [(made.W, 40, 0, 0, -1), ((-11, 1), 30.0, 1.0, 0.5, 0), ((13, 1), 50.0, 1.0, 2.5, 0)],
            [(made.W, 40, 0, 0, -1), ((11, 1), 9.0, 1.0, 0.5, 0), ((13, 1), 50.0, 2.6, 0.5, 0)],
            [(made.B_HADRON, 60, 0, 0, -1), ((13, 1), 50.0, 0.0, 0.1, 0), ((11, 1), 60.0, 1.5, 0.1, -1)],
        ),
        made.card(),
        1,
        0,
    )
    assert table["electron_charge"].tolist() == [[1], [], [-1]]
    assert table["muon_charge"].tolist() == [[-1], [], [-1]]
    assert table["electron_truth"].tolist() == [[1], [], [-1]]
    assert table["muon_truth"].tolist() == [[0], [], [-1]]
    assert table["truth_lepton_pdg"].tolist() == [[13, -11], [13, 11], []]
    assert table["truth_lepton_mother"].tolist() == [[0, 0], [0, 0], []]
    assert table["electron_pt"].tolist() == [[30.0], [], [60.0]]


def test_isolation(made):
    around = [(made.PION, 4.0, 0.2, 0.0, -1), (made.PION, 50.0, 0.35, 0.0, -1), (made.NEUTRINO, 90.0, 0.1, 0.0, 0)]
    event = [(made.W, 40, 0, 0, -1), (made.MUON, 40.0, 0.0, 0.0, 0), *around]
    found = {}
    for maximum in (0.11, 0.09):
        changes = {"muons.isolation": {"radius": 0.3, "maximum": maximum}, "electrons.isolation.maximum": maximum}
        table = reconstruct(made.events(event, event[:2]), made.card(changes), 1, 0)
        found[maximum] = table["muon_isolation"].tolist()
    assert found == {0.11: [[0.1], [0.0]], 0.09: [[], [0.0]]}


def test_photons_beside_the_lepton_of_a_hadron_are_not_its_own(made):
    mother = {"its own": made.W, "its jet's": made.B_HADRON}
    isolation = {}
    for whose, first in mother.items():
        event = [(first, 40, 0, 0, -1), (made.MUON, 40.0, 0.0, 0.0, 0), (made.PHOTON, 10.0, 0.05, 0.0, -1)]
        table = reconstruct(made.events(event), made.card({"muons.isolation.maximum": 9.0}), 1, 0)
        isolation[whose] = flat(table, "muon_isolation").tolist()
    assert isolation == {"its own": [0.0], "its jet's": [0.25]}


@pytest.mark.statistical
def test_isolation_spreads_with_pile_up(made):
    changes = {"muons.isolation": {"maximum": 9.0, "pileup": "sqrt(mu)"}, "pileup.mean": 25.0, "muons.pt_min": 20.0}
    table = reconstruct(made.many(made.MUON, EVENTS, 40.0, 80.0, 2.0), made.card(changes), 1, 0)
    left = flat(table, "muon_isolation") * flat(table, "muon_pt") / np.sqrt(table["pileup"])
    # Half of the shifts are negative and cut at zero: the mean square of the rest is half of one, of variance 5/4.
    assert abs((left**2).mean() - 0.5) < 5.0 * np.sqrt(1.25 / EVENTS)
    assert abs(((1.1 * left) ** 2).mean() - 0.5) > 5.0 * np.sqrt(1.25 / EVENTS)
    assert abs(table["pileup"].mean() - 25.0) < 5.0 * np.sqrt(25.0 / EVENTS)


def test_photons_belong_to_the_electron_but_not_to_the_muons_track(made):
    photon = (made.PHOTON, 10.0, 0.05, 0.0, -1)
    changes = {f"{name}.isolation": {"maximum": 0.01} for name in ("electrons", "muons")}
    table = reconstruct(
        made.events(
            [(made.W, 40, 0, 0, -1), (made.ELECTRON, 40.0, 0.0, 0.0, 0), photon],
            [(made.W, 40, 0, 0, -1), (made.MUON, 40.0, 0.0, 0.0, 0), photon],
        ),
        made.card(changes),
        1,
        0,
    )
    dressed = flat(table, "truth_lepton_pt")
    assert np.allclose(dressed, 50.0, rtol=1e-3)
    assert flat(table, "electron_pt")[0] == dressed[0]
    assert flat(table, "muon_pt")[0] == 40.0, "isolated, too: its own radiation does not count"
    assert flat(table, "truth_jet_pt").size == 0
    assert flat(table, "jet_pt").size == 0
    assert np.allclose(table["met_pt"], 50.0, rtol=1e-3)
