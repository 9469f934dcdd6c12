"""What ``detector_sanity.py`` measures of a file of collider events: peaks, efficiencies against the card, widths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from castalia.data.table import Table
from castalia.detectors.parametric.card import Card
from castalia.detectors.parametric.formula import evaluate
from castalia.metrics.resolution import CoreWidth, core_width
from castalia.physics.angles import wrap_phi
from castalia.physics.four_vectors import to_cartesian

Floats = NDArray[np.float64]

PT_EDGES = np.array([20.0, 30.0, 40.0, 50.0, 65.0, 85.0, 120.0, 200.0])
# Heavy particles of the truth, by name, and observables that hold them behind the detector.
TRUE_MASSES = {"W": 24, "t": 6, "h": 25, "H": 35, "H+-": 37, "Z'": 32, "Z": 23}
SEEN_MASSES = {"m_jj": "W", "m_jjb": "t", "m_bb": "h", "m_total": "H or tt"}
LEPTONS = {"electron": 11, "muon": 13}


@dataclass(frozen=True)
class Peak:
    """Where a distribution sits: median, its standard error, and half of the interval that holds the middle 68 %."""

    median: float
    error: float
    half_width: float
    events: int


@dataclass(frozen=True)
class Efficiency:
    """Efficiency in bins of pt: counted, what the card's formula says of the same objects, the standard error."""

    edges: Floats
    counted: Floats
    error: Floats
    card: Floats


def peak(values: Floats) -> Peak | None:
    """Describe where values sit; None below 20 of them."""
    values = values[np.isfinite(values)]
    if len(values) < 20:
        return None
    low, median, high = np.quantile(values, [0.16, 0.5, 0.84])
    half = 0.5 * (high - low)
    # The standard error of the median of a normal distribution.
    return Peak(float(median), float(1.2533 * half / np.sqrt(len(values))), float(half), len(values))


def peaks(table: Table) -> dict[str, Peak]:
    """Return the peaks of a file: masses of the heavy particles in the truth, and behind the detector."""
    pdg = np.abs(flat(table, "particle_pdg"))
    mass = flat(table, "particle_mass")
    found = {f"true {name}": peak(mass[pdg == code]) for name, code in TRUE_MASSES.items()}
    seen = np.asarray(table["semileptonic"])
    found |= {f"{name} ({of})": peak(np.asarray(table[name])[seen]) for name, of in SEEN_MASSES.items()}
    return {name: one for name, one in found.items() if one is not None}


def lepton_efficiency(table: Table, card: Card, name: str) -> Efficiency:
    """Count the prompt leptons in the acceptance that were reconstructed.

    The card's formula knows nothing of isolation, which the count contains.
    """
    section = getattr(card, f"{name}s")
    mine = (np.abs(table["truth_lepton_pdg"]) == LEPTONS[name]) & (abs(table["truth_lepton_eta"]) < section.eta_max)
    place = ak.local_index(table["truth_lepton_pt"])
    hit = ak.any(place[:, :, None] == table[f"{name}_truth"][:, None, :], axis=2)
    pt, eta = (ak.to_numpy(ak.flatten(table[f"truth_lepton_{key}"][mine])) for key in ("pt", "eta"))
    return _binned(pt, ak.to_numpy(ak.flatten(hit[mine])), _formula(section.efficiency, pt, eta))


def tag_efficiency(table: Table, card: Card, flavour: int, key: str) -> Efficiency:
    """Count the b-tags of matched jets of one flavour in bins of the true pt; the card's formula is of the seen one."""
    mine = (table["jet_flavour"] == flavour) & (abs(table["jet_eta"]) < card.jets.btag.eta_max)
    mine = mine & (table["jet_truth"] >= 0)
    pt, eta, tags = (ak.to_numpy(ak.flatten(table[f"jet_{name}"][mine])) for name in ("pt", "eta", "btag"))
    true = ak.to_numpy(ak.flatten(table["truth_jet_pt"][table["jet_truth"][mine]]))
    return _binned(true, tags > 0, _formula(getattr(card.jets.btag, key), pt, eta))


def worst_pull(efficiency: Efficiency) -> float:
    """Return the largest |counted - card| over the standard error, of bins where the card expects some five or more."""
    known = np.isfinite(efficiency.counted) & (efficiency.card**2 > 5.0 * efficiency.error**2)
    return float(np.abs((efficiency.counted - efficiency.card) / efficiency.error)[known].max(initial=0.0))


def widths(table: Table) -> dict[str, CoreWidth]:
    """Measure the core of reconstructed over true pt of matched objects, and of the missing momentum's components."""
    found = {}
    for name, truth in (("electron", "truth_lepton"), ("muon", "truth_lepton"), ("jet", "truth_jet")):
        matched = table[f"{name}_truth"] >= 0
        true = table[f"{truth}_pt"][table[f"{name}_truth"][matched]]
        ratio = ak.to_numpy(ak.flatten(table[f"{name}_pt"][matched] / true))
        if len(ratio) >= 50:
            found[f"{name} pt, reconstructed / true"] = core_width(ratio)
    found["missing momentum along x [GeV]"] = core_width(component(table, "met") - component(table, "truth_met"))
    return found


def component(table: Table, name: str) -> Floats:
    """Return the x component of a transverse momentum that is given by pt and phi."""
    return np.asarray(table[f"{name}_pt"] * np.cos(table[f"{name}_phi"]), dtype=np.float64)


def flat(table: Table, name: str) -> NDArray[Any]:
    """Return all values of a jagged column in one list."""
    return np.asarray(ak.to_numpy(ak.flatten(table[name], axis=1)))


def dilepton_mass(pt: ak.Array, eta: ak.Array, phi: ak.Array) -> Floats:
    """Return the mass of the two hardest of massless particles, of events that have two."""
    two = ak.num(pt) >= 2
    order = ak.argsort(pt[two], ascending=False)[:, :2]
    parts = [ak.to_numpy(ak.to_regular(column[two][order])) for column in (pt, eta, phi)]
    px, py, pz, energy = to_cartesian(parts[0], parts[1], wrap_phi(parts[2])).sum(axis=1).T
    mass: Floats = np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0.0))
    return mass


def _formula(text: str, pt: Floats, eta: Floats) -> Floats:
    nothing = np.zeros_like(pt)
    return evaluate(text, {"pt": pt, "eta": eta, "phi": nothing, "energy": pt * np.cosh(eta), "mu": nothing})


def _binned(pt: Floats, passed: NDArray[np.bool_], card: Floats) -> Efficiency:
    total, numerator, expected, variance = (
        np.histogram(pt, PT_EDGES, weights=weights)[0]
        for weights in (np.ones_like(pt), passed.astype(np.float64), card, card * (1.0 - card))
    )
    enough = total >= 20  # below, a bin says nothing
    counted, predicted = (np.where(enough, one / np.maximum(total, 1), np.nan) for one in (numerator, expected))
    error = np.where(enough, np.sqrt(np.maximum(variance, 1e-12)) / np.maximum(total, 1), np.nan)
    return Efficiency(PT_EDGES, counted, error, predicted)
