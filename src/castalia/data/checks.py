"""Checks of values against their declaration: finite, in range, in the declared unit, and fit for their use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from castalia.data.layout import Variable
from castalia.data.schema import ColumnSpec, Need, Schema
from castalia.data.table import Table, jagged_parts
from castalia.errors import DataError

__all__ = ["BadRowPolicy", "BadRows", "check_table", "check_targets", "plausible_range"]

_LHC_ENERGY = 14_000.0
_GEV = {"keV": 1e-6, "MeV": 1e-3, "GeV": 1.0, "TeV": 1e3}
_LARGER = {"GeV": "MeV", "TeV": "GeV", "MeV": "keV"}
_SMALLER = {"GeV": "TeV", "MeV": "GeV", "keV": "MeV"}


@dataclass(frozen=True)
class BadRows:
    """Rows that cannot be used.

    Attributes:
        mask: True where a row is bad, shape ``(rows,)``.
        reasons: One phrase for each column and kind of fault, with count and first row.
        where: Name of the file.
    """

    mask: NDArray[np.bool_]
    reasons: tuple[str, ...]
    where: str = ""

    def __or__(self, other: BadRows) -> BadRows:
        """Return what is bad by either of two checks of the same rows."""
        return BadRows(self.mask | other.mask, (*self.reasons, *other.reasons), self.where)


@final
class BadRowPolicy:
    """Leaves out bad rows and counts them, as long as there are not more than were allowed.

    Args:
        limit: How many rows may be left out in all (``--skip-bad``); 0 allows none.
    """

    def __init__(self, limit: int = 0) -> None:
        self._limit = limit
        self._skipped = 0

    @property
    def skipped(self) -> int:
        """Number of rows left out so far."""
        return self._skipped

    def keep(self, bad: BadRows) -> NDArray[np.bool_]:
        """Return the mask of rows to keep, shape ``(rows,)``.

        Raises:
            DataError: If more rows are bad by now than may be left out.
        """
        self._skipped += int(bad.mask.sum())
        if self._skipped > self._limit:
            raise DataError(
                f"{bad.where}: {'; '.join(bad.reasons)}; drop or mend them, or pass --skip-bad N to leave out "
                f"and count up to N rows ({self._skipped} so far)."
            )
        return ~bad.mask


def plausible_range(spec: ColumnSpec) -> tuple[float, float]:
    """Return the interval a column's values must lie in.

    It is the declared range, or else what its unit allows: an energy up to that of the LHC, an angle up to one turn
    to either side.
    """
    low, high = -math.inf, math.inf
    if spec.range is not None:
        low = low if spec.range[0] is None else spec.range[0]
        high = high if spec.range[1] is None else spec.range[1]
    elif spec.unit in _GEV:
        high = _LHC_ENERGY / _GEV[spec.unit]
        low = -high
    elif spec.unit == "rad":
        # Angles of single precision may exceed a double-precision pi by their own rounding.
        low, high = -2.0 * math.pi * (1 + 1e-6), 2.0 * math.pi * (1 + 1e-6)
    return low, high


def check_table(
    table: Table, schema: Schema, where: str, first_row: int = 0, rows: NDArray[np.integer[Any]] | None = None
) -> BadRows:
    """Find the rows in which a declared column is NaN, infinite, outside its physical range or unfit for its use.

    Lists are checked in full: a bad value makes its row bad even in an object that would not be taken.

    Args:
        table: Values; columns that are absent here or not declared are not looked at.
        schema: The declaration.
        where: Name of the file, for the messages.
        first_row: Row number in the file of the table's first row.
        rows: Row number of every row, shape ``(rows,)``, where they are not consecutive; overrides ``first_row``.

    Returns:
        The bad rows.

    Raises:
        DataError: If a column as a whole looks as if it were in a unit 1000 times smaller or larger.
    """
    mask = np.zeros(len(table), dtype=np.bool_)
    numbers = np.arange(first_row, first_row + len(table)) if rows is None else np.asarray(rows)
    reasons: list[str] = []
    for spec in schema.columns:
        if spec.name not in table:
            continue
        values, row_of = _flat(table[spec.name])
        if values.dtype.kind not in "fiu":
            continue
        low, high = plausible_range(spec)
        finite = np.isfinite(values)
        inside = (values >= low) & (values <= high)
        # Values that have a fault of their own are reported for that.
        reasons += _unfit(values, finite & inside, spec, row_of, numbers, mask)
        if inside.all() and finite.all():
            continue
        outside = finite & ~inside
        _refuse_wrong_unit(values, finite, outside, spec, (low, high), where)
        for fault, found in (("NaN or infinite", ~finite), (f"outside [{low:g}, {high:g}]", outside)):
            if found.any():
                bad = np.unique(row_of[found])
                mask[bad] = True
                unit = f" {spec.unit}" if spec.unit and found is outside else ""
                reasons.append(
                    f"column '{spec.name}' has {int(found.sum())} values that are {fault}{unit} "
                    f"(first in row {int(numbers[bad[0]])})"
                )
    return BadRows(mask, tuple(reasons), where)


def _unfit(
    values: NDArray[Any],
    usable: NDArray[np.bool_],
    spec: ColumnSpec,
    row_of: NDArray[np.int64],
    numbers: NDArray[np.integer[Any]],
    mask: NDArray[np.bool_],
) -> list[str]:
    """Mark in ``mask`` the rows of usable values that are not what the use of the column asks, and say so."""
    reasons = []
    for need in spec.needs:
        found = usable & _unmet(values, need)
        if found.any():
            bad = np.unique(row_of[found])
            mask[bad] = True
            reasons.append(
                f"column '{spec.name}' must be {need.value} ({need.why}), but has {int(found.sum())} values that "
                f"are not (first in row {int(numbers[bad[0]])})"
            )
    return reasons


def _unmet(values: NDArray[Any], need: Need) -> NDArray[np.bool_]:
    match need.value:
        case "above 0":
            return np.asarray(values <= 0)
        case "at least 0":
            return np.asarray(values < 0)
        case "other than 0":
            return np.asarray(values == 0)
        case "0 or 1":
            return np.asarray((values != 0) & (values != 1))


def check_targets(
    target: NDArray[np.float64],
    variables: Sequence[Variable],
    columns: Sequence[str],
    row: NDArray[np.int64],
    numbers: NDArray[np.integer[Any]],
    where: str,
) -> BadRows:
    """Find the rows of a table whose targets, once derived, no model can take.

    A target must be finite, inside its open bounds, and whole where integers are declared.

    Args:
        target: Derived targets, shape ``(array rows, targets)``.
        variables: What they are, in order.
        columns: The column that each comes from, for the messages.
        row: Row of the table that each row of ``target`` belongs to, shape ``(array rows,)``.
        numbers: Row number in the file of every row of the table, shape ``(rows,)``.
        where: Name of the file, for the messages.
    """
    mask = np.zeros(len(numbers), dtype=np.bool_)
    reasons: list[str] = []
    for values, variable, column in zip(target.T, variables, columns, strict=True):
        low, high = variable.bounds or (-math.inf, math.inf)
        inside = f"inside ({low:g}, {high:g}) (bounds)" if variable.bounds else "finite"
        faults = [(inside, ~((values > low) & (values < high)))]
        if variable.integer:
            faults.append(("whole (integer = true)", np.isfinite(values) & (values != np.rint(values))))
        for must, found in faults:
            if found.any():
                bad = np.unique(row[found])
                mask[bad] = True
                reasons.append(
                    f"target '{variable.name}' (column '{column}') must be {must}, but has {int(found.sum())} values "
                    f"that are not, such as {values[found][0]:g} (first in row {int(numbers[bad[0]])})"
                )
    return BadRows(mask, tuple(reasons), where)


def _flat(column: Any) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return all values of a column and the row that each belongs to."""
    rows = np.arange(len(column))
    if isinstance(column, ak.Array):
        counts, values = jagged_parts(column)
        return values, np.repeat(rows, counts)
    if column.ndim == 1:
        return column, rows
    return column.reshape(-1), np.repeat(rows, column.shape[1])


def _refuse_wrong_unit(
    values: NDArray[Any],
    finite: NDArray[np.bool_],
    outside: NDArray[np.bool_],
    spec: ColumnSpec,
    limits: tuple[float, float],
    where: str,
) -> None:
    """Refuse a column most of which would fit only if it were 1000 times smaller or larger."""
    count, total = int(outside.sum()), int(finite.sum())
    if spec.unit not in _GEV or 2 * count <= total:
        return
    low, high = limits
    wrong = values[outside]
    for factor, other, size in ((1e-3, _LARGER, "large"), (1e3, _SMALLER, "small")):
        scaled = wrong * factor
        if np.mean((scaled >= low) & (scaled <= high)) > 0.99:
            guess = f" (values in {other[spec.unit]}?)" if spec.unit in other else ""
            raise DataError(
                f"{where}: column '{spec.name}' is declared in {spec.unit}, but {count} of {total} values look 1000 "
                f"times too {size}, such as {wrong[0]:g}{guess}; declare the unit of the file or convert it."
            )
