"""Pixel hits of chosen rows of a file: found by their names, read a few events at a time, checked and ordered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.pixels.config import ARRAY
from castalia.data.checks import BadRowPolicy, BadRows
from castalia.data.features import Features
from castalia.data.readers import StoredColumn, open_reader
from castalia.data.table import Table
from castalia.detectors.pxd.columns import BASF2_COLUMNS, HIT_COLUMNS, hits_of
from castalia.detectors.pxd.digitiser import PixelHits
from castalia.errors import DataError
from castalia.estimators.pixels.hits import HIT_FEATURES

__all__ = ["cells", "hit_columns", "hits_of_rows", "ordered_cells"]

_AT_ONCE: Final = 32
"""Events whose hits are read at a time: some two million hits."""


def hit_columns(stored: Mapping[str, StoredColumn], where: str) -> tuple[str, ...]:
    """Return the columns of the hits in a file, ours or those in basf2's terms.

    Args:
        stored: How the columns of the file are stored.
        where: Name of the file.

    Raises:
        DataError: If it has neither kind, or they are no lists of whole numbers.
    """
    kinds = [[spec.name for spec in specs] for specs in (HIT_COLUMNS, BASF2_COLUMNS)]
    names = next((kind for kind in kinds if kind[0] in stored), None)
    if names is None:
        raise DataError(f"{where}: has no pixel hits; write lists {', '.join(kinds[0])}, or {', '.join(kinds[1])}.")
    for name in (name for name in names if name in stored):  # one that is missing is named where it is read
        if stored[name].kind != "jagged" or np.dtype(stored[name].dtype).kind not in "iu":
            raise DataError(
                f"{where}: column '{name}' ({stored[name].dtype}, {stored[name].kind}) holds no lists of whole "
                "numbers; write one list of hits an event."
            )
    return tuple(names)


def hits_of_rows(
    path: Path, features: Features, rows: NDArray[np.int64], rename: Mapping[str, str], policy: BadRowPolicy
) -> Iterator[tuple[PixelHits, NDArray[np.bool_]]]:
    """Yield the hits of some rows of a file, piece by piece, and which of the rows could be used.

    Args:
        path: The file.
        features: Its tree and layout.
        rows: The rows, in ascending order.
        rename: Branch in the file by column name.
        policy: Holds the limit on bad rows.

    Raises:
        DataError: If a column is missing, or more rows are bad than may be left out.
    """
    if not len(rows):
        return
    with open_reader(path, features.data.tree, rename, features.data.layout) as reader:
        columns, start = hit_columns(reader.columns(), str(path)), int(rows[0])
        for table in reader.iterate(columns, _AT_ONCE, start, int(rows[-1]) + 1):
            low, high = np.searchsorted(rows, [start, start + len(table)])
            chosen = rows[low:high]
            if len(chosen):
                yield _usable(table.take(chosen - start), chosen, path, policy)
            start += len(table)


def _usable(
    table: Table, rows: NDArray[np.int64], path: Path, policy: BadRowPolicy
) -> tuple[PixelHits, NDArray[np.bool_]]:
    """Return the hits of the rows that can be used, and which these are."""
    faults: dict[int, str] = {}
    try:
        return _ordered(hits_of(table)), np.ones(len(rows), dtype=np.bool_)
    except DataError:  # which of the rows are bad is looked at one by one
        for place in range(len(rows)):
            try:
                _ordered(hits_of(table.slice(place, place + 1)))
            except DataError as error:
                faults[place] = str(error)
    mask = np.isin(np.arange(len(rows)), list(faults))
    place, fault = next(iter(faults.items()))
    more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
    good = policy.keep(BadRows(mask, (f"row {rows[place]}{more}: {fault.rstrip('.')}",), str(path)))
    return _ordered(hits_of(table.take(good))), good


def _ordered(hits: PixelHits) -> PixelHits:
    """Return hits ordered by event, sensor, u and v.

    Raises:
        DataError: If a pixel comes twice in an event, or has no charge.
    """
    if not hits.charge.all():
        raise DataError("Pixel hits have charge 0; leave out pixels that were not read out.")
    numbers = ordered_cells(hits)
    steps = np.diff(numbers)
    if (steps > 0).all():
        return hits
    order = np.argsort(numbers, kind="stable")
    steps = np.diff(numbers[order])
    if not (steps > 0).all():
        raise DataError(f"Pixel hits name the same pixel {int((steps == 0).sum())} times again; keep one hit of each.")
    return PixelHits(hits.events, *(getattr(hits, name)[order] for name in ("event", *HIT_FEATURES)))


def cells(hits: PixelHits) -> NDArray[np.int64]:
    """Return the number of each hit's pixel among the 7.68 million of the detector, shape ``(hits,)``."""
    return (hits.sensor.astype(np.int64) * ARRAY.u + hits.u) * ARRAY.v + hits.v


def ordered_cells(hits: PixelHits) -> NDArray[np.int64]:
    """Return the number of each hit's pixel among those of all events; it must grow from hit to hit."""
    return hits.event.astype(np.int64) * (ARRAY.sensors * ARRAY.u * ARRAY.v) + cells(hits)
