"""Collider truth: ancestry, masses, one leptonic W, and the same events however they were asked for."""

import sys

import awkward as ak
import numpy as np
import pytest

from castalia.data.particles import FLAVOUR, HARD, PARTICLE_COLUMNS, STABLE, particle_columns
from castalia.errors import ConfigError, MachineError
from castalia.physics.four_vectors import to_cartesian
from castalia.physics.particle_codes import has_bottom, has_charm
from castalia.processes import collider
from castalia.processes.collider import collider_blocks, collider_truth
from castalia.processes.decay_filter import one_leptonic_w
from castalia.processes.hard import COLLIDER_PROCESSES, find_hard_process
from castalia.processes.pythia import make_pythia, pythia_batches

EVENTS = 120
NAMES = [process.name for process in COLLIDER_PROCESSES]
B_HADRONS = {511, 521, 531, 541, 5122, 5132, 5232, 5332}
C_HADRONS = {411, 421, 431, 4122, 4132, 4232, 4332}
# Rounding of four double-precision numbers, passed through boosts of some thousands.
ROUNDING = 1e-11

_made: dict = {}


def truth(process):
    pytest.importorskip("pythia8mc")
    if process not in _made:
        _made[process] = collider_truth(process, EVENTS, 1, 3)
    return _made[process]


def same(first, second):
    return first.names == second.names and all(ak.array_equal(first[name], second[name]) for name in first.names)


class Particles:
    """All particles of a table in one list, with mothers as positions in it."""

    def __init__(self, columns):
        counts = ak.to_numpy(ak.num(columns["particle_pt"]))
        flat = {name: ak.to_numpy(ak.flatten(columns[f"particle_{name}"])) for name in ("pdg", "status", "mother")}
        self.pdg, self.status = flat["pdg"], flat["status"]
        self.event = np.repeat(np.arange(len(counts)), counts)
        first = (np.cumsum(counts) - counts)[self.event]
        self.inside = (flat["mother"] >= -1) & (flat["mother"] < counts[self.event])
        self.mother = np.where(flat["mother"] >= 0, flat["mother"] + first, -1)
        self.mass = ak.to_numpy(ak.flatten(columns["particle_mass"]))
        kinematics = (ak.to_numpy(ak.flatten(columns[f"particle_{name}"])) for name in ("pt", "eta", "phi", "mass"))
        self.momentum = to_cartesian(*kinematics)

    def find(self, status, *codes):
        return (self.status == status) & np.isin(np.abs(self.pdg), codes)

    def imbalance(self, code, mother=None):
        """Return |sum of the children - parent| over the parent's energy, for every hard particle of ``code``."""
        mother = self.mother if mother is None else mother
        child = (self.status == HARD) & (mother >= 0)
        total = np.stack([np.bincount(mother[child], self.momentum[child, k], len(mother)) for k in range(4)], axis=-1)
        parent = self.find(HARD, code)
        children = np.bincount(mother[child], minlength=len(mother))[parent]
        return np.abs(total - self.momentum)[parent].max(axis=-1) / self.momentum[parent, 3], children


@pytest.mark.parametrize("process", NAMES)
def test_the_table(process):
    table = truth(process)
    known = find_hard_process(process)
    assert table.names == (
        *("run", "luminosityBlock", "event", "weight", "process"),
        *(f"theta_{one.name}" for one in known.parameters),
        *(spec.name for spec in PARTICLE_COLUMNS),
    )
    assert table["event"].tolist() == list(range(1, EVENTS + 1))
    assert set(table["luminosityBlock"]) == {4}
    assert set(table["process"]) == {known.code}
    assert (table["weight"] == 1.0).all()
    for one in known.parameters:
        assert (table[f"theta_{one.name}"] == one.default).all()
    particles = Particles(table)
    assert particles.inside.all()
    assert set(particles.status) == {STABLE, HARD, FLAVOUR}
    assert (particles.status[particles.mother[particles.mother >= 0]] != STABLE).all()
    eta, phi = (ak.to_numpy(ak.flatten(table[f"particle_{name}"])) for name in ("eta", "phi"))
    assert (np.abs(eta[particles.status != HARD]) < 6.0).all()
    assert np.isfinite(particles.momentum).all()
    assert ((phi > -np.pi) & (phi <= np.pi)).all()


