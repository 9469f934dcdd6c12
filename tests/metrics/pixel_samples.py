"""Hits with known properties, for the measures of pixel events."""

import numpy as np

from castalia.detectors.pxd.digitiser import PixelHits
from castalia.rng import Stream


def hits_of(events, event, sensor, u, v, charge):
    """Put columns into the order of hits, keeping one hit of a pixel."""
    number = ((np.asarray(event, dtype=np.int64) * 40 + sensor) * 250 + u) * 768 + v
    _, rows = np.unique(number, return_index=True)
    columns = zip((event, sensor, u, v, charge), (np.int32, np.uint8, np.uint8, np.uint16, np.uint8), strict=True)
    return PixelHits(events, *(np.asarray(column)[rows].astype(kind) for column, kind in columns))


def random_hits(events, mean, seed=1, charge=20):
    """Make hits anywhere; ``mean`` is that of a sensor, shape (events, 40) or less."""
    rng = Stream(seed, "random hits").at()
    counts = rng.poisson(np.broadcast_to(mean, (events, 40)))
    cell = np.repeat(np.arange(events * 40), counts.ravel())
    size = len(cell)
    charges = np.full(size, charge) if np.ndim(charge) == 0 else rng.integers(*charge, size)
    return hits_of(events, cell // 40, cell % 40, rng.integers(0, 250, size), rng.integers(0, 768, size), charges)
