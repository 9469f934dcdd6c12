"""Leptons at particle level, dressed with their photons, and what the detector makes of electrons and muons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from castalia.data.particles import STABLE
from castalia.detectors.parametric.card import LeptonCard
from castalia.detectors.parametric.draws import Section
from castalia.detectors.parametric.objects import Objects, close_pairs, nearest
from castalia.detectors.parametric.particles import is_prompt
from castalia.physics.four_vectors import from_cartesian

__all__ = [
    "DRESSING_RADIUS",
    "ELECTRON",
    "MUON",
    "Candidates",
    "find_candidates",
    "reconstruct_leptons",
    "truth_leptons",
]

ELECTRON: Final = 11
MUON: Final = 13
PHOTON: Final = 22
DRESSING_RADIUS: Final = 0.1
"""Photons closer than this to a lepton count as its own radiation, the LHC experiments' convention."""


@final
@dataclass(frozen=True)
class Candidates:
    """Leptons that may be seen, and the photons that they radiated.

    Attributes:
        leptons: Stable electrons and muons, with ``position`` (in the list of all particles) and their momentum with
            radiation as ``dressed_pt``, ``dressed_eta``, ``dressed_phi``, ``dressed_mass``.
        prompt: Which of them are prompt, shape ``(candidates,)``.
        emitter: For each of all particles the prompt lepton that radiated it, -1 for what is no such photon, shape
            ``(particles,)``.
    """

    leptons: Objects
    prompt: NDArray[np.bool_]
    emitter: NDArray[np.int64]

    def footprint(self, which: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which of all particles are one of the leptons ``which`` or its radiation, shape ``(particles,)``."""
        mask = np.zeros(len(self.emitter), dtype=np.bool_)
        mask[self.leptons["position"][which]] = True
        photons = np.flatnonzero(self.emitter >= 0)
        mask[photons[which[self.emitter[photons]]]] = True
        return mask


def find_candidates(particles: Objects, softest: float) -> Candidates:
    """Collect the electrons and muons that are prompt or harder than ``softest`` GeV, and dress the prompt ones.

    A lepton of a hadron is not dressed: the photons close to it are its jet's, and no less reason to call it not
    isolated than the jet's other particles.
    """
    prompt = is_prompt(particles)
    of_flavour = np.isin(np.abs(particles["pdg"]), (ELECTRON, MUON)) & (particles["status"] == STABLE)
    position = np.flatnonzero(of_flavour & (prompt | (particles["pt"] >= softest)))
    prompt = prompt[position]
    leptons = particles.take(position).with_columns({"position": position})
    photons = np.flatnonzero((particles["status"] == STABLE) & (particles["pdg"] == PHOTON))
    lepton = nearest(particles.take(photons), leptons.take(prompt), DRESSING_RADIUS)
    photons, lepton = photons[lepton >= 0], np.flatnonzero(prompt)[lepton[lepton >= 0]]
    emitter = np.full(len(particles), -1, dtype=np.int64)
    emitter[photons] = lepton
    momentum = leptons.momentum
    np.add.at(momentum, lepton, particles.take(photons).momentum)
    # The sum of one vector with nothing would come back rounded: what radiated nothing keeps its own numbers.
    radiated = np.isin(np.arange(len(leptons)), lepton)
    dressed = zip(("pt", "eta", "phi", "mass"), from_cartesian(momentum), strict=True)
    columns = {f"dressed_{name}": np.where(radiated, values, leptons[name]) for name, values in dressed}
    return Candidates(leptons.with_columns(columns), prompt, emitter)


def truth_leptons(found: Candidates, mother: NDArray[np.int64]) -> Objects:
    """Return the prompt leptons with their radiation, the hardest of each event first.

    Args:
        found: All candidates.
        mother: What to give as ``mother``, for all particles, shape ``(particles,)``.

    Returns:
        Leptons with ``pt``, ``eta``, ``phi``, ``mass``, ``pdg``, ``mother`` and ``candidate``.
    """
    leptons = found.leptons
    columns = {name: leptons[f"dressed_{name}"] for name in ("pt", "eta", "phi", "mass")}
    columns |= {"mother": mother[leptons["position"]], "candidate": np.arange(len(leptons))}
    return leptons.with_columns(columns).take(found.prompt).by_pt()


def reconstruct_leptons(
    found: Candidates, visible: Objects, flavour: int, section: Section, card: LeptonCard, mu: NDArray[np.float64]
) -> tuple[Objects, NDArray[np.bool_]]:
    """Reconstruct the electrons or the muons.

    An electron's pt is that of its cluster, radiation included; a muon's is that of its track. A lepton must point into
    the acceptance and be reconstructed in it.

    Args:
        found: All candidates.
        visible: Stable visible particles, with ``position`` in the list of all particles.
        flavour: :data:`ELECTRON` or :data:`MUON`.
        section: The card's section of these leptons at work.
        card: The same section.
        mu: Pile-up interactions of each event, shape ``(rows,)``.

    Returns:
        Reconstructed leptons with ``pt``, ``eta``, ``phi``, ``mass``, ``charge``, ``isolation``, ``candidate`` and the
        true ``true_px``, ``true_py``; and which candidates were seen, isolated or not, shape ``(candidates,)``.
    """
    prefix = "dressed_" if flavour == ELECTRON else ""
    leptons = found.leptons.with_columns({name: found.leptons[prefix + name] for name in ("pt", "eta", "phi", "mass")})
    leptons = leptons.with_columns({"candidate": np.arange(len(leptons))})
    of_flavour = np.abs(leptons["pdg"]) == flavour
    true = leptons.take(of_flavour & (leptons["pt"] >= 0.5 * card.pt_min) & (np.abs(leptons["eta"]) < card.eta_max))
    true = true.take(section.passes("efficiency", section.variables(true, mu)))
    variables = section.variables(true, mu)
    smeared = true.with_columns(
        {
            "pt": true["pt"] * section.factors("pt_resolution", variables),
            **section.direction(true, variables),
            "charge": -np.sign(true["pdg"]).astype(np.int32),
            "true_px": true["pt"] * np.cos(true["phi"]),
            "true_py": true["pt"] * np.sin(true["phi"]),
        }
    )
    accepted = (smeared["pt"] >= card.pt_min) & (np.abs(smeared["eta"]) < card.eta_max)
    seen = np.zeros(len(leptons), dtype=np.bool_)
    seen[smeared["candidate"][accepted]] = True
    isolation = np.zeros(len(true))
    if card.isolation is not None:
        rest = _around(true, found, visible, card.isolation.radius)
        rest += section.part(card.isolation, "isolation").shifts("pileup", variables)
        isolation = np.maximum(rest, 0.0) / smeared["pt"]
        accepted &= isolation <= card.isolation.maximum
    return smeared.with_columns({"isolation": isolation}).take(accepted), seen


def _around(leptons: Objects, found: Candidates, visible: Objects, radius: float) -> NDArray[np.float64]:
    """Sum the pt of what is around each lepton, itself and its radiation left out, shape ``(leptons,)``."""
    i, j, _ = close_pairs(leptons, visible, radius)
    position = visible["position"][j]
    other = (position != leptons["position"][i]) & (found.emitter[position] != leptons["candidate"][i])
    return np.bincount(i[other], weights=visible["pt"][j[other]], minlength=len(leptons)).astype(np.float64)
