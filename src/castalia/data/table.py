"""A table of events in memory: named columns that are flat, fixed-length lists or jagged lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias, final

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from castalia.errors import DataError

__all__ = ["Column", "Regrouper", "Table", "jagged", "jagged_parts", "list_lengths"]

Column: TypeAlias = NDArray[Any] | ak.Array
"""One column: numpy of shape ``(rows,)`` or ``(rows, length)``, or an awkward ``rows * var * number``."""


def jagged(counts: NDArray[np.integer[Any]], values: NDArray[Any]) -> ak.Array:
    """Build a jagged column from its list lengths and its flat values.

    Args:
        counts: Length of each row's list, shape ``(rows,)``, not negative.
        values: All lists one after the other, shape ``(counts.sum(),)``.
    """
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    content = ak.contents.NumpyArray(np.ascontiguousarray(values))
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), content))


def jagged_parts(column: ak.Array) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the list lengths, shape ``(rows,)``, and the flat values of a jagged column."""
    return list_lengths(column), np.asarray(ak.to_numpy(ak.flatten(column, axis=1)))


def list_lengths(column: Column) -> NDArray[np.int64]:
    """Return the number of values in each row of a column, shape ``(rows,)``; 1 where there are no lists."""
    if isinstance(column, ak.Array):
        return np.asarray(ak.to_numpy(ak.num(column, axis=1)), dtype=np.int64)
    return np.full(len(column), column.shape[1] if column.ndim == 2 else 1, dtype=np.int64)


@final
class Table:
    """Named columns of equal length; never changed in place.

    Args:
        columns: Values by name: numpy of one or two dimensions, or an awkward array of lists of numbers.

    Raises:
        DataError: If the lengths differ, or a column holds anything but numbers in lists of at most one level.
    """

    __slots__ = ("_columns", "_rows")

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self._columns: Mapping[str, Column] = MappingProxyType({n: _regular(n, v) for n, v in columns.items()})
        lengths = {name: len(values) for name, values in self._columns.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"the columns of a table differ in length: {lengths}; give every column the same rows.")
        self._rows = next(iter(lengths.values()), 0)

    def __len__(self) -> int:
        return self._rows

    def __repr__(self) -> str:
        return f"Table({self._rows} rows: {', '.join(self.names)})"

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __getitem__(self, name: str) -> Any:
        """Return the values of column ``name`` (numpy or awkward).

        Raises:
            DataError: If there is no such column.
        """
        try:
            return self._columns[name]
        except KeyError:
            raise DataError(f"the table has no column '{name}'; it has {', '.join(self.names) or 'none'}.") from None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(self._columns)

    def select(self, names: Sequence[str]) -> Table:
        """Return the columns ``names``, in that order."""
        return Table({name: self[name] for name in names})

    def slice(self, start: int, stop: int) -> Table:
        """Return the rows ``start`` to ``stop`` (exclusive), without copying."""
        return Table({name: values[start:stop] for name, values in self._columns.items()})

    def take(self, rows: NDArray[Any]) -> Table:
        """Return the rows given by integer positions or by a boolean mask of shape ``(rows,)``."""
        if rows.dtype == np.bool_ and rows.all():  # usual, where rows are selected because some might be bad
            return self
        return Table({name: values[rows] for name, values in self._columns.items()})

    def with_columns(self, columns: Mapping[str, Any]) -> Table:
        """Return a table in which ``columns`` are added, or replaced where the name exists."""
        return Table({**self._columns, **columns})

    def without(self, names: Sequence[str]) -> Table:
        """Return a table that lacks ``names``, whether or not they existed."""
        return Table({name: values for name, values in self._columns.items() if name not in set(names)})

    @staticmethod
    def concatenate(tables: Sequence[Table]) -> Table:
        """Put tables with the same columns one below the other, in the column order of the first.

        Raises:
            DataError: If there is no table, or names or shapes of the columns differ.
        """
        if not tables:
            raise DataError("no table to concatenate; give at least one.")
        first = tables[0]
        if len(tables) == 1:
            return first
        for table in tables[1:]:
            if set(table.names) != set(first.names):
                raise DataError(f"tables with columns {first.names} and {table.names} cannot be put together.")
        return Table({name: _join(name, [table[name] for table in tables]) for name in first.names})