@pytest.mark.parametrize("process", NAMES)
def test_resonances_equal_their_children(process):
    particles = Particles(truth(process))
    code = 23 if process == "zjets" else 24
    # What a W boson radiates itself it radiates before its last copy, the one that decays.
    off, children = particles.imbalance(code)
    assert len(off) >= EVENTS
    assert (children == 2).all()
    assert off.max() < ROUNDING
    shifted = np.where(particles.mother >= 0, particles.mother + 1, -1)
    assert np.median(particles.imbalance(code, shifted)[0]) > 0.1, "wrong mothers are the negative control"


def test_a_top_quark_without_radiation_is_its_b_quark_and_its_w_boson():
    pytest.importorskip("pythia8mc")
    settings = (*find_hard_process("ttbar").settings, "PartonLevel:MPI = off", "HadronLevel:all = off")
    for radiation in ("off", "on"):
        pythia = make_pythia((*settings, f"PartonLevel:FSRinResonances = {radiation}"), 1)
        records = collider._records(next(pythia_batches(pythia, 50, 50)))
        off, children = Particles(particle_columns(records)).imbalance(6)
        assert len(off) == 100
        assert (children == 2).all()
        if radiation == "off":
            assert off.max() < ROUNDING
        else:  # the W boson's last copy has taken the recoil of what the b quark radiated
            assert np.median(off) > 1e-4, "the negative control"


@pytest.mark.parametrize("process", NAMES)
def test_leptons_come_from_their_boson_with_its_charge(process):
    particles = Particles(truth(process))
    boson = 23 if process == "zjets" else 24
    hard = particles.find(HARD, 11, 13)
    per_event = np.bincount(particles.event[hard], minlength=EVENTS)
    assert (per_event == (2 if process == "zjets" else 1)).all()
    assert (np.abs(particles.pdg[particles.mother[hard]]) == boson).all()
    if boson == 24:
        assert (np.sign(particles.pdg[hard]) == -np.sign(particles.pdg[particles.mother[hard]])).all()
        neutrino = particles.find(HARD, 12, 14)
        assert np.array_equal(particles.mother[neutrino], particles.mother[hard])
    # Every lepton of the hard process reaches the detector, as the child of its bare self.
    stable = particles.find(STABLE, 11, 13) & (particles.mother >= 0)
    prompt = stable & hard[particles.mother] & (particles.pdg == particles.pdg[particles.mother])
    central = hard & (np.abs(np.arcsinh(particles.momentum[:, 2] / np.hypot(*particles.momentum[:, :2].T))) < 5.0)
    assert np.isin(np.flatnonzero(central), particles.mother[prompt]).all()


@pytest.mark.statistical
def test_exactly_one_of_two_w_bosons_is_leptonic_and_either_equally_often():
    positive = electrons = 0
    for process in ("ttbar", "heavy-higgs", "zprime"):
        particles = Particles(truth(process))
        quarks = particles.find(HARD, 1, 2, 3, 4, 5) & (np.abs(particles.pdg[particles.mother]) == 24)
        assert (np.bincount(particles.event[quarks], minlength=EVENTS) == 2).all()
        lepton = particles.pdg[particles.find(HARD, 11, 13)]
        positive += int((lepton < 0).sum())
        electrons += int((np.abs(lepton) == 11).sum())
    for count in (positive, electrons):
        assert abs(count - 1.5 * EVENTS) < 5.0 * 0.5 * np.sqrt(3 * EVENTS)


