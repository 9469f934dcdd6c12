"""Observables of semi-leptonic events, formed from what a detector has reconstructed, as flat columns of the file."""

from __future__ import annotations

from typing import Any, Final

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from castalia.data.schema import ColumnSpec
from castalia.data.table import Table
from castalia.physics.four_vectors import to_cartesian
from castalia.physics.semileptonic import SEMILEPTONIC_OBSERVABLES, semileptonic_observables

__all__ = ["SEMILEPTONIC_COLUMNS", "semileptonic_columns"]

SEMILEPTONIC_COLUMNS: Final[tuple[ColumnSpec, ...]] = (
    *(ColumnSpec(name=name, unit=unit) for name, unit in SEMILEPTONIC_OBSERVABLES.items()),
    ColumnSpec(name="semileptonic", dtype="bool", role="selection"),
)
"""Declarations of the columns that ``semileptonic_columns`` adds."""

_JETS_MIN, _BTAGS_MIN = 4, 2


def semileptonic_columns(events: Table) -> dict[str, NDArray[Any]]:
    """Form the observables of reconstructed events.

    Args:
        events: Table with the columns of ``electron``, ``muon`` and ``jet`` and the missing momentum that
            ``castalia.detectors.parametric.reconstruct`` makes.

    Returns:
        The observables of ``castalia.physics.semileptonic``, NaN where one cannot be formed (without exactly one
        lepton, two b-tagged jets or two others), and ``semileptonic``: exactly one electron or muon, at least four
        jets, at least two of them b-tagged. Where that is true no observable is NaN.

    Raises:
        DataError: If a column is missing.
    """
    leptons, one = _padded(events, ("electron", "muon"), 1)
    counts = np.asarray(ak.to_numpy(ak.num(events["jet_pt"], axis=1)), dtype=np.int64)
    jets, _ = _padded(events, ("jet",), int(counts.max(initial=1)))
    tagged = _rectangle(events["jet_btag"], jets.shape[1], 0) > 0
    missing = events["met_pt"][:, None] * np.column_stack([np.cos(events["met_phi"]), np.sin(events["met_phi"])])
    lepton = np.where((one == 1)[:, None], leptons[:, 0], np.nan)
    selected = (one == 1) & (counts >= _JETS_MIN) & (tagged.sum(axis=1) >= _BTAGS_MIN)
    return {**semileptonic_observables(lepton, missing, jets, tagged), "semileptonic": selected}


def _padded(events: Table, collections: tuple[str, ...], length: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return four-momenta of the first ``length`` objects, NaN beyond the last, and the number of all objects."""
    parts = [
        np.asarray(_rectangle(ak.concatenate([events[f"{one}_{name}"] for one in collections], axis=1), length, np.nan))
        for name in ("pt", "eta", "phi", "mass")
    ]
    counts = sum(ak.to_numpy(ak.num(events[f"{one}_pt"], axis=1)) for one in collections)
    return to_cartesian(*parts), np.asarray(counts, dtype=np.int64)


def _rectangle(column: ak.Array, length: int, filling: float) -> NDArray[Any]:
    return np.asarray(ak.to_numpy(ak.fill_none(ak.pad_none(column, length, axis=1, clip=True), filling)))
