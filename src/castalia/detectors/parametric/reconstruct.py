"""From the truth particles of events to what an experiment, given by its card, would have reconstructed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from castalia.data.particles import STABLE
from castalia.data.table import Table
from castalia.detectors.parametric.card import Card, JetCard, SelectionCard
from castalia.detectors.parametric.columns import COLLECTIONS
from castalia.detectors.parametric.draws import Section
from castalia.detectors.parametric.jets import (
    cluster,
    flavour_tags,
    pile_up_jets,
    reconstruct_jets,
    tag,
    with_flavour,
    without_overlap,
)
from castalia.detectors.parametric.leptons import (
    ELECTRON,
    MUON,
    find_candidates,
    reconstruct_leptons,
    truth_leptons,
)
from castalia.detectors.parametric.missing import missing_momentum, polar, transverse_sum
from castalia.detectors.parametric.objects import Objects, mutual_nearest
from castalia.detectors.parametric.particles import (
    hard_record,
    read_particles,
)
from castalia.physics.particle_codes import is_neutrino

__all__ = ["reconstruct"]


def reconstruct(truth: Table, card: Card, seed: int, unit: int | str) -> Table:
    """Make of truth events what the experiment would have seen; no event is dropped.

    The result is a function of the arguments only, and the first events of a longer unit are those of a shorter one.

    - Electrons and muons are kept by efficiency, smeared, and asked for isolation.
    - What is left is clustered into jets: an electron that was missed is in one, a prompt muon that was missed in none.
      Jets are smeared by response and resolution; those close to a lepton are left out.
    - Missing momentum is minus the sum of electrons, muons, jets and the soft term, which is everything else that is
      visible, smeared: ``met + electrons + muons + jets + soft = 0`` holds in the columns.

    Args:
        truth: Events with the jagged columns ``particle_pt`` (GeV), ``particle_eta``, ``particle_phi``,
            ``particle_mass`` (GeV), ``particle_pdg``, ``particle_status`` (1 stable, 2 hard process, 3 weakly decaying
            b and c hadrons) and ``particle_mother`` (position in the event's list, or -1).
        card: The experiment.
        seed: Seed of the run.
        unit: Number or name of the unit of work. Give two processes of one seed different names, or their n-th events
            share their random numbers.

    Returns:
        All columns of ``truth`` that are not of particles, and (pt and masses in GeV, angles in radians, lists with
        the hardest first; declared in ``RECONSTRUCTED_COLUMNS``):

        - ``electron_*``, ``muon_*``: pt, eta, phi, mass, charge, relative isolation, truth (position in the event's
          ``truth_lepton`` list; -1 if not prompt);
        - ``jet_*``: pt, eta, phi, mass, btag, flavour (5, 4 or 0), truth (position of the ``truth_jet`` that is the
          nearest within R / 2, and the reverse; else -1);
        - ``met_pt``, ``met_phi``, ``soft_pt``, ``soft_phi``;
        - ``truth_lepton_*``: prompt electrons and muons with their radiation: pt, eta, phi, mass, pdg, mother
          (position in ``particle``; -1 if none);
        - ``truth_jet_*``: pt, eta, phi, mass, flavour, prompt leptons left out;
        - ``truth_met_pt``, ``truth_met_phi``: all invisible particles;
        - ``particle_*``: the record of the hard process (status 2), each mother the nearest that is in it;
        - ``pileup`` interactions, and ``selected``: the outcome of the card's selection.

    Raises:
        DataError: If a column is missing or wrong, or a formula has no sensible value for an object.
        ConfigError: If fastjet is not installed.
    """
    particles = read_particles(truth)

    def section(name: str) -> Section:
        return Section(getattr(card, name), name, card.name, seed, str(unit))

    mu = section("pileup").rng("mu").poisson(card.pileup.mean, particles.rows).astype(np.float64)
    final = particles["status"] == STABLE
    unseen = final & is_neutrino(particles["pdg"])
    visible = particles.with_columns({"position": np.arange(len(particles))})
    visible = visible.take(final & ~unseen & (np.abs(particles["eta"]) < card.coverage))
    found = find_candidates(particles, 0.5 * min(card.electrons.pt_min, card.muons.pt_min))
    electrons, _ = reconstruct_leptons(found, visible, ELECTRON, section("electrons"), card.electrons, mu)
    muons, seen = reconstruct_leptons(found, visible, MUON, section("muons"), card.muons, mu)
    leptons = electrons.join(muons)

    # A muon that was missed leaves nothing that a calorimeter would see; one that is not isolated is in its jet.
    lost = found.leptons["position"][found.prompt & (np.abs(found.leptons["pdg"]) == MUON) & ~seen]
    visible = visible.take(~np.isin(visible["position"], lost))
    taken = np.isin(np.arange(len(found.leptons)), leptons["candidate"])
    truth_jets, seeds = _particle_jets(visible, found.footprint(found.prompt), found.footprint(taken), card.jets)
    truth_jets, seeds = (with_flavour(one, flavour_tags(particles), card.jets.radius) for one in (truth_jets, seeds))
    jets = reconstruct_jets(seeds, section("jets"), card.jets, mu)
    jets = jets.join(pile_up_jets(section("pileup"), card.pileup, card.jets, mu))
    jets = without_overlap(jets, leptons, card.jets.overlap)
    jets = tag(jets, section("jets").part(card.jets.btag, "btag"), card.jets.btag, mu).by_pt()
    jets = jets.with_columns({"truth": truth_jets.local(mutual_nearest(jets, truth_jets, 0.5 * card.jets.radius))})

    record, ancestor = hard_record(particles)
    true_leptons = truth_leptons(found, ancestor)
    collections = {
        "electron": _linked(electrons, true_leptons, len(found.leptons)),
        "muon": _linked(muons, true_leptons, len(found.leptons)),
        "jet": jets,
        "truth_lepton": true_leptons,
        "truth_jet": truth_jets,
        "particle": record,
    }
    lists = (objects.to_columns(name, COLLECTIONS[name]) for name, objects in collections.items())
    of_events = truth.without([name for name in truth.names if name.startswith("particle_")])
    return of_events.with_columns(
        {
            **{name: values for columns in lists for name, values in columns.items()},
            **missing_momentum(visible, [electrons, muons, jets], section("missing"), card.missing, mu),
            **polar("truth_met", transverse_sum(particles.take(unseen))),
            "pileup": mu.astype(np.int32),
            "selected": _selected(leptons, jets, card.selection),
        }
    )


def _particle_jets(
    visible: Objects, prompt: NDArray[np.bool_], taken: NDArray[np.bool_], card: JetCard
) -> tuple[Objects, Objects]:
    """Cluster what is visible without the prompt leptons (truth), and without those reconstructed (seeds of jets).

    The two differ where a lepton was missed, or one from a hadron was taken: only those events are clustered twice.

    Args:
        visible: Stable visible particles.
        prompt: Which of all particles belong to prompt leptons.
        taken: Which of all particles belong to reconstructed leptons.
        card: The card's section of jets.
    """
    momentum = visible.momentum
    prompt, taken = prompt[visible["position"]], taken[visible["position"]]

    def jets(which: NDArray[np.bool_]) -> Objects:
        return cluster(visible.take(which), momentum[which], card.radius, card.truth_pt_min)

    truth = jets(~prompt)
    differ = np.zeros(visible.rows, dtype=np.bool_)
    differ[visible.event[prompt != taken]] = True
    return truth, truth.take(~differ[truth.event]).join(jets(~taken & differ[visible.event]))


def _linked(leptons: Objects, truth: Objects, candidates: int) -> Objects:
    """Add the position of each lepton's own truth in its event as ``truth``, and put the hardest first."""
    place = np.full(candidates, -1, dtype=np.int64)
    place[truth["candidate"]] = np.arange(len(truth))
    return leptons.with_columns({"truth": truth.local(place[leptons["candidate"]])}).by_pt()


def _selected(leptons: Objects, jets: Objects, card: SelectionCard) -> NDArray[np.bool_]:
    lepton, jet, tagged = leptons.counts, jets.counts, jets.sum_per_event(jets["btag"])
    selected = (lepton >= card.leptons_min) & (jet >= card.jets_min) & (tagged >= card.btags_min)
    return np.asarray(selected & (True if card.leptons_max is None else lepton <= card.leptons_max))
