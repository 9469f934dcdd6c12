"""Truth events: cuts, order, masses, and the same events whatever else was made before."""

import numpy as np
import pytest
from scipy import stats

from castalia.errors import ConfigError, MachineError
from castalia.physics.constants import HIGGS_MASS
from castalia.physics.masses import diphoton_mass, diphoton_pt
from castalia.processes import diphoton
from castalia.processes.diphoton import diphoton_truth, pass_cuts
from castalia.rng import Stream

COLUMNS = ("photon_et_true", "photon_eta_true", "photon_phi_true", "mu")
SMALL = {"ttH": 200, "ggH": 200, "toy": 3_000}
SMALLEST_P = 2.0 * stats.norm.sf(5.0)

_made: dict = {}


def truth(process: str):
    if process != "toy":
        pytest.importorskip("pythia8mc")
    if process not in _made:
        _made[process] = diphoton_truth(process, SMALL[process], 1, 3)
    return _made[process]


def same(first, second) -> bool:
    return all(np.array_equal(first[name], second[name]) for name in COLUMNS)


@pytest.mark.parametrize("process", SMALL)
def test_cuts_order_and_mass(process):
    table = truth(process)
    et, eta, phi, mu = (table[name] for name in COLUMNS)
    assert table.names == COLUMNS
    assert et.shape == eta.shape == phi.shape == (SMALL[process], 2)
    assert (et > 20.0).all()
    assert (np.abs(eta) < 2.5).all()
    assert (et[:, 0] >= et[:, 1]).all()
    assert ((phi > -np.pi) & (phi <= np.pi)).all()
    assert ((mu >= 0.0) & (mu < 40.0)).all()
    # A Breit-Wigner curve of 4 MeV width leaves 1.3 % outside 0.1 GeV, so 2.5 of 200 events: 10.5 is five errors more.
    off = np.abs(diphoton_mass(et, eta, phi) - HIGGS_MASS)
    assert (off > 0.1).sum() <= 10
    assert np.median(off) < 0.004


def test_cuts_would_bite():
    photons = np.array([[[30.0, 0, 0], [20.0, 0, 0]], [[30, 2.5, 0], [30, 0, 0]], [[np.nan] * 3] * 2, [[21, 2, 0]] * 2])
    assert pass_cuts(photons).tolist() == [False, False, False, True]


@pytest.mark.parametrize("process", SMALL)
def test_a_unit_is_a_function_of_its_arguments(process):
    events = SMALL[process] // 2
    diphoton_truth(process, 5, 9, 0)
    again = diphoton_truth(process, events, 1, 3)
    assert same(again, truth(process).slice(0, events)), "the first events of a longer unit are those of a shorter"
    assert not np.array_equal(again["mu"], diphoton_truth(process, events, 1, 4)["mu"])
    for other in (diphoton_truth(process, 20, 1, 4), diphoton_truth(process, 20, 2, 3)):
        assert not np.isin(other["photon_et_true"], again["photon_et_true"]).any()


def test_processes_do_not_share_their_pile_up():
    assert not np.isin(truth("ttH")["mu"], truth("ggH")["mu"]).any()


@pytest.mark.statistical
def test_the_top_pairs_recoil_is_harder_than_gluon_fusion():
    tth, ggh = (truth(name) for name in ("ttH", "ggH"))
    pt = [diphoton_pt(t["photon_et_true"], t["photon_phi_true"]) for t in (tth, ggh)]
    # The paper's ttH sample has mean 119 GeV and standard deviation 76 GeV in [0, 400).
    inside = pt[0][pt[0] < 400.0]
    assert abs(inside.mean() - 119.0) < 5.0 * 76.4 / np.sqrt(len(inside))
    assert abs(pt[1].mean() - 119.0) > 5.0 * 76.4 / np.sqrt(len(pt[1])), "gluon fusion is the negative control"


@pytest.mark.statistical
def test_pile_up_is_uniform_and_independent_of_the_photons():
    table = truth("toy")
    assert stats.kstest(table["mu"] / 40.0, "uniform").pvalue > SMALLEST_P
    assert abs(stats.pearsonr(table["mu"], table["photon_et_true"][:, 0]).statistic) < 5.0 / np.sqrt(len(table))
    assert stats.kstest(table["mu"] / 44.0, "uniform").pvalue < SMALLEST_P, "a wrong range is the negative control"


def test_no_events_need_no_pythia(monkeypatch):
    monkeypatch.setattr(diphoton, "make_pythia", None)
    table = diphoton_truth("ttH", 0, 1, 0)
    assert len(table) == 0
    assert table["photon_et_true"].shape == (0, 2)


def test_a_process_that_cannot_meet_the_cuts_stops(monkeypatch):
    def soft(events: int, rng: np.random.Generator):
        return np.stack([rng.uniform(0.0, 19.0, (events, 2)), np.zeros((events, 2)), np.zeros((events, 2))], axis=-1)

    monkeypatch.setattr(diphoton, "toy_photons", soft)
    with pytest.raises(MachineError, match="only 0 of 4096 events"):
        diphoton_truth("toy", 10, 1, 0)


def test_a_rare_event_is_not_taken_for_an_impossible_one(monkeypatch):
    def rare(events: int, rng: np.random.Generator):
        photons = np.ones((events, 2, 3))
        photons[rng.random(events) < 0.05, :, 0] = 30.0
        return photons

    monkeypatch.setattr(diphoton, "toy_photons", rare)
    assert len(diphoton_truth("toy", 1_000, 1, 0)) == 1_000


@pytest.mark.parametrize(("process", "events"), [("zprime", 1), ("toy", -1)])
def test_wrong_requests(process, events):
    with pytest.raises(ConfigError, match="zprime|-1"):
        diphoton_truth(process, events, 1, 0)


class Particle:
    """One entry of a made-up event record."""

    def __init__(self, number: int, daughters=(0, 0), copy=0) -> None:
        self.number, self.daughters, self.copy = number, daughters, copy

    def id(self) -> int:
        return self.number

    def daughter1(self) -> int:
        return self.daughters[0]

    def daughter2(self) -> int:
        return self.daughters[1]

    def iBotCopyId(self) -> int:
        return self.copy


class Record(list):
    """A made-up event record."""

    def size(self) -> int:
        return len(self)


@pytest.mark.parametrize("numbers", [[90, 21, 21], [25, 22, 11], [25, 11, 11]])
def test_records_without_two_photons_are_cut_and_not_misread(numbers):
    record = Record(Particle(number, (1, 2), copy=k) for k, number in enumerate(numbers))
    assert not pass_cuts(np.array([diphoton._photons(record)])).any()


def test_streams_of_pythia_differ_between_units():
    seeds = {Stream(1, "truth ttH", str(unit)).integer(900_000_000) for unit in range(100)}
    assert len(seeds) == 100
