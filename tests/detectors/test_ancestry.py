"""Ancestors of reconstructed objects: by hand, where nothing is known, and by the masses of W boson and top quark."""

import awkward as ak
import numpy as np
import pytest

from castalia.data.table import Table, jagged
from castalia.detectors.ancestry import ANCESTRY_COLUMNS, ancestry_columns
from castalia.detectors.observables import semileptonic_columns
from castalia.detectors.parametric.card import load_card
from castalia.detectors.parametric.reconstruct import reconstruct
from castalia.errors import DataError
from castalia.physics.constants import TOP_MASS, W_MASS
from castalia.physics.four_vectors import from_cartesian, to_cartesian
from castalia.rng import Stream

# Particles of a record: PDG number, eta, phi, mother.
CASCADE = [
    (35, 0.0, 0.0, -1),
    (37, 0.0, 0.0, 0),
    (-24, 0.0, 0.0, 0),
    (25, 0.0, 0.0, 1),
    (24, 0.0, 0.0, 1),
    (5, 1.0, 0.0, 3),
    (-5, -1.0, 0.0, 3),
    (13, 0.5, 2.0, 2),
    (-14, 0.2, -2.0, 2),
    (2, 2.0, 1.0, 4),
    (-1, -2.0, 1.0, 4),
    (21, 0.0, 3.0, -1),
]
NAMES = ("pt", "eta", "phi", "mass")


def lists(prefix, names, events):
    counts = np.array([len(event) for event in events])
    flat = [one for event in events for one in event]
    kinds = {"truth": np.int32, "pdg": np.int32, "mother": np.int32}
    return {
        f"{prefix}_{name}": jagged(counts, np.array([one[i] for one in flat], dtype=kinds.get(name, float)))
        for i, name in enumerate(names)
    }


def table(record, jets, muons=(), electrons=(), truth_leptons=()):
    """One event a list."""
    return Table(
        {
            **lists("particle", ("pdg", "eta", "phi", "mother"), record),
            **lists("jet", ("eta", "phi"), jets),
            **lists("muon", ("truth",), muons or [[]] * len(jets)),
            **lists("electron", ("truth",), electrons or [[]] * len(jets)),
            **lists("truth_lepton", ("mother",), truth_leptons or [[]] * len(jets)),
        }
    )


def test_a_cascade_by_hand():
    # One beside each quark but the last, a second near the first quark, one of the gluon, one of nothing.
    jets = [(1.1, 0.1), (1.3, 0.1), (-1.0, 0.1), (2.0, 1.3), (0.0, -3.1), (0.0, -1.0)]
    events = table([[], CASCADE], [[(0.0, 0.0)], jets], [[], [(1,)]], [[], [(-1,), (0,)]], [[], [(-1,), (7,)]])
    found = ancestry_columns(events)
    assert found["jet_from_w"].tolist() == [[0], [0, 0, 0, 5, 0, 0]]
    assert found["jet_from_top"].tolist() == [[0], [0] * 6]
    assert found["jet_from_h"].tolist() == [[0], [4, 0, 4, 0, 0, 0]]
    assert found["jet_from_heavy"].tolist() == [[0], [2, 0, 2, 2, 0, 0]], "the nearest, not the first of the cascade"
    assert (found["muon_from_w"].tolist(), found["muon_from_heavy"].tolist()) == ([[], [3]], [[], [1]])
    assert found["electron_from_w"].tolist() == [[], [0, 0]], "one not prompt, one of no resonance"
    assert (found["met_from_w"].tolist(), found["met_from_heavy"].tolist()) == ([0, 3], [0, 1])


def test_the_columns_are_those_declared():
    found = ancestry_columns(table([CASCADE], [[(0.0, 0.0)]]))
    assert list(found) == [spec.name for spec in ANCESTRY_COLUMNS]
    for spec in ANCESTRY_COLUMNS:
        values = found[spec.name]
        assert (spec.shape == "jagged") == isinstance(values, ak.Array)
        assert (values if spec.shape == "flat" else ak.flatten(values).to_numpy()).dtype == spec.dtype


def test_without_a_record_nothing_has_an_ancestor():
    found = ancestry_columns(table([[], []], [[(0.0, 0.0)], []], [[], [(0,)]], truth_leptons=[[], [(-1,)]]))
    assert found["jet_from_w"].tolist() == [[0], []]
    assert found["muon_from_top"].tolist() == [[], [0]]
    assert found["met_from_w"].tolist() == [0, 0]


