"""The columns of reconstructed events, as they are declared in a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from castalia.data.particles import PARTICLE_COLUMNS
from castalia.data.schema import ColumnSpec

__all__ = ["COLLECTIONS", "RECONSTRUCTED_COLUMNS"]

_LEPTON: Final = ("pt", "eta", "phi", "mass", "charge", "isolation", "truth")
COLLECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "electron": _LEPTON,
    "muon": _LEPTON,
    "jet": ("pt", "eta", "phi", "mass", "btag", "flavour", "truth"),
    "truth_lepton": ("pt", "eta", "phi", "mass", "pdg", "mother"),
    "truth_jet": ("pt", "eta", "phi", "mass", "flavour"),
    "particle": tuple(spec.name.removeprefix("particle_") for spec in PARTICLE_COLUMNS),
}
"""What each collection of objects has, in order; the jagged columns are called ``COLLECTION_NAME``."""

_UNITS: Final = {"pt": "GeV", "mass": "GeV", "phi": "rad"}
_WHOLE: Final = {
    "charge": "int8",
    "btag": "int8",
    "flavour": "int8",
    "truth": "int32",
    "pdg": "int32",
    "mother": "int32",
}


def _jagged(collection: str, name: str) -> ColumnSpec:
    dtype, unit = _WHOLE.get(name, "float64"), _UNITS.get(name, "")
    return ColumnSpec(name=f"{collection}_{name}", unit=unit, dtype=dtype, shape="jagged", collection=collection)


RECONSTRUCTED_COLUMNS: Final[tuple[ColumnSpec, ...]] = (
    *(_jagged(one, name) for one, names in COLLECTIONS.items() if one != "particle" for name in names),
    *(
        ColumnSpec(name=f"{one}_{name}", unit=_UNITS[name])
        for one in ("met", "soft", "truth_met")
        for name in ("pt", "phi")
    ),
    *PARTICLE_COLUMNS,
    ColumnSpec(name="pileup", dtype="int32"),
    ColumnSpec(name="selected", dtype="bool", role="selection"),
)
"""Declarations of every column that reconstruction adds; the event's own columns come before them."""
