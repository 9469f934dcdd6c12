"""Objects of events put in order and counted off: lists of a table to rows of an array, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from castalia.data.readers import StoredColumn
from castalia.data.schema import Shape
from castalia.data.table import Column, Table, jagged, jagged_parts, list_lengths
from castalia.errors import DataError

__all__ = ["ObjectOrder", "column_like"]

Integers = NDArray[np.int64]


@final
@dataclass(frozen=True)
class ObjectOrder:
    """Which objects of which events become which rows; make it with ``of``.

    Attributes:
        counts: Objects of each event, shape ``(events,)``.
        pick: Position among all objects of the file order, shape ``(rows, taken)``; ``taken`` is 1 for single objects.
        row: Event that each row belongs to, shape ``(rows,)``.
        single: True where every object is a row of its own.
        length: Length of the lists where they are all of one fixed length, else ``None``.
    """

    counts: Integers
    pick: Integers
    row: Integers
    single: bool
    length: int | None

    @staticmethod
    def of(table: Table, names: Sequence[str], order_by: str | None, take: int | Literal["each"]) -> ObjectOrder:
        """Order the objects of a table and pick those to take.

        Args:
            table: The events.
            names: The columns of the collection, at least one.
            order_by: Column to order by, largest first, equal ones as in the file; ``None`` for the file's order.
            take: How many objects of an event to take together, or ``"each"``.

        Raises:
            DataError: If a column is no list, is too short, or differs in length from another.
        """
        counts, length = _common_counts(table, names)
        starts = np.cumsum(counts) - counts
        order = _descending(_flat(table[order_by]), counts) if order_by is not None else np.arange(int(counts.sum()))
        if take == "each":
            return ObjectOrder(counts, order[:, None], np.repeat(np.arange(len(counts)), counts), True, length)
        if length is not None and length < take:
            raise DataError(f"column '{names[0]}' has {length} objects per event, but take = {take}; take fewer.")
        row = np.flatnonzero(counts >= take)
        pick = order[starts[row][:, None] + np.arange(take)] if len(row) else np.empty((0, take), dtype=np.int64)
        return ObjectOrder(counts, pick, row, False, length)

    @property
    def incomplete(self) -> int:
        """Number of events that have fewer objects than are taken."""
        return 0 if self.single else len(self.counts) - len(self.row)

    def rows(self, name: str, column: Any) -> list[NDArray[np.float64]]:
        """Return the values of a list column for each of the objects taken together, each of shape ``(rows,)``."""
        if not _is_list(column):
            raise DataError(f"column '{name}' is one number per event, not a list; declare it per = \"event\".")
        values = _flat(column)[self.pick].astype(np.float64)
        return [np.ascontiguousarray(values[:, index]) for index in range(self.pick.shape[1])]

    def listed(self, column: Any) -> Column:
        """Return the picked objects of a list column as lists per event, in order."""
        return self.from_rows(_flat(column)[self.pick])

    def from_rows(self, values: NDArray[Any]) -> Column:
        """Put values of shape ``(rows, taken)`` into lists per event."""
        if not self.single:
            return np.ascontiguousarray(values)
        flat = np.ascontiguousarray(values[:, 0])
        return jagged(self.counts, flat) if self.length is None else flat.reshape(len(self.counts), self.length)

    def events(self, column: Any) -> Column:
        """Return a per-event column for the events that ``listed`` returns."""
        result: Column = column if self.single else column[self.row]
        return result


def column_like(stored: Sequence[StoredColumn]) -> Shape:
    """Return the shape of lists that are like all of ``stored``: jagged as soon as one is."""
    lengths = {column.length for column in stored}
    length = next(iter(lengths)) if len(lengths) == 1 else None
    return "jagged" if length is None else length


def _common_counts(table: Table, names: Sequence[str]) -> tuple[Integers, int | None]:
    """Return the number of objects per event, and their fixed number if every column has it."""
    first: Integers | None = None
    lengths: set[int | None] = set()
    for name in names:
        column = table[name]
        if not _is_list(column):
            raise DataError(f"column '{name}' is one number per event, not a list; declare it per = \"event\".")
        fixed = None if isinstance(column, ak.Array) else int(column.shape[1])
        lengths.add(fixed)
        counts = list_lengths(column)
        if first is None:
            first = counts
        elif not np.array_equal(first, counts):
            row = int(np.argmax(first != counts))
            raise DataError(
                f"columns '{names[0]}' and '{name}' have lists of {first[row]} and {counts[row]} in row {row} of the "
                "table; the lists of one collection have equal lengths."
            )
    if first is None:
        raise DataError("the table has no column of the collection; read its columns first.")
    return first.astype(np.int64), lengths.pop() if len(lengths) == 1 else None


def _is_list(column: Any) -> bool:
    return isinstance(column, ak.Array) or bool(column.ndim == 2)


def _flat(column: Any) -> NDArray[Any]:
    return jagged_parts(column)[1] if isinstance(column, ak.Array) else np.asarray(column).reshape(-1)


def _descending(values: NDArray[Any], counts: Integers) -> Integers:
    """Return the positions that put the values of each event in descending order."""
    event = np.repeat(np.arange(len(counts)), counts)
    if not np.any((values[1:] > values[:-1]) & (event[1:] == event[:-1])):
        return np.arange(len(values))  # usual: generators and reconstruction order by transverse momentum
    return np.lexsort((-values.astype(np.float64), event))
