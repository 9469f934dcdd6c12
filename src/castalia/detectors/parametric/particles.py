"""The truth particles table, taken apart: what is prompt, and the record of the hard process."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from castalia.data.particles import HARD, nearest_ancestor
from castalia.data.table import Table
from castalia.detectors.parametric.objects import Objects
from castalia.errors import DataError
from castalia.physics.particle_codes import is_resonance

__all__ = ["hard_record", "is_prompt", "read_particles"]

_COLUMNS: Final = ("pt", "eta", "phi", "mass", "pdg", "status", "mother")


def read_particles(truth: Table) -> Objects:
    """Take the particles of a truth table; ``mother`` becomes a position in the whole list.

    Args:
        truth: Table with the jagged columns ``particle_pt`` (GeV), ``particle_eta``, ``particle_phi``,
            ``particle_mass`` (GeV), ``particle_pdg``, ``particle_status`` and ``particle_mother``.

    Raises:
        DataError: If a column is missing or malformed, a value is not finite or negative, or a mother is no particle
            of its event.
    """
    particles = Objects.of(truth, "particle", _COLUMNS)
    for name in ("pt", "eta", "phi", "mass"):
        values = particles[name].astype(np.float64)
        good = np.isfinite(values) & ((values >= 0.0) | (name in ("eta", "phi")))
        if not good.all():
            raise _refusal(particles, int(np.flatnonzero(~good)[0]), name, "is not finite or negative")
        particles = particles.with_columns({name: values})
    mother = particles["mother"].astype(np.int64)
    good = (mother >= -1) & (mother < particles.counts[particles.event])
    if not good.all():
        raise _refusal(particles, int(np.flatnonzero(~good)[0]), "mother", "is no particle of its event")
    return particles.with_columns({"mother": np.where(mother < 0, -1, mother + particles.starts[particles.event])})


def hard_record(particles: Objects) -> tuple[Objects, NDArray[np.int64]]:
    """Take out the record of the hard process, its links mended over what is left out.

    Returns:
        The particles of status 2, with ``mother`` a position in the event's record, or -1; and the same for every
        particle: its nearest ancestor in the event's record, shape ``(particles,)``.

    Raises:
        DataError: If a particle is its own ancestor.
    """
    kept = particles["status"] == HARD
    record = particles.take(kept)
    ancestor = _nearest_kept(particles, kept)
    number = np.where(ancestor < 0, -1, (np.cumsum(kept) - 1)[ancestor]) if len(particles) else ancestor
    local = record.local(number)
    return record.with_columns({"mother": local[kept]}), local


def is_prompt(particles: Objects) -> NDArray[np.bool_]:
    """Return which particles come from a lepton, a photon or a resonance such as W, Z, H or t, and not from hadrons.

    A particle whose mother is not in the table is not prompt.
    """
    mother = particles["mother"]
    if not len(particles):
        return np.zeros(0, dtype=np.bool_)
    code = np.abs(particles["pdg"])[mother]
    from_lepton_or_photon = ((code >= 11) & (code <= 16)) | (code == 22)
    return np.asarray((mother >= 0) & (from_lepton_or_photon | is_resonance(code)), dtype=np.bool_)


def _nearest_kept(particles: Objects, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    ancestor = nearest_ancestor(particles["mother"], kept)
    lost = np.flatnonzero((ancestor >= 0) & ~kept[ancestor]) if len(kept) else ancestor
    if lost.size:
        raise _refusal(particles, int(lost[0]), "mother", "leads round in a circle")
    return ancestor


def _refusal(particles: Objects, position: int, name: str, what: str) -> DataError:
    row = particles.event[position]
    local = position - particles.starts[row]
    return DataError(
        f"column 'particle_{name}' {what} for particle {local} of row {row}; mend that event or leave it out."
    )
