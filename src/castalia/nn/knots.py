"""A linear layer on top of a piecewise-linear embedding as a table: looked up and interpolated, not multiplied."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from castalia.nn.embeddings import PiecewiseLinear

__all__ = ["Knots"]

_CELLS = 4096  # of the grid that narrows the search for a knot: fine enough that few of them hold two


@final
class Knots:
    """The values of each feature between which its embedding is a straight line.

    A linear layer on the embedding is a sum of one function per feature, and each is a straight line between two knots:
    with the layer tabulated at the knots, two rows of the table per feature give it everywhere, to rounding.

    Args:
        embedding: The embedding; later changes of its edges are not followed.
    """

    def __init__(self, embedding: PiecewiseLinear) -> None:
        self._embedding = embedding
        self._values = _knots(embedding)
        features, self._count = self._values.shape
        inner = self._values[:, 1:-1]
        self._low = inner[:, :1].clone()
        self._scale = _CELLS / (inner[:, -1:] - self._low).clamp(min=torch.finfo(inner.dtype).tiny)
        cells = self._cells(inner)
        held = torch.zeros((features, _CELLS), dtype=torch.int32, device=cells.device)
        held.scatter_add_(1, cells.long(), torch.ones_like(cells))
        lines = torch.arange(features, dtype=torch.int32, device=cells.device)[:, None]
        self._first_cell = lines * _CELLS
        # By place in the table: the lower knot of an interval, its inverse length, and where the next one begins.
        self._from = self._values.flatten()
        self._slope = torch.cat([self._values.diff(dim=1).reciprocal(), torch.ones_like(self._low)], dim=1).flatten()
        self._next = torch.cat([inner, torch.full_like(self._values[:, :2], torch.inf)], dim=1).flatten()
        self._begin = (held.cumsum(1, dtype=torch.int32) - held + lines * self._count).flatten()
        self._steps = int(held.max())

    def locate(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Find what to look up, by cells of equal width and then a short search within the cell.

        Args:
            values: Shape ``(events, features)``.

        Returns:
            Rows of the table, shape ``(events, 2 * features)``, int32, and their weights, same shape.
        """
        events, features = values.shape
        rows = values.t().contiguous()
        cells = self._cells(rows).add_(self._first_cell)
        lower, row = self._begin.index_select(0, cells.flatten()), rows.flatten()
        for _ in range(self._steps):
            lower += row >= self._next.index_select(0, lower)
        part = (row - self._from.index_select(0, lower)).mul_(self._slope.index_select(0, lower))
        lower, part = lower.view(features, events).t(), part.view(features, events).t()
        places, parts = lower.new_empty((events, 2 * features)), part.new_empty((events, 2 * features))
        places[:, :features], parts[:, features:] = lower, part
        torch.add(lower, 1, out=places[:, features:])
        torch.sub(1, part, out=parts[:, :features])
        return places, parts

    def tabulate(self, weight: Tensor, bias: Tensor) -> Tensor:
        """Evaluate a linear layer at the knots.

        Args:
            weight: Weights on the embedding, shape ``(units, width)``.
            bias: Shape ``(units,)``.

        Returns:
            Shape ``(features * knots, units)``: what each feature gives; the first one's part includes the bias.
        """
        features = len(self._values)
        embedded = self._embedding(self._values.t()).double()
        weights = weight.double()
        progress = embedded[:, features:].view(self._count, features, -1)
        on_progress = weights[:, features:].view(len(weight), features, -1)
        table = torch.einsum("kf,uf->fku", embedded[:, :features], weights[:, :features])
        table += torch.einsum("kfb,ufb->fku", progress, on_progress)
        table[0] += bias
        return table.flatten(0, 1).to(weight.dtype)

    def _cells(self, rows: Tensor) -> Tensor:
        """Return the cell of each value, shape ``(features, …)``; it never falls as the value grows."""
        cells = ((rows - self._low) * self._scale).clamp_(0, _CELLS - 1).int()
        return cells.clamp_(min=0)  # NaN became the lowest integer; as a weight it reaches the result


def _knots(embedding: PiecewiseLinear) -> Tensor:
    """Return increasing knots, shape ``(features, knots)``; the first and the last lie outside of all bins."""
    low = embedding.edges[:, :-1]
    edges, widths = embedding.edges[:, 1:], embedding.bin_widths()
    # Bins that had to be widened end at the next number, so that rounding does not leave their knot inside them.
    widened = torch.nextafter(low + widths, torch.full_like(low, torch.inf))
    ends = torch.where(widths > embedding.edges.diff(dim=1), widened, edges)
    found = [torch.unique(torch.cat(pair)) for pair in zip(low, ends, strict=True)]
    most = max(len(one) for one in found)
    lines = []
    for one in found:
        beyond = torch.arange(1, most - len(one) + 2).to(one)
        lines.append(torch.cat([one[:1] - 1, one, one[-1] + beyond]))
    return torch.stack(lines)