@final
class Regrouper:
    """Cuts a stream of tables into tables of exactly ``size`` rows, so that results do not depend on chunks.

    Args:
        size: Rows per table, at least 1.
        numbers: Numbers in lists that complete a table before it has ``size`` rows; no limit where ``None``.
    """

    def __init__(self, size: int, numbers: int | None = None) -> None:
        if size < 1:
            raise DataError(f"a chunk of {size} rows is not possible; ask for at least 1.")
        self._size = size
        self._limit = np.inf if numbers is None else numbers
        self._waiting: list[Table] = []
        self._rows = 0
        self._numbers = 0

    def push(self, table: Table) -> Iterator[Table]:
        """Take in ``table`` and yield every full table that is now complete."""
        if len(table):
            self._waiting.append(table)
            self._rows += len(table)
            self._numbers += int(self._numbers_of(table).sum())
        if self._rows < self._size and self._numbers < self._limit:
            return
        whole = Table.concatenate(self._waiting)
        stops = self._stops(np.cumsum(self._numbers_of(whole)))
        rest = whole.slice(stops[-1], len(whole))
        self._rows, self._numbers = len(rest), int(self._numbers_of(rest).sum())
        self._waiting = [rest] if self._rows else []
        for start, stop in zip([0, *stops], stops, strict=False):
            yield whole.slice(start, stop)

    def _numbers_of(self, table: Table) -> NDArray[np.int64]:
        """Return how many numbers each row has in jagged lists, zeros where there is no limit to them."""
        total = np.zeros(len(table), dtype=np.int64)
        for name in table if np.isfinite(self._limit) else ():
            if isinstance(table[name], ak.Array):
                total += np.asarray(ak.to_numpy(ak.num(table[name], axis=1)))
        return total

    def _stops(self, numbers: NDArray[np.int64]) -> list[int]:
        """Return the rows after which tables end, given how many numbers there are up to and with each row."""
        stops: list[int] = []
        start = before = 0
        while True:
            # The row that reaches the limit is the last of its table.
            full = int(np.searchsorted(numbers, before + self._limit)) + 1
            stop = min(start + self._size, full)
            if stop > len(numbers):
                return stops
            stops.append(stop)
            start, before = stop, int(numbers[stop - 1])

    def rest(self) -> Table | None:
        """Return the rows that fill no table, once; ``None`` where there are none."""
        waiting, self._waiting, self._rows, self._numbers = self._waiting, [], 0, 0
        return Table.concatenate(waiting) if waiting else None


def _regular(name: str, values: Any) -> Column:
    """Bring one column into one of the three forms."""
    if not isinstance(values, ak.Array):
        array = np.asarray(values)
        if array.dtype.kind not in "fiub" or array.ndim not in (1, 2):
            raise DataError(
                f"column '{name}' is {array.ndim}-dimensional of type {array.dtype}; "
                "a column holds numbers, flat or in one level of lists."
            )
        return array
    if values.ndim == 2 and values.layout.is_list and not values.layout.is_regular:
        if not isinstance(values.layout, ak.contents.ListOffsetArray):
            values = ak.to_packed(values)
        if isinstance(values.layout.content, ak.contents.NumpyArray):
            return values
        values = ak.to_packed(values)
        if isinstance(values.layout.content, ak.contents.NumpyArray):
            return values
    elif values.layout.is_numpy or values.layout.is_regular:
        return _regular(name, ak.to_numpy(values, allow_missing=False))
    raise DataError(f"column '{name}' has type {values.type}; a column holds numbers, flat or in one level of lists.")


def _join(name: str, parts: list[Any]) -> Column:
    kinds = {(isinstance(part, ak.Array), None if isinstance(part, ak.Array) else part.shape[1:]) for part in parts}
    if len(kinds) > 1:
        raise DataError(f"column '{name}' has lists of different kinds or lengths; bring them into one shape first.")
    if not isinstance(parts[0], ak.Array):
        return np.concatenate(parts)
    counts, values = zip(*(jagged_parts(part) for part in parts), strict=True)
    return jagged(np.concatenate(counts), np.concatenate(values))
