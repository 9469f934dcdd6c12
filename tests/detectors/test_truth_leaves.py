"""Decay products of top quarks in real events of Pythia: closures, charges, and what a perfect detector selects."""

import awkward as ak
import numpy as np
import pytest

from castalia.data.table import Table, jagged
from castalia.detectors.observables import semileptonic_columns
from castalia.detectors.parametric.card import load_card
from castalia.detectors.parametric.reconstruct import reconstruct
from castalia.detectors.truth_leaves import (
    TRUTH_LEAF_COLUMNS,
    TRUTH_LEAVES,
    particle_level_columns,
    parton_columns,
)
from castalia.errors import DataError
from castalia.physics.constants import TOP_MASS, W_MASS
from castalia.physics.decay_tree import DecayTree
from castalia.physics.four_vectors import from_cartesian, to_cartesian
from castalia.physics.semileptonic import semileptonic_observables
from castalia.processes.collider import collider_truth

pytest.importorskip("pythia8mc")
pytest.importorskip("fastjet")

EVENTS = 500
MOMENTUM = ("pt", "eta", "phi", "mass")
SUMS = {"w_lep": ("lepton", "neutrino"), "w_had": ("q_up", "q_down"), "t_lep": ("b_lep", "w_lep")}
TREE = DecayTree(TRUTH_LEAVES, {**SUMS, "t_had": ("b_had", "w_had"), "ttbar": ("t_lep", "t_had")}, ("t_lep", "t_had"))


@pytest.fixture(scope="module")
def truth():
    return collider_truth("ttbar", EVENTS, 11, 0)


@pytest.fixture(scope="module")
def events(truth):
    return reconstruct(truth, load_card("cms-like"), 11, 0)


def leaves(columns, level, rows):
    """(px, py, pz, mass), shape (events, 6, 4), of those events."""
    parts = []
    for leaf in TRUTH_LEAVES:
        values = [columns[f"{level}_{leaf}_{name}"][rows] for name in MOMENTUM]
        parts.append(np.column_stack([to_cartesian(*values)[:, :3], values[3]]))
    return np.stack(parts, axis=1)


def by_hand(event):
    """The places of the leaves of one event in its record, found by walking up from each particle; None if not all."""
    pdg, mother = event["pdg"], event["mother"]

    def line(i):
        return [pdg[i], *line(mother[i])] if i >= 0 else []

    lines = [line(i) for i in range(len(pdg))]
    of_w = [i for i, one in enumerate(lines) if len(one) > 2 and abs(one[1]) == 24 and abs(one[2]) == 6]
    lepton = [i for i in of_w if abs(pdg[i]) in (11, 13)]
    up = [i for i in of_w if abs(pdg[i]) in (2, 4)]
    if len(of_w) != 4 or len(lepton) != 1 or len(up) != 1:
        return None
    top = {True: lines[lepton[0]][2], False: lines[up[0]][2]}
    b = {leptonic: [i for i, one in enumerate(lines) if one[:2] == [np.sign(t) * 5, t]] for leptonic, t in top.items()}
    if not (b[True] and b[False]):
        return None
    neutrino = next(i for i in of_w if abs(pdg[i]) in (12, 14))
    down = next(i for i in of_w if abs(pdg[i]) in (1, 3, 5))
    return [b[True][0], lepton[0], neutrino, b[False][0], up[0], down]


def records(events):
    lists = {name: events[f"particle_{name}"].tolist() for name in (*MOMENTUM, "pdg", "mother")}
    return [{name: values[row] for name, values in lists.items()} for row in range(len(events))]


def resonances(events, rows, found):
    """(px, py, pz, E) of the record's W bosons and top quarks, on the leptonic and on the hadronic side."""
    wanted = {name: [] for name in ("w_lep", "t_lep", "w_had", "t_had")}
    for event, places in zip(np.array(records(events))[rows], found, strict=True):
        for side, daughter in (("lep", places[1]), ("had", places[4])):
            w = event["mother"][daughter]
            for name, i in ((f"w_{side}", w), (f"t_{side}", event["mother"][w])):
                wanted[name].append(to_cartesian(*(event[key][i] for key in MOMENTUM)))
    return {name: np.array(four) for name, four in wanted.items()}


def test_the_columns_are_those_declared(events):
    columns = {**parton_columns(events), **particle_level_columns(events)}
    assert [(name, values.dtype) for name, values in columns.items()] == [
        (spec.name, spec.numpy_dtype) for spec in TRUTH_LEAF_COLUMNS
    ]
    for level, where in (("parton", "parton_complete"), ("particle_level", "fiducial")):
        for leaf in TRUTH_LEAVES:
            for name in MOMENTUM:
                assert (np.isfinite(columns[f"{level}_{leaf}_{name}"]) == columns[where]).all()
    assert ((columns["parton_lepton_pdg"] != 0) == columns["parton_complete"]).all()