def test_a_lepton_that_hangs_on_the_boson_itself_comes_from_it():
    found = ancestry_columns(table([[(24, 0.0, 0.0, -1)]], [[]], [[(0,)]], truth_leptons=[[(0,)]]))
    assert found["muon_from_w"].tolist() == [[1]]


def test_several_neutrinos_leave_the_missing_momentum_without_ancestor():
    record = [(24, 0.0, 0.0, -1), (12, 0.0, 0.0, 0), (-24, 0.0, 0.0, -1), (-14, 0.0, 0.0, 2)]
    found = ancestry_columns(table([record, record[:2]], [[], []]))
    assert found["met_from_w"].tolist() == [0, 1]


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match="truth_lepton_mother"):
        ancestry_columns(table([CASCADE], [[]]).without(["truth_lepton_mother"]))


# --- real events ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ttbar():
    pytest.importorskip("pythia8mc")
    pytest.importorskip("fastjet")
    from castalia.processes.collider import collider_truth

    return reconstruct(collider_truth("ttbar", 600, 21, 0), load_card("cms-like"), 21, 0)


def masses(events, columns):
    """Mass of the two jets of one W boson, and with the b jet that comes from the same top quark."""
    momentum = to_cartesian(*(ak.flatten(events[f"jet_{name}"]).to_numpy() for name in NAMES))
    start = np.concatenate([[0], np.cumsum(ak.num(events["jet_pt"]).to_numpy())])
    of_w, of_top = columns["jet_from_w"].tolist(), columns["jet_from_top"].tolist()
    pairs, triplets = [], []
    for row, (w, top) in enumerate(zip(of_w, of_top, strict=True)):
        pair = [i for i, one in enumerate(w) if one]
        if len(pair) == 2:
            b = [i for i, one in enumerate(top) if one == top[pair[0]] and not w[i]]
            for found, places in ((pairs, pair), (triplets, [*pair, *b] if len(b) == 1 else [])):
                found += [momentum[start[row] + np.array(places)].sum(axis=0)] if places else []
    return from_cartesian(np.array(pairs))[3], from_cartesian(np.array(triplets))[3]


def peaks_at(values, mass):
    """Whether the median is the mass within five standard errors and what jets lose, and most are near it.

    Quarks radiate out of their jets, which nothing corrects: below a tenth of the mass.
    """
    half = 0.5 * np.subtract(*np.quantile(values, [0.84, 0.16]))
    error = np.sqrt(0.5 * np.pi) * half / np.sqrt(len(values))
    return abs(np.median(values) / mass - 1.0) < 0.1 + 5.0 * error / mass and half < 0.2 * mass


def shuffled(columns):
    """The same ancestors of each event given to its jets in another order."""
    rng, counts = Stream(1, "shuffled links").at(), ak.num(columns["jet_from_w"]).to_numpy()
    order = ak.argsort(ak.unflatten(rng.random(counts.sum()), counts), axis=1)
    return {name: columns[name][order] for name in ("jet_from_w", "jet_from_top")}


@pytest.mark.statistical
def test_the_masses_of_w_boson_and_top_quark_come_out(ttbar):
    columns = ancestry_columns(ttbar)
    w, top = masses(ttbar, columns)
    assert min(len(w), len(top)) > 80
    assert peaks_at(w, W_MASS)
    assert peaks_at(top, TOP_MASS)
    for values, mass in zip(masses(ttbar, shuffled(columns)), (W_MASS, TOP_MASS), strict=True):
        assert not peaks_at(values, mass), "the negative control"


def test_most_selected_pairs_of_top_quarks_are_matched(ttbar):
    columns, rows = ancestry_columns(ttbar), semileptonic_columns(ttbar)["semileptonic"]

    def number(collection, kind):
        return ak.sum(columns[f"{collection}_from_{kind}"] > 0, axis=1).to_numpy()[rows]

    jets, lepton, quarks = number("jet", "top"), number("electron", "top") + number("muon", "top"), number("jet", "w")
    assert (jets <= 4).all()
    assert (quarks <= 2).all()
    assert (lepton == 1).mean() > 0.98
    assert (columns["met_from_w"][rows] > 0).mean() > 0.98
    # 51 % of 26,000 selected events; the tolerance is five standard errors of those here.
    share, events = (jets == 4).mean(), len(jets)
    assert abs(share - 0.51) < 5.0 * np.sqrt(0.25 / events)
