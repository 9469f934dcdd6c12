"""The six decay products of a semi-leptonic pair of top quarks, at two levels of truth, as flat columns of the file.

- Parton level: what the record of the hard process has of them before they radiate. There the b quark is the one before
  and the W boson the one after the b quark's recoil, so that both together are lighter than the record's top quark: by
  0.5 GeV in the median, by more than 15 GeV in one decay of a hundred.
- Particle level: what a perfect detector would make of the event, in a fiducial volume in which a measurement can be
  published without the generator's quarks.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from castalia.data.schema import ColumnSpec
from castalia.data.table import Table
from castalia.detectors.parametric.jets import without_overlap
from castalia.detectors.parametric.objects import Objects
from castalia.physics.four_vectors import from_cartesian, to_cartesian
from castalia.physics.semileptonic import assign_jets, neutrino_momentum

__all__ = ["TRUTH_LEAF_COLUMNS", "TRUTH_LEAVES", "particle_level_columns", "parton_columns"]

TRUTH_LEAVES: Final = ("b_lep", "lepton", "neutrino", "b_had", "q_up", "q_down")
"""Names of the leaves; the columns are called ``LEVEL_LEAF_pt``, ``_eta``, ``_phi`` and ``_mass``."""

_MOMENTUM: Final = {"pt": "GeV", "eta": "", "phi": "rad", "mass": "GeV"}


def _leaf_specs(level: str) -> tuple[ColumnSpec, ...]:
    names = ((f"{level}_{leaf}_{name}", unit) for leaf in TRUTH_LEAVES for name, unit in _MOMENTUM.items())
    return tuple(ColumnSpec(name=name, unit=unit) for name, unit in names)


TRUTH_LEAF_COLUMNS: Final[tuple[ColumnSpec, ...]] = (
    *_leaf_specs("parton"),
    ColumnSpec(name="parton_lepton_pdg", dtype="int32"),
    ColumnSpec(name="parton_complete", dtype="bool", role="selection"),
    *_leaf_specs("particle_level"),
    ColumnSpec(name="fiducial", dtype="bool", role="selection"),
)
"""Declarations of the columns that ``parton_columns`` and ``particle_level_columns`` add, in order."""

# The shipped cards' cuts on jets and, for electrons and muons alike, the default card's on electrons; a detector leaves
# out the jets that are its leptons.
_LEPTON_PT, _JET_PT, _MAX_ABS_ETA, _OVERLAP = 20.0, 25.0, 2.5, 0.4
_JETS_MIN, _B_JETS_MIN = 4, 2
_BOTTOM, _TOP, _W = 5, 6, 24


def parton_columns(events: Table) -> dict[str, NDArray[Any]]:
    """Take the leaves out of the record of the hard process: t -> b W, one W boson to e or mu and one to two quarks.

    Args:
        events: Table with the columns ``particle_pt``, ``_eta``, ``_phi``, ``_mass``, ``_pdg`` and ``_mother``, of the
            hard process alone or of all truth particles.

    Returns:
        For each leaf ``parton_LEAF_pt``, ``_eta``, ``_phi``, ``_mass``, GeV and radians; ``parton_lepton_pdg``; and
        ``parton_complete``: whether the record has each leaf exactly once. Where not, as in other processes or
        where a top quark decays to another quark than b, momenta are NaN and the number is 0. Of the two quarks
        ``q_up`` is the up-type one.

    Raises:
        DataError: If a column is missing.
    """
    particles = Objects.of(events, "particle", (*_MOMENTUM, "pdg", "mother"))
    code, own = np.abs(particles["pdg"]), particles["mother"]
    mother = np.where(own < 0, -1, own + particles.starts[particles.event])
    parent = np.where(mother < 0, 0, code[mother])
    grandmother = np.where(mother < 0, -1, mother[mother])
    of_top = (parent == _W) & (grandmother >= 0) & (code[grandmother] == _TOP)
    charged, up = of_top & np.isin(code, (11, 13)), of_top & np.isin(code, (2, 4))
    b = (parent == _TOP) & (code == _BOTTOM)

    def per_event(which: NDArray[np.bool_], values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return for each particle the value of the one particle ``which`` of its event, -1 where there is none."""
        found = np.full(particles.rows, -1, dtype=np.int64)
        found[particles.event[which]] = values[which]
        return found[particles.event]

    masks = {
        "b_lep": b & (mother == per_event(charged, grandmother)),
        "lepton": charged,
        "neutrino": of_top & np.isin(code, (12, 14)) & (mother == per_event(charged, mother)),
        "b_had": b & (mother == per_event(up, grandmother)),
        "q_up": up,
        "q_down": of_top & np.isin(code, (1, 3, 5)) & (mother == per_event(up, mother)),
    }
    leaves = {name: particles.take(mask) for name, mask in masks.items()}
    complete = np.all([leaf.counts == 1 for leaf in leaves.values()], axis=0)
    found = {
        f"parton_{name}_{key}": np.where(complete, leaf.padded(key, 1)[:, 0], np.nan)
        for name, leaf in leaves.items()
        for key in _MOMENTUM
    }
    lepton = np.where(complete, leaves["lepton"].padded("pdg", 1, 0)[:, 0], 0).astype(np.int32)
    return {**found, "parton_lepton_pdg": lepton, "parton_complete": complete}


