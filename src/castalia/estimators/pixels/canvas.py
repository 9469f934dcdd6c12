"""The grid that a sensor is drawn on: cells of several pixels, with padding on both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from castalia.estimators.pixels.hits import SensorArray

__all__ = ["Canvas"]


@final
@dataclass(frozen=True)
class Canvas:
    """A grid of cells over a sensor; what the sensor lacks to whole cells is padding, half of it on either side.

    Attributes:
        array: The sensors.
        cell: Pixels of a cell along u and along v.
        rows: Cells along u.
        columns: Cells along v.
        pad_u: Rows of pixels before the first row of the sensor.
        pad_v: Columns of pixels before its first column.
    """

    array: SensorArray
    cell: int
    rows: int
    columns: int
    pad_u: int
    pad_v: int

    @classmethod
    def over(cls, array: SensorArray, cell: int, multiple: int) -> Canvas:
        """Return the smallest grid with ``rows`` and ``columns`` that are multiples of ``multiple``."""
        step = cell * multiple
        rows, columns = -(-array.u // step) * multiple, -(-array.v // step) * multiple
        return cls(array, cell, rows, columns, (rows * cell - array.u) // 2, (columns * cell - array.v) // 2)
