"""Jets: anti-kt clustering of particles, flavour, smearing, b-tags, pile-up jets."""

from __future__ import annotations

from typing import Any, Final

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from castalia.data.particles import FLAVOUR, STABLE
from castalia.data.table import jagged
from castalia.detectors.parametric.card import BTagCard, JetCard, PileUpCard
from castalia.detectors.parametric.draws import Section
from castalia.detectors.parametric.objects import Objects, nearest
from castalia.errors import ConfigError
from castalia.physics.four_vectors import from_cartesian
from castalia.physics.particle_codes import has_bottom, has_charm

__all__ = ["cluster", "flavour_tags", "pile_up_jets", "reconstruct_jets", "tag", "with_flavour", "without_overlap"]

_HADRON_PT: Final = 5.0  # GeV; softer heavy hadrons do not give a jet its flavour


def cluster(particles: Objects, momentum: NDArray[np.float64], radius: float, pt_min: float) -> Objects:
    """Cluster particles into anti-kt jets.

    Args:
        particles: What is clustered.
        momentum: Its four-momenta in GeV, shape ``(particles, 4)``.
        radius: Radius parameter R.
        pt_min: Smallest pt of a jet in GeV.

    Returns:
        Jets with ``pt``, ``eta``, ``phi``, ``mass``, the hardest of each event first.

    Raises:
        ConfigError: If fastjet is not installed.

    References:
        Cacciari, Salam, Soyez, The anti-kt jet clustering algorithm, arXiv:0802.1189; FastJet user manual,
        arXiv:1111.6097.
    """
    if not len(particles):
        return Objects(particles.rows, particles.event, {name: np.zeros(0) for name in ("pt", "eta", "phi", "mass")})
    fastjet = _fastjet()
    counts = particles.counts
    parts = {name: jagged(counts, momentum[:, k]) for k, name in enumerate(("px", "py", "pz", "E"))}
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, radius)
    found = fastjet.ClusterSequence(ak.zip(parts), definition).inclusive_jets(pt_min)
    flat = ak.flatten(found, axis=1)
    jets = np.column_stack([ak.to_numpy(flat[name]) for name in ("px", "py", "pz", "E")])
    columns = dict(zip(("pt", "eta", "phi", "mass"), from_cartesian(jets), strict=True))
    event = np.repeat(np.arange(particles.rows), ak.to_numpy(ak.num(found, axis=1)))
    return Objects(particles.rows, event, columns).by_pt()


def flavour_tags(particles: Objects) -> Objects:
    """Return what gives jets their flavour: weakly decaying b and c hadrons, or the quarks of an event of partons."""
    pdg, status = particles["pdg"], particles["status"]
    hadron, parton = status == FLAVOUR, status == STABLE
    b = (hadron & has_bottom(pdg)) | (parton & (np.abs(pdg) == 5))
    c = (hadron & has_charm(pdg)) | (parton & (np.abs(pdg) == 4))
    tags = particles.with_columns({"flavour": np.where(b, 5, 4)})
    return tags.take((b | c) & (particles["pt"] >= _HADRON_PT))


def with_flavour(jets: Objects, tags: Objects, radius: float) -> Objects:
    """Add the column ``flavour``: 5 with a b hadron, else 4 with a c hadron, else 0. A hadron tags its nearest jet."""
    jet = nearest(tags, jets, radius)
    flavour = np.zeros(len(jets), dtype=np.int32)
    np.maximum.at(flavour, jet[jet >= 0], tags["flavour"][jet >= 0].astype(np.int32))
    return jets.with_columns({"flavour": flavour})


def reconstruct_jets(seeds: Objects, section: Section, card: JetCard, mu: NDArray[np.float64]) -> Objects:
    """Smear jets of particles.

    Args:
        seeds: Jets of particles with ``pt``, ``eta``, ``phi``, ``mass``, ``flavour``.
        section: The card's section of jets at work.
        card: The same section.
        mu: Pile-up interactions of each event, shape ``(rows,)``.

    Returns:
        Jets above ``pt_min`` in the acceptance, with the seeds' ``flavour`` and their ``true_px`` and ``true_py``.
    """
    seeds = seeds.take(np.abs(seeds["eta"]) < card.eta_max)
    variables = section.variables(seeds, mu)
    scale = section.value("response", "response", variables) * section.factors("pt_resolution", variables)
    jets = seeds.with_columns(
        {
            "pt": seeds["pt"] * scale,
            "mass": seeds["mass"] * scale,
            **section.direction(seeds, variables),
            "true_px": seeds["pt"] * np.cos(seeds["phi"]),
            "true_py": seeds["pt"] * np.sin(seeds["phi"]),
        }
    )
    return jets.take((jets["pt"] >= card.pt_min) & (np.abs(jets["eta"]) < card.eta_max))


def without_overlap(jets: Objects, leptons: Objects, radius: float) -> Objects:
    """Leave out the jets closer to a lepton than ``radius`` in (eta, phi)."""
    return jets.take(nearest(jets, leptons, radius) < 0)


def pile_up_jets(section: Section, card: PileUpCard, jets: JetCard, mu: NDArray[np.float64]) -> Objects:
    """Draw jets of pile-up interactions: massless, of no flavour, uniform in eta and phi, falling like a power of pt.

    In the missing momentum their recoil, which is pile-up as well, balances them: the card's width of the soft term
    stands for what does not balance.
    """
    number = section.rng("jets").poisson(section.value("jets", "rate", {"mu": mu}))
    event = np.repeat(np.arange(len(mu)), number)
    uniform = section.rng("jet kinematics").random((len(event), 3))
    pt = jets.pt_min * (1.0 - uniform[:, 0]) ** (-1.0 / (card.jet_power - 1.0))
    phi = np.pi * (1.0 - 2.0 * uniform[:, 2])
    columns: dict[str, NDArray[Any]] = {
        "pt": pt,
        "eta": jets.eta_max * (2.0 * uniform[:, 1] - 1.0),
        "phi": phi,
        "mass": np.zeros(len(event)),
        "flavour": np.zeros(len(event), dtype=np.int32),
        "true_px": pt * np.cos(phi),
        "true_py": pt * np.sin(phi),
    }
    return Objects(len(mu), event, columns)


def tag(jets: Objects, section: Section, card: BTagCard, mu: NDArray[np.float64]) -> Objects:
    """Add the column ``btag``: 1 for jets that pass the card's b-tagger, else 0."""
    variables = section.variables(jets, mu)
    inside = np.abs(jets["eta"]) < card.eta_max
    chance = np.zeros(len(jets))
    for key, flavour in (("b", 5), ("c", 4), ("light", 0)):
        which = inside & (jets["flavour"] == flavour)
        chance[which] = section.value(key, "efficiency", {name: values[which] for name, values in variables.items()})
    return jets.with_columns({"btag": (section.rng("pass").random(len(jets)) < chance).astype(np.int32)})


def _fastjet() -> Any:
    try:
        import fastjet
        from fastjet import _swig
    except ImportError as error:
        raise ConfigError(
            "Jets need fastjet, which is not installed; run pip install 'castalia[processes]'."
        ) from error
    # Its banner would otherwise go to standard output, where --json puts its answer.
    _swig.ClusterSequence.set_fastjet_banner_stream(None)
    return fastjet