def particle_level_columns(events: Table) -> dict[str, NDArray[Any]]:
    """Build the leaves from dressed leptons, jets of particles and the momentum of what is invisible.

    The neutrino is all of the missing momentum, with the smaller pz that gives the mass of the W boson; the b jets
    are the two hardest, the others those whose mass is nearest to that of the W boson, and the b jets are shared out
    so that both top quarks come nearest to their mass: the rules of the observables at detector level.

    Args:
        events: Table with the columns of ``truth_lepton``, ``truth_jet`` and ``truth_met`` that
            ``castalia.detectors.parametric.reconstruct`` makes.

    Returns:
        For each leaf ``particle_level_LEAF_pt``, ``_eta``, ``_phi``, ``_mass``, GeV and radians, and ``fiducial``, the
        detector's selection at truth level: exactly one electron or muon of pt >= 20 GeV, and of jets of pt >= 25 GeV
        not within 0.4 of it at least four, two of them of b flavour, all within 2.5 in eta. Momenta are NaN
        where it is false. ``q_up`` is the harder of the two other jets, which do not tell their quark's type.

    Raises:
        DataError: If a column is missing.
    """
    leptons = Objects.of(events, "truth_lepton", tuple(_MOMENTUM))
    leptons = leptons.take((leptons["pt"] >= _LEPTON_PT) & (np.abs(leptons["eta"]) < _MAX_ABS_ETA))
    jets = Objects.of(events, "truth_jet", (*_MOMENTUM, "flavour"))
    jets = jets.take((jets["pt"] >= _JET_PT) & (np.abs(jets["eta"]) < _MAX_ABS_ETA))
    jets = without_overlap(jets, leptons, _OVERLAP)
    length = max(int(jets.counts.max(initial=0)), 1)
    jet = {name: jets.padded(name, length) for name in (*_MOMENTUM, "flavour")}
    b = jet["flavour"] == _BOTTOM
    fiducial = (leptons.counts == 1) & (jets.counts >= _JETS_MIN) & (b.sum(axis=1) >= _B_JETS_MIN)
    lepton = {name: np.where(fiducial, leptons.padded(name, 1)[:, 0], np.nan) for name in _MOMENTUM}
    met, phi = np.where(fiducial, events["truth_met_pt"], np.nan), events["truth_met_phi"]
    missing = np.column_stack([met * np.cos(phi), met * np.sin(phi)])
    four = to_cartesian(*lepton.values())
    neutrino = dict(zip(_MOMENTUM, from_cartesian(neutrino_momentum(four, missing)), strict=True))
    places = assign_jets(four, missing, to_cartesian(*(jet[name] for name in _MOMENTUM)), b)
    leaves = {"lepton": lepton, "neutrino": neutrino}
    for leaf, place in zip(("b_lep", "b_had", "q_up", "q_down"), places.T, strict=True):
        chosen = {name: jet[name][np.arange(len(b)), place] for name in _MOMENTUM}
        leaves[leaf] = {name: np.where(fiducial, values, np.nan) for name, values in chosen.items()}
    found = {f"particle_level_{leaf}_{name}": leaves[leaf][name] for leaf in TRUTH_LEAVES for name in _MOMENTUM}
    return {**found, "fiducial": fiducial}
