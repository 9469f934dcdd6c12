"""Events of a small array: clusters of a few pixels whose numbers follow a known law."""

from __future__ import annotations

import numpy as np
import torch

from castalia.data.layout import Layout, Variable
from castalia.estimators.base import Batch, Events
from castalia.estimators.pixels.hits import Hits, SensorArray, padded
from castalia.rng import Stream

ARRAY = SensorArray(4, 40, 60, 256)
NAMES = ("luminosity", "current_her", "pressure")
POSITIONS = ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0))


def layout(names=NAMES) -> Layout:
    return Layout(tuple(Variable(name) for name in names), ARRAY.variables)


def event_hits(counts, rng) -> np.ndarray:
    """Draw clusters of two pixels, then remove those that are hit twice."""
    rows = []
    for sensor, number in enumerate(counts):
        u, v = rng.integers(0, ARRAY.u, number), rng.integers(0, ARRAY.v - 1, number)
        for step in (0, 1):
            rows.append(np.column_stack([np.full(number, sensor), u, v + step, rng.integers(7, 60, number)]))
    hits = np.concatenate(rows)
    _, first = np.unique(hits[:, :3], axis=0, return_index=True)
    return hits[first]


def toy_batch(
    events: int, unit: str = "", names=NAMES, common: float = 0.0, low: float = 0.5, high: float = 1.0
) -> Batch:
    rng = Stream(3, "toy pixels", unit).at()
    condition = np.column_stack([rng.uniform(low, high, events)] + [np.ones(events)] * (len(names) - 1))
    condition = condition[:, : len(names)]
    rows, number = [], []
    for one in range(events):
        rate = 10.0 + 20.0 * (condition[one, 0] if names else 1.0)
        factor = rng.gamma(1.0 / common**2) * common**2 if common else 1.0
        rows.append(event_hits(rng.poisson(rate * factor, ARRAY.sensors), rng))
        number.append(np.full(len(rows[-1]), one))
    columns = torch.from_numpy(np.concatenate(rows)).unbind(1)
    hits = Hits(events, torch.from_numpy(np.concatenate(number)), *columns)
    condition = torch.from_numpy(condition).float()
    return Batch(Events(condition), padded(hits), torch.ones(events), torch.arange(events))