def test_partons_are_those_of_the_record(events):
    columns, found = parton_columns(events), [by_hand(event) for event in records(events)]
    assert columns["parton_complete"].tolist() == [one is not None for one in found]
    assert columns["parton_complete"].mean() > 0.98
    charges = {1: -1, 2: 2, 3: -1, 4: 2, 5: -1}
    for row, (event, places) in enumerate(zip(records(events), found, strict=True)):
        if places is None:
            continue
        for leaf, place in zip(TRUTH_LEAVES, places, strict=True):
            for name in MOMENTUM:
                assert columns[f"parton_{leaf}_{name}"][row] == event[name][place]
        pdg = event["pdg"]
        lepton, up, down = (pdg[places[i]] for i in (1, 4, 5))
        assert columns["parton_lepton_pdg"][row] == lepton
        third = sum(np.sign(one) * charges[abs(one)] for one in (up, down))
        assert third == 3 * np.sign(lepton), "the W bosons have opposite charges"
        assert np.sign(pdg[places[0]]) == -np.sign(lepton) == -np.sign(pdg[places[3]]), "and so have the b quarks"


def closure(leaves, wanted):
    """How far W bosons made of leaves are from the record's at most, and how much lighter each top quark is; GeV."""
    four = TREE.four_vectors(leaves)
    w = max(np.abs(four[name] - wanted[name]).max() for name in ("w_lep", "w_had"))
    lighter = np.concatenate([from_cartesian(wanted[t])[3] - from_cartesian(four[t])[3] for t in ("t_lep", "t_had")])
    return w, lighter


def test_sums_of_partons_close(events):
    columns, found = parton_columns(events), [by_hand(event) for event in records(events)]
    rows = columns["parton_complete"]
    wanted = resonances(events, rows, [one for one in found if one is not None])
    partons = leaves(columns, "parton", rows)
    w, lighter = closure(partons, wanted)
    # Coordinates of the file's kind lose 2**-52 of energies up to some TeV, and their squares in masses.
    assert w < 1e-8
    # The b quark's recoil: never heavier than the record, equal where nothing was radiated, 0.5 GeV in the median.
    assert lighter.min() > -1e-8
    assert 0.1 < (lighter < 1e-8).mean() < 0.5
    assert 0.2 < np.median(lighter) < 1.0
    assert np.quantile(lighter, 0.9) < 10.0
    four = TREE.four_vectors(partons)
    assert (four["ttbar"] == four["t_lep"] + four["t_had"]).all()
    assert abs(np.median(from_cartesian(four["t_had"])[3]) - TOP_MASS) < 1.5
    for first, second, which in ((1, 4, "w"), (2, 5, "w"), (0, 3, "t"), (0, 5, "t")):
        scrambled = partons.copy()
        scrambled[:, [first, second]] = partons[:, [second, first]]
        w, lighter = closure(scrambled, wanted)
        assert w > 1.0 if which == "w" else np.median(np.abs(lighter)) > 5.0, "the negative control"


def test_the_whole_truth_has_the_same_partons_as_the_record(truth, events):
    assert ak.max(ak.num(truth["particle_pt"])) > 3 * ak.max(ak.num(events["particle_pt"]))
    first, second = parton_columns(truth), parton_columns(events)
    assert all(np.array_equal(first[name], second[name], equal_nan=True) for name in first)


def test_top_quarks_of_a_heavy_boson_are_found_as_well():
    truth = collider_truth("zprime", 60, 1, 0, parameters={"m_Zprime": 1000.0})
    columns = parton_columns(truth)
    rows = columns["parton_complete"]
    assert rows.sum() >= 57
    pair = from_cartesian(TREE.four_vectors(leaves(columns, "parton", rows))["ttbar"])[3]
    assert 900.0 < np.median(pair) < 1010.0, "less what the b quarks radiated"


# pdg and mother of each particle of an event
DILEPTON = [(6, -1), (-6, -1), (24, 0), (5, 0), (-24, 1), (-5, 1), (-11, 2), (12, 2), (13, 4), (-14, 4)]
HADRONIC = [*DILEPTON[:6], (2, 2), (-1, 2), (-4, 4), (3, 4)]
GOOD = [*DILEPTON[:8], (-4, 4), (3, 4)]
STRANGE = [*GOOD[:3], (3, 0), *GOOD[4:]]
TAU = [*GOOD[:6], (-15, 2), (16, 2), *GOOD[8:]]
NO_TOPS = [(37, -1), *GOOD[1:]]
LONELY = GOOD[:8]


def table(*events):
    counts = np.array([len(one) for one in events])
    flat = np.array([particle for one in events for particle in one], dtype=np.int32).reshape(-1, 2)
    numbers = {name: jagged(counts, 1.0 + np.arange(len(flat))) for name in MOMENTUM}
    columns = {**numbers, "pdg": jagged(counts, flat[:, 0]), "mother": jagged(counts, flat[:, 1])}
    return Table({f"particle_{name}": values for name, values in columns.items()})


