"""Observables of semi-leptonic events: the neutrino's momentum, exact resonances, events that lack something."""

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.physics.constants import TOP_MASS, W_MASS
from castalia.physics.four_vectors import to_cartesian
from castalia.physics.semileptonic import SEMILEPTONIC_OBSERVABLES, neutrino_pz, semileptonic_observables
from castalia.rng import Stream

# Momenta below 1 TeV go through a quadratic equation whose solutions part by no less than about 1 GeV.
PRECISION = 1e-6


def decays(parent, rng):
    """Two massless daughters of each parent, isotropic in its rest frame, boosted."""
    mass = np.sqrt(parent[:, 3] ** 2 - (parent[:, :3] ** 2).sum(axis=1))
    direction = rng.normal(size=(len(parent), 3))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    daughters = []
    for sign in (1.0, -1.0):
        p, energy = sign * 0.5 * mass[:, None] * direction, 0.5 * mass
        along = (p * parent[:, :3]).sum(axis=1)
        factor = (along / (parent[:, 3] + mass) + energy) / mass
        boosted = p + factor[:, None] * parent[:, :3]
        daughters.append(np.column_stack([boosted, np.linalg.norm(boosted, axis=1)]))
    return daughters


def particles(mass, rng, events):
    pt, eta, phi = rng.uniform(20, 300, events), rng.uniform(-2, 2, events), rng.uniform(-3, 3, events)
    return to_cartesian(pt, eta, phi, mass)


def ordered(*jets):
    """Jets and tags, the hardest first; the first two given are tagged."""
    stacked = np.stack(jets, axis=1)
    order = np.argsort(-np.hypot(stacked[..., 0], stacked[..., 1]), axis=1)
    return np.take_along_axis(stacked, order[..., None], axis=1), order < 2


@pytest.fixture(scope="module")
def higgs():
    """Events of h and two W bosons without a detector: lepton, missing momentum, jets, tags, neutrino."""
    rng = Stream(1, "test semileptonic").at()
    h, w_had, w_lep = particles(125.0, rng, 2000), particles(W_MASS, rng, 2000), particles(W_MASS, rng, 2000)
    lepton, neutrino = decays(w_lep, rng)
    jets, tagged = ordered(*decays(h, rng), *decays(w_had, rng))
    return lepton, neutrino[:, :2], jets, tagged, neutrino


def test_one_solution_is_the_neutrino_and_both_give_the_w_mass(higgs):
    lepton, missing, *_, neutrino = higgs
    solutions = neutrino_pz(lepton, missing)
    assert (np.abs(solutions[:, 0]) <= np.abs(solutions[:, 1])).all()
    assert np.median(np.abs(solutions - neutrino[:, 2:3]).min(axis=1)) < PRECISION
    for pz in solutions.T:
        nu = np.column_stack([missing, pz, np.hypot(np.hypot(*missing.T), pz)])
        total = lepton + nu
        mass2 = total[:, 3] ** 2 - (total[:, :3] ** 2).sum(axis=1)
        # Where the true solution is a double one rounding may make it complex, and the real part is as near as it gets.
        assert np.median(np.abs(mass2 - W_MASS**2)) < PRECISION * W_MASS**2
    wrong = neutrino_pz(lepton, missing, mass=90.0)
    assert np.median(np.abs(wrong - neutrino[:, 2:3]).min(axis=1)) > 1.0, "the negative control"


def test_complex_solutions_have_their_real_part(higgs):
    lepton, missing, *_ = higgs
    solutions = neutrino_pz(lepton, missing, mass=1.0)  # nearly every transverse mass is above this
    a = 0.5 + (lepton[:, :2] * missing).sum(axis=1)
    complex_ = a**2 < (lepton[:, :2] ** 2).sum(axis=1) * (missing**2).sum(axis=1)
    assert complex_.mean() > 0.9
    real = a * lepton[:, 2] / (lepton[:, :2] ** 2).sum(axis=1)
    assert np.allclose(solutions[complex_], real[complex_, None], rtol=1e-12)


