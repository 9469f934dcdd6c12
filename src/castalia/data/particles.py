"""The truth-particles table: what is kept of a generator's event record, whoever wrote the record.

Kept are the stable particles (status 1), the hard process with its resonances and their decay products (status 2), and
the hadrons that give a jet its flavour (status 3). A record's entry that is both stable and of the hard process makes
two particles, the one of status 1 a child of the one of status 2, so that a choice by status needs no other case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from castalia.data.schema import ColumnSpec
from castalia.data.table import jagged
from castalia.errors import DataError
from castalia.physics.four_vectors import from_cartesian
from castalia.physics.particle_codes import has_bottom, has_charm, is_elementary, is_resonance

__all__ = [
    "FLAVOUR",
    "HARD",
    "MAX_ABS_ETA",
    "PARTICLE_COLUMNS",
    "STABLE",
    "EventRecords",
    "nearest_ancestor",
    "particle_columns",
]

STABLE: Final = 1
"""Status of what reaches the detector, neutrinos included."""

HARD: Final = 2
"""Status of resonances in their last copy, and of their decay products and the hard process's partons in the first."""

FLAVOUR: Final = 3
"""Status of bottom and charm hadrons that decay weakly: the last of each flavour in their chain."""

MAX_ABS_ETA: Final = 6.0
"""Stable particles and flavour hadrons are kept up to this pseudorapidity; the hard process is kept everywhere."""

_NAMES = {
    "pt": ("float64", "GeV"),
    "eta": ("float64", ""),
    "phi": ("float64", "rad"),
    "mass": ("float64", "GeV"),
    "pdg": ("int32", ""),
    "status": ("int8", ""),
    "mother": ("int32", ""),
}
PARTICLE_COLUMNS: Final[tuple[ColumnSpec, ...]] = tuple(
    ColumnSpec(name=f"particle_{name}", unit=unit, dtype=dtype, shape="jagged", collection="particle")
    for name, (dtype, unit) in _NAMES.items()
)
"""Declarations of the particle columns, in order; ``particle_mother`` is an index into the event's own list, or -1."""

# A momentum along the beam, as a lone resonance has it without radiation, has no finite pseudorapidity; a transverse
# part of 1 eV gives it one and changes no number anybody can see.
_SMALLEST_PT = 1e-9
# Each round doubles the length of chain that is followed, so only a circle needs more.
_ROUNDS = 40


@dataclass(frozen=True)
class EventRecords:
    """The records of several events, one after the other.

    Attributes:
        counts: Entries of each event, shape ``(events,)``.
        pdg: PDG number of each entry, shape ``(entries,)``.
        stable: Whether it reaches the detector.
        hard: Whether it goes out of the hard process, in the copy that the hard process made.
        mother: Index within the event of its only mother; -1 where it has none or several, as hadrons of a string have.
        momentum: (px, py, pz, E) in GeV, shape ``(entries, 4)``.
        mass: Generated mass in GeV, shape ``(entries,)``.
    """

    counts: NDArray[np.int64]
    pdg: NDArray[np.int64]
    stable: NDArray[np.bool_]
    hard: NDArray[np.bool_]
    mother: NDArray[np.int64]
    momentum: NDArray[np.float64]
    mass: NDArray[np.float64]