def test_without_the_filter_w_bosons_decay_as_they_like():
    pytest.importorskip("pythia8mc")
    settings = (*find_hard_process("ttbar").settings, "PartonLevel:MPI = off", "HadronLevel:all = off")
    counts = []
    for hook in (None, one_leptonic_w()):
        pythia = make_pythia(settings, 1, hook)
        particles = Particles(particle_columns(collider._records(next(pythia_batches(pythia, 60, 60)))))
        counts.append(np.bincount(particles.event[particles.find(HARD, 11, 13)], minlength=60))
    assert set(counts[0]) == {0, 1, 2}, "the negative control"
    assert set(counts[1]) == {1}


def test_jets_can_be_told_by_their_last_hadrons():
    for process in ("ttbar", "heavy-higgs"):
        particles = Particles(truth(process))
        flavour = particles.status == FLAVOUR
        bottom = flavour & has_bottom(particles.pdg)
        assert set(np.abs(particles.pdg[bottom])) <= B_HADRONS
        assert set(np.abs(particles.pdg[flavour & ~bottom])) <= C_HADRONS
        assert has_charm(particles.pdg[flavour & ~bottom]).all()
        per_event = np.bincount(particles.event[bottom], minlength=EVENTS)
        # Both b quarks are nearly always within |eta| < 6, and each makes one hadron.
        assert (per_event >= 2).mean() > 0.95
        # A charm hadron from a bottom hadron says so.
        from_bottom = flavour & ~bottom & (particles.mother >= 0)
        assert from_bottom.sum() > EVENTS
        assert bottom[particles.mother[from_bottom]].all()


def test_stable_particles_conserve_momentum():
    pytest.importorskip("pythia8mc")
    pythia = make_pythia((*find_hard_process("zjets").settings, "PartonLevel:MPI = on"), 1)
    records = collider._records(next(pythia_batches(pythia, 20, 20)))
    event = np.repeat(np.arange(20), records.counts)
    for stable, closes in ((records.stable, True), (records.stable & (records.pdg != 211), False)):
        total = np.stack([np.bincount(event, records.momentum[:, k] * stable) for k in range(4)], axis=-1)
        # Pythia itself lets energies be off by 1e-5 of the whole.
        assert np.allclose(total, [0.0, 0.0, 0.0, 13_000.0], atol=0.13) == closes


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("process", "code", "mass", "width"),
    [("heavy-higgs", 35, 425.0, 4.0), ("heavy-higgs", 37, 325.0, 2.0), ("ttbar", 6, 173.0, 1.4)],
)
def test_masses_are_breit_wigner_curves_of_the_width_that_was_set(process, code, mass, width):
    particles = Particles(truth(process))
    drawn = particles.mass[particles.find(HARD, code)]
    # A Breit-Wigner curve has (2 / pi) arctan(2) = 0.70 within one width.
    inside = 2.0 / np.pi * np.arctan(2.0)
    error = np.sqrt(inside * (1.0 - inside) / len(drawn))
    assert abs((np.abs(drawn - mass) < width).mean() - inside) < 5.0 * error
    assert (np.abs(drawn - mass - 3.0 * width) < width).mean() < inside - 5.0 * error, "the negative control"


def test_a_heavier_z_prime():
    pytest.importorskip("pythia8mc")
    table = collider_truth("zprime", 40, 1, 0, parameters={"m_Zprime": 2000.0})
    particles = Particles(table)
    assert np.median(particles.mass[particles.find(HARD, 32)]) == pytest.approx(2000.0, rel=0.05)
    assert (table["theta_m_Zprime"] == 2000.0).all()
    pair = particles.find(HARD, 6)
    assert (np.abs(particles.pdg[particles.mother[pair]]) == 32).all()


