"""What lies in a cell: the clusters whose middle pixel is there, with all their pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from castalia.estimators.pixels.canvas import Canvas
from castalia.estimators.pixels.clusters import touching
from castalia.estimators.pixels.hits import Hits

__all__ = ["CellContents", "contents_of"]


@final
@dataclass(frozen=True)
class CellContents:
    """Hits by the cell that their cluster belongs to; tensors are int64.

    A cluster belongs to the cell of its middle pixel and goes with it as a whole, so that none is cut at a cell's edge.

    Attributes:
        place: Number of each cell that is not empty, through all sensors of all events, growing, shape ``(cells,)``.
        size: Its number of hits.
        total: Its charge.
        owner: Which of these cells each hit belongs to, never decreasing, shape ``(hits,)``.
        u: Cell along u of each hit, from the first of the cell of the grid; may lie beside it.
        v: The same along v.
        charge: Charge of each hit.
    """

    place: Tensor
    size: Tensor
    total: Tensor
    owner: Tensor
    u: Tensor
    v: Tensor
    charge: Tensor

    def every(self, step: int) -> CellContents:
        """Return one in ``step`` of the cells, evenly spread, with their hits."""
        kept = torch.zeros(len(self.place), dtype=torch.bool)
        kept[step // 2 :: step] = True
        hits = kept[self.owner]
        place, size, total = (values[kept] for values in (self.place, self.size, self.total))
        owner = (kept.cumsum(0) - 1)[self.owner[hits]]
        u, v, charge = (values[hits] for values in (self.u, self.v, self.charge))
        return CellContents(place, size, total, owner, u, v, charge)


def contents_of(hits: Hits, canvas: Canvas) -> CellContents:
    """Share out hits to the cells of a grid.

    Args:
        hits: Hits in any order within an event, on any device; what is returned is on the processor.
        canvas: The grid.
    """
    array = canvas.array
    hits = hits.map(lambda values: values.cpu())
    sensor = hits.event * array.sensors + hits.sensor
    pixel = (sensor * array.u + hits.u) * array.v + hits.v
    if not bool((pixel.diff() > 0).all()):
        order = pixel.argsort()
        hits, sensor = hits.map(lambda values: values[order]), sensor[order]
    number, label = touching(sensor.numpy(), hits.u.numpy(), hits.v.numpy(), (array.u, array.v))
    by_cluster = np.argsort(label, kind="stable")
    size = np.bincount(label, minlength=number)
    middle = torch.from_numpy(by_cluster[np.cumsum(size) - size + size // 2])
    row, column = (hits.u + canvas.pad_u) // canvas.cell, (hits.v + canvas.pad_v) // canvas.cell
    cell = ((sensor * canvas.rows + row) * canvas.columns + column)[middle][torch.from_numpy(label).long()]
    order = cell.argsort(stable=True)
    place, owner, count = torch.unique_consecutive(cell[order], return_inverse=True, return_counts=True)
    charge = hits.charge[order]
    row, column = place // canvas.columns % canvas.rows, place % canvas.columns
    return CellContents(
        place=place,
        size=count,
        total=torch.zeros_like(place).index_add_(0, owner, charge),
        owner=owner,
        u=hits.u[order] - (row * canvas.cell - canvas.pad_u)[owner],
        v=hits.v[order] - (column * canvas.cell - canvas.pad_v)[owner],
        charge=charge,
    )
