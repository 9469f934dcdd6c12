"""Events of pixel hits: read from files a few at a time, and turned into batches of a model and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.apps.pixels.config import ARRAY
from castalia.apps.pixels.reading import cells, hits_of_rows, ordered_cells
from castalia.data.checks import BadRowPolicy
from castalia.data.copies import content_keys
from castalia.data.feature_arrays import FeatureArrays
from castalia.data.features import Features
from castalia.data.loading import LoadedArrays, Select, load_arrays
from castalia.data.splits import mixed_keys
from castalia.detectors.pxd.digitiser import PixelHits
from castalia.errors import DataError, MachineError
from castalia.estimators.arrays import events_from_array, to_numpy
from castalia.estimators.base import Batch, Events, ObjectSet
from castalia.estimators.pixels.hits import HIT_FEATURES, HITS, hits_of

__all__ = ["PixelSample", "from_events", "joined", "read_events", "to_batch", "with_hits"]

_LEAST: Final = (0, 0, 0, 1)
_ENDS: Final = (ARRAY.sensors, ARRAY.u, ARRAY.v, ARRAY.charges)
"""Smallest values of a hit's features, and those after the largest."""


@final
@dataclass(frozen=True)
class PixelSample:
    """Events with their hits and what is given of them.

    Attributes:
        hits: The hits, ordered by event, sensor, u and v.
        condition: Shape ``(events, conditions)``, physical units.
        names: Names of the conditions.
        weight: Event weights, shape ``(events,)``.
        index: Row of each event among those of all files, shape ``(events,)``.
        counts: Events read, left out and kept, by what happened to them.
    """

    hits: PixelHits
    condition: NDArray[np.float64]
    names: tuple[str, ...]
    weight: NDArray[np.float64]
    index: NDArray[np.int64]
    counts: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.hits.events

    @property
    def arrays(self) -> FeatureArrays:
        """What is given of the events, without their hits."""
        return FeatureArrays(self.condition, None, np.empty((len(self), 0)), self.weight, self.index, 0)

    def contents(self) -> NDArray[np.uint64]:
        """Return a key of each event's conditions and hits, the same in whatever file, format or order they come."""
        limits = np.searchsorted(self.hits.event, np.arange(len(self) + 1))
        sums = [_sum_of_hits(self.hits, slice(*ends)) for ends in pairwise(limits)]
        return mixed_keys(content_keys(self.arrays), [np.array(sums, dtype=np.uint64)])

    def take(self, rows: NDArray[np.bool_]) -> PixelSample:
        """Return the events where the mask ``rows`` is true; what was counted stays."""
        return PixelSample(
            _taken(self.hits, rows),
            self.condition[rows],
            self.names,
            self.weight[rows],
            self.index[rows],
            self.counts,
        )


def read_events(
    paths: Sequence[Path],
    features: Features,
    select: Select = None,
    *,
    most: int | None = None,
    skip_bad: int = 0,
    rename: Mapping[str, str] | None = None,
) -> PixelSample:
    """Read the events of one split with their hits.

    Args:
        paths: The files, in this order.
        features: The meaning of the columns of whole events; hits are found by their names.
        select: Which events.
        most: Largest number of events to read, the first ones; ``None`` for all.
        skip_bad: How many bad rows may be left out.
        rename: Branch in the files by column name.

    Raises:
        DataError: If a file, column or row cannot be used, or no event is left.
    """
    loaded = load_arrays(paths, features, select, skip_bad=skip_bad, rename=rename)
    return with_hits(loaded, features, most=most, skip_bad=skip_bad, rename=rename)


def with_hits(
    loaded: LoadedArrays,
    features: Features,
    *,
    most: int | None = None,
    skip_bad: int = 0,
    rename: Mapping[str, str] | None = None,
) -> PixelSample:
    """Read the hits of events whose conditions are read; arguments and errors as for ``read_events``."""
    arrays = loaded.arrays.take(np.arange(len(loaded.keys)) < (len(loaded.keys) if most is None else most))
    policy = BadRowPolicy(skip_bad - loaded.counts["skipped"])
    pieces: list[PixelHits] = []
    kept: list[NDArray[np.bool_]] = []
    ends = (*loaded.first_rows[1:], loaded.counts["read"])
    for name, first, end in zip(loaded.hashes, loaded.first_rows, ends, strict=True):
        rows = arrays.row[(arrays.row >= first) & (arrays.row < end)] - first
        for hits, good in hits_of_rows(Path(name), features, rows, rename or {}, policy):
            pieces.append(hits)
            kept.append(good)
    arrays = arrays.take(np.concatenate(kept))
    if not len(arrays.row):
        raise DataError(f"{', '.join(loaded.hashes)}: no event has usable pixel hits; mend the files.")
    return PixelSample(
        joined(pieces),
        arrays.condition,
        tuple(variable.name for variable in features.layout.condition),
        arrays.weight,
        arrays.row,
        {**loaded.counts, "skipped": loaded.counts["skipped"] + policy.skipped},
    )


