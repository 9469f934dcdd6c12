"""Truth events with two photons of a Higgs boson, as the detector-response paper selects them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from castalia.data.table import Table
from castalia.errors import ConfigError, MachineError
from castalia.physics.angles import wrap_phi
from castalia.processes.catalogue import Process, find_process
from castalia.processes.pythia import MAX_SEED, last_copy, make_pythia, pythia_events
from castalia.processes.toy_higgs import toy_photons
from castalia.rng import Stream

__all__ = ["MAX_ABS_ETA", "MAX_PILE_UP", "MIN_ET", "diphoton_truth", "pass_cuts"]

MIN_ET: Final = 20.0
"""Both photons have more transverse energy than this, in GeV."""

MAX_ABS_ETA: Final = 2.5
"""Both photons are nearer to the transverse plane than this pseudorapidity."""

MAX_PILE_UP: Final = 40.0
"""The mean number of interactions per crossing is uniform in [0, 40)."""

# The known processes pass the cuts in 69 to 82 % of their events. One in a hundred is a fault, not a fluctuation.
_TRIES_PER_EVENT, _TRIES_AT_LEAST = 100, 1_000
_TOY_BLOCK, _PYTHIA_BLOCK = 4_096, 32
_HIGGS, _PHOTON = 25, 22


def diphoton_truth(process: str, events: int, seed: int, unit: int) -> Table:
    """Make the truth of one unit of work: exactly ``events`` accepted events.

    The result is a function of the four arguments and of nothing else, and the first events of a longer unit are
    those of a shorter one. Both photons have et > 20 GeV and abs(eta) < 2.5 and are ordered by falling et.

    Args:
        process: Name of a process of the catalogue: ``"ttH"``, ``"ggH"`` or ``"toy"``.
        events: How many events to accept, at least 0.
        seed: Seed of the run.
        unit: Number of the unit of work in the run.

    Returns:
        Table with ``photon_et_true`` (GeV), ``photon_eta_true``, ``photon_phi_true`` (radians in (-pi, pi]), each of
        shape ``(events, 2)``, and ``mu`` in [0, 40), shape ``(events,)``.

    Raises:
        ConfigError: If the process is unknown, ``events`` is negative, or Pythia is missing.
        MachineError: If fewer than one event in a hundred passes the cuts, or Pythia fails on end.
    """
    if events < 0:
        raise ConfigError(f"The number of events must be 0 or more, not {events}.")
    known = find_process(process)
    photons = np.empty((events, 2, 3))
    filled = tried = 0
    for block in _blocks(known, seed, str(unit)) if events else ():
        tried += len(block)
        accepted = block[pass_cuts(block)][: events - filled]
        photons[filled : filled + len(accepted)] = accepted
        filled += len(accepted)
        if filled == events:
            break
        if tried >= _TRIES_AT_LEAST and tried > _TRIES_PER_EVENT * filled:
            raise MachineError(
                f"Process {process}: only {filled} of {tried} events have two photons with et > {MIN_ET:g} GeV and "
                f"|eta| < {MAX_ABS_ETA:g}; correct its settings, which do not make such photons."
            )
    photons = _ordered(photons)
    # An arc tangent may return -pi itself.
    photons[:, :, 2] = wrap_phi(photons[:, :, 2])
    columns = {f"photon_{name}_true": photons[:, :, k] for k, name in enumerate(("et", "eta", "phi"))}
    pile_up = Stream(seed, f"pile-up {process}", str(unit)).at().uniform(0.0, MAX_PILE_UP, events)
    return Table({**columns, "mu": pile_up})


def pass_cuts(photons: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which events have two photons with et > 20 GeV and abs(eta) < 2.5.

    Args:
        photons: ``(et, eta, phi)`` of both photons, shape ``(events, 2, 3)``; NaN never passes.
    """
    inside = (photons[:, :, 0] > MIN_ET) & (np.abs(photons[:, :, 1]) < MAX_ABS_ETA)
    return np.asarray(inside.all(axis=1), dtype=np.bool_)


def _ordered(photons: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put the photon of larger et first."""
    swap = photons[:, 0, 0] < photons[:, 1, 0]
    return np.where(swap[:, None, None], photons[:, ::-1], photons)


def _blocks(process: Process, seed: int, unit: str) -> Iterator[NDArray[np.float64]]:
    """Yield uncut photons without end, in blocks of shape (n, 2, 3) that do not depend on how many are wanted."""
    stream = Stream(seed, f"truth {process.name}", unit)
    if process.sampler == "toy":
        counter = 0
        while True:
            yield toy_photons(_TOY_BLOCK, stream.at(counter))
            counter += 1
    records = pythia_events(make_pythia(process.settings, 1 + stream.integer(MAX_SEED)))
    while True:
        yield np.array([_photons(record) for record in islice(records, _PYTHIA_BLOCK)])


def _photons(event: Any) -> list[tuple[float, float, float]]:
    """Return (et, eta, phi) of the Higgs boson's two photons; NaN, which no cut passes, where it has no such pair."""
    index = next((k for k in range(event.size()) if event[k].id() == _HIGGS), None)
    if index is None:
        return [(np.nan, np.nan, np.nan)] * 2
    higgs = last_copy(event, index)
    photons = [last_copy(event, daughter) for daughter in (higgs.daughter1(), higgs.daughter2())]
    if any(photon.id() != _PHOTON for photon in photons):
        return [(np.nan, np.nan, np.nan)] * 2
    return [(photon.pT(), photon.eta(), photon.phi()) for photon in photons]
