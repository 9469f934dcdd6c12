"""What the samplers of pixel events share: events one after the other, each with its condition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from castalia.estimators.base import Batch, Events
from castalia.estimators.pixels.hits import Hits, hits_of, padded

__all__ = ["hits_in_pieces", "joined"]

_EVENTS = 8  # at a time: an event of 70,000 hits takes 3 MB in whole numbers


def hits_in_pieces(stream: Iterable[Batch]) -> Iterator[tuple[Batch, Hits]]:
    """Yield a few events at a time, with their hits."""
    for batch in stream:
        for piece in batch.chunks(_EVENTS):
            yield piece, hits_of(piece.target)


def joined(events: Iterable[Hits]) -> Events:
    """Return events of one each as padded lists."""
    every = list(events)
    number = [torch.full((len(one),), place) for place, one in enumerate(every)]

    def column(name: str) -> Tensor:
        return torch.cat([getattr(one, name) for one in every]) if every else torch.zeros(0, dtype=torch.int64)

    event = torch.cat(number) if number else torch.zeros(0, dtype=torch.int64)
    return padded(Hits(len(every), event, column("sensor"), column("u"), column("v"), column("charge")))