def test_records_without_such_a_decay():
    given = [DILEPTON, GOOD, HADRONIC, STRANGE, [], TAU, NO_TOPS, LONELY, [*GOOD, (-1, -1), (21, -1)]]
    found = parton_columns(table(*given))
    assert found["parton_complete"].tolist() == [one[: len(GOOD)] == GOOD for one in given]
    assert found["parton_lepton_pdg"].tolist() == [-11 * one for one in found["parton_complete"]]
    start = len(DILEPTON)
    assert [found[f"parton_{leaf}_pt"][1] - start for leaf in TRUTH_LEAVES] == [4, 7, 8, 6, 9, 10]
    assert not parton_columns(table([], []))["parton_complete"].any()
    with pytest.raises(DataError, match="particle_mother"):
        parton_columns(table(GOOD).without(["particle_mother"]))


def test_particle_level_is_what_the_observables_are_made_of(events):
    columns = particle_level_columns(events)
    rows = np.flatnonzero(columns["fiducial"])
    assert 0.2 * EVENTS < len(rows) < 0.5 * EVENTS
    made = leaves(columns, "particle_level", rows)
    four = TREE.four_vectors(made)
    masses = {name: from_cartesian(vector)[3] for name, vector in four.items()}
    swapped = TREE.four_vectors(made[:, [3, 1, 2, 0, 4, 5]])
    differ = 0
    for number, row in enumerate(rows):
        jets, lepton = jets_and_lepton(events, row)
        met, phi = events["truth_met_pt"][row], events["truth_met_phi"][row]
        missing = met * np.array([np.cos(phi), np.sin(phi)])
        tags = np.array([[flavour == 5 for *_, flavour in jets]])
        momenta = to_cartesian(*np.array([one[:4] for one in jets]).T)
        wanted = semileptonic_observables(to_cartesian(*lepton)[None], missing[None], momenta[None], tags)
        for observable, name in (("m_jj", "w_had"), ("m_jjb", "t_had"), ("m_lvb", "t_lep"), ("m_total", "ttbar")):
            assert masses[name][number] == pytest.approx(wanted[observable][0], rel=1e-9), observable
        differ += abs(from_cartesian(swapped["t_had"])[3][number] - wanted["m_jjb"][0]) > 1.0
        chosen = {
            leaf: tuple(columns[f"particle_level_{leaf}_{key}"][row] for key in MOMENTUM) for leaf in TRUTH_LEAVES
        }
        hardest = [one[:4] for one in jets if one[4] == 5][:2]
        assert {chosen["b_lep"], chosen["b_had"]} == set(hardest)
        assert {chosen["q_up"], chosen["q_down"]} <= {one[:4] for one in jets} - set(hardest)
        assert chosen["lepton"] == lepton
        assert columns["particle_level_q_up_pt"][row] >= columns["particle_level_q_down_pt"][row]
    assert differ > 0.9 * len(rows), "the negative control: b jets exchanged"
    # Where the transverse mass is above the W boson's no pz gives its mass.
    on_shell = np.abs(masses["w_lep"] - W_MASS) < 0.01
    assert 0.6 < on_shell.mean() < 1.0
    assert (masses["w_lep"][~on_shell] > W_MASS).all()


def jets_and_lepton(events, row):
    """The fiducial jets (pt, eta, phi, mass, flavour) and the one lepton of an event, by plain loops; None without."""

    def listed(collection, names):
        return list(zip(*(events[f"{collection}_{name}"][row].tolist() for name in names), strict=True))

    leptons = [one for one in listed("truth_lepton", MOMENTUM) if one[0] >= 20.0 and abs(one[1]) < 2.5]
    jets = [one for one in listed("truth_jet", (*MOMENTUM, "flavour")) if one[0] >= 25.0 and abs(one[1]) < 2.5]

    def distance(jet, lepton):
        turn = abs(jet[2] - lepton[2])
        return np.hypot(jet[1] - lepton[1], min(turn, 2.0 * np.pi - turn))

    jets = [jet for jet in jets if all(distance(jet, lepton) >= 0.4 for lepton in leptons)]
    passed = len(leptons) == 1 and len(jets) >= 4 and sum(jet[4] == 5 for jet in jets) >= 2
    return (jets, leptons[0]) if passed else None


def test_the_fiducial_volume(events):
    fiducial = particle_level_columns(events)["fiducial"]
    assert fiducial.tolist() == [jets_and_lepton(events, row) is not None for row in range(EVENTS)]
    one_more = (ak.num(events["truth_lepton_pt"]) == 1) & (ak.num(events["truth_jet_pt"]) >= 4)
    assert (ak.to_numpy(one_more) != fiducial).any(), "the negative control: without the cuts"


def test_a_perfect_detector_selects_the_fiducial_volume(truth):
    card = load_card("ideal")
    leptons = {name: getattr(card, name).model_copy(update={"pt_min": 20.0}) for name in ("electrons", "muons")}
    seen = reconstruct(truth, card.model_copy(update=leptons), 11, 0)
    fiducial, selected = particle_level_columns(seen)["fiducial"], semileptonic_columns(seen)["semileptonic"]
    # A detector without isolation takes hadrons' leptons as well, and the photons of muons are no part of their tracks.
    prompt = ak.to_numpy(ak.all(seen["electron_truth"] >= 0, axis=1) & ak.all(seen["muon_truth"] >= 0, axis=1))
    differ = fiducial != selected
    assert differ[prompt].mean() < 0.01
    assert differ[~prompt].mean() > 0.1, "the negative control"