def test_the_resonances_of_a_perfect_event(higgs):
    lepton, missing, jets, tagged, neutrino = higgs
    found = semileptonic_observables(lepton, missing, jets, tagged)
    assert tuple(found) == tuple(SEMILEPTONIC_OBSERVABLES)
    assert np.abs(found["m_bb"] - 125.0).max() < PRECISION * 125.0
    assert np.abs(found["m_jj"] - W_MASS).max() < PRECISION * W_MASS
    whole = lepton + neutrino + jets.sum(axis=1)
    mass = np.sqrt(whole[:, 3] ** 2 - (whole[:, :3] ** 2).sum(axis=1))
    right = np.abs(neutrino_pz(lepton, missing)[:, 0] - neutrino[:, 2]) < 1e-3
    assert 0.5 < right.mean() < 0.9, "the smaller solution is the true one more often than not"
    assert np.abs(found["m_total"] - mass)[right].max() < 1e-3 * mass.max()
    assert (found["mt_w"] < W_MASS * (1 + 1e-9)).all()
    light = semileptonic_observables(lepton, missing, jets, ~tagged)
    assert np.abs(light["m_bb"] - W_MASS).max() < PRECISION * W_MASS, "the negative control: tags decide"


def test_top_quarks_get_their_own_b_jets():
    rng = Stream(2, "test semileptonic").at()
    events = 500
    w_had, w_lep = particles(W_MASS, rng, events), particles(W_MASS, rng, events)
    lepton, neutrino = decays(w_lep, rng)
    # A massless b quark anywhere, scaled so that with its W boson it has the mass of the top quark.
    b = []
    for w in (w_had, w_lep):
        direction = particles(0.0, rng, events)
        product = w[:, 3] * direction[:, 3] - (w[:, :3] * direction[:, :3]).sum(axis=1)
        b.append(direction * (0.5 * (TOP_MASS**2 - W_MASS**2) / product)[:, None])
    right = np.abs(neutrino_pz(lepton, neutrino[:, :2])[:, 0] - neutrino[:, 2]) < 1e-3
    jets, tagged = ordered(*b, *decays(w_had, rng))
    found = semileptonic_observables(lepton, neutrino[:, :2], jets, tagged)
    for name in ("m_jjb", "m_lvb"):
        assert np.abs(found[name] - TOP_MASS)[right].max() < 0.01


def test_nothing_depends_on_the_azimuth(higgs):
    lepton, missing, jets, tagged, _ = higgs
    cosine, sine = np.cos(1.0), np.sin(1.0)

    def turned(momenta):
        x, y = momenta[..., 0], momenta[..., 1]
        return np.concatenate(
            [np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=-1), momenta[..., 2:]], axis=-1
        )

    before = semileptonic_observables(lepton, missing, jets, tagged)
    after = semileptonic_observables(turned(lepton), turned(missing), turned(jets), tagged)
    for name, values in before.items():
        assert np.median(np.abs(values - after[name])) < PRECISION * np.median(values), name


@pytest.mark.parametrize(
    ("slots", "tags", "lepton", "lacking"),
    [
        (4, 2, True, set()),
        (5, 3, True, set()),
        (4, 1, True, {"m_bb", "m_jj", "m_jjbb", "m_lvbb", "m_total", "m_jjb", "m_lvb", "m_lb", "pt_bb", "dr_bb"}),
        (3, 2, True, {"m_jj", "m_jjbb", "m_total", "m_jjb", "m_lvb"}),
        (4, 2, False, {"m_lvbb", "m_total", "m_jjb", "m_lvb", "m_lb", "mt_w"}),
        (0, 0, False, set(SEMILEPTONIC_OBSERVABLES) - {"ht"}),
    ],
)
def test_what_cannot_be_formed_is_nan(slots, tags, lepton, lacking):
    rng = Stream(3, "test semileptonic").at()
    jets = np.full((1, 5, 4), np.nan)
    jets[0, :slots] = particles(5.0, rng, slots)
    tagged = np.arange(5)[None] < tags
    one = particles(0.0, rng, 1) if lepton else np.full((1, 4), np.nan)
    found = semileptonic_observables(one, np.array([[30.0, 20.0]]), jets, tagged)
    assert {name for name, values in found.items() if np.isnan(values[0])} == lacking


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match=r"tags \(events, jets\)"):
        semileptonic_observables(np.ones((2, 4)), np.ones((2, 2)), np.ones((2, 3, 4)), np.ones((2, 2)))