def test_the_cross_section_of_top_pairs():
    pytest.importorskip("pythia8mc")
    settings = (*find_hard_process("ttbar").settings, "PartonLevel:all = off", "24:onMode = on")
    pythia = make_pythia(settings, 1)
    list(pythia_batches(pythia, 2_000, 1_000))
    # 500 pb at leading order, whose scales leave some 30 % open; Pythia counts in mb. (NNLO has 832 pb.)
    assert 350.0 < 1e9 * pythia.infoPython().sigmaGen() < 650.0


def test_a_unit_is_a_function_of_its_arguments(monkeypatch):
    table = truth("wjets")
    collider_truth("wjets", 5, 9, 0)
    monkeypatch.setattr(collider, "_BATCH", 7)
    shorter = collider_truth("wjets", 50, 1, 3)
    assert same(shorter, table.slice(0, 50)), "the first events of a longer unit are those of a shorter"
    for other in (collider_truth("wjets", 20, 1, 4), collider_truth("wjets", 20, 2, 3)):
        assert not np.isin(Particles(other).momentum[:, 0], Particles(table).momentum[:, 0]).any()


def test_options_change_the_events():
    pytest.importorskip("pythia8mc")
    table = truth("zjets")
    with_mpi = collider_truth("zjets", 30, 1, 3, mpi=True)
    assert ak.mean(ak.num(with_mpi["particle_pt"])) > 2.0 * ak.mean(ak.num(table["particle_pt"]))
    assert not same(collider_truth("zjets", 30, 1, 3, tune="a14"), table.slice(0, 30))


def test_scattered_points_have_their_own_masses():
    pytest.importorskip("pythia8mc")
    box = {"m_H": (350.0, 600.0), "m_Hpm": (200.0, 450.0)}
    table = collider_truth("heavy-higgs", 25, 1, 0, parameters=box, point_events=10)
    again = collider_truth("heavy-higgs", 12, 1, 0, parameters=box, point_events=10)
    assert same(again, table.slice(0, 12))
    for name, code in (("m_H", 35), ("m_Hpm", 37)):
        theta = table[f"theta_{name}"]
        assert [len(set(theta[start : start + 10])) for start in (0, 10, 20)] == [1, 1, 1]
        assert len(set(theta)) == 3
        particles = Particles(table)
        drawn = particles.mass[particles.find(HARD, code)]
        assert np.median(np.abs(drawn - theta)) < 4.0
        assert np.median(np.abs(drawn - np.roll(theta, 10))) > 4.0, "the negative control"


def test_no_events_need_no_pythia(monkeypatch):
    monkeypatch.setattr(collider, "make_pythia", None)
    assert list(collider_blocks("wjets", 0, 1, 0)) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"process": "ttH"}, "no collider process 'ttH'"),
        ({"events": 0}, "must be 1 or more, not 0"),
        ({"tune": "perugia"}, "no tune 'perugia'; choose one of monash, a14"),
        ({"parameters": {"m_t": 170.0}}, "Process ttbar has no parameter 'm_t'; it has none"),
        ({"point_events": 0}, "at a point must be 1 or more"),
    ],
)
def test_wrong_requests(options, said):
    with pytest.raises(ConfigError, match=said):
        collider_truth(**{"process": "ttbar", "events": 1, "seed": 1, "unit": 0, **options})


def test_a_missing_pythia_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pythia8mc", None)
    for process in ("ttbar", "wjets"):
        with pytest.raises(ConfigError, match=r"castalia\[processes\]"):
            collider_truth(process, 1, 1, 0)


def test_a_pythia_that_does_not_start_is_an_error(monkeypatch, capfd):
    pytest.importorskip("pythia8mc")
    monkeypatch.setattr(collider, "_settings", lambda process, point: ["Beams:eCM = 13000."])
    with pytest.raises(MachineError, match="initialise"):
        collider_truth("wjets", 1, 1, 0)


def test_it_prints_nothing(capfd):
    pytest.importorskip("pythia8mc")
    collider_truth("ttbar", 2, 1, 0)
    assert capfd.readouterr() == ("", "")
