"""Hits of an array of pixel sensors as tensors, and what a layout says of the array."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import final

import torch
from torch import Tensor

from castalia.data.layout import Layout, Variable
from castalia.errors import ConfigError, DataError
from castalia.estimators.base import Batch, Events, ObjectSet

__all__ = ["HITS", "HIT_FEATURES", "Hits", "SensorArray", "hits_in_pieces", "hits_of", "joined", "padded"]

HITS = "hits"
"""Name of the list of hits among an event's objects."""

HIT_FEATURES = ("sensor", "u", "v", "charge")
"""Features of a hit, in order: number of the sensor, cell along u and v, charge; all are whole numbers."""


_EVENTS = 8  # read at a time: an event of 70,000 hits takes 3 MB in whole numbers


@final
@dataclass(frozen=True)
class SensorArray:
    """How many sensors there are, and what one of them reports.

    Attributes:
        sensors: Number of sensors.
        u: Cells along u.
        v: Cells along v.
        charges: Number of values of the charge, 0 included: its largest value is one less.
    """

    sensors: int
    u: int
    v: int
    charges: int

    @classmethod
    def of(cls, layout: Layout) -> SensorArray:
        """Read an array off the target of a layout: ``HIT_FEATURES``, with bounds from -0.5 to the number less 0.5.

        Raises:
            ConfigError: If the target is something else.
        """
        names = tuple(variable.name for variable in layout.target)
        if names != HIT_FEATURES or any(v.bounds is None or v.bounds[0] != -0.5 for v in layout.target):
            raise ConfigError(
                f"a model of pixel hits needs the target {', '.join(HIT_FEATURES)}, each counted from zero, "
                f"not {', '.join(names) or 'an empty one'}; use `castalia pixels train`."
            )
        return cls(*(round(v.bounds[1] + 0.5) for v in layout.target if v.bounds is not None))

    def position_table(self, positions: tuple[tuple[float, ...], ...]) -> Tensor:
        """Return what is known of where the sensors are, shape ``(sensors, P)``; P is 0 where nothing is.

        Raises:
            ConfigError: If it is not one row of equal length for each sensor.
        """
        rows = positions or ((),) * self.sensors
        cure = f"give one row of equal length for each of the {self.sensors} sensors, or none at all."
        if len(rows) != self.sensors:
            raise ConfigError(f"positions are given of {len(rows)} sensors, not of {self.sensors}; {cure}")
        if len({len(row) for row in rows}) > 1:
            raise ConfigError(f"positions have rows of several lengths; {cure}")
        return torch.tensor(rows, dtype=torch.float32).reshape(self.sensors, -1)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The target of a layout for this array."""
        return tuple(
            Variable(name, integer=True, bounds=(-0.5, number - 0.5))
            for name, number in zip(HIT_FEATURES, (self.sensors, self.u, self.v, self.charges), strict=True)
        )


@final
@dataclass(frozen=True)
class Hits:
    """Hits of several events one after the other; every tensor has the shape ``(hits,)`` and whole numbers (int64).

    Attributes:
        events: Number of events, those without hits included.
        event: Number of the event, from 0; never decreasing.
        sensor: Number of the sensor.
        u: Cell along u.
        v: Cell along v.
        charge: Charge.
    """

    events: int
    event: Tensor
    sensor: Tensor
    u: Tensor
    v: Tensor
    charge: Tensor

    def __len__(self) -> int:
        return len(self.event)

    def counts(self, sensors: int) -> Tensor:
        """Return the number of hits by event and sensor, int64, shape ``(events, sensors)``."""
        cells = self.event * sensors + self.sensor
        return torch.bincount(cells, minlength=self.events * sensors).reshape(self.events, sensors)

    def map(self, change: Callable[[Tensor], Tensor]) -> Hits:
        """Apply ``change`` to every tensor, such as a selection or a new order."""
        return Hits(self.events, *(change(getattr(self, one.name)) for one in fields(self)[1:]))


def hits_of(events: Events) -> Hits:
    """Return the hits of padded lists.

    Args:
        events: With the list ``HITS``, values of any number type, shape ``(events, hits, 4)``.

    Raises:
        DataError: If there is no such list, or it has other features.
    """
    given = events.objects.get(HITS)
    if given is None or given.values.shape[-1] != len(HIT_FEATURES):
        raise DataError(f"pixel events need a list '{HITS}' of {', '.join(HIT_FEATURES)}; see estimators/pixels/hits.")
    values = given.values[given.mask].long()
    return Hits(len(given.mask), given.mask.nonzero()[:, 0], *values.unbind(1))


def padded(hits: Hits) -> Events:
    """Return hits as padded lists of int16, ordered by event and otherwise as they are; the inverse of ``hits_of``."""
    counts = torch.bincount(hits.event, minlength=hits.events)
    longest = int(counts.max()) if len(counts) else 0
    mask = torch.arange(longest, device=counts.device) < counts[:, None]
    values = torch.zeros((*mask.shape, len(HIT_FEATURES)), dtype=torch.int16, device=counts.device)
    values[mask] = torch.stack([hits.sensor, hits.u, hits.v, hits.charge], dim=1).to(torch.int16)
    return Events(torch.zeros((hits.events, 0), device=counts.device), {HITS: ObjectSet(values, mask)})


def hits_in_pieces(stream: Iterable[Batch]) -> Iterator[tuple[Batch, Hits]]:
    """Yield a few events at a time, with their hits."""
    for batch in stream:
        for piece in batch.chunks(_EVENTS):
            yield piece, hits_of(piece.target)


def joined(parts: Sequence[Hits], device: torch.device | None = None) -> Hits:
    """Return the hits of several samples as those of one, their events one after the other.

    Args:
        parts: Samples; may be none.
        device: Where the hits of no sample at all are to be; by default the processor.
    """
    starts = [0, *itertools.accumulate(one.events for one in parts)]
    none = [torch.zeros(0, dtype=torch.int64, device=device)]
    event = torch.cat([*none, *(one.event + start for one, start in zip(parts, starts, strict=False))])
    names = [one.name for one in fields(Hits)[2:]]
    return Hits(starts[-1], event, *(torch.cat([*none, *(getattr(one, name) for one in parts)]) for name in names))
