"""The diphoton file: truth events with the photons that an experiment would have reconstructed."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table
from castalia.detectors.photon_response import PhotonResponse
from castalia.errors import DataError
from castalia.physics.angles import delta_phi, wrap_phi
from castalia.rng import Stream

__all__ = ["DIPHOTON_SCHEMA", "apply_response", "diphoton_condition", "diphoton_response"]

_PHI_RANGE: Final = (-3.1416, 3.1416)  # rounded outwards: pi in single precision is larger than in double

DIPHOTON_SCHEMA: Final = Schema(
    columns=(
        ColumnSpec(name="run", dtype="int64", role="identifier"),
        ColumnSpec(name="luminosityBlock", dtype="int64", role="identifier"),
        ColumnSpec(name="event", dtype="int64", role="identifier"),
        ColumnSpec(name="mu", role="condition", range=(0.0, 40.0)),
        ColumnSpec(name="weight", role="weight"),
        ColumnSpec(
            name="photon_et_true", unit="GeV", role="condition", range=(20.0, 6500.0), shape=2, collection="photon"
        ),
        ColumnSpec(name="photon_eta_true", role="condition", range=(-2.5, 2.5), shape=2, collection="photon"),
        ColumnSpec(
            name="photon_phi_true", unit="rad", role="condition", range=_PHI_RANGE, shape=2, collection="photon"
        ),
        ColumnSpec(name="photon_et", unit="GeV", role="target", shape=2, collection="photon"),
        ColumnSpec(name="photon_eta", role="target", shape=2, collection="photon"),
        ColumnSpec(name="photon_phi", unit="rad", role="target", range=_PHI_RANGE, shape=2, collection="photon"),
    )
)
"""Columns of the diphoton file, tree ``events``; both photons are ordered by falling true et."""

_OBSERVABLES: Final = ("et", "eta", "phi")


def apply_response(truth: Table, response: PhotonResponse, seed: int, unit: int | str) -> tuple[Table, int]:
    """Add the reconstructed photons to truth events.

    The result is a function of the arguments only, and the first events of a longer unit are those of a shorter one.
    A response is added as it is drawn. The wide tail of ``asymmetric`` carries about one soft photon in a thousand to
    a negative et; it is kept, because leaving such events out would change the density that models are judged by.

    Args:
        truth: Truth events with ``photon_et_true``, ``photon_eta_true``, ``photon_phi_true`` and ``mu``; other columns
            are passed through.
        response: The detector's response.
        seed: Seed of the run.
        unit: Number or name of the unit of work. Give two processes of one seed different names, or their n-th events
            share their random numbers.

    Returns:
        The events with ``photon_et`` (GeV), ``photon_eta`` and ``photon_phi`` (radians in (-pi, pi]) added, each of
        shape ``(events, 2)``, and how many events were refused for a width that is not positive (``printed`` only).

    Raises:
        DataError: If a column is missing or has no two photons.
    """
    usable = response.usable(diphoton_condition(truth))
    refused = int((~usable).sum())
    kept = truth.take(usable) if refused else truth
    rng = Stream(seed, "photon response", str(unit)).at()
    drawn = response.sample(diphoton_condition(kept), rng).reshape(-1, 2, 3)
    columns = {f"photon_{name}": kept[f"photon_{name}_true"] + drawn[:, :, k] for k, name in enumerate(_OBSERVABLES)}
    columns["photon_phi"] = wrap_phi(columns["photon_phi"])
    return kept.with_columns(columns), refused


def diphoton_condition(table: Table) -> NDArray[np.float64]:
    """Return the conditions of :class:`PhotonResponse` from a diphoton table.

    Args:
        table: Table with ``photon_et_true``, ``photon_eta_true`` and ``mu``.

    Returns:
        et_1, et_2 (GeV), eta_1, eta_2, mu, shape ``(events, 5)``.

    Raises:
        DataError: If a column is missing or has no two photons.
    """
    et, eta = _photons(table, "photon_et_true"), _photons(table, "photon_eta_true")
    return np.column_stack([et, eta, np.asarray(table["mu"], dtype=np.float64)])


def diphoton_response(table: Table) -> NDArray[np.float64]:
    """Return reconstructed minus true values of a diphoton table.

    Args:
        table: Table with true and reconstructed photons.

    Returns:
        et_1 (GeV), eta_1, phi_1 (radians in (-pi, pi]), et_2, eta_2, phi_2, shape ``(events, 6)``.

    Raises:
        DataError: If a column is missing or has no two photons.
    """
    true = {name: _photons(table, f"photon_{name}_true") for name in _OBSERVABLES}
    found = {name: _photons(table, f"photon_{name}") for name in _OBSERVABLES}
    parts = [found["et"] - true["et"], found["eta"] - true["eta"], delta_phi(found["phi"], true["phi"])]
    return np.stack(parts, axis=2).reshape(-1, 6)


def _photons(table: Table, name: str) -> NDArray[np.float64]:
    values = np.asarray(table[name], dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != 2:
        raise DataError(f"Column '{name}' has shape {values.shape}; a diphoton event has two photons, (events, 2).")
    return values