def particle_columns(records: EventRecords) -> dict[str, ak.Array]:
    """Reduce event records to the columns of the truth-particles table.

    Args:
        records: At least one event.

    Returns:
        ``particle_pt``, ``_eta``, ``_phi``, ``_mass``, ``_pdg``, ``_status`` and ``_mother``, jagged, one row an event.
        ``_mother`` is the nearest ancestor that was kept.

    Raises:
        DataError: If a mother is outside its event, or particles are their own ancestors.
    """
    event = np.repeat(np.arange(len(records.counts)), records.counts)
    parent = _parents(records, event)
    hard = _hard_process(records, parent)
    flavour = _last_of(has_bottom(records.pdg), parent) | _last_of(has_charm(records.pdg), parent)
    px, py, pz = records.momentum[:, 0], records.momentum[:, 1], records.momentum[:, 2]
    central = np.abs(pz) < np.hypot(px, py) * np.sinh(MAX_ABS_ETA)
    named = hard | (flavour & central)
    ancestor = nearest_ancestor(parent, named)
    if np.any((ancestor >= 0) & ~named[ancestor]):
        raise DataError("an event record has particles that are their own ancestors; make the record again.")
    truth, stable = np.flatnonzero(named), np.flatnonzero(records.stable & central)
    entry = np.concatenate([truth, stable])
    # Stable, so that an entry's particle of the hard process precedes its stable one.
    order = np.argsort(entry, kind="stable")
    entry, is_stable = entry[order], order >= len(truth)
    counts = np.bincount(event[entry], minlength=len(records.counts))
    status = np.where(is_stable, STABLE, np.where(hard[entry], HARD, FLAVOUR)).astype(np.int8)
    mother = np.where(is_stable & named[entry], entry, ancestor[entry])
    row = np.full(len(event) + 1, -1)  # the last one stays -1 for those without a mother
    row[entry[~is_stable]] = np.flatnonzero(~is_stable)
    first = np.cumsum(counts) - counts
    mother_row = np.where(mother >= 0, row[mother] - first[event[entry]], -1).astype(np.int32)
    pt, eta, phi = _directions(records.momentum[entry])
    values: tuple[NDArray[Any], ...] = (
        pt,
        eta,
        phi,
        np.maximum(records.mass[entry], 0.0),
        records.pdg[entry].astype(np.int32),
        status,
        mother_row,
    )
    return {spec.name: jagged(counts, column) for spec, column in zip(PARTICLE_COLUMNS, values, strict=True)}


def _parents(records: EventRecords, event: NDArray[np.int64]) -> NDArray[np.int64]:
    """Turn mothers within an event into positions in the whole block."""
    if np.any(records.mother >= records.counts[event]):
        row = int(event[np.argmax(records.mother >= records.counts[event])])
        raise DataError(f"event {row} of the block names a mother beyond its last particle; make the record again.")
    first = np.cumsum(records.counts) - records.counts
    return np.where(records.mother >= 0, records.mother + first[event], -1)


def _last_of(kind: NDArray[np.bool_], parent: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return those of ``kind`` that have no child of ``kind``."""
    passed_on = np.zeros(len(kind), dtype=np.bool_)
    passed_on[parent[kind & (parent >= 0)]] = True
    return kind & ~passed_on


def _hard_process(records: EventRecords, parent: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return resonances in their last copy, their decay products, and what else goes out of the hard process."""
    known = parent >= 0
    copied = np.zeros(len(parent), dtype=np.bool_)
    copied[parent[known & (records.pdg == records.pdg[parent])]] = True
    resonance = is_resonance(records.pdg)
    decaying = resonance & ~copied
    # What a top quark radiates before its last copy is no decay product: its mother is an earlier copy.
    product = known & decaying[parent]
    return decaying | ((product | records.hard) & is_elementary(records.pdg) & ~resonance)


def nearest_ancestor(parent: NDArray[np.int64], named: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for every entry its nearest ancestor that is named, or -1.

    Where parents lead round in a circle without a named one, the result is an entry that is not named.

    Args:
        parent: Position of each entry's parent, -1 where it has none, shape ``(entries,)``.
        named: Which entries count, shape ``(entries,)``.
    """
    link = parent.copy()
    for _ in range(_ROUNDS):
        going = np.flatnonzero(link >= 0)
        going = going[~named[link[going]]]
        if not len(going):
            break
        link[going] = link[link[going]]
    return link


def _directions(momentum: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    pt, eta, phi, _ = from_cartesian(momentum)
    along = pt < _SMALLEST_PT
    if along.any():
        pt = np.where(along, _SMALLEST_PT, pt)
        eta = np.where(along, np.arcsinh(momentum[:, 2] / _SMALLEST_PT), eta)
    return pt, eta, phi
