"""From cells to pixels: true contents of cells, by their number of hits and their charge."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from castalia.errors import DataError
from castalia.estimators.pixels.canvas import Canvas
from castalia.estimators.pixels.cell_contents import CellContents
from castalia.estimators.pixels.hits import Hits

__all__ = ["Upsampler"]


@final
class Upsampler(nn.Module):
    """Draws the pixels and charges of a cell as those of a training cell with as many hits and about its charge.

    This is the conditional distribution of a cell's content given its number of hits and its charge, learned by nearest
    neighbours: contents are kept ordered by both, and a cell asks for one by its number of hits and by the rank of its
    charge among the cells with as many. A number of hits and a charge are so kept exactly and nearly.

    Args:
        canvas: The grid.
        most: Largest number of hits that is told apart; cells with more are of one kind.
        hits: How many hits of training cells to keep.
    """

    bounds: Tensor
    total: Tensor
    first: Tensor
    pixels: Tensor

    def __init__(self, canvas: Canvas, most: int, hits: int) -> None:
        super().__init__()
        self.canvas, self.most, self.capacity = canvas, most, hits
        self.register_buffer("bounds", torch.zeros(most + 2, dtype=torch.int64))
        self.register_buffer("total", torch.zeros(hits, dtype=torch.int32))
        self.register_buffer("first", torch.zeros(hits + 1, dtype=torch.int32))
        self.register_buffer("pixels", torch.zeros(hits, 3, dtype=torch.int16))

    @torch.no_grad()
    def fit(self, contents: list[CellContents]) -> None:
        """Keep contents, the first ones where they are too many.

        Args:
            contents: Contents of training events.

        Raises:
            DataError: If there is none.
        """
        size = torch.cat([one.size for one in contents]) if contents else torch.zeros(0, dtype=torch.int64)
        if not len(size):
            raise DataError("no training event has a hit; give events with hits.")
        start = size.cumsum(0) - size
        kept = torch.nonzero(size.cumsum(0) <= self.capacity)[:, 0]
        total = torch.cat([one.total for one in contents])
        kind = size[kept].clamp(max=self.most)
        kept = kept[torch.argsort(kind * (int(total.max()) + 1) + total[kept], stable=True)]
        count = size[kept]
        which = _spans(start[kept], count)
        pixels = torch.cat([torch.stack([one.u, one.v, one.charge], 1).to(torch.int16) for one in contents])
        self.bounds.copy_(torch.bincount(size[kept].clamp(max=self.most), minlength=self.most + 2).cumsum(0).roll(1))
        self.bounds[0] = 0
        self.total.zero_()[: len(kept)] = total[kept].to(torch.int32)
        self.first.fill_(len(which))[: len(kept)] = (count.cumsum(0) - count).to(torch.int32)
        self.pixels.zero_()[: len(which)] = pixels[which]

    def rank(self, size: Tensor, total: Tensor, noise: Tensor) -> Tensor:
        """Return which part of the kept contents with as many hits has less charge, in (0, 1).

        Args:
            size: Numbers of hits, at least 1, shape ``(cells,)``.
            total: Charges, same shape.
            noise: In [0, 1): where to stand among those of equal charge, same shape.
        """
        low, high = self.bounds[size.clamp(max=self.most)], self.bounds[size.clamp(max=self.most) + 1]
        scale = int(self.total.max()) + 2
        kinds = torch.arange(self.most + 1, device=size.device).repeat_interleave(self.bounds.diff())
        keys = kinds * scale + self.total[: len(kinds)]
        wanted = size.clamp(max=self.most) * scale + total.clamp(max=scale - 1)
        left, right = torch.searchsorted(keys, wanted), torch.searchsorted(keys, wanted, right=True)
        inside = left - low + noise * (right - left) + 0.5 * (left == right)
        return (inside / (high - low).clamp(min=1)).clamp(1e-4, 1.0 - 1e-4)

    def pick(self, size: Tensor, rank: Tensor) -> Tensor:
        """Return numbers of kept contents for sizes of at least 1 and ranks in (0, 1), both of shape ``(cells,)``."""
        low, high = self.bounds[size.clamp(max=self.most)], self.bounds[size.clamp(max=self.most) + 1]
        return torch.minimum(low + (rank * (high - low)).long(), high - 1).clamp(min=0)

    def forward(self, place: Tensor, size: Tensor, rank: Tensor, events: int) -> Hits:
        """Fill cells with pixels.

        A content that would leave its sensor is moved until it does not. Where two fill a pixel, charges add up.

        Args:
            place: Numbers of the cells to fill, through all sensors of all events, shape ``(cells,)``.
            size: Their numbers of hits, at least 1.
            rank: Ranks of their charges, in (0, 1).
            events: Number of events.
        """
        canvas, array = self.canvas, self.canvas.array
        chosen = self.pick(size, rank)
        start = self.first[chosen].long()
        count = self.first[chosen + 1].long() - start
        owner = torch.repeat_interleave(torch.arange(len(place), device=place.device), count)
        du, dv, charge = self.pixels[_spans(start, count)].long().unbind(1)
        row, column = place // canvas.columns % canvas.rows, place % canvas.columns
        u = _moved_inside(du + (row * canvas.cell - canvas.pad_u)[owner], owner, len(place), array.u)
        v = _moved_inside(dv + (column * canvas.cell - canvas.pad_v)[owner], owner, len(place), array.v)
        sensor = (place // (canvas.rows * canvas.columns))[owner]
        pixel, inverse = torch.unique((sensor * array.u + u) * array.v + v, return_inverse=True)
        charge = torch.zeros_like(pixel).index_add_(0, inverse, charge).clamp(max=array.charges - 1)
        sensor = pixel // (array.u * array.v)
        event = sensor // array.sensors
        return Hits(events, event, sensor % array.sensors, pixel // array.v % array.u, pixel % array.v, charge)


def _spans(start: Tensor, count: Tensor) -> Tensor:
    """Return ``start``, ``start + 1`` ... of ``count`` numbers for each, one after the other."""
    before = count.cumsum(0) - count
    return torch.arange(int(count.sum()), device=start.device) + torch.repeat_interleave(start - before, count)


def _moved_inside(cell: Tensor, owner: Tensor, owners: int, end: int) -> Tensor:
    """Move all that belongs to one owner by as much as it takes to lie within 0 and ``end``; what is longer is cut."""
    low = torch.zeros(owners, dtype=torch.int64, device=cell.device).scatter_reduce_(0, owner, cell, "amin")
    last = torch.full_like(low, end - 1).scatter_reduce_(0, owner, cell, "amax")
    return (cell - low[owner] - (last - (end - 1))[owner]).clamp(0, end - 1)
