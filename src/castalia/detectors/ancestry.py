"""Which W boson, top quark, h(125) and heavy resonance each reconstructed object of an event comes from.

- An electron or muon by its link to the truth lepton; 0 for one that no resonance made.
- A jet by the quark or gluon of the hard process that is its partner: each is the other's nearest, within 0.4 in
  (eta, phi).
- The missing momentum counts as the neutrino, where the hard process has exactly one.

Left out are, and have 0: jets whose partner is none of a resonance's decay products, of radiation or of pile-up; the
second of two quarks in one jet; quarks that radiated so hard that their jet is elsewhere. A soft quark beside a jet
that is not its own takes it: nothing asks the two for like momenta. Of top-quark pairs that pass a selection of one
lepton and four jets, two of them b-tagged, all six objects are matched in 51 %.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from castalia.data.particles import nearest_ancestor
from castalia.data.schema import ColumnSpec
from castalia.data.table import Table
from castalia.detectors.parametric.objects import Objects, mutual_nearest
from castalia.physics.particle_codes import is_neutrino

__all__ = ["ANCESTORS", "ANCESTRY_COLUMNS", "ancestry_columns"]

ANCESTORS: Final[dict[str, tuple[int, ...]]] = {
    "w": (24,),
    "top": (6,),
    "h": (25,),
    "heavy": (32, 33, 34, 35, 36, 37),
}
"""PDG numbers of each kind of ancestor: Z', Z'', W', H, A and H+- are heavy."""

ANCESTRY_COLUMNS: Final[tuple[ColumnSpec, ...]] = (
    *(
        ColumnSpec(name=f"{one}_from_{kind}", dtype="int32", shape="jagged", collection=one)
        for one in ("electron", "muon", "jet")
        for kind in ANCESTORS
    ),
    *(ColumnSpec(name=f"met_from_{kind}", dtype="int32") for kind in ANCESTORS),
)
"""Declarations of the columns that ``ancestry_columns`` adds, in order."""

_RADIUS: Final = 0.4  # R of the cards' jets
_GLUON: Final = 21


def ancestry_columns(events: Table) -> dict[str, Any]:
    """Name the ancestors of what was reconstructed.

    Args:
        events: Table with the columns of ``electron``, ``muon``, ``jet``, ``truth_lepton`` and ``particle`` that
            ``castalia.detectors.parametric.reconstruct`` makes.

    Returns:
        ``electron_from_w``, ``_from_top``, ``_from_h`` and ``_from_heavy``, jagged, the same for ``muon`` and ``jet``,
        and flat for ``met``: 0 where there is no such ancestor, otherwise 1 + the place of the nearest one in the
        event's ``particle`` list. So two objects of one event share an ancestor where both have the same number
        above 0. Of a cascade of heavy resonances the nearest counts: H -> H+- W has objects of H+- and others of H.

    Raises:
        DataError: If a column is missing or is no list.
    """
    record = Objects.of(events, "particle", ("eta", "phi", "pdg", "mother"))
    mother = np.where(record["mother"] < 0, -1, record["mother"] + record.starts[record.event])
    named = {kind: np.isin(np.abs(record["pdg"]), codes) for kind, codes in ANCESTORS.items()}
    ancestors = {kind: record.local(_nearest(mother, which)) + 1 for kind, which in named.items()}
    partner = _of_jets(events, record)
    columns: dict[str, Any] = {}
    for one in ("electron", "muon"):
        leptons, place = _of_leptons(events, one, record)
        columns |= _named(leptons, place, ancestors).to_columns(one, [f"from_{kind}" for kind in ANCESTORS])
    columns |= _named(*partner, ancestors).to_columns("jet", [f"from_{kind}" for kind in ANCESTORS])
    neutrino = _only_neutrino(record)
    met = {f"met_from_{kind}": _at(numbers, neutrino).astype(np.int32) for kind, numbers in ancestors.items()}
    return {**columns, **met}


def _nearest(mother: NDArray[np.int64], named: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for each particle itself where it is named, else its nearest ancestor that is, else -1.

    A lepton's link leads to the W boson itself where the record has no lepton.
    """
    return np.where(named, np.arange(len(named)), nearest_ancestor(mother, named))


def _of_leptons(events: Table, collection: str, record: Objects) -> tuple[Objects, NDArray[np.int64]]:
    """Return leptons, and for each the place in the record of what it is a copy or a product of; -1 for none."""
    leptons, truth = Objects.of(events, collection, ("truth",)), Objects.of(events, "truth_lepton", ("mother",))
    linked = _global(leptons["truth"], leptons.event, truth.starts)
    return leptons, _global(_at(truth["mother"], linked, -1), leptons.event, record.starts)


def _of_jets(events: Table, record: Objects) -> tuple[Objects, NDArray[np.int64]]:
    """Return jets, and for each the place in the record of its partner, -1 for none."""
    jets = Objects.of(events, "jet", ("eta", "phi"))
    code = np.abs(record["pdg"])
    places = np.flatnonzero(((code >= 1) & (code <= 5)) | (code == _GLUON))
    return jets, _at(places, mutual_nearest(jets, record.take(places), _RADIUS), -1)


def _only_neutrino(record: Objects) -> NDArray[np.int64]:
    """Return the place in the record of each event's neutrino, -1 where it has none or several."""
    places = np.flatnonzero(is_neutrino(record["pdg"]))
    found = np.full(record.rows, -1, dtype=np.int64)
    found[record.event[places]] = places
    return np.where(np.bincount(record.event[places], minlength=record.rows) == 1, found, -1)


def _named(objects: Objects, place: NDArray[np.int64], ancestors: dict[str, NDArray[np.int64]]) -> Objects:
    """Add for each kind the ancestor of the particle at ``place``."""
    found = {f"from_{kind}": _at(numbers, place).astype(np.int32) for kind, numbers in ancestors.items()}
    return objects.with_columns(found)


def _global(local: NDArray[Any], event: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Turn places within an event's list into places in the whole list; -1 stays -1."""
    return np.where(local < 0, -1, local + starts[event])


def _at(values: NDArray[Any], place: NDArray[np.int64], otherwise: int = 0) -> NDArray[np.int64]:
    """Return the values at some places, ``otherwise`` where the place is -1."""
    found = np.full(len(place), otherwise, dtype=np.int64)
    found[place >= 0] = values[place[place >= 0]]
    return found