def _sum_of_hits(hits: PixelHits, mine: slice) -> np.uint64:
    """Return a number that tells the hits of an event, in whatever order they are."""
    one = PixelHits(1, *(getattr(hits, name)[mine] for name in ("event", *HIT_FEATURES)))
    codes = (cells(one) * ARRAY.charges + one.charge).astype(np.uint64)
    return np.uint64(mixed_keys(np.zeros(len(codes), dtype=np.uint64), [codes]).sum())  # modulo 2^64


def joined(pieces: Sequence[PixelHits]) -> PixelHits:
    """Put events one after the other.

    Args:
        pieces: At least one.
    """
    firsts = np.cumsum([0, *(piece.events for piece in pieces)], dtype=np.int32)
    event = np.concatenate([piece.event + first for piece, first in zip(pieces, firsts[:-1], strict=True)])
    columns = (np.concatenate([getattr(piece, name) for piece in pieces]) for name in HIT_FEATURES)
    return PixelHits(int(firsts[-1]), event, *columns)


def _taken(hits: PixelHits, rows: NDArray[np.bool_]) -> PixelHits:
    """Return the hits of the events where the mask ``rows`` is true."""
    number = (np.cumsum(rows) - 1).astype(np.int32)
    mine = rows[hits.event]
    columns = (getattr(hits, name)[mine] for name in HIT_FEATURES)
    return PixelHits(int(rows.sum()), number[hits.event[mine]], *columns)


def to_batch(sample: PixelSample) -> Batch:
    """Turn events into a batch, whose target is the list of hits as padded int16.

    Args:
        sample: The events.
    """
    hits = sample.hits
    limits = np.searchsorted(hits.event, np.arange(len(sample) + 1))
    counts = np.diff(limits)
    mask = np.arange(counts.max(initial=0)) < counts[:, None]
    values = np.zeros((*mask.shape, len(HIT_FEATURES)), dtype=np.int16)
    # Event by event: indices of all hits at once would take four times the memory of the hits.
    for event, (first, count) in enumerate(zip(limits, counts, strict=False)):
        for column, name in enumerate(HIT_FEATURES):
            values[event, :count, column] = getattr(hits, name)[first : first + count]
    lists = {HITS: ObjectSet(torch.from_numpy(values), torch.from_numpy(mask))}
    return Batch(
        events_from_array(sample.condition),
        Events(torch.zeros((len(sample), 0)), lists),
        torch.tensor(sample.weight, dtype=torch.float32),
        torch.tensor(sample.index),
    )


def from_events(events: Events) -> PixelHits:
    """Return the hits that a model drew.

    Args:
        events: What its ``sample`` returned.

    Raises:
        MachineError: If there are hits outside the detector, without charge, out of order, or twice in a pixel.
    """
    drawn = hits_of(events)
    for name, low, end in zip(HIT_FEATURES, _LEAST, _ENDS, strict=True):
        values = getattr(drawn, name)
        if len(values) and not (low <= int(values.min()) and int(values.max()) < end):
            raise MachineError(
                f"The model drew hits with {name} from {int(values.min())} to {int(values.max())}, beyond {low} to "
                f"{end - 1}; this is a fault of the estimator, train another."
            )
    columns = [to_numpy(getattr(drawn, name)) for name in ("event", *HIT_FEATURES)]
    kinds = (np.int32, np.uint8, np.uint8, np.uint16, np.uint8)
    hits = PixelHits(drawn.events, *(column.astype(kind) for column, kind in zip(columns, kinds, strict=True)))
    if not (np.diff(ordered_cells(hits)) > 0).all():
        raise MachineError(
            "The model drew hits out of order, or two in a pixel; this is a fault of the estimator, train another."
        )
    return hits
