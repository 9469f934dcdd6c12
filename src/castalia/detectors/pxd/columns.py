"""Pixel hits as columns of a table: lists of ours, or in basf2's terms, and back."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from castalia.data.schema import ColumnSpec
from castalia.data.table import Column, Table, jagged, jagged_parts
from castalia.detectors.pxd.conditions import KNOBS
from castalia.detectors.pxd.digitiser import PixelHits
from castalia.detectors.pxd.geometry import SENSORS, U_CELLS, V_CELLS, VXD_IDS
from castalia.errors import DataError

__all__ = ["BASF2_COLUMNS", "CONDITION_COLUMNS", "HIT_COLUMNS", "hit_lists", "hits_of"]

CONDITION_COLUMNS: Final = (
    *(ColumnSpec(name=name, role="condition") for name in KNOBS),
    ColumnSpec(name="common_factor"),
)
"""What was set, and the factor that the common mode made of it."""

HIT_COLUMNS: Final = (
    ColumnSpec(name="pxd_sensor", dtype="uint8", shape="jagged"),
    ColumnSpec(name="pxd_u", dtype="uint8", shape="jagged"),
    ColumnSpec(name="pxd_v", dtype="uint16", shape="jagged"),
    ColumnSpec(name="pxd_charge", unit="ADU", dtype="uint8", shape="jagged"),
)
"""One list a column, ordered by sensor, u and v."""

BASF2_COLUMNS: Final = (
    ColumnSpec(name="VxdID", dtype="uint16", shape="jagged"),
    ColumnSpec(name="uCellID", dtype="uint16", shape="jagged"),
    ColumnSpec(name="vCellID", dtype="uint16", shape="jagged"),
    ColumnSpec(name="charge", unit="ADU", dtype="uint8", shape="jagged"),
)
"""The same by the names and numbers of basf2's PXDDigit."""


def hit_lists(hits: PixelHits, *, basf2: bool = False) -> dict[str, Column]:
    """Return the hits as jagged columns, one row an event.

    Args:
        hits: Hits, ordered by event.
        basf2: Whether in basf2's terms.
    """
    counts = np.bincount(hits.event, minlength=hits.events)
    sensor = VXD_IDS[hits.sensor] if basf2 else hits.sensor
    specs = BASF2_COLUMNS if basf2 else HIT_COLUMNS
    columns = zip(specs, (sensor, hits.u, hits.v, hits.charge), strict=True)
    return {spec.name: jagged(counts, values.astype(spec.numpy_dtype)) for spec, values in columns}


def hits_of(table: Table) -> PixelHits:
    """Return the hits of a table of either kind; its rows are the events.

    Raises:
        DataError: If columns are missing, differ in the length of their lists, or hold cells that do not exist.
    """
    ours = HIT_COLUMNS[0].name in table
    lists = [jagged_parts(table[spec.name]) for spec in (HIT_COLUMNS if ours else BASF2_COLUMNS)]
    counts = lists[0][0]
    if any(not np.array_equal(counts, other) for other, _ in lists[1:]):
        raise DataError("The lists of pixel hits differ in length; write sensor, u, v and charge of the same hits.")
    sensor, u, v, charge = (values for _, values in lists)
    if not ours:
        sensor = _sensors(sensor)
    ends = {"sensor": (sensor, SENSORS), "u": (u, U_CELLS), "v": (v, V_CELLS), "charge": (charge, 256)}
    for name, (values, end) in ends.items():
        if len(values) and not (0 <= values.min() and values.max() < end):
            raise DataError(
                f"Pixel hits have {name} from {values.min()} to {values.max()}; mend the file, it ends at {end - 1}."
            )
    return PixelHits(
        events=len(table),
        event=np.repeat(np.arange(len(table), dtype=np.int32), counts),
        sensor=sensor.astype(np.uint8),
        u=u.astype(np.uint8),
        v=v.astype(np.uint16),
        charge=charge.astype(np.uint8),
    )


def _sensors(vxd_id: NDArray[np.integer]) -> NDArray[np.int64]:
    place = np.minimum(np.searchsorted(VXD_IDS, vxd_id), SENSORS - 1)
    unknown = np.flatnonzero(VXD_IDS[place] != vxd_id)
    if len(unknown):
        raise DataError(f"VxdID {vxd_id[unknown[0]]} is no sensor of the pixel detector; select its hits first.")
    return place
