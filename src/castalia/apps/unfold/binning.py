"""Bins in one or more columns, numbered through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.spectrum import bin_places, checked_edges

__all__ = ["Binning", "binning"]

Array = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Binning:
    """Bin edges of every column; bins of several columns are numbered with the last column fastest.

    Attributes:
        edges: Edges of each column, in its unit.
    """

    edges: tuple[Array, ...]

    @property
    def bins(self) -> int:
        """Number of bins in all."""
        return int(np.prod([len(one) - 1 for one in self.edges]))

    def place(self, values: Array, present: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Return the bin of each event, -1 where it is in none.

        Args:
            values: Shape ``(events, columns)``.
            present: Which events count, shape ``(events,)``; all by default.

        Raises:
            DataError: If there is another number of columns.
        """
        if values.shape[1] != len(self.edges):
            raise DataError(f"{values.shape[1]} columns for bin edges of {len(self.edges)}; give edges for each.")
        number = np.zeros(len(values), dtype=np.int64)
        inside = np.ones(len(values), dtype=np.bool_) if present is None else present
        for column, edges in zip(values.T, self.edges, strict=True):
            place = bin_places(column, edges)
            inside = inside & (place >= 0)
            number = number * (len(edges) - 1) + place
        return np.where(inside, number, -1)


def binning(*edges: ArrayLike) -> Binning:
    """Check the edges of each column and put them together.

    Raises:
        DataError: If edges do not increase, or none are given.
    """
    if not edges:
        raise DataError("no bin edges; give those of one column or more.")
    return Binning(tuple(checked_edges(one) for one in edges))
