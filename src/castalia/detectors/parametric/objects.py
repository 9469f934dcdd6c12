"""Objects of many events in one flat list: particles, leptons or jets, each with the number of its event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from castalia.data.table import Table, jagged, jagged_parts
from castalia.errors import DataError
from castalia.physics.angles import delta_r
from castalia.physics.four_vectors import to_cartesian

__all__ = ["Objects", "close_pairs", "mutual_nearest", "nearest"]


@final
@dataclass(frozen=True)
class Objects:
    """Objects of ``rows`` events, all objects of an event on end.

    Attributes:
        rows: Number of events; some may have no object.
        event: Number of each object's event, not decreasing, shape ``(objects,)``.
        columns: Values by name, each of shape ``(objects,)``.
    """

    rows: int
    event: NDArray[np.int64]
    columns: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.event)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of objects of each event, shape ``(rows,)``."""
        return np.bincount(self.event, minlength=self.rows).astype(np.int64)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Position of each event's first object, shape ``(rows,)``."""
        counts = self.counts
        return np.cumsum(counts) - counts

    @property
    def momentum(self) -> NDArray[np.float64]:
        """Four-momenta (px, py, pz, E) in GeV, shape ``(objects, 4)``."""
        return to_cartesian(self["pt"], self["eta"], self["phi"], self["mass"])

    def take(self, which: NDArray[Any]) -> Objects:
        """Return the objects at some positions (not decreasing in event) or where a mask is true."""
        return Objects(self.rows, self.event[which], {name: values[which] for name, values in self.columns.items()})

    def with_columns(self, columns: Mapping[str, NDArray[Any]]) -> Objects:
        """Return the objects with ``columns`` added or replaced."""
        return Objects(self.rows, self.event, {**self.columns, **columns})

    def join(self, other: Objects) -> Objects:
        """Return these objects and those of ``other``, which has the same columns; own ones come first in an event."""
        event = np.concatenate([self.event, other.event])
        order = np.argsort(event, kind="stable")
        columns = {name: np.concatenate([values, other[name]])[order] for name, values in self.columns.items()}
        return Objects(self.rows, event[order], columns)

    def by_pt(self) -> Objects:
        """Return the objects with the hardest of each event first."""
        return self.take(np.lexsort((-self["pt"], self.event)))

    def sum_per_event(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Sum one number per object over each event's objects, shape ``(rows,)``."""
        return np.bincount(self.event, weights=values, minlength=self.rows).astype(np.float64)

    def local(self, position: NDArray[np.int64]) -> NDArray[np.int64]:
        """Turn positions in this list into positions within the object's event; -1 stays -1."""
        if not len(self):
            return position
        return np.where(position < 0, -1, position - self.starts[self.event[position]])

    def padded(self, name: str, length: int, filling: float = np.nan) -> NDArray[np.float64]:
        """Return one column as an array of shape ``(rows, length)``, ``filling`` beyond an event's last object."""
        place = np.arange(len(self)) - self.starts[self.event]
        kept = place < length
        values = np.full((self.rows, length), filling)
        values[self.event[kept], place[kept]] = self[name][kept]
        return values

    def to_columns(self, prefix: str, names: Sequence[str]) -> dict[str, Any]:
        """Return the columns ``names`` as jagged columns ``prefix_name`` of a table."""
        counts = self.counts
        return {f"{prefix}_{name}": jagged(counts, self[name]) for name in names}

    @staticmethod
    def of(table: Table, prefix: str, names: tuple[str, ...]) -> Objects:
        """Take the jagged columns ``prefix_name`` of a table.

        Raises:
            DataError: If a column is missing, is not jagged, or its lists differ in length from the first's.
        """
        columns: dict[str, NDArray[Any]] = {}
        counts: NDArray[np.int64] | None = None
        for name in names:
            column = table[f"{prefix}_{name}"]
            if isinstance(column, np.ndarray):
                raise DataError(f"column '{prefix}_{name}' has no lists of varying length; give one list per event.")
            lengths, columns[name] = jagged_parts(column)
            counts = lengths if counts is None else counts
            if not np.array_equal(lengths, counts):
                row = int(np.flatnonzero(lengths != counts)[0])
                raise DataError(
                    f"columns '{prefix}_{names[0]}' and '{prefix}_{name}' have lists of {counts[row]} and "
                    f"{lengths[row]} values in row {row}; give every particle all its values."
                )
        rows = len(table)
        return Objects(rows, np.repeat(np.arange(rows), counts if counts is not None else 0), columns)


def close_pairs(
    first: Objects, second: Objects, radius: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Find all pairs of objects of one event that are close in (eta, phi).

    Args:
        first: Objects with ``eta`` and ``phi``.
        second: Objects of the same events.
        radius: Largest distance.

    Returns:
        Positions in ``first``, positions in ``second`` and distances, each of shape ``(pairs,)``, ordered by the first.
    """
    partners = second.counts[first.event]
    i = np.repeat(np.arange(len(first)), partners)
    within = np.arange(len(i)) - np.repeat(np.cumsum(partners) - partners, partners)
    j = second.starts[first.event[i]] + within
    # The difference in eta alone settles most pairs and costs little.
    near = np.abs(first["eta"][i] - second["eta"][j]) < radius
    i, j = i[near], j[near]
    distance = delta_r(first["eta"][i], first["phi"][i], second["eta"][j], second["phi"][j])
    close = distance < radius
    return i[close], j[close], distance[close]


def nearest(first: Objects, second: Objects, radius: float) -> NDArray[np.int64]:
    """Return for each of ``first`` the position of the nearest of ``second`` within ``radius``, -1 where none is."""
    i, j, distance = close_pairs(first, second, radius)
    order = np.argsort(-distance, kind="stable")
    found = np.full(len(first), -1, dtype=np.int64)
    found[i[order]] = j[order]  # written from far to near: the nearest stays
    return found


def mutual_nearest(first: Objects, second: Objects, radius: float) -> NDArray[np.int64]:
    """Match one to one: the position in ``second`` of which each of ``first`` is the nearest and the reverse, or -1."""
    forth, back = nearest(first, second, radius), nearest(second, first, radius)
    if not len(second):
        return forth
    return np.where((forth >= 0) & (back[forth] == np.arange(len(first))), forth, -1)
