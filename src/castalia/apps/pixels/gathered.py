"""What is kept of true or sampled events while they pass by, a few at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from castalia.detectors.pxd.digitiser import PixelHits
from castalia.detectors.pxd.images import image
from castalia.errors import DataError
from castalia.metrics.pixels.clusters import find_clusters
from castalia.metrics.pixels.impact import Overlaid, overlay
from castalia.metrics.pixels.pairs import pair_counts
from castalia.metrics.pixels.shared import direction_maps
from castalia.metrics.pixels.shuffled import shuffle_hits
from castalia.metrics.pixels.summary import PixelSummary, joined, summarise
from castalia.rng import Stream

__all__ = ["AT_ONCE", "FEWEST_EVENTS", "Gathered", "bounds", "gather", "pieces_of"]

AT_ONCE: Final = 20
"""Events that are looked at together."""
FEWEST_EVENTS: Final = 60
"""Events that a judgement needs: halves of thirty."""

_PAIR_EVENTS: Final = 200  # events whose pairs of hits and overlaid tracks are counted, the first ones


@dataclass(frozen=True)
class Gathered:
    """Summaries of events.

    Attributes:
        summary: Of all events.
        pairs: Of the first ones, as of ``metrics.pixels.pairs.pair_counts``.
        overlaid: Tracks over the background of the first ones.
        shuffled_maps: As ``summary.maps``, of events whose sensors come from different ones; empty where not wanted.
        image: Charges of the first event, shape ``(40, 250, 768)``.
    """

    summary: PixelSummary
    pairs: NDArray[np.int64]
    overlaid: Overlaid
    shuffled_maps: NDArray[np.uint16]
    image: NDArray[np.uint8]


def bounds(events: int) -> list[tuple[int, int]]:
    """Return where pieces of ``AT_ONCE`` events begin and end; the last has what is left, too, so none has only one."""
    starts = [*range(0, max(events // AT_ONCE, 1) * AT_ONCE, AT_ONCE), events]
    return list(itertools.pairwise(starts))


def pieces_of(hits: PixelHits) -> Iterator[PixelHits]:
    """Yield events piece by piece, as ``bounds`` says."""
    for first, last in bounds(hits.events):
        mine = slice(*np.searchsorted(hits.event, [first, last]))
        columns = (hits.sensor[mine], hits.u[mine], hits.v[mine], hits.charge[mine])
        yield PixelHits(last - first, hits.event[mine] - np.int32(first), *columns)


def gather(pieces: Iterable[PixelHits], seed: int, *, control: bool = False) -> Gathered:
    """Look at events piece by piece.

    Args:
        pieces: Events, at least two a piece.
        seed: Seed of all that is random; equal seeds place equal tracks.
        control: Whether sensors are shuffled between events, too.

    Raises:
        DataError: If there are too few events.
    """
    stream = Stream(seed, "gathered events")
    summaries, pairs, tracks, maps = [], [], [], []
    first, picture = 0, np.zeros(0, dtype=np.uint8)
    for number, piece in enumerate(pieces):
        clusters = find_clusters(piece)
        summaries.append(summarise(piece, clusters))
        if first < _PAIR_EVENTS:
            pairs.append(pair_counts(piece, stream.at(2 * number)))
            tracks.append(overlay(clusters, piece.events, first, seed))
        if control:
            maps.append(direction_maps(shuffle_hits(piece, stream.at(2 * number + 1))))
        if not first:
            picture = image(piece, 0)
        first += piece.events
    if first < FEWEST_EVENTS:
        raise DataError(f"{first} events are too few to judge pixel events on; give {FEWEST_EVENTS} or more.")
    return Gathered(
        joined(summaries),
        np.concatenate(pairs),
        Overlaid(*(np.concatenate([getattr(one, name) for one in tracks]) for name in ("d0", "z0", "wrong"))),
        np.concatenate(maps) if maps else np.zeros((0,), dtype=np.uint16),
        picture,
    )
